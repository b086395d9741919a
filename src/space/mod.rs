//! WHAT can be searched, as plain data: no tensor, no I/O.

pub mod bench_suite;
pub mod custom;
mod draw;
pub mod genotype;
mod genotype_text;
pub mod iim;
mod literal;
pub mod literature;
pub mod mask;
pub mod network;
pub mod plan;
pub mod primitive;
pub mod schedule;
pub mod search_space;
#[cfg(test)]
mod shrink_tests;
pub mod subset;
mod svg;

pub use bench_suite::Skeleton;
pub use genotype::Genotype;
pub use iim::{Iim, PerCandidate};
pub use mask::Mask;
pub use network::{Family, NetworkShape};
pub use plan::Plan;
pub use primitive::Primitive;
pub use schedule::ShrinkSchedule;
pub use search_space::{Candidate, CellType, Edge, SearchSpace, Topology};
pub use subset::ComparisonSubset;
