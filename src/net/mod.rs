//! Networks = space + ops. May use: `space`, `ops`, `error`, `interrupt`.

pub mod definition;
pub mod engine;
pub mod fast;
pub mod layers;
pub mod lower;
pub mod params;
pub mod program;
pub mod supernet;

pub use params::{Gradients, Param, Params, Role};
pub use supernet::{Mode, ScoreSums, Supernet, SupernetConfig};
