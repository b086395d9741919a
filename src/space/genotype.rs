//! Genotypes: the text that names a found cell.

use super::{Candidate, CellType, Mask, Primitive, SearchSpace, Topology};
use crate::error::{Error, Result};
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
    /// From the chosen candidates in any order; an error if one does not exist or is named twice, or if a comparison
    /// subset does not get exactly `keep` of them.
    pub fn new(space: &SearchSpace, chosen: &[Candidate]) -> Result<Self> {
        let mask = Mask::only(space, chosen)?;
        let mut sorted = chosen.to_vec();
        sorted.sort();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid("genotype", format!("{} twice", space.describe(pair[0])?), "it once"));
        }
        Self::from_mask(space, &mask)
    }

    /// What is alive under a mask; an error if a comparison subset does not have exactly `keep` candidates alive.
    pub fn from_mask(space: &SearchSpace, mask: &Mask) -> Result<Self> {
        mask.check_shape(space)?;
        for subset in space.comparison_subsets() {
            let alive = subset.alive(mask).len();
            if alive != subset.keep {
                let what = format!("genotype of the space {}, {}", space.name(), subset.name);
                return Err(Error::invalid(what, format!("{alive} candidates alive"), subset.keep));
            }
        }
        Ok(Genotype { space: space.clone(), chosen: mask.alive() })
    }

    /// From the text of either notation: `|op~0|+|op~0|op~1|+...` or `Genotype(normal=[('sep_conv_3x3', 0), ...], ...)`.
    ///
    /// The second is the `repr` of quark0/darts: keywords in any order, either kind of quotes, `normal_concat` as
    /// `range(2, 6)` or a list of the four nodes; the two inputs of a node in any order, also both on one edge.
    pub fn parse(text: &str) -> Result<Self> {
        super::genotype_text::parse(text, None)
    }

    /// From the text in the notation of the space's topology: its nodes and its ops.
    pub fn parse_in(space: &SearchSpace, text: &str) -> Result<Self> {
        super::genotype_text::parse(text, Some(space))
    }

    /// The mask under which only the chosen candidates are alive.
    pub fn mask(&self) -> Result<Mask> {
        Mask::only(&self.space, &self.chosen)
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
        match self.space.topology() {
            Topology::NasBench201 => {
                for (i, node) in self.inputs_of_nodes(0).iter().enumerate() {
                    f.write_str(if i == 0 { "|" } else { "+|" })?;
                    for (from, op) in node {
                        write!(f, "{op}~{from}|")?;
                    }
                }
                Ok(())
            }
            Topology::Darts => {
                f.write_str("Genotype(")?;
                for (t, cell_type) in self.space.cell_types().iter().enumerate() {
                    let inputs = self.inputs_of_nodes(t).concat();
                    let pairs: Vec<String> = inputs.iter().map(|(from, op)| format!("('{op}', {from})")).collect();
                    let (comma, name) = (if t == 0 { "" } else { ", " }, keyword(*cell_type));
                    let end = 2 + self.space.nodes();
                    write!(f, "{comma}{name}=[{}], {name}_concat=range(2, {end})", pairs.join(", "))?;
                }
                f.write_str(")")
            }
        }
    }
}

/// The name of a cell type in quark0/darts genotypes.
pub(super) fn keyword(cell_type: CellType) -> &'static str {
    match cell_type {
        CellType::Normal => "normal",
        CellType::Reduction => "reduce",
    }
}
