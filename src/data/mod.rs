//! Data sets, splits, augmentation, loaders; the NAS-Bench-201 table.

pub mod augment;
mod cifar_python;
pub mod dataset;
mod decode;
mod digits;
pub mod download;
mod folder;
pub mod formats;
mod hash;
mod idx;
mod imagenet16;
mod images;
mod in_memory;
pub mod inventory;
pub mod loader;
mod locate;
pub mod nas_bench;
mod photo;
mod pickle;
pub mod picture;
mod random;
mod records;
mod statistics;
pub mod whole;

pub use augment::Augment;
pub use dataset::{DataOptions, Dataset, Splits};
pub use in_memory::InMemory;
pub use inventory::Inventory;
pub use loader::{Batch, BatchPlan, Batches, Rest};
pub use locate::{find, first_root};
