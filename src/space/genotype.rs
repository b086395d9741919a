//! Genotypes: the text that names a found cell.

use super::{Candidate, Mask, SearchSpace};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A found architecture: the candidates chosen, in order, and the space they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genotype {
    /// The space.
    pub space: SearchSpace,
    /// The chosen candidates, sorted. NAS-Bench-201: one an edge. DARTS: two into every node, perhaps on one edge.
    pub chosen: Vec<Candidate>,
}

impl Genotype {
    /// What is alive under a mask; an error if a comparison subset does not have exactly `keep` candidates alive.
    pub fn from_mask(_space: &SearchSpace, _mask: &Mask) -> Result<Self> {
        todo!()
    }

    /// From the text of either notation: `|op~0|+|op~0|op~1|+...` or `Genotype(normal=[('sep_conv_3x3', 0), ...], ...)`.
    pub fn parse(_text: &str) -> Result<Self> {
        todo!()
    }
}

impl std::fmt::Display for Genotype {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
