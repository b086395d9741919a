//! The cells of a genotype in the order in which a network numbers its ops. May use: `space`.

use crate::error::Result;
use crate::space::{CellType, Genotype, Primitive, Topology, literature};
use serde::{Deserialize, Serialize};

/// What feeds each computed node, in order: by cell type, node, input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Their wiring.
    pub topology: Topology,
    /// `[cell type][node]`: the op and the node it reads.
    pub cells: Vec<Vec<Vec<(Primitive, usize)>>>,
}

impl From<&Genotype> for Plan {
    /// In the order of the genotype: by edge, then op.
    fn from(genotype: &Genotype) -> Self {
        let flip = |inputs: Vec<(usize, Primitive)>| inputs.into_iter().map(|(from, op)| (op, from)).collect();
        let of_type = |t: usize| genotype.inputs_of_nodes(t).into_iter().map(flip).collect();
        let cells = (0..genotype.space.cell_types().len()).map(of_type).collect();
        Plan { topology: genotype.space.topology(), cells }
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

    /// From genotype text, whose order of the two inputs of a node is kept: quark0/darts numbers its ops by it, so that
    /// weights trained there load here.
    pub fn parse(text: &str) -> Result<Self> {
        let genotype = Genotype::parse(text)?;
        let mut plan = Plan::from(&genotype);
        if plan.topology == Topology::Darts {
            for (t, cell_type) in genotype.space.cell_types().iter().enumerate() {
                let mut pairs = pairs(text, keyword(*cell_type)).into_iter();
                for node in &mut plan.cells[t] {
                    let written: Vec<_> = pairs.by_ref().take(node.len()).collect();
                    // The same two inputs, or the text holds what this does not read, and the sorted order stands.
                    if node.iter().all(|input| written.contains(input)) {
                        *node = written;
                    }
                }
            }
        }
        Ok(plan)
    }
}

fn keyword(cell_type: CellType) -> &'static str {
    match cell_type {
        CellType::Normal => "normal",
        CellType::Reduction => "reduce",
    }
}

/// The `('op', from)` of the list behind `keyword=`, of text that has parsed.
fn pairs(text: &str, keyword: &str) -> Vec<(Primitive, usize)> {
    let list = text.match_indices(keyword).find_map(|(at, _)| {
        let rest = text[at + keyword.len()..].trim_start().strip_prefix('=')?;
        Some(&rest[rest.find('[')?..=rest.find(']')?])
    });
    let pair = |pair: &str| -> Option<(Primitive, usize)> {
        let (op, from) = pair.split_once(')')?.0.split_once(',')?;
        let name = op.trim().trim_matches(['\'', '"']);
        Some((Primitive::parse(name).ok()?, from.trim().trim_end_matches(',').trim().parse().ok()?))
    };
    list.map_or(vec![], |list| list.split('(').skip(1).filter_map(pair).collect())
}

impl std::fmt::Display for Plan {
    /// Genotype text in this order.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.topology == Topology::NasBench201 {
            let node = |node: &Vec<(Primitive, usize)>| -> String {
                node.iter().map(|(op, from)| format!("{op}~{from}|")).collect()
            };
            let nodes: Vec<String> = self.cells[0].iter().map(|n| format!("|{}", node(n))).collect();
            return f.write_str(&nodes.join("+"));
        }
        let cell = |(cell_type, nodes): (&CellType, &Vec<Vec<(Primitive, usize)>>)| {
            let pairs: Vec<String> = nodes.iter().flatten().map(|(op, from)| format!("('{op}', {from})")).collect();
            let name = keyword(*cell_type);
            format!("{name}=[{}], {name}_concat=range(2, {})", pairs.join(", "), 2 + nodes.len())
        };
        let types = [CellType::Normal, CellType::Reduction];
        let cells: Vec<String> = types.iter().zip(&self.cells).map(cell).collect();
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
}
