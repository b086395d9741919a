//! The NAS-Bench-201 table (Dong & Yang, ICLR 2020), embedded compactly: all 15,625 cells.

mod paper;

pub use paper::{PAPER, PaperRow};

use crate::error::{Error, Result};
use crate::space::{Candidate, Genotype, SearchSpace};
use serde::Serialize;
use std::io::Read;
use std::sync::OnceLock;

/// Number of cells: five ops on six edges.
pub const CELLS: usize = 15_625;

/// One row of the table. Accuracies in percent, after 200 epochs, mean over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// Seconds an epoch of training took the benchmark's authors.
    pub train_s_per_epoch: f64,
}

impl Row {
    /// The six accuracies in the order of the paper: CIFAR-10, CIFAR-100, ImageNet16-120, each valid and test.
    pub fn accuracies(&self) -> [f64; 6] {
        [
            self.cifar10_valid,
            self.cifar10_test,
            self.cifar100_valid,
            self.cifar100_test,
            self.imagenet16_valid,
            self.imagenet16_test,
        ]
    }
}

/// The row of a cell. An error for a genotype of another space.
pub fn query(genotype: &Genotype) -> Result<Row> {
    let space = SearchSpace::nas_bench_201();
    if genotype.space != space {
        let got = format!("a genotype of the space {}", genotype.space.name());
        return Err(Error::invalid("query of NAS-Bench-201", got, "one of the space nas-bench-201"));
    }
    let valid = Genotype::new(&space, &genotype.chosen)?;
    Table::get()?.row(valid.chosen.iter().fold(0, |code, c| code * OPS + c.op))
}

/// The row of an index 0..15625.
pub fn query_index(index: usize) -> Result<Row> {
    let table = Table::get()?;
    match table.code_of_index.get(index) {
        Some(code) => table.row(*code),
        None => Err(Error::invalid("index of a NAS-Bench-201 cell", index, format!("0 to {}", CELLS - 1))),
    }
}

/// For each of [`Row::accuracies`], the best of all cells.
pub fn best_accuracies() -> Result<[f64; 6]> {
    let table = Table::get()?;
    let best = |column: usize| table.columns[column].iter().max().map_or(f64::NAN, |v| scaled(column, *v));
    Ok(std::array::from_fn(|i| best(i + 1)))
}

/// How many cells have a higher CIFAR-10 test accuracy, plus one.
pub fn rank(row: &Row) -> Result<usize> {
    const CIFAR10_TEST: usize = 2;
    let column = &Table::get()?.columns[CIFAR10_TEST];
    Ok(1 + column.iter().filter(|v| scaled(CIFAR10_TEST, **v) > row.cifar10_test).count())
}

const OPS: usize = 5;
const EDGES: usize = 6;

/// What the integers of the columns are divided by: index, six accuracies, parameters, multiply-adds, seconds.
const SCALES: [u32; 10] = [1, 10_000, 10_000, 10_000, 10_000, 10_000, 10_000, 1_000_000, 100_000, 10_000];

/// The nearest double to the decimal number in the benchmark: both operands are exact, so one rounding.
fn scaled(column: usize, value: u32) -> f64 {
    f64::from(value) / f64::from(SCALES[column])
}

/// The decoded table. Rows lie in the order of the cell's code: its ops as base-5 digits, the first edge the highest.
struct Table {
    columns: Vec<Vec<u32>>,
    code_of_index: Vec<usize>,
}

impl Table {
    /// Decoded on first use.
    fn get() -> Result<&'static Table> {
        static TABLE: OnceLock<Option<Table>> = OnceLock::new();
        let table = TABLE.get_or_init(|| Table::decode(include_bytes!("table.bin.z")));
        let damaged = || Error::invalid("embedded NAS-Bench-201 table", "damaged data", "what pack.py writes");
        table.as_ref().ok_or_else(damaged)
    }

    /// The format is described in `pack.py` beside this file.
    fn decode(packed: &[u8]) -> Option<Table> {
        let mut bytes = Vec::with_capacity(SCALES.len() * 4 * CELLS);
        flate2::read::ZlibDecoder::new(packed).read_to_end(&mut bytes).ok()?;
        if bytes.len() != SCALES.len() * 4 * CELLS {
            return None;
        }
        let column = |planes: &[u8]| -> Vec<u32> {
            let byte = |cell: usize, plane: usize| planes[plane * CELLS + cell];
            (0..CELLS).map(|cell| u32::from_le_bytes(std::array::from_fn(|plane| byte(cell, plane)))).collect()
        };
        let columns: Vec<Vec<u32>> = bytes.chunks_exact(4 * CELLS).map(column).collect();
        let mut code_of_index = vec![CELLS; CELLS];
        for (code, index) in columns[0].iter().enumerate() {
            *code_of_index.get_mut(*index as usize)? = code;
        }
        code_of_index.iter().all(|code| *code < CELLS).then_some(Table { columns, code_of_index })
    }

    fn row(&self, code: usize) -> Result<Row> {
        let space = SearchSpace::nas_bench_201();
        let digit = |edge: usize| code / OPS.pow((EDGES - 1 - edge) as u32) % OPS;
        let chosen: Vec<Candidate> = (0..EDGES).map(|edge| Candidate { cell_type: 0, edge, op: digit(edge) }).collect();
        let value = |column: usize| scaled(column, self.columns[column][code]);
        Ok(Row {
            index: self.columns[0][code] as usize,
            arch: Genotype::new(&space, &chosen)?.to_string(),
            cifar10_valid: value(1),
            cifar10_test: value(2),
            cifar100_valid: value(3),
            cifar100_test: value(4),
            imagenet16_valid: value(5),
            imagenet16_test: value(6),
            params_mb: value(7),
            flops_m: value(8),
            train_s_per_epoch: value(9),
        })
    }
}

#[cfg(test)]
mod tests;
