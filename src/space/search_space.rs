//! Search spaces: which ops, on which edges, in which cells.

use super::{ComparisonSubset, Mask, PerCandidate, Primitive, Skeleton};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the nodes of a cell are wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topology {
    /// One input, every node sums the edges from all nodes before it, the last node is the output.
    NasBench201,
    /// Two inputs, every node sums the edges from all before it, the output is the concatenation of the nodes.
    Darts,
}

impl Topology {
    /// Number of input nodes of a cell (NAS-Bench-201: 1, DARTS: 2).
    pub fn inputs(self) -> usize {
        match self {
            Topology::NasBench201 => 1,
            Topology::Darts => 2,
        }
    }

    /// NAS-Bench-201: `[Normal]`; DARTS: `[Normal, Reduction]`.
    pub fn cell_types(self) -> &'static [CellType] {
        match self {
            Topology::NasBench201 => &[CellType::Normal],
            Topology::Darts => &[CellType::Normal, CellType::Reduction],
        }
    }

    /// The stride of ops that read node `from`: 2 on the inputs of a reduction cell.
    pub fn stride(self, cell_type: usize, from: usize) -> usize {
        let halves = self.cell_types()[cell_type] == CellType::Reduction && from < self.inputs();
        if halves { 2 } else { 1 }
    }
}

/// The kinds of cell that share architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CellType {
    /// Stride 1.
    Normal,
    /// Stride 2 (DARTS space only).
    Reduction,
}

/// Settings of the IS-DARTS paper's search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SearchDefaults {
    /// E
    pub epochs: usize,
    /// S
    pub shrink_steps: usize,
    /// I
    pub shrink_every: usize,
    /// Images of a measurement.
    pub iim_samples: usize,
}

/// An edge of the cell's graph: node `from` feeds node `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Edge {
    /// Position in the order of the space (NAS-Bench-201: 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2).
    pub index: usize,
    /// Source. NAS-Bench-201: node 0 is the input. DARTS: 0 and 1 are the two inputs, 2.. the intermediate nodes.
    pub from: usize,
    /// Target, numbered as `from`.
    pub to: usize,
}

/// One op on one edge of one cell type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Candidate {
    /// Index into [`SearchSpace::cell_types`].
    pub cell_type: usize,
    /// Index of the edge.
    pub edge: usize,
    /// Index into [`SearchSpace::ops`].
    pub op: usize,
}

/// What can be searched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "super::custom::Written")]
pub struct SearchSpace {
    pub(super) name: String,
    pub(super) topology: Topology,
    pub(super) ops: Vec<Primitive>,
    pub(super) nodes: usize,
    /// Which candidates exist, where the edges have lists of their own; else all do.
    pub(super) exists: Option<PerCandidate<bool>>,
    /// What stands around its cells, where that is part of the space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skeleton: Option<Skeleton>,
}

