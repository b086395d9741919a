//! Which candidates are alive.

use super::{Candidate, PerCandidate, SearchSpace};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Which candidates are alive, per cell type, edge and op.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mask {
    alive: PerCandidate<bool>,
}

impl Mask {
    /// Every candidate alive (those that an edge of the space does not have are dead).
    pub fn full(space: &SearchSpace) -> Self {
        Mask { alive: space.exists.clone().unwrap_or_else(|| PerCandidate::filled(space, true)) }
    }

    /// These candidates alive and no others; an error if one does not exist.
    pub fn only(space: &SearchSpace, candidates: &[Candidate]) -> Result<Self> {
        let mut alive = PerCandidate::filled(space, false);
        for c in candidates {
            space.check(*c)?;
            *alive.get_mut(*c) = true;
        }
        Ok(Mask { alive })
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
    pub fn is_alive(&self, c: Candidate) -> bool {
        self.alive.try_get(c).copied().unwrap_or(false)
    }

    /// Drop a candidate; an error if it does not exist or was dropped before.
    pub fn drop(&mut self, c: Candidate) -> Result<()> {
        let what = || format!("candidate to drop (cell type {}, edge {}, op {})", c.cell_type, c.edge, c.op);
        match self.alive.try_get(c) {
            None => Err(Error::invalid(what(), "no such candidate", "one of the search space")),
            Some(false) => Err(Error::invalid(what(), "one that was dropped before", "one that is alive")),
            Some(true) => {
                *self.alive.get_mut(c) = false;
                Ok(())
            }
        }
    }

    /// The candidates alive, in order.
    pub fn alive(&self) -> Vec<Candidate> {
        self.alive.iter().filter(|(_, alive)| **alive).map(|(c, _)| c).collect()
    }

    /// Number of candidates alive.
    pub fn n_alive(&self) -> usize {
        self.alive.iter().filter(|(_, alive)| **alive).count()
    }

    /// An error unless the mask has the shape of `space`, and nothing is alive in it that `space` does not have.
    pub fn check_shape(&self, space: &SearchSpace) -> Result<()> {
        self.alive.check_shape(space, "mask")?;
        self.alive().into_iter().try_for_each(|c| space.check(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Candidate = Candidate { cell_type: 0, edge: 0, op: 0 };

    #[test]
    fn a_full_mask_has_every_candidate_alive_in_order() {
        for (space, n) in [(SearchSpace::nas_bench_201(), 30), (SearchSpace::darts(), 224)] {
            let mask = Mask::full(&space);
            assert_eq!(mask.n_alive(), n);
            assert_eq!(mask.alive(), space.candidates());
            assert!(mask.check_shape(&space).is_ok());
        }
    }

    #[test]
    fn a_dropped_candidate_is_dead_and_cannot_be_dropped_again() {
        let mut mask = Mask::full(&SearchSpace::nas_bench_201());
        mask.drop(FIRST).unwrap();
        assert!(!mask.is_alive(FIRST));
        assert_eq!(mask.n_alive(), 29);
        assert!(mask.drop(FIRST).unwrap_err().to_string().contains("dropped before"));
    }

    #[test]
    fn a_candidate_that_does_not_exist_is_dead_and_cannot_be_dropped() {
        let mut mask = Mask::full(&SearchSpace::nas_bench_201());
        for (cell_type, edge, op) in [(1, 0, 0), (0, 6, 0), (0, 0, 5)] {
            let c = Candidate { cell_type, edge, op };
            assert!(!mask.is_alive(c));
            assert!(mask.drop(c).unwrap_err().to_string().contains("no such candidate"));
        }
    }

    #[test]
    fn a_mask_of_chosen_candidates_holds_these_and_no_others() {
        let space = SearchSpace::darts();
        let chosen = [Candidate { cell_type: 1, edge: 13, op: 7 }];
        assert_eq!(Mask::only(&space, &chosen).unwrap().alive(), chosen);
        assert!(Mask::only(&SearchSpace::nas_bench_201(), &chosen).is_err());
    }
}
