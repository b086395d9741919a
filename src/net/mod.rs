//! Networks = space + ops. May use: `space`, `ops`, `error`, `interrupt`.

pub mod definition;
pub mod layers;
pub mod params;
pub mod supernet;

pub use params::{Gradients, Param, Params, Role};
pub use supernet::{Mode, ScoreSums, Supernet, SupernetConfig};
