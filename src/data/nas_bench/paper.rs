//! The rows of the IS-DARTS paper, and a found cell beside them.

use super::{CELLS, Row, best_accuracies, rank};
use crate::error::Result;

/// A method's row: percent; CIFAR-10, CIFAR-100, ImageNet16-120, each valid and test; `None` where it is not quoted here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PaperRow {
    /// The method.
    pub method: &'static str,
    /// Mean accuracies of the cells it found.
    pub accuracies: [Option<f64>; 6],
}

const fn full(method: &'static str, a: [f64; 6]) -> PaperRow {
    PaperRow { method, accuracies: [Some(a[0]), Some(a[1]), Some(a[2]), Some(a[3]), Some(a[4]), Some(a[5])] }
}

const fn cifar10(method: &'static str, valid: f64, test: f64) -> PaperRow {
    PaperRow { method, accuracies: [Some(valid), Some(test), None, None, None, None] }
}

/// He, Liu, Zhang, Zheng, *IS-DARTS: Stabilizing DARTS through Precise Measurement on Candidate Importance*, AAAI 2024,
/// arXiv:2312.12648: its results on NAS-Bench-201, the best CIFAR-10 test first. IS-DARTS: the same cell in 4 of 4 runs. DARTS: first
/// and second order alike.
pub const PAPER: [PaperRow; 10] = [
    full("IS-DARTS", [91.55, 94.36, 73.49, 73.51, 46.37, 46.34]),
    cifar10("DARTS-", 91.03, 93.80),
    full("GDAS", [89.89, 93.61, 71.34, 70.70, 41.59, 41.71]),
    cifar10("PC-DARTS", 89.96, 93.41),
    full("I-DARTS", [90.59, 93.31, 70.05, 69.83, 43.78, 43.84]),
    cifar10("DSNAS", 89.66, 93.08),
    cifar10("SETN", 84.04, 87.64),
    full("S-DARTS", [68.29, 70.92, 38.57, 38.97, 18.87, 18.41]),
    full("DARTS", [39.77, 54.30, 15.03, 15.61, 16.43, 16.32]),
    cifar10("ENAS", 37.51, 53.89),
];

impl Row {
    /// A table for people: the cell's index, its accuracies, those of the paper's methods, and the best of all cells.
    pub fn beside_paper(&self) -> Result<String> {
        let mut text = format!(
            "NAS-Bench-201 cell {}\n{:.3} M parameters, {:.1} M multiply-adds, rank {} of {CELLS} (CIFAR-10 test)\n\n",
            self.index,
            self.params_mb,
            self.flops_m,
            rank(self)?
        );
        text += format!("{:18}{:^16}{:^16}{:^16}", "accuracy, %", "CIFAR-10", "CIFAR-100", "ImageNet16-120").trim_end();
        text += &format!("\n{:18}{}\n", "", ["   valid    test"; 3].concat());
        text += &line("found", self.accuracies().map(Some));
        for row in PAPER {
            text += &line(&format!("{} (paper)", row.method), row.accuracies);
        }
        text += &line("best of all cells", best_accuracies()?.map(Some));
        Ok(text)
    }
}

/// Columns of 8 characters behind one of 18.
fn line(name: &str, accuracies: [Option<f64>; 6]) -> String {
    let cells = accuracies.map(|a| a.map_or(format!("{:>8}", "-"), |a| format!("{a:8.2}")));
    format!("{name:18}{}\n", cells.concat())
}

#[cfg(test)]
mod tests {
    use super::super::query_index;

    #[test]
    fn the_found_cell_stands_above_the_papers_rows_in_aligned_columns() {
        let text = query_index(1835).unwrap().beside_paper().unwrap();
        for line in [
            "NAS-Bench-201 cell 1835",
            "0.073 M parameters, 7.8 M multiply-adds, rank ",
            "                     valid    test   valid    test   valid    test",
            "found                39.77   54.30   15.03   15.61   16.43   16.32",
            "IS-DARTS (paper)     91.55   94.36   73.49   73.51   46.37   46.34",
            "DARTS- (paper)       91.03   93.80       -       -       -       -",
            "DARTS (paper)        39.77   54.30   15.03   15.61   16.43   16.32",
            "best of all cells    91.61   94.37   73.49   73.51   46.73   47.31",
        ] {
            assert!(text.lines().any(|l| l.starts_with(line)), "no line `{line}` in\n{text}");
        }
        assert!(text.lines().all(|l| l == l.trim_end()), "{text}");
    }
}
