//! From importances to a genotype, as the papers do it.

use crate::error::Result;
use crate::space::{Candidate, Genotype, Mask, PerCandidate, Primitive, SearchSpace, Topology};

/// The genotype that a table of importances names among the candidates alive. Where the mask leaves no choice, that is it.
/// - NAS-Bench-201: the most important op of every edge, `none` included.
/// - DARTS (Liu et al., 2019, section 2.4): into every node the two edges of the most important op that is not `none`,
///   each with that op; an edge counts once. Where fewer edges than that are alive, the next op on an edge fills up.
///
/// Ties go to the lower edge, then the lower op. NaN counts as least important.
pub fn genotype(space: &SearchSpace, importance: &PerCandidate<f64>, mask: &Mask) -> Result<Genotype> {
    let mut left = Mask::from_table(PerCandidate::filled(space, false));
    let mut table = left.table().clone();
    for subset in space.comparison_subsets() {
        let mut alive = subset.alive(mask);
        if alive.len() > subset.keep {
            alive = best(space, importance, alive, subset.keep);
        }
        for c in alive {
            *table.get_mut(c) = true;
        }
    }
    left = Mask::from_table(table);
    Genotype::from_mask(space, &left)
}

fn best(space: &SearchSpace, importance: &PerCandidate<f64>, mut alive: Vec<Candidate>, keep: usize) -> Vec<Candidate> {
    // Stable: what is equal stays in order. NaN sorts last.
    let value = |c: &Candidate| Some(*importance.get(*c)).filter(|v| !v.is_nan()).unwrap_or(f64::NEG_INFINITY);
    alive.sort_by(|a, b| value(b).total_cmp(&value(a)));
    if space.topology() == Topology::NasBench201 {
        alive.truncate(keep);
        return alive;
    }
    let is_none = |c: &Candidate| space.ops()[c.op] == Primitive::None;
    let mut chosen: Vec<Candidate> = vec![];
    for c in alive.iter().filter(|c| !is_none(c)) {
        if chosen.len() < keep && chosen.iter().all(|b| b.edge != c.edge) {
            chosen.push(*c);
        }
    }
    let mut rest: Vec<Candidate> = alive.into_iter().filter(|c| !chosen.contains(c)).collect();
    rest.sort_by_key(is_none);
    rest.truncate(keep - chosen.len());
    chosen.extend(rest);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Importances that fall with the index, but for the candidates named, which get their value.
    fn table(space: &SearchSpace, special: &[(usize, usize, f64)]) -> PerCandidate<f64> {
        let mut table = PerCandidate::filled(space, 0.0);
        for &(edge, op, value) in special {
            for cell_type in 0..space.cell_types().len() {
                *table.get_mut(Candidate { cell_type, edge, op }) = value;
            }
        }
        table
    }

    #[test]
    fn nas_bench_201_takes_the_best_op_of_every_edge_and_none_may_win() {
        let space = SearchSpace::nas_bench_201();
        let importance =
            table(&space, &[(0, 3, 0.5), (1, 0, 0.9), (2, 2, f64::NAN), (2, 4, 0.1), (4, 2, 0.3), (4, 3, 0.3)]);
        let found = genotype(&space, &importance, &space.full_mask()).unwrap();
        assert_eq!(found.to_string(), "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|none~0|nor_conv_1x1~1|none~2|");
    }

    #[test]
    fn dead_candidates_do_not_count() {
        let space = SearchSpace::nas_bench_201();
        let mut mask = space.full_mask();
        mask.drop(Candidate { cell_type: 0, edge: 0, op: 3 }).unwrap();
        let importance = table(&space, &[(0, 3, 0.9), (0, 1, 0.1)]);
        assert!(genotype(&space, &importance, &mask).unwrap().to_string().starts_with("|skip_connect~0|"));
    }

    #[test]
    fn darts_takes_two_edges_into_a_node_by_their_best_op_that_is_not_none() {
        let space = SearchSpace::darts();
        // Edges into the second node: 2, 3, 4. Edge 2 is best, and its second op would beat edge 4; `none` wins nothing.
        let importance = table(&space, &[(2, 2, 0.9), (2, 3, 0.8), (3, 0, 0.99), (3, 4, 0.1), (4, 5, 0.7)]);
        let found = genotype(&space, &importance, &space.full_mask()).unwrap();
        let second: Vec<_> = found.chosen.iter().filter(|c| c.cell_type == 0 && (2..5).contains(&c.edge)).collect();
        assert_eq!(second.iter().map(|c| (c.edge, c.op)).collect::<Vec<_>>(), [(2, 2), (4, 5)]);
    }

    #[test]
    fn darts_fills_up_from_one_edge_where_only_one_is_alive() {
        let space = SearchSpace::darts();
        let mut mask = space.full_mask();
        for cell_type in 0..2 {
            for op in 0..8 {
                mask.drop(Candidate { cell_type, edge: 1, op }).unwrap();
            }
        }
        let importance = table(&space, &[(0, 0, 0.9), (0, 4, 0.5), (0, 6, 0.4)]);
        let found = genotype(&space, &importance, &mask).unwrap();
        let first: Vec<_> =
            found.chosen.iter().filter(|c| c.cell_type == 0 && c.edge < 2).map(|c| (c.edge, c.op)).collect();
        assert_eq!(first, [(0, 4), (0, 6)]);
    }
}