impl SearchSpace {
    /// The names that [`SearchSpace::by_name`] knows, besides [`SearchSpace::bench_suite_names`].
    pub const NAMES: [&'static str; 2] = ["nas-bench-201", "darts"];

    /// NAS-Bench-201 (Dong & Yang, ICLR 2020).
    pub fn nas_bench_201() -> Self {
        use Primitive::*;
        let ops = vec![None, SkipConnect, NorConv1x1, NorConv3x3, AvgPool3x3];
        SearchSpace {
            name: Self::NAMES[0].to_string(),
            topology: Topology::NasBench201,
            ops,
            nodes: 3,
            exists: Option::None,
            skeleton: Option::None,
        }
    }

    /// The DARTS space (Liu et al., ICLR 2019).
    pub fn darts() -> Self {
        use Primitive::*;
        let ops = vec![None, SkipConnect, SepConv3x3, SepConv5x5, DilConv3x3, DilConv5x5, AvgPool3x3, MaxPool3x3];
        SearchSpace {
            name: Self::NAMES[1].to_string(),
            topology: Topology::Darts,
            ops,
            nodes: 4,
            exists: Option::None,
            skeleton: Option::None,
        }
    }

    /// By name.
    pub fn by_name(name: &str) -> Result<Self> {
        let suite = Self::bench_suite_names();
        let known = || Self::NAMES.into_iter().chain(suite.iter().map(String::as_str));
        let shipped = [Self::nas_bench_201(), Self::darts()].into_iter().find(|space| space.name == name);
        let found = shipped.or_else(|| Self::bench_suite(name));
        found.ok_or_else(|| Error::unknown_name("search space", name, known()))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its wiring.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// The candidate ops, the columns of every table: those of every edge, or, where edges have lists of their own, the
    /// union of the lists.
    pub fn ops(&self) -> &[Primitive] {
        &self.ops
    }

    /// Whether there is such a candidate.
    pub fn has(&self, c: Candidate) -> bool {
        match &self.exists {
            Some(table) => table.try_get(c).copied().unwrap_or(false),
            None => c.cell_type < self.cell_types().len() && c.edge < self.n_edges() && c.op < self.ops.len(),
        }
    }

    /// |O| of an edge: how many ops are in its list.
    pub fn n_ops_of(&self, cell_type: usize, edge: usize) -> usize {
        (0..self.ops.len()).filter(|&op| self.has(Candidate { cell_type, edge, op })).count()
    }

    /// Number of nodes that are computed in a cell (NAS-Bench-201: 3, DARTS: 4); inputs are not counted.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// What the IS-DARTS paper searches with in this topology (appendix A.1; section 4.1).
    pub fn defaults(&self) -> SearchDefaults {
        match self.topology {
            Topology::NasBench201 => SearchDefaults { epochs: 30, shrink_steps: 4, shrink_every: 2, iim_samples: 200 },
            Topology::Darts => SearchDefaults { epochs: 50, shrink_steps: 7, shrink_every: 3, iim_samples: 600 },
        }
    }

    /// The edges in order (6 or 14).
    pub fn edges(&self) -> Vec<Edge> {
        let inputs = self.inputs();
        (inputs..inputs + self.nodes)
            .flat_map(|to| (0..to).map(move |from| (from, to)))
            .enumerate()
            .map(|(index, (from, to))| Edge { index, from, to })
            .collect()
    }

    /// How many edges a cell has.
    pub fn n_edges(&self) -> usize {
        (self.inputs()..self.inputs() + self.nodes).sum()
    }

    /// Number of input nodes of a cell.
    pub fn inputs(&self) -> usize {
        self.topology.inputs()
    }

    /// The types of its cells.
    pub fn cell_types(&self) -> &'static [CellType] {
        self.topology.cell_types()
    }

    /// The candidates that compete for the same slots, for all cell types, in order.
    pub fn comparison_subsets(&self) -> Vec<ComparisonSubset> {
        let edges = self.edges();
        let of_edges = |cell_type: usize, chosen: &dyn Fn(&Edge) -> bool| -> Vec<Candidate> {
            let chosen = edges.iter().filter(|e| chosen(e));
            let candidates =
                chosen.flat_map(|e| (0..self.ops.len()).map(move |op| Candidate { cell_type, edge: e.index, op }));
            candidates.filter(|c| self.has(*c)).collect()
        };
        match self.topology {
            Topology::NasBench201 => edges
                .iter()
                .map(|edge| ComparisonSubset {
                    name: format!("edge {edge}"),
                    cell_type: 0,
                    candidates: of_edges(0, &|e| e.index == edge.index),
                    keep: 1,
                })
                .collect(),
            Topology::Darts => (self.cell_types().iter().enumerate())
                .flat_map(|(t, cell)| (2..2 + self.nodes).map(move |node| (t, cell, node)))
                .map(|(cell_type, cell, node)| ComparisonSubset {
                    name: format!("{cell} node {node}"),
                    cell_type,
                    candidates: of_edges(cell_type, &|e| e.to == node),
                    keep: 2,
                })
                .collect(),
        }
    }

    /// Every candidate alive.
    pub fn full_mask(&self) -> Mask {
        Mask::full(self)
    }

    /// All candidates in order: cell type, edge, op.
    pub fn candidates(&self) -> Vec<Candidate> {
        PerCandidate::filled(self, ()).iter().map(|(c, ())| c).filter(|c| self.has(*c)).collect()
    }

    /// An error if the candidate does not exist here.
    pub fn check(&self, candidate: Candidate) -> Result<()> {
        let counts = [
            ("cell type", candidate.cell_type, self.cell_types().len()),
            ("edge", candidate.edge, self.n_edges()),
            ("op", candidate.op, self.ops.len()),
        ];
        if let Some((what, got, count)) = counts.into_iter().find(|(_, got, count)| got >= count) {
            let what = format!("{what} of a candidate of the space {}", self.name);
            return Err(Error::invalid(what, got, format!("0 to {}", count.saturating_sub(1))));
        }
        if !self.has(candidate) {
            let edge = self.edges()[candidate.edge];
            let list = (0..self.ops.len()).filter(|&op| self.has(Candidate { op, ..candidate }));
            let list: Vec<&str> = list.map(|op| self.ops[op].name()).collect();
            let what = format!("op on {}edge {edge} of the space {}", self.cell_name(candidate.cell_type), self.name);
            return Err(Error::invalid(what, self.ops[candidate.op], format!("one of {}", list.join(", "))));
        }
        Ok(())
    }

    /// For people: "edge 2<-1 nor_conv_3x3", "reduction edge 5<-0 max_pool_3x3"; an error if it does not exist here.
    pub fn describe(&self, candidate: Candidate) -> Result<String> {
        self.check(candidate)?;
        let cell = self.cell_name(candidate.cell_type);
        Ok(format!("{cell}edge {} {}", self.edges()[candidate.edge], self.ops[candidate.op]))
    }

    /// "normal ", "reduction "; nothing where there is one type of cell.
    pub(crate) fn cell_name(&self, cell_type: usize) -> String {
        match self.cell_types() {
            [_] => String::new(),
            types => format!("{} ", types[cell_type]),
        }
    }
}

impl std::fmt::Display for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}<-{}", self.to, self.from)
    }
}

