//! The cells of a network as a text names them: what feeds each node, in the order in which a network numbers its ops, and
//! which nodes are the output. A plan can say more than a [`Genotype`] of a space: an op may stand twice into a node, a node may
//! have any number of inputs.

use super::genotype::keyword;
use super::{CellType, Genotype, Primitive, SearchSpace, Topology, custom, genotype_text, literature};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What feeds each computed node, in order: by cell type, node, input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Their wiring.
    pub topology: Topology,
    /// `[cell type][node]`: the op and the node it reads. A node without inputs is not there: it is no part of the output.
    pub cells: Vec<Vec<Vec<(Primitive, usize)>>>,
    /// `[cell type]`: the nodes whose concatenation is the output, in order (DARTS topology), inputs of the cell (0 and 1) perhaps among
    /// them, as in AmoebaNet; without lists, all nodes that have inputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Vec<usize>>,
}

impl From<&Genotype> for Plan {
    /// In the order of the genotype: by edge, then op.
    fn from(genotype: &Genotype) -> Self {
        let flip = |inputs: Vec<(usize, Primitive)>| inputs.into_iter().map(|(from, op)| (op, from)).collect();
        let of_type = |t: usize| genotype.inputs_of_nodes(t).into_iter().map(flip).collect();
        let cells = (0..genotype.space.cell_types().len()).map(of_type).collect();
        Plan { topology: genotype.space.topology(), cells, outputs: genotype.outputs.clone() }
    }
}

impl Plan {
    /// From the name of a published cell, or else from text ([`Plan::parse`]).
    pub fn read(text: &str) -> Result<Self> {
        match literature::is_name(text) {
            true => Self::parse(&literature::published(text.trim())?.text()),
            false => Self::parse(text),
        }
    }

    /// From genotype text ([`Genotype::parse`] says which forms), whose order of the inputs of a node is kept: quark0/darts
    /// numbers its ops by it, so that weights trained there load here.
    pub fn parse(text: &str) -> Result<Self> {
        genotype_text::parse(text, None)
    }

    /// Number of input nodes of a cell.
    pub fn inputs(&self) -> usize {
        self.topology.inputs()
    }

    /// The nodes whose concatenation is the output of a cell, in order; NAS-Bench-201: the last node.
    pub fn outputs_of(&self, cell_type: usize) -> Vec<usize> {
        let nodes = &self.cells[cell_type];
        let first = self.inputs();
        match (self.topology, self.outputs.get(cell_type)) {
            (Topology::NasBench201, _) => vec![first + nodes.len() - 1],
            (Topology::Darts, Some(outputs)) => outputs.clone(),
            (Topology::Darts, None) => (first..).zip(nodes).filter(|(_, n)| !n.is_empty()).map(|(i, _)| i).collect(),
        }
    }

    /// The same with `outputs` left out where they are those of [`Plan::outputs_of`] without lists.
    pub(super) fn with_outputs(self, outputs: Vec<Vec<usize>>) -> Self {
        let plain = Plan { outputs: vec![], ..self };
        let usual = (0..plain.cells.len()).map(|t| plain.outputs_of(t));
        if outputs.is_empty() || usual.eq(outputs.iter().cloned()) { plain } else { Plan { outputs, ..plain } }
    }

    /// An error for cells that no network can have: another number of cell types, no node, an input that does not lie before
    /// its node, an output that is no node or stands twice.
    pub fn check(&self) -> Result<()> {
        let wrong = |got: String, expected: &str| Err(Error::invalid("cells of a network", got, expected));
        let (types, first) = (self.topology.cell_types().len(), self.inputs());
        if self.cells.len() != types {
            return wrong(format!("{} types of cell", self.cells.len()), &types.to_string());
        }
        if !(self.outputs.is_empty() || self.outputs.len() == types && self.topology == Topology::Darts) {
            return wrong(format!("{} lists of outputs", self.outputs.len()), "one a type of cell, or none");
        }
        for (t, nodes) in self.cells.iter().enumerate() {
            if nodes.is_empty() || nodes.len() > custom::MOST_NODES {
                return wrong(format!("{} nodes", nodes.len()), &format!("1 to {}", custom::MOST_NODES));
            }
            for (i, inputs) in nodes.iter().enumerate() {
                let there = |from: usize| from < first || from < first + i && !nodes[from - first].is_empty();
                if let Some((op, from)) = inputs.iter().find(|(_, from)| !there(*from)) {
                    return wrong(
                        format!("{op} of node {from} into node {}", first + i),
                        "a node before it that is computed",
                    );
                }
                if self.topology == Topology::NasBench201 && inputs.is_empty() {
                    return wrong(format!("nothing into node {}", first + i), "at least one input");
                }
            }
            let outputs = self.outputs_of(t);
            let there = |n: usize| n < first || nodes.get(n - first).is_some_and(|inputs| !inputs.is_empty());
            if outputs.is_empty() {
                return wrong("no output".into(), "at least one node");
            }
            if let Some((_, n)) = outputs.iter().enumerate().find(|(i, n)| !there(**n) || outputs[..*i].contains(n)) {
                return wrong(format!("node {n} in the output"), "nodes that are computed, or inputs, each once");
            }
        }
        Ok(())
    }

