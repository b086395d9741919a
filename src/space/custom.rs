//! Spaces of one's own: any ops of the table over either topology, any number of nodes, a list of ops for each edge.

use super::{CellType, Edge, PerCandidate, Primitive, SearchSpace, Skeleton, Topology};
use crate::error::{Error, Result};
use serde::Deserialize;

/// The largest number of computed nodes in a cell: 527 edges in the DARTS topology.
pub(super) const MOST_NODES: usize = 31;

impl Topology {
    /// Both.
    pub const ALL: [Topology; 2] = [Topology::NasBench201, Topology::Darts];

    /// The name of the space that it comes from.
    pub fn name(self) -> &'static str {
        match self {
            Topology::NasBench201 => "nas-bench-201",
            Topology::Darts => "darts",
        }
    }

    /// By name; unknown names are an error with the nearest.
    pub fn by_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|t| t.name() == name);
        found.ok_or_else(|| Error::unknown_name("topology", name, Self::ALL.map(Self::name)))
    }
}

/// A space as it was written, to be checked: of a file that anyone may have changed.
#[derive(Deserialize)]
#[serde(rename = "SearchSpace")]
pub(super) struct Written {
    name: String,
    topology: Topology,
    ops: Vec<Primitive>,
    nodes: usize,
    exists: Option<PerCandidate<bool>>,
    #[serde(default)]
    skeleton: Option<Skeleton>,
}

impl TryFrom<Written> for SearchSpace {
    type Error = Error;

    fn try_from(written: Written) -> Result<Self> {
        let Written { name, topology, ops, nodes, exists, skeleton } = written;
        check_sizes(&name, nodes, &ops)?;
        if let Some(Skeleton { channels, cells, outputs, .. }) = skeleton
            && (channels == 0 || cells == 0 || outputs == 0 || outputs > nodes || topology != Topology::Darts)
        {
            let got = format!("C = {channels}, {cells} cells, {outputs} nodes in the output");
            return Err(Error::invalid(format!("skeleton of the search space {name}"), got, "1 or more of each"));
        }
        let space = SearchSpace { name, topology, ops, nodes, exists: Option::None, skeleton };
        match exists {
            Some(table) => {
                table.check_shape(&space, "candidates of a search space")?;
                let space = SearchSpace { exists: Some(table), ..space };
                space.check_alive().map(|()| space)
            }
            Option::None => Ok(space),
        }
    }
}

fn check_sizes(name: &str, nodes: usize, ops: &[Primitive]) -> Result<()> {
    if nodes == 0 || nodes > MOST_NODES {
        let what = format!("nodes of the search space {name}");
        return Err(Error::invalid(what, nodes, format!("1 to {MOST_NODES}")));
    }
    check_list(&format!("ops of the search space {name}"), ops)
}

impl SearchSpace {
    /// A cell of `nodes` computed nodes with the same `ops` on every edge.
    ///
    /// # Errors
    /// A name that is empty or that of a space that ships; 0 nodes, or more than 31; no op, an op twice, or `none` alone.
    pub fn custom(name: &str, topology: Topology, nodes: usize, ops: &[Primitive]) -> Result<Self> {
        if name.is_empty() || Self::by_name(name).is_ok() {
            return Err(Error::invalid("name of a search space", format!("`{name}`"), "a name of its own"));
        }
        check_sizes(name, nodes, ops)?;
        let (name, ops) = (name.to_string(), ops.to_vec());
        let space = SearchSpace { name, topology, ops, nodes, exists: Option::None, skeleton: Option::None };
        space.check_alive()?;
        Ok(space)
    }

    /// The same cell with a list of ops for each edge, `lists[cell_type][edge]`; the ops of the space become their union,
    /// in the order in which it has them.
    ///
    /// # Errors
    /// Another number of cell types or edges; an empty list, an op twice in one, or `none` alone in all.
    pub fn with_lists(mut self, lists: &[Vec<Vec<Primitive>>]) -> Result<Self> {
        let (cells, edges) = (self.cell_types(), self.edges());
        if lists.len() != cells.len() || lists.iter().any(|l| l.len() != edges.len()) {
            let got = format!("{:?}", lists.iter().map(Vec::len).collect::<Vec<_>>());
            let what = format!("lists of ops of the search space {}", self.name);
            return Err(Error::invalid(
                what,
                got,
                format!("{:?}: one an edge and cell type", vec![edges.len(); cells.len()]),
            ));
        }
        for (cell_type, of_cell) in lists.iter().enumerate() {
            for (edge, list) in edges.iter().zip(of_cell) {
                check_list(
                    &format!("ops on {}edge {edge} of the search space {}", self.cell_name(cell_type), self.name),
                    list,
                )?;
            }
        }
        let all = || lists.iter().flatten().flatten();
        self.ops.retain(|op| all().any(|p| p == op));
        for op in all() {
            if !self.ops.contains(op) {
                self.ops.push(*op);
            }
        }
        let row = |list: &Vec<Primitive>| self.ops.iter().map(|op| list.contains(op)).collect::<Vec<_>>();
        let table = PerCandidate(lists.iter().map(|l| l.iter().map(row).collect()).collect());
        // Where every edge has every op, it is the same space as one without lists.
        self.exists = Some(table).filter(|t| t.iter().any(|(_, exists)| !exists));
        self.check_alive()?;
        Ok(self)
    }

