//! The information-based importance measurement (IIM) as numbers, and the table type it shares with others.

use super::{Candidate, SearchSpace};
use serde::{Deserialize, Serialize};

/// One value per candidate: `values[cell_type][edge][op]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PerCandidate<T>(pub Vec<Vec<Vec<T>>>);

impl<T: Clone> PerCandidate<T> {
    /// The same value everywhere.
    pub fn filled(_space: &SearchSpace, _value: T) -> Self {
        todo!()
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
}

/// One measurement. `score = mean of 3 (x - m)^2 / s^6` over images, channels, pixels, averaged over the cells of a type
/// (the larger, the less important; +inf for `none`); `IIM = 1 / score` (DESIGN: paper's eq., authors' averaging).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Iim {
    /// Score per candidate; NaN where the candidate was dead when measured.
    pub score: PerCandidate<f64>,
}

impl Iim {
    /// `1 / score`: 0 for an infinite score; NaN where dead.
    pub fn importance(&self, _c: Candidate) -> f64 {
        todo!()
    }
}
