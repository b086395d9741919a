//! Handles: what a script holds of spaces, data, supernets and what is found. [`registry`] lists them all.

pub mod arch;
pub mod batch;
pub mod batches;
pub mod data;
pub mod foreign;
pub mod genotype;
pub mod gradients;
pub mod handle;
pub mod hessian;
pub mod importance;
pub mod measure;
pub mod network;
pub mod passes;
pub mod registry;
pub mod saved;
pub mod snapshot;
pub mod space;
pub mod state;
pub mod subset;
pub mod supernet;
pub mod tensor;
pub mod values;
pub mod variables;

pub use handle::{Handle, Saved, Tensors};
pub use registry::{look, register, summary};
