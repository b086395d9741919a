//! Handles: what a script holds of spaces, data, supernets and what is found.

pub mod arch;
pub mod batch;
pub mod batches;
pub mod data;
pub mod genotype;
pub mod importance;
pub mod look;
pub mod net;
pub mod passes;
pub mod saved;
pub mod space;
pub mod subset;
pub mod tensor;
pub mod values;

pub use look::look;
