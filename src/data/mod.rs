//! Data sets, splits, augmentation, loaders; the NAS-Bench-201 table. May use: `error`, `interrupt`, `space` (genotypes).

pub mod dataset;
pub mod loader;
pub mod nas_bench;

pub use dataset::{DataOptions, Dataset, Splits};
pub use loader::{Augment, Batch, BatchPlan, Batches};
