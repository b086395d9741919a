//! Networks = space + ops. A [`graph`] says what is computed; [`definition`] computes it readably, [`engine`] fast.

mod config;
mod cost;
pub mod definition;
mod drop_path;
pub mod engine;
mod fast;
pub mod gpu;
pub mod gradients;
pub mod graph;
pub mod grow;
pub mod ids;
pub mod look;
pub mod lower;
pub(crate) mod network;
pub mod onnx;
pub mod params;
mod pass;
pub mod program;
pub mod sealed;
mod size;
mod slot;
pub mod subnet;
pub mod supernet;
pub mod watched;

pub use config::{SubnetConfig, SupernetConfig};
pub use cost::Cost;
pub use drop_path::{DropPath, Dropout, Drops};
pub use gradients::Gradients;
pub use graph::Role;
pub use params::{Param, Params};
pub use pass::{Logits, Mode, Pass, Paths};
pub use subnet::Subnet;
pub use supernet::{ScoreSums, Supernet};
