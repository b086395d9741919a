//! Genotypes: the text that names a found cell.

use super::{Candidate, CellType, Mask, Plan, Primitive, SearchSpace};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A found architecture: the candidates chosen, in order, and the space they come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genotype {
    /// The space.
    pub space: SearchSpace,
    /// The chosen candidates, sorted. NAS-Bench-201: one an edge. DARTS: two into every node, perhaps on one edge; or one on
    /// every edge, as SNAS (Xie et al., 2019) derives cells, where `none` stands for an edge that is left out; a cell of the
    /// literature may have another number into a node, and one of them twice.
    pub chosen: Vec<Candidate>,
    /// See [`Plan::outputs`]: empty, where all nodes are the output, as in every search of a space without a [`super::Skeleton`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Vec<usize>>,
}

impl Genotype {
    /// From the chosen candidates in any order; an error if one does not exist or is named twice, or if a comparison
    /// subset does not get exactly `keep` of them and not every edge one.
    pub fn new(space: &SearchSpace, chosen: &[Candidate]) -> Result<Self> {
        let mask = Mask::only(space, chosen)?;
        let mut sorted = chosen.to_vec();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid("genotype", format!("{} twice", space.describe(pair[0])?), "it once"));
        }
        Self::from_mask(space, &mask)
    }

    /// What is alive under a mask; an error if a comparison subset does not have exactly `keep` candidates alive, and not
    /// every edge one.
    pub fn from_mask(space: &SearchSpace, mask: &Mask) -> Result<Self> {
        mask.check_shape(space)?;
        let one = |ops: &Vec<bool>| ops.iter().filter(|alive| **alive).count() == 1;
        let every_edge = mask.table().0.iter().flatten().all(one);
        for subset in space.comparison_subsets() {
            let alive = subset.alive(mask).len();
            if alive != subset.keep && !every_edge {
                let what = format!("genotype of the space {}, {}", space.name(), subset.name);
                return Err(Error::invalid(what, format!("{alive} candidates alive"), subset.keep));
            }
        }
        Ok(Genotype { space: space.clone(), chosen: mask.alive(), outputs: space.outputs() })
    }

    /// From text: `|op~0|+|op~0|op~1|+...`, or `Genotype(normal=[('sep_conv_3x3', 0), ...], ...)`.
    ///
    /// The second is the `repr` of quark0/darts, and what code after it writes, as Python or as JSON: keywords in any order or
    /// fields by position; the output as `range(2, 6)` or a list of nodes; behind `NAME =`, with comments. Inputs stand two a
    /// node in one list, or nested by node, or with the number of their node, `('op', node, from)`, in either order; a
    /// value may follow. Any number of nodes, one op twice into a node, part of the nodes in the output; a node without
    /// inputs, and what reads it, is left out, as in FairDARTS. Of NAS-Bench-201 also AutoDL-Projects' nested tuples, and
    /// NASLib's six `op_indices`. The space is the one that ships with these nodes and ops, or one of its own.
    ///
    /// # Errors
    /// Whatever else there is: the place, what stands there, and what was expected.
    pub fn parse(text: &str) -> Result<Self> {
        super::genotype_text::genotype(text, None)
    }

    /// From the text of a cell of a space: with its topology, its nodes and its ops.
    pub fn parse_in(space: &SearchSpace, text: &str) -> Result<Self> {
        super::genotype_text::genotype(text, Some(space))
    }

    /// The mask under which only the chosen candidates are alive.
    ///
    /// # Errors
    /// A cell that no mask can say: one candidate twice, or part of the nodes as its output.
    pub fn mask(&self) -> Result<Mask> {
        let twice = self.chosen.windows(2).find(|pair| pair[0] == pair[1]);
        let got = match twice {
            Some(pair) => format!("{} twice", self.space.describe(pair[0])?),
            None if self.outputs != self.space.outputs() => "part of its nodes as its output".to_string(),
            None => return Mask::only(&self.space, &self.chosen),
        };
        Err(Error::invalid("cell of a supernet", got, "each op once, and all nodes as the output"))
    }

    /// What feeds each computed node of a cell type, node by node in order: the source and the op.
    pub fn inputs_of_nodes(&self, cell_type: usize) -> Vec<Vec<(usize, Primitive)>> {
        let (edges, first) = (self.space.edges(), self.space.inputs());
        let mut nodes = vec![Vec::new(); self.space.nodes()];
        for c in self.chosen.iter().filter(|c| c.cell_type == cell_type) {
            // The fields are public: what does not exist in the space is left out rather than a panic.
            if let (Some(edge), Some(op)) = (edges.get(c.edge), self.space.ops().get(c.op)) {
                nodes[edge.to - first].push((edge.from, *op));
            }
        }
        nodes
    }
}

impl std::str::FromStr for Genotype {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl std::fmt::Display for Genotype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Plan::from(self).fmt(f)
    }
}

/// The name of a cell type in quark0/darts genotypes.
pub(super) fn keyword(cell_type: CellType) -> &'static str {
    match cell_type {
        CellType::Normal => "normal",
        CellType::Reduction => "reduce",
    }
}
