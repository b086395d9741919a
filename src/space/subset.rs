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
    pub fn alive(&self, mask: &Mask) -> Vec<Candidate> {
        self.candidates.iter().copied().filter(|c| mask.is_alive(*c)).collect()
    }

    /// The `n` live candidates of smallest `importance`, least important first. Ties: the lower edge, then the lower op,
    /// goes first. NaN, and a candidate that `importance` does not have, count as least important. All, if fewer than
    /// `n` are alive.
    pub fn least_important(&self, importance: &PerCandidate<f64>, mask: &Mask, n: usize) -> Vec<Candidate> {
        let key = |c: &Candidate| match importance.try_get(*c) {
            Some(v) if !v.is_nan() => v + 0.0, // -0.0 becomes 0.0, so that the two tie
            _ => f64::NEG_INFINITY,
        };
        let mut alive = self.alive(mask);
        alive.sort_by(|a, b| key(a).total_cmp(&key(b)).then(a.cmp(b)));
        alive.truncate(n);
        alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Iim, SearchSpace};

    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    /// The ops dropped on the first edge of NAS-Bench-201.
    fn dropped(importance: [f64; 5], dead: &[usize], n: usize) -> Vec<usize> {
        let space = SearchSpace::nas_bench_201();
        let (mut table, mut mask) = (PerCandidate::filled(&space, 1.0), space.full_mask());
        table.0[0][0] = importance.to_vec();
        for op in dead {
            mask.drop(Candidate { cell_type: 0, edge: 0, op: *op }).unwrap();
        }
        let least = space.comparison_subsets()[0].least_important(&table, &mask, n);
        assert!(least.iter().all(|c| (c.cell_type, c.edge) == (0, 0)));
        least.iter().map(|c| c.op).collect()
    }

    #[test]
    fn the_least_important_go_first_and_ties_go_to_the_lower_op() {
        for (importance, dead, n, expected) in [
            ([5.0, 4.0, 3.0, 2.0, 1.0], &[][..], 2, &[4, 3][..]),
            ([5.0, 4.0, 3.0, 2.0, 1.0], &[4, 2], 2, &[3, 1]),
            ([1.0, 1.0, 1.0, 1.0, 1.0], &[], 3, &[0, 1, 2]),
            ([2.0, 0.0, 1.0, 0.0, -0.0], &[], 3, &[1, 3, 4]),
            ([INF, 2.0, INF, 3.0, INF], &[], 4, &[1, 3, 0, 2]),
            ([2.0, -INF, 1.0, NAN, 3.0], &[], 3, &[1, 3, 2]),
            ([0.0, NAN, 1.0, 2.0, NAN], &[1], 2, &[4, 0]),
            ([1.0, 2.0, 3.0, 4.0, 5.0], &[], 0, &[]),
            ([1.0, 2.0, 3.0, 4.0, 5.0], &[0, 1], 9, &[2, 3, 4]),
        ] {
            assert_eq!(dropped(importance, dead, n), expected, "{importance:?} without {dead:?}");
        }
    }

    #[test]
    fn between_two_infinite_scores_the_lower_edge_goes_first_whatever_its_op() {
        let space = SearchSpace::darts();
        let mut iim = Iim { score: PerCandidate::filled(&space, 1.0) };
        let (low_edge, high_edge) =
            (Candidate { cell_type: 1, edge: 5, op: 7 }, Candidate { cell_type: 1, edge: 8, op: 0 });
        *iim.score.get_mut(low_edge) = INF;
        *iim.score.get_mut(high_edge) = INF;
        let node_4 = &space.comparison_subsets()[6];
        assert_eq!(node_4.least_important(&iim.importances(), &space.full_mask(), 2), [low_edge, high_edge]);
    }
}
