//! Networks = space + ops. May use: `space`, `ops`, `error`, `files`, `interrupt`, `memory`.

pub mod definition;
mod drop_path;
pub mod engine;
pub mod fast;
pub mod layers;
pub mod lower;
pub mod onnx;
pub mod params;
pub mod program;
pub mod sealed;
mod size;
mod slot;
pub mod subnet;
pub mod supernet;

pub use drop_path::DropPath;
pub use params::{Gradients, Param, Params, Role};
pub use subnet::{Subnet, SubnetConfig};
pub use supernet::{Mode, Pass, Paths, ScoreSums, Supernet, SupernetConfig};
