//! From importances to a genotype, as the papers do it.

use crate::error::{Error, Result};
use crate::space::{Candidate, Genotype, Mask, PerCandidate, Primitive, SearchSpace, Topology};

/// The genotype that a table of importances names among the candidates alive. Where the mask leaves no choice, that is it.
/// - NAS-Bench-201: the most important op of every edge, `none` included.
/// - DARTS (Liu et al., 2019, section 2.4): into every node the two edges of the most important op that is not `none`,
///   each with that op; an edge counts once. Where fewer edges than that are alive, the next op on an edge fills up.
///
/// Ties go to the lower edge, then the lower op. NaN counts as least important.
pub fn genotype(space: &SearchSpace, importance: &PerCandidate<f64>, mask: &Mask) -> Result<Genotype> {
    derive(space, importance, mask, &Derivation::default())
}

/// How a paper's rule differs from the usual one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Derivation {
    /// The most important op of every edge, `none` included, in every space (`genotype_edge_all` of the authors of SNAS).
    pub every_edge: bool,
    /// A candidate whose importance is less than this, or NaN, is replaced by `none` (`threshold_sparse` of the authors of
    /// FairDARTS, who leave its edge out: 0.85).
    pub threshold: Option<f64>,
}

/// [`genotype`], but for what `how` says.
pub fn derive(space: &SearchSpace, importance: &PerCandidate<f64>, mask: &Mask, how: &Derivation) -> Result<Genotype> {
    let mut groups: Vec<(Vec<Candidate>, usize)> =
        space.comparison_subsets().into_iter().map(|s| (s.alive(mask), s.keep)).collect();
    if how.every_edge {
        let on = |t: usize, e: usize| mask.alive().into_iter().filter(move |c| (c.cell_type, c.edge) == (t, e));
        let edges = (0..space.cell_types().len()).flat_map(|t| (0..space.n_edges()).map(move |e| (t, e)));
        groups = edges.map(|(t, e)| (on(t, e).collect(), 1)).collect();
    }
    let mut chosen = Vec::new();
    for (alive, keep) in groups {
        let found = if alive.len() > keep { best(space, importance, alive, keep, how.every_edge) } else { alive };
        chosen.extend(found);
    }
    if let Some(threshold) = how.threshold {
        chosen = above(space, importance, &chosen, threshold)?;
    }
    Genotype::new(space, &chosen)
}

/// Puts `none` in the place of candidates below the threshold: on the same edge or, where that has one already, on another one
/// into the node.
fn above(
    space: &SearchSpace,
    importance: &PerCandidate<f64>,
    chosen: &[Candidate],
    threshold: f64,
) -> Result<Vec<Candidate>> {
    let edges = space.edges();
    let none = space.ops().iter().position(|op| *op == Primitive::None);
    let is_above = |c: &Candidate| *importance.get(*c) >= threshold;
    let mut left: Vec<Candidate> = chosen.iter().copied().filter(is_above).collect();
    for c in chosen.iter().filter(|c| !is_above(c)) {
        let others = edges.iter().filter(|e| e.to == edges[c.edge].to).map(|e| e.index);
        let free = std::iter::once(c.edge).chain(others).find_map(|edge| {
            let place = Candidate { edge, op: none?, ..*c };
            (space.has(place) && !left.contains(&place)).then_some(place)
        });
        let missing = || {
            let what = format!("genotype, {} below the threshold {threshold}", edges[c.edge]);
            Error::invalid(what, "no `none` to put there", "a space whose edges have it")
        };
        left.push(free.ok_or_else(missing)?);
    }
    Ok(left)
}

fn best(
    space: &SearchSpace,
    importance: &PerCandidate<f64>,
    mut alive: Vec<Candidate>,
    keep: usize,
    every_edge: bool,
) -> Vec<Candidate> {
    // Stable: what is equal stays in order. NaN sorts last.
    let value = |c: &Candidate| Some(*importance.get(*c)).filter(|v| !v.is_nan()).unwrap_or(f64::NEG_INFINITY);
    alive.sort_by(|a, b| value(b).total_cmp(&value(a)));
    if every_edge || space.topology() == Topology::NasBench201 {
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
    fn every_edge_keeps_its_best_op_even_if_that_is_none() {
        let space = SearchSpace::darts();
        let importance =
            table(&space, &[(2, 2, 0.9), (3, 0, 0.99), (3, 4, 0.1), (4, 5, 0.7), (13, 7, f64::NAN), (13, 6, 0.1)]);
        let how = Derivation { every_edge: true, threshold: None };
        let found = derive(&space, &importance, &space.full_mask(), &how).unwrap();
        let normal: Vec<_> = found.chosen.iter().filter(|c| c.cell_type == 0).map(|c| (c.edge, c.op)).collect();
        let expected: Vec<_> = (0..14).zip([0, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 6]).collect();
        assert_eq!(normal, expected);
        // Its text, its mask and its cost are those of any genotype.
        assert_eq!(Genotype::parse(&found.to_string()).unwrap(), found);
        assert_eq!(Genotype::from_mask(&space, &found.mask().unwrap()).unwrap(), found);
        let nas = SearchSpace::nas_bench_201();
        let importance = table(&nas, &[(0, 3, 0.5), (1, 0, 0.9)]);
        let same = |how: &Derivation| derive(&nas, &importance, &nas.full_mask(), how).unwrap();
        assert_eq!(same(&how), same(&Derivation::default()));
    }

    #[test]
    fn what_is_below_the_threshold_gives_its_place_to_none() {
        let space = SearchSpace::darts();
        // Into the first node nothing is as large as 0.85; into the second one edge is, exactly; into the third both are.
        let values = [(0, 2, 0.84), (1, 3, 0.8), (2, 2, 0.85), (3, 4, 0.7), (5, 5, 0.9), (6, 6, 0.95), (6, 7, 0.94)];
        let how = Derivation { threshold: Some(0.85), ..Default::default() };
        let found = derive(&space, &table(&space, &values), &space.full_mask(), &how).unwrap();
        let normal: Vec<_> = found.chosen.iter().filter(|c| c.cell_type == 0).map(|c| (c.edge, c.op)).collect();
        assert_eq!(normal[..6], [(0, 0), (1, 0), (2, 2), (3, 0), (5, 5), (6, 6)]);
        // On one edge alone, both of whose ops are left out, the second `none` goes to the other edge.
        let mut mask = space.full_mask();
        (0..8).for_each(|op| mask.drop(Candidate { cell_type: 0, edge: 1, op }).unwrap());
        let found = derive(&space, &table(&space, &values[..1]), &mask, &how).unwrap();
        assert_eq!(found.chosen[..2].iter().map(|c| (c.edge, c.op)).collect::<Vec<_>>(), [(0, 0), (1, 0)]);
        // A space without `none` cannot leave anything out.
        let space =
            SearchSpace::custom("own", Topology::Darts, 1, &[Primitive::SepConv3x3, Primitive::SkipConnect]).unwrap();
        let error = derive(&space, &PerCandidate::filled(&space, 0.5), &space.full_mask(), &how).unwrap_err();
        assert!(error.to_string().contains("below the threshold 0.85: got no `none`"), "{error}");
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
