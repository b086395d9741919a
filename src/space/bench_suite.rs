//! DARTS-Bench-Suite: nine benchmarks on the DARTS space (confopt, arXiv 2507.16533; automl/ConfigurableOptimizer,
//! `scripts/benchsuite_experiments/benchsuite.py`). Three supernets, each with three sets of candidates; cells stand in the same
//! numbers and widths in supernet and evaluated network.

use super::{Primitive, SearchSpace, Topology};
use serde::{Deserialize, Serialize};

/// What a space says of the networks that its cells stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skeleton {
    /// C.
    pub channels: usize,
    /// Cells in all, of which those at 1/3 and 2/3 reduce; a single cell reduces, and halves once.
    pub cells: usize,
    /// Nodes at the end of a cell whose concatenation is its output.
    pub outputs: usize,
    /// Whether a skip stands beside the candidates of every edge, and beside every op of the evaluated network.
    pub auxiliary_skip: bool,
}

/// The supernets: C, cells, nodes.
const SIZES: [(&str, usize, usize, usize); 3] = [("wide", 18, 4, 4), ("deep", 7, 18, 4), ("single_cell", 26, 1, 8)];

/// The sets of candidates.
const SETS: [&str; 3] = ["regular", "no_skip", "all_skip"];

/// Nodes in the output of a cell, of eight as of four (`multiplier`).
const OUTPUTS: usize = 4;

impl SearchSpace {
    /// The nine names, `bench-suite/wide-regular` and so on.
    pub fn bench_suite_names() -> Vec<String> {
        SIZES.iter().flat_map(|(size, ..)| SETS.map(|set| format!("bench-suite/{size}-{set}"))).collect()
    }

    /// A benchmark by its name. The ops are in the order of `darts`.
    pub fn bench_suite(name: &str) -> Option<Self> {
        let (size, set) = name.strip_prefix("bench-suite/")?.split_once('-')?;
        let &(_, channels, cells, nodes) = SIZES.iter().find(|(known, ..)| *known == size)?;
        let set = SETS.into_iter().find(|known| *known == set)?;
        let mut ops = Self::darts().ops;
        ops.retain(|op| set != "no_skip" || *op != Primitive::SkipConnect);
        let skeleton = Skeleton { channels, cells, outputs: OUTPUTS, auxiliary_skip: set == "all_skip" };
        let (name, topology) = (name.to_string(), Topology::Darts);
        Some(SearchSpace { name, topology, ops, nodes, exists: None, skeleton: Some(skeleton) })
    }

    /// What it says of the networks that its cells stand in, of a benchmark.
    pub fn skeleton(&self) -> Option<Skeleton> {
        self.skeleton
    }

    /// The nodes in the output of each type of cell, where these are not all; else empty.
    pub fn outputs(&self) -> Vec<Vec<usize>> {
        let end = self.inputs() + self.nodes;
        match self.skeleton.filter(|skeleton| skeleton.outputs < self.nodes) {
            Some(skeleton) => vec![(end - skeleton.outputs..end).collect(); self.cell_types().len()],
            None => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Genotype;
    use super::*;

    #[test]
    fn nine_benchmarks_have_names_sizes_and_candidates_of_the_reference() {
        let names = SearchSpace::bench_suite_names();
        assert_eq!(names.len(), 9);
        for name in &names {
            let space = SearchSpace::by_name(name).unwrap();
            let skeleton = space.skeleton().unwrap();
            let single = name.contains("single_cell");
            assert_eq!((space.name(), space.n_edges()), (name.as_str(), if single { 44 } else { 14 }));
            assert_eq!(space.ops().len(), if name.ends_with("no_skip") { 7 } else { 8 });
            assert_eq!(skeleton.auxiliary_skip, name.ends_with("all_skip"));
            let text = serde_json::to_string(&space).unwrap();
            assert_eq!(serde_json::from_str::<SearchSpace>(&text).unwrap(), space);
        }
        let error = SearchSpace::by_name("bench-suite/wide-noskip").unwrap_err().to_string();
        assert!(error.contains("did you mean `bench-suite/wide-no_skip`?"), "{error}");
    }

    #[test]
    fn the_last_four_of_eight_nodes_are_the_output() {
        let space = SearchSpace::by_name("bench-suite/single_cell-regular").unwrap();
        let subsets = space.comparison_subsets();
        let chosen: Vec<_> = subsets.iter().flat_map(|s| s.candidates[1..3].to_vec()).collect();
        let found = Genotype::new(&space, &chosen).unwrap();
        assert!(found.to_string().contains("reduce_concat=[6, 7, 8, 9]"), "{found}");
        assert_eq!(Genotype::parse_in(&space, &found.to_string()).unwrap(), found);
        found.mask().unwrap();
    }
}
