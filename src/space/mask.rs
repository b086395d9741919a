//! Which candidates are alive.

use super::{Candidate, PerCandidate, SearchSpace};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Which candidates are alive, per cell type, edge and op.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    alive: PerCandidate<bool>,
}

impl Mask {
    /// Every candidate alive.
    pub fn full(_space: &SearchSpace) -> Self {
        todo!()
    }

    /// From a table of the same shape.
    pub fn from_table(alive: PerCandidate<bool>) -> Self {
        Mask { alive }
    }

    /// The table.
    pub fn table(&self) -> &PerCandidate<bool> {
        &self.alive
    }

    /// Whether a candidate is alive; false if it does not exist.
    pub fn is_alive(&self, _c: Candidate) -> bool {
        todo!()
    }

    /// Drop a candidate; an error if it does not exist or was dropped before.
    pub fn drop(&mut self, _c: Candidate) -> Result<()> {
        todo!()
    }

    /// The candidates alive, in order.
    pub fn alive(&self) -> Vec<Candidate> {
        todo!()
    }

    /// Number of candidates alive.
    pub fn n_alive(&self) -> usize {
        todo!()
    }
}