    /// The list of ops of an edge, in the order of the space's ops.
    pub fn ops_of(&self, cell_type: usize, edge: usize) -> Vec<Primitive> {
        let has = |op: &usize| self.has(super::Candidate { cell_type, edge, op: *op });
        (0..self.ops.len()).filter(has).map(|op| self.ops[op]).collect()
    }

    /// The edge `to<-from`; an unknown name is an error with the nearest.
    pub fn edge_by_name(&self, name: &str) -> Result<Edge> {
        let edges = self.edges();
        let names: Vec<String> = edges.iter().map(Edge::to_string).collect();
        let found = names.iter().position(|n| n == name).map(|i| edges[i]);
        found.ok_or_else(|| Error::unknown_name("edge", name, names.iter().map(String::as_str)))
    }

    /// The index of a cell type: `normal` or `reduction`.
    pub fn cell_type_by_name(&self, name: &str) -> Result<usize> {
        let names: Vec<String> = self.cell_types().iter().map(CellType::to_string).collect();
        let found = names.iter().position(|n| n == name);
        found.ok_or_else(|| Error::invalid("cell type", name, names.join(" or ")))
    }

    fn check_alive(&self) -> Result<()> {
        if self.candidates().iter().any(|c| self.ops[c.op] != Primitive::None) {
            return Ok(());
        }
        let what = format!("search space {}", self.name);
        Err(Error::invalid(what, "no candidate but `none`: every cell would be zero", "an op that computes something"))
    }
}

fn check_list(what: &str, ops: &[Primitive]) -> Result<()> {
    if ops.is_empty() {
        return Err(Error::invalid(what, "an empty list", "at least one op"));
    }
    match ops.iter().enumerate().find(|(i, op)| ops[..*i].contains(op)) {
        Some((_, op)) => Err(Error::invalid(what, format!("`{op}` twice"), "it once")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::Candidate;
    use Primitive::{AvgPool3x3, MaxPool3x3, NorConv3x3, SkipConnect};

    fn two_nodes() -> SearchSpace {
        SearchSpace::custom("mine", Topology::NasBench201, 2, &[SkipConnect, NorConv3x3]).unwrap()
    }

    #[test]
    fn an_edge_has_the_candidates_of_its_list_and_no_others() {
        let lists = vec![vec![vec![NorConv3x3, SkipConnect], vec![AvgPool3x3], vec![SkipConnect]]];
        let space = two_nodes().with_lists(&lists).unwrap();
        assert_eq!(space.ops(), [SkipConnect, NorConv3x3, AvgPool3x3]);
        let at = |edge, op| Candidate { cell_type: 0, edge, op };
        assert_eq!(space.candidates(), [at(0, 0), at(0, 1), at(1, 2), at(2, 0)]);
        assert_eq!(space.full_mask().alive(), space.candidates());
        assert_eq!((0..3).map(|e| space.n_ops_of(0, e)).collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(space.ops_of(0, 0), [SkipConnect, NorConv3x3]);
        assert_eq!(space.comparison_subsets()[1].candidates, [at(1, 2)]);
        let message = space.check(at(1, 1)).unwrap_err().to_string();
        assert_eq!(message, "op on edge 2<-0 of the space mine: got nor_conv_3x3, expected one of avg_pool_3x3");
        let json = serde_json::to_string(&space).unwrap();
        assert_eq!(serde_json::from_str::<SearchSpace>(&json).unwrap(), space);
    }

    #[test]
    fn the_same_list_on_every_edge_is_the_space_without_lists() {
        let lists = vec![vec![vec![NorConv3x3, SkipConnect]; 3]];
        assert_eq!(two_nodes().with_lists(&lists).unwrap(), two_nodes());
    }

    #[test]
    fn what_makes_no_space_is_refused_in_words() {
        let custom = |name: &str, nodes, ops: &[Primitive]| SearchSpace::custom(name, Topology::Darts, nodes, ops);
        let lists = |lists: Vec<Vec<Vec<Primitive>>>| two_nodes().with_lists(&lists);
        let none = Primitive::None;
        for (result, says) in [
            (custom("darts", 4, &[SkipConnect]), "name of a search space: got `darts`, expected a name of its own"),
            (custom("x", 0, &[SkipConnect]), "nodes of the search space x: got 0, expected 1 to 31"),
            (custom("x", 32, &[SkipConnect]), "nodes of the search space x: got 32, expected 1 to 31"),
            (custom("x", 4, &[]), "ops of the search space x: got an empty list, expected at least one op"),
            (
                custom("x", 4, &[none, MaxPool3x3, none]),
                "ops of the search space x: got `none` twice, expected it once",
            ),
            (custom("x", 4, &[none]), "search space x: got no candidate but `none`"),
            (lists(vec![vec![vec![SkipConnect]; 2]]), "lists of ops of the search space mine: got [2], expected [3]"),
            (
                lists(vec![vec![vec![SkipConnect], vec![], vec![none]]]),
                "ops on edge 2<-0 of the search space mine: got an empty",
            ),
            (lists(vec![vec![vec![none]; 3]]), "search space mine: got no candidate but `none`"),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.starts_with(says), "{message}\n{says}");
        }
        let message = two_nodes().edge_by_name("3<-0").unwrap_err().to_string();
        assert!(message.starts_with("unknown edge `3<-0`, did you mean `1<-0`?; known: 1<-0, 2<-0, 2<-1"), "{message}");
        assert!(Topology::by_name("dart").unwrap_err().to_string().contains("did you mean `darts`?"));
        assert!(two_nodes().cell_type_by_name("reduction").is_err());
    }
}