impl std::fmt::Display for CellType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            CellType::Normal => "normal",
            CellType::Reduction => "reduction",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge_names(space: &SearchSpace) -> String {
        space.edges().iter().map(Edge::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn edges_come_in_the_order_of_the_authors() {
        assert_eq!(edge_names(&SearchSpace::nas_bench_201()), "1<-0 2<-0 2<-1 3<-0 3<-1 3<-2");
        let darts = "2<-0 2<-1 3<-0 3<-1 3<-2 4<-0 4<-1 4<-2 4<-3 5<-0 5<-1 5<-2 5<-3 5<-4";
        assert_eq!(edge_names(&SearchSpace::darts()), darts);
        for space in [SearchSpace::nas_bench_201(), SearchSpace::darts()] {
            assert!(space.edges().iter().enumerate().all(|(i, e)| e.index == i));
        }
    }

    #[test]
    fn nas_bench_201_compares_the_five_ops_of_each_edge_and_keeps_one() {
        let subsets = SearchSpace::nas_bench_201().comparison_subsets();
        let names: Vec<&str> = subsets.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["edge 1<-0", "edge 2<-0", "edge 2<-1", "edge 3<-0", "edge 3<-1", "edge 3<-2"]);
        for (edge, s) in subsets.iter().enumerate() {
            assert_eq!((s.keep, s.cell_type), (1, 0));
            assert_eq!(s.candidates, (0..5).map(|op| Candidate { cell_type: 0, edge, op }).collect::<Vec<_>>());
        }
    }

    #[test]
    fn darts_compares_all_ops_into_a_node_and_keeps_two() {
        let subsets = SearchSpace::darts().comparison_subsets();
        let seen: Vec<_> = subsets.iter().map(|s| (s.name.as_str(), s.cell_type, s.candidates.len(), s.keep)).collect();
        let expected = [
            ("normal node 2", 0, 16, 2),
            ("normal node 3", 0, 24, 2),
            ("normal node 4", 0, 32, 2),
            ("normal node 5", 0, 40, 2),
            ("reduction node 2", 1, 16, 2),
            ("reduction node 3", 1, 24, 2),
            ("reduction node 4", 1, 32, 2),
            ("reduction node 5", 1, 40, 2),
        ];
        assert_eq!(seen, expected);
        assert_eq!(subsets[5].candidates[0], Candidate { cell_type: 1, edge: 2, op: 0 });
    }

    #[test]
    fn the_subsets_hold_every_candidate_once_and_in_order() {
        for space in [SearchSpace::nas_bench_201(), SearchSpace::darts()] {
            let all: Vec<_> = space.comparison_subsets().into_iter().flat_map(|s| s.candidates).collect();
            assert_eq!(all, space.candidates());
            assert!(all.is_sorted());
        }
    }

    #[test]
    fn a_space_is_found_by_its_name_and_a_near_miss_is_answered() {
        for name in SearchSpace::NAMES {
            assert_eq!(SearchSpace::by_name(name).unwrap().name(), name);
        }
        let message = SearchSpace::by_name("nasbench201").unwrap_err().to_string();
        assert!(message.contains("unknown search space `nasbench201`, did you mean `nas-bench-201`?"), "{message}");
    }

    #[test]
    fn a_candidate_outside_the_space_is_refused_with_the_range() {
        let space = SearchSpace::nas_bench_201();
        for (cell_type, edge, op, says) in [
            (1, 0, 0, "cell type of a candidate of the space nas-bench-201: got 1, expected 0 to 0"),
            (0, 6, 0, "edge of a candidate of the space nas-bench-201: got 6, expected 0 to 5"),
            (0, 0, 5, "op of a candidate of the space nas-bench-201: got 5, expected 0 to 4"),
        ] {
            let c = Candidate { cell_type, edge, op };
            assert_eq!(space.check(c).unwrap_err().to_string(), says);
            assert!(space.describe(c).is_err());
        }
        let c = Candidate { cell_type: 0, edge: 2, op: 3 };
        assert_eq!(space.describe(c).unwrap(), "edge 2<-1 nor_conv_3x3");
        let c = Candidate { cell_type: 1, edge: 9, op: 7 };
        assert_eq!(SearchSpace::darts().describe(c).unwrap(), "reduction edge 5<-0 max_pool_3x3");
    }
}
