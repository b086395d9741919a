//! Data sets, splits, augmentation, loaders; the NAS-Bench-201 table. May use: `error`, `interrupt`, `space` (genotypes).

pub mod augment;
pub mod dataset;
mod digits;
pub mod formats;
mod hash;
mod images;
pub mod loader;
mod locate;
pub mod nas_bench;
mod random;
mod records;

pub use augment::Augment;
pub use dataset::{DataOptions, Dataset, Splits};
pub use loader::{Batch, BatchPlan, Batches};
