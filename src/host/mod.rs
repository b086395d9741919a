//! Scripts: the ONLY place that names rhai. May use: everything below it.

pub mod options;

pub use options::RunOptions;