    /// As a genotype of a space: of `space`, or of the one that ships with these nodes and ops, or else of one made of them.
    pub(super) fn genotype(&self, space: Option<&SearchSpace>) -> Result<Genotype> {
        let nodes = self.cells.iter().map(Vec::len).max().unwrap_or(1);
        let used: Vec<Primitive> = self.cells.iter().flatten().flatten().map(|(op, _)| *op).collect();
        let holds = |space: &SearchSpace| space.nodes() == nodes && used.iter().all(|op| space.ops().contains(op));
        let shipped = match self.topology {
            Topology::NasBench201 => SearchSpace::nas_bench_201(),
            Topology::Darts => SearchSpace::darts(),
        };
        let space = match space {
            Some(space) => space.clone(),
            None if holds(&shipped) => shipped,
            None => {
                let ops: Vec<Primitive> = Primitive::known().into_iter().filter(|op| used.contains(op)).collect();
                SearchSpace::custom("custom", self.topology, nodes, &ops)?
            }
        };
        let edges = space.edges();
        let mut chosen = vec![];
        for (cell_type, cell) in self.cells.iter().enumerate() {
            for (to, inputs) in (self.inputs()..).zip(cell) {
                for (op, from) in inputs {
                    let edge = edges.iter().find(|e| (e.from, e.to) == (*from, to)).map_or(edges.len(), |e| e.index);
                    let op = space.ops().iter().position(|o| o == op).unwrap_or(space.ops().len());
                    chosen.push(super::Candidate { cell_type, edge, op });
                }
            }
        }
        chosen.iter().try_for_each(|c| space.check(*c))?;
        chosen.sort();
        Ok(Genotype { space, chosen, outputs: self.outputs.clone() })
    }
}

impl std::fmt::Display for Plan {
    /// Genotype text in this order. Inputs are pairs, two a node, as in quark0/darts; where a node has another number, they are
    /// (op, node, input), as in FairDARTS.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.topology == Topology::NasBench201 {
            let node = |node: &Vec<(Primitive, usize)>| -> String {
                node.iter().map(|(op, from)| format!("{op}~{from}|")).collect()
            };
            let nodes: Vec<String> = self.cells[0].iter().map(|n| format!("|{}", node(n))).collect();
            return f.write_str(&nodes.join("+"));
        }
        let first = self.inputs();
        let is_paired = self.cells.iter().flatten().all(|inputs| inputs.len() == 2);
        let cell = |(t, (cell_type, nodes)): (usize, (&CellType, &Vec<Vec<(Primitive, usize)>>))| {
            let input = |node: usize, (op, from): &(Primitive, usize)| match is_paired {
                true => format!("('{op}', {from})"),
                false => format!("('{op}', {node}, {from})"),
            };
            let inputs = (first..).zip(nodes).flat_map(|(node, inputs)| inputs.iter().map(move |i| input(node, i)));
            let (inputs, name) = (inputs.collect::<Vec<_>>().join(", "), keyword(*cell_type));
            let outputs = match self.outputs.get(t) {
                None => format!("range({first}, {})", first + nodes.len()),
                Some(outputs) => format!("{outputs:?}"),
            };
            format!("{name}=[{inputs}], {name}_concat={outputs}")
        };
        let cells: Vec<String> = self.topology.cell_types().iter().zip(&self.cells).enumerate().map(cell).collect();
        write!(f, "Genotype({})", cells.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                      ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
                      normal_concat=[2, 3, 4, 5], reduce = [('max_pool_3x3', 0), (\"max_pool_3x3\", 1), ('skip_connect', 2), \
                      ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), \
                      ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";

    #[test]
    fn the_text_decides_the_order_of_ops_and_comes_back() {
        let plan = Plan::parse(V2).unwrap();
        assert_eq!(plan.cells[0][2], [(Primitive::SepConv3x3, 1), (Primitive::SkipConnect, 0)]);
        assert_eq!(plan.cells[1][3], [(Primitive::SkipConnect, 2), (Primitive::MaxPool3x3, 1)]);
        assert_eq!(Plan::parse(&plan.to_string()).unwrap(), plan);
        let sorted = Plan::from(&Genotype::parse(V2).unwrap());
        assert_eq!(sorted.cells[0][2], [(Primitive::SkipConnect, 0), (Primitive::SepConv3x3, 1)]);
        assert_eq!(Plan::parse(&Genotype::parse(V2).unwrap().to_string()).unwrap(), sorted);
    }

    #[test]
    fn a_published_name_gives_the_order_of_its_repository() {
        assert_eq!(Plan::read("darts_v2").unwrap(), Plan::parse(V2).unwrap());
        assert!(Plan::read("DARTS_V3").unwrap_err().to_string().contains("did you mean `DARTS_V"));
    }

    #[test]
    fn a_nas_bench_cell_reads_and_writes_its_text() {
        let text = "|none~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|";
        assert_eq!(Plan::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn cells_that_no_network_can_have_are_refused() {
        use Primitive::SkipConnect as Skip;
        let good = || Plan { topology: Topology::Darts, cells: vec![vec![vec![(Skip, 0)]]; 2], outputs: vec![] };
        good().check().unwrap();
        type Damage = fn(&mut Plan);
        for (damage, says) in [
            ((|p| drop(p.cells.pop())) as Damage, "got 1 types of cell, expected 2"),
            (|p| p.cells[1].clear(), "got 0 nodes, expected 1 to 31"),
            (|p| p.cells[0][0][0].1 = 2, "got skip_connect of node 2 into node 2"),
            (|p| p.cells[0][0].clear(), "got no output"),
            (|p| p.cells[0].extend([vec![], vec![(Skip, 3)]]), "got skip_connect of node 3 into node 4"),
            (|p| p.outputs = vec![vec![2]], "got 1 lists of outputs"),
            (|p| p.outputs = vec![vec![2], vec![3]], "got node 3 in the output"),
            (|p| p.outputs = vec![vec![2, 2], vec![2]], "got node 2 in the output"),
        ] {
            let mut plan = good();
            damage(&mut plan);
            let message = plan.check().unwrap_err().to_string();
            assert!(message.contains(says), "{message}\n{says}");
        }
    }
}
