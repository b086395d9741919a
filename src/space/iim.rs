//! The information-based importance measurement (IIM) as numbers, and the table type it shares with others.

use super::{Candidate, SearchSpace};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// One value per candidate: `values[cell_type][edge][op]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerCandidate<T>(pub Vec<Vec<Vec<T>>>);

impl<T: Clone> PerCandidate<T> {
    /// The same value everywhere.
    pub fn filled(space: &SearchSpace, value: T) -> Self {
        PerCandidate(vec![vec![vec![value; space.ops().len()]; space.n_edges()]; space.cell_types().len()])
    }
}

impl<T> PerCandidate<T> {
    /// The value of a candidate. Panics if it does not exist.
    pub fn get(&self, c: Candidate) -> &T {
        &self.0[c.cell_type][c.edge][c.op]
    }

    /// The value of a candidate, to change. Panics if it does not exist.
    pub fn get_mut(&mut self, c: Candidate) -> &mut T {
        &mut self.0[c.cell_type][c.edge][c.op]
    }

    /// The value of a candidate, if it exists.
    pub fn try_get(&self, c: Candidate) -> Option<&T> {
        self.0.get(c.cell_type)?.get(c.edge)?.get(c.op)
    }

    /// All candidates with their values, in order: cell type, edge, op.
    pub fn iter(&self) -> impl Iterator<Item = (Candidate, &T)> {
        self.0.iter().enumerate().flat_map(|(cell_type, edges)| {
            edges.iter().enumerate().flat_map(move |(edge, ops)| {
                ops.iter().enumerate().map(move |(op, value)| (Candidate { cell_type, edge, op }, value))
            })
        })
    }

    /// A table of the same shape.
    pub fn map<U>(&self, f: impl Fn(&T) -> U) -> PerCandidate<U> {
        PerCandidate(self.0.iter().map(|c| c.iter().map(|e| e.iter().map(&f).collect()).collect()).collect())
    }

    /// An error that names `what` unless there is exactly one value for every candidate of `space`.
    pub fn check_shape(&self, space: &SearchSpace, what: &str) -> Result<()> {
        let (cells, edges, ops) = (space.cell_types().len(), space.n_edges(), space.ops().len());
        let fits = self.0.len() == cells && self.0.iter().all(|c| c.len() == edges && c.iter().all(|e| e.len() == ops));
        if fits {
            return Ok(());
        }
        let edge_counts: Vec<usize> = self.0.iter().map(Vec::len).collect();
        let got =
            format!("{} cell types with {edge_counts:?} edges, {} values in all", self.0.len(), self.iter().count());
        let expected = format!("{cells} x {edges} x {ops} (cell types, edges, ops) for the space {}", space.name());
        Err(Error::invalid(what, got, expected))
    }
}

/// One measurement. `score = mean of 3 (x - m)^2 / s^6` over images, channels, pixels, averaged over the cells of a type
/// (the larger, the less important; +inf for `none`); `IIM = 1 / score`: the paper's equation, averaged as in its authors' code.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Iim {
    /// Score per candidate; NaN where the candidate was dead when measured.
    pub score: PerCandidate<f64>,
}

impl Iim {
    /// `1 / score`: 0 for an infinite score; NaN where dead.
    pub fn importance(&self, c: Candidate) -> f64 {
        self.score.get(c).recip()
    }

    /// [`Iim::importance`] of all candidates: what [`super::ComparisonSubset::least_important`] compares.
    pub fn importances(&self) -> PerCandidate<f64> {
        self.score.map(|s| s.recip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importance_is_one_over_the_score_and_zero_for_an_infinite_one() {
        let mut iim = Iim { score: PerCandidate::filled(&SearchSpace::nas_bench_201(), 4.0) };
        let c = |op| Candidate { cell_type: 0, edge: 5, op };
        *iim.score.get_mut(c(0)) = f64::INFINITY;
        *iim.score.get_mut(c(1)) = f64::NAN;
        assert_eq!(iim.importance(c(0)), 0.0);
        assert!(iim.importance(c(1)).is_nan());
        assert_eq!(iim.importance(c(2)), 0.25);
        assert_eq!(*iim.importances().get(c(2)), 0.25);
    }

    #[test]
    fn a_table_of_another_space_is_refused() {
        let table = PerCandidate::filled(&SearchSpace::darts(), 0.0);
        assert!(table.check_shape(&SearchSpace::darts(), "scores").is_ok());
        let message = table.check_shape(&SearchSpace::nas_bench_201(), "scores").unwrap_err().to_string();
        assert!(
            message.contains("scores: got 2 cell types with [14, 14] edges") && message.contains("1 x 6 x 5"),
            "{message}"
        );
    }
}
