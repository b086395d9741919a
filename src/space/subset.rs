//! Comparison subsets: candidates that compete for the same slots.

use super::{Candidate, Mask, PerCandidate};
use serde::{Deserialize, Serialize};

/// Candidates that compete for the same slots, of which `keep` survive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComparisonSubset {
    /// For people: "edge 2<-1", "normal node 3".
    pub name: String,
    /// Index of the cell type.
    pub cell_type: usize,
    /// All candidates of the subset, dead ones too, in order (edge, then op).
    pub candidates: Vec<Candidate>,
    /// How many survive (NAS-Bench-201: 1; DARTS: 2).
    pub keep: usize,
}

impl ComparisonSubset {
    /// The candidates still alive, in order.
    pub fn alive(&self, _mask: &Mask) -> Vec<Candidate> {
        todo!()
    }

    /// The `n` live candidates of smallest `importance`, least important first. Ties: the lower edge, then the lower op,
    /// goes first. NaN counts as least important.
    pub fn least_important(&self, _importance: &PerCandidate<f64>, _mask: &Mask, _n: usize) -> Vec<Candidate> {
        todo!()
    }
}
