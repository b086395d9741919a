//! Search spaces: which ops, on which edges, in which cells.

use super::{ComparisonSubset, Mask, Primitive};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// How the nodes of a cell are wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Topology {
    /// One input, every node sums the edges from all nodes before it, the last node is the output.
    NasBench201,
    /// Two inputs, every node sums the edges from all before it, the output is the concatenation of the nodes.
    Darts,
}

/// The kinds of cell that share architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CellType {
    /// Stride 1.
    Normal,
    /// Stride 2 (DARTS space only).
    Reduction,
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
pub struct SearchSpace {
    name: String,
    topology: Topology,
    ops: Vec<Primitive>,
    nodes: usize,
}

impl SearchSpace {
    /// The names that [`SearchSpace::by_name`] knows.
    pub const NAMES: [&'static str; 2] = ["nas-bench-201", "darts"];

    /// NAS-Bench-201 (Dong & Yang, ICLR 2020).
    pub fn nas_bench_201() -> Self {
        todo!()
    }

    /// The DARTS space (Liu et al., ICLR 2019).
    pub fn darts() -> Self {
        todo!()
    }

    /// By name.
    pub fn by_name(_name: &str) -> Result<Self> {
        todo!()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its wiring.
    pub fn topology(&self) -> Topology {
        self.topology
    }

    /// The candidate ops of every edge.
    pub fn ops(&self) -> &[Primitive] {
        &self.ops
    }

    /// Number of nodes that are computed in a cell (NAS-Bench-201: 3, DARTS: 4); inputs are not counted.
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// The edges in order (6 or 14).
    pub fn edges(&self) -> Vec<Edge> {
        todo!()
    }

    /// NAS-Bench-201: `[Normal]`; DARTS: `[Normal, Reduction]`.
    pub fn cell_types(&self) -> &'static [CellType] {
        todo!()
    }

    /// The candidates that compete for the same slots, for all cell types, in order.
    pub fn comparison_subsets(&self) -> Vec<ComparisonSubset> {
        todo!()
    }

    /// Every candidate alive.
    pub fn full_mask(&self) -> Mask {
        todo!()
    }

    /// All candidates in order: cell type, edge, op.
    pub fn candidates(&self) -> Vec<Candidate> {
        todo!()
    }

    /// An error if the candidate does not exist here.
    pub fn check(&self, _candidate: Candidate) -> Result<()> {
        todo!()
    }
}
