//! The NAS-Bench-201 table (Dong & Yang, ICLR 2020), embedded compactly: all 15,625 cells.

use crate::error::Result;
use crate::space::Genotype;

/// One row of the table. Accuracies in percent, after 200 epochs, mean over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Index in the benchmark.
    pub index: usize,
    /// Genotype text.
    pub arch: String,
    /// Trained on half of train, x-valid.
    pub cifar10_valid: f64,
    /// Trained on all of train, test.
    pub cifar10_test: f64,
    /// x-valid.
    pub cifar100_valid: f64,
    /// x-test.
    pub cifar100_test: f64,
    /// x-valid.
    pub imagenet16_valid: f64,
    /// x-test.
    pub imagenet16_test: f64,
    /// Million parameters (CIFAR-10, C=16, N=5).
    pub params_mb: f64,
    /// Million multiply-adds.
    pub flops_m: f64,
}

/// The row of a cell.
pub fn query(_genotype: &Genotype) -> Result<Row> {
    todo!()
}

/// The row of an index 0..15625.
pub fn query_index(_index: usize) -> Result<Row> {
    todo!()
}
