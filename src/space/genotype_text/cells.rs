//! The cells of the DARTS topology in literals: inputs in one list, by node in nested lists, or with the number of their node.

use super::{Literal, LiteralValue, Plan, Primitive, Reader, Topology};
use crate::error::Result;
use crate::space::custom::MOST_NODES;
use crate::space::genotype::keyword;
use crate::space::{Candidate, CellType};

/// An op and the node it reads, as one stands in a list; its node, where that is written too.
pub(super) struct CellInput<'a> {
    op: &'a str,
    op_at: usize,
    pub from: usize,
    from_at: usize,
    node: Option<usize>,
}

const INPUT: &str = "an op in quotes and the number of the node it reads: ('sep_conv_3x3', 0)";

pub(super) fn integer(literal: &Literal) -> Option<i64> {
    if let LiteralValue::Int(n) = literal.value { Some(n) } else { None }
}

/// Whether a literal is one input, rather than a list of some: it holds an op's name itself.
pub(super) fn is_input(literal: &Literal) -> bool {
    match &literal.value {
        LiteralValue::List(items) => items.iter().any(|i| match &i.value {
            LiteralValue::Text(text) => !text.contains('~'),
            LiteralValue::Word(_) => true,
            _ => false,
        }),
        LiteralValue::Text(text) => text.contains('~'),
        LiteralValue::Dict(pairs) => pairs.iter().any(|(_, v)| matches!(v.value, LiteralValue::Text(_))),
        _ => false,
    }
}

impl Reader<'_> {
    /// `('op', from)`, `('op', from, value)`, `('op', node, from)` or `('op', from, node)` (a node comes behind what it reads),
    /// `'op~from'`, `{"op": "op", "from": 0}`.
    pub(super) fn input<'a>(&self, literal: &'a Literal) -> Result<CellInput<'a>> {
        let wrong = || self.error(literal.at, INPUT);
        let parts: Vec<&Literal> = match &literal.value {
            LiteralValue::List(items) => items.iter().collect(),
            LiteralValue::Dict(pairs) => pairs.iter().map(|(_, value)| value).collect(),
            LiteralValue::Text(text) => {
                let (op, from) = text.split_once('~').ok_or_else(wrong)?;
                let from = from.trim().parse().map_err(|_| wrong())?;
                return Ok(CellInput { op, op_at: literal.at + 1, from, from_at: literal.at, node: None });
            }
            _ => return Err(wrong()),
        };
        let (mut op, mut numbers) = (None, vec![]);
        for part in &parts {
            match &part.value {
                // An array of texts has its numbers in quotes, too.
                LiteralValue::Text(text) if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() => {
                    numbers.push((text.parse().unwrap_or(usize::MAX), part.at));
                }
                LiteralValue::Text(text) if op.is_none() => op = Some((text.as_str(), part.at + 1)),
                LiteralValue::Int(n) => numbers.push((usize::try_from(*n).unwrap_or(usize::MAX), part.at)),
                // What a search thought of it.
                LiteralValue::Float(_) | LiteralValue::None => {}
                LiteralValue::Word(_) => return Err(self.error(part.at, "an op in quotes")),
                other => return Err(self.wrong(part.at, format!("{} in an input", other.kind()), INPUT)),
            }
        }
        let (op, op_at) = op.ok_or_else(wrong)?;
        match numbers[..] {
            [(from, from_at)] => Ok(CellInput { op, op_at, from, from_at, node: None }),
            [a, b] => {
                let ((from, from_at), (node, _)) = if a.0 < b.0 { (a, b) } else { (b, a) };
                Ok(CellInput { op, op_at, from, from_at, node: Some(node) })
            }
            _ => Err(wrong()),
        }
    }

    /// Its op; in a space, one of the space's, and on an edge into `(cell type, node)` one of that edge's.
    pub(super) fn op(&self, input: &CellInput, to: Option<(usize, usize)>) -> Result<Primitive> {
        let at = |e: crate::Error| e.at(self.place(input.op_at));
        let Some(space) = self.space else { return Primitive::parse(input.op).map_err(at) };
        let op = Primitive::parse_among(input.op, space.ops()).map_err(at)?;
        if let Some((cell_type, to)) = to
            && let Some(edge) = space.edges().iter().find(|e| (e.from, e.to) == (input.from, to))
        {
            let op = space.ops().iter().position(|p| *p == op).unwrap_or_default();
            space.check(Candidate { cell_type, edge: edge.index, op }).map_err(at)?;
        }
        Ok(op)
    }

    /// Both cells, each of its inputs and its output.
    pub(super) fn darts(&self, cells: [(&Literal, Option<&Literal>); 2]) -> Result<Plan> {
        let (mut read, mut outputs, mut concats) = (vec![], vec![], vec![]);
        for (cell_type, (inputs, concat)) in cells.into_iter().enumerate() {
            let concat = concat.filter(|c| c.value != LiteralValue::None).map(|c| self.concat(c)).transpose()?;
            let named = concat.iter().flatten().max().map_or(0, |last| last.saturating_sub(1));
            read.push(self.nodes(cell_type, inputs, named)?);
            concats.push(concat);
        }
        // One number of nodes for both: the last of a cell with fewer have no inputs.
        let most = read.iter().map(Vec::len).max().unwrap_or(0);
        for (cell_type, (nodes, concat)) in read.iter_mut().zip(concats).enumerate() {
            let written = nodes.len();
            nodes.resize(most, vec![]);
            let is_there = present(nodes);
            outputs.push(match concat {
                Some(list) => {
                    if let Some(n) = list.iter().find(|n| **n >= 2 + written) {
                        let at = cells[cell_type].1.map_or(0, |c| c.at);
                        let expected = format!("nodes of the cell, from 2 to {}, or its inputs, 0 and 1", 1 + written);
                        return Err(self.wrong(at, format!("node {n} in the output"), expected));
                    }
                    list.into_iter().filter(|n| *n < 2 || is_there[*n - 2]).collect()
                }
                None => self.usual_outputs(cell_type, nodes, &is_there, cells[cell_type].0.at)?,
            });
        }
        let plan = Plan { topology: Topology::Darts, cells: read, outputs: vec![] };
        Ok(plan.with_outputs(outputs))
    }

    /// Where the text does not say what the output is: all nodes, as in the DARTS space; where there are other than four, only
    /// if nothing else can be meant.
    fn usual_outputs(
        &self,
        cell_type: usize,
        nodes: &[Vec<(Primitive, usize)>],
        is_there: &[bool],
        at: usize,
    ) -> Result<Vec<usize>> {
        let all: Vec<usize> = (2..2 + nodes.len()).filter(|n| is_there[n - 2]).collect();
        let is_read = |n: &usize| nodes.iter().flatten().any(|(_, from)| from == n);
        if self.space.is_none() && nodes.len() != 4 && all.iter().any(is_read) {
            let name = keyword([CellType::Normal, CellType::Reduction][cell_type]);
            let got = format!("a cell of {} nodes without its output", nodes.len());
            return Err(self.wrong(at, got, format!("`{name}_concat=`, the nodes that are the output")));
        }
        Ok(all)
    }

    /// `range(2, 6)`, `[2, 3, 4, 5]` or `(2, 3, 4, 5)`
    fn concat(&self, literal: &Literal) -> Result<Vec<usize>> {
        let numbers: Option<Vec<i64>> = match &literal.value {
            LiteralValue::List(items) => items.iter().map(integer).collect(),
            _ => None,
        };
        let expected = "the nodes that are the output, each once: `range(2, 6)` or `[2, 3, 4, 5]`";
        let numbers = numbers.ok_or_else(|| self.error(literal.at, expected))?;
        let nodes: Vec<usize> = numbers.iter().filter_map(|n| usize::try_from(*n).ok()).collect();
        let once = nodes.iter().enumerate().all(|(i, n)| !nodes[..i].contains(n));
        if nodes.is_empty() || nodes.len() < numbers.len() || !once {
            return Err(self.error(literal.at, expected));
        }
        Ok(nodes)
    }

    /// The inputs of each node; `named`: how many nodes the output speaks of, for those at the end that have no inputs.
    fn nodes(&self, cell_type: usize, literal: &Literal, named: usize) -> Result<Vec<Vec<(Primitive, usize)>>> {
        let grouped: Vec<(Option<usize>, Vec<CellInput>)> = match &literal.value {
            LiteralValue::List(items) if items.iter().all(is_input) => {
                let inputs = items.iter().map(|i| self.input(i)).collect::<Result<Vec<_>>>()?;
                self.grouped(literal.at, inputs)?
            }
            LiteralValue::List(items) => match items.iter().find(|i| !is_input(i)) {
                Some(stray) if items.iter().any(is_input) => return Err(self.error(stray.at, INPUT)),
                _ => items.iter().map(|item| Ok((None, self.inputs_of(item)?))).collect::<Result<_>>()?,
            },
            LiteralValue::Dict(pairs) => self.by_key(pairs)?,
            other => return Err(self.wrong(literal.at, other.kind(), "a list of the inputs of the nodes")),
        };
        let is_numbered = grouped.iter().any(|(node, _)| node.is_some());
        let (mut nodes, mut at) = (vec![], 2);
        for (node, inputs) in grouped {
            let node = node.unwrap_or(at);
            if !(2..2 + MOST_NODES).contains(&node) {
                let expected = format!("a computed node, from 2 to {}", 1 + MOST_NODES);
                return Err(self.wrong(literal.at, format!("node {node}"), expected));
            }
            at = node + 1;
            if nodes.len() < node - 1 {
                nodes.resize(node - 1, vec![]);
            }
            for input in inputs {
                if input.from >= node || input.node.is_some_and(|n| n != node) {
                    let expected = format!("an input of node {node}, from 0 to {}", node - 1);
                    return Err(self.error(input.from_at, &expected));
                }
                nodes[node - 2].push((self.op(&input, Some((cell_type, node)))?, input.from));
            }
        }
        let wanted = self.space.map_or(named.min(MOST_NODES), |space| space.nodes());
        if is_numbered && nodes.len() < wanted {
            nodes.resize(wanted, vec![]);
        }
        if let Some(space) = self.space.filter(|space| space.nodes() != nodes.len()) {
            let expected = format!("the inputs of each node from 2 to {}", 1 + space.nodes());
            return Err(self.wrong(literal.at, format!("a cell of {} nodes", nodes.len()), expected));
        }
        // What would read a node without inputs reads nothing.
        let is_there = present(&nodes);
        nodes.iter_mut().for_each(|inputs| inputs.retain(|(_, from)| *from < 2 || is_there[from - 2]));
        Ok(nodes)
    }

    /// One list: by the nodes that are written, or else two for each.
    fn grouped<'a>(&self, at: usize, inputs: Vec<CellInput<'a>>) -> Result<Vec<(Option<usize>, Vec<CellInput<'a>>)>> {
        let numbered = inputs.iter().filter(|i| i.node.is_some()).count();
        if numbered > 0 && numbered < inputs.len() {
            let got = format!("{numbered} of {} inputs with the number of their node", inputs.len());
            return Err(self.wrong(at, got, "all or none"));
        }
        let mut groups: Vec<(Option<usize>, Vec<CellInput>)> = vec![];
        if numbered == 0 {
            if inputs.len() % 2 == 1 || inputs.is_empty() {
                return Err(self.wrong(at, format!("{} inputs", inputs.len()), "two for each node, of 2, 3, ..."));
            }
            for input in inputs {
                match groups.last_mut() {
                    Some((_, pair)) if pair.len() == 1 => pair.push(input),
                    _ => groups.push((None, vec![input])),
                }
            }
            return Ok(groups);
        }
        for input in inputs {
            match groups.iter_mut().find(|(node, _)| *node == input.node) {
                Some((_, own)) => own.push(input),
                None => groups.push((input.node, vec![input])),
            }
        }
        groups.sort_by_key(|(node, _)| *node);
        Ok(groups)
    }

    fn inputs_of<'a>(&self, literal: &'a Literal) -> Result<Vec<CellInput<'a>>> {
        match &literal.value {
            LiteralValue::List(items) => items.iter().map(|i| self.input(i)).collect(),
            _ => Err(self.error(literal.at, "a list of inputs")),
        }
    }

    /// `{"2": [...], "3": [...]}`, counted from 2, the first computed node, or from 0; `{(from, to): 'op'}`.
    fn by_key<'a>(&self, pairs: &'a [(Literal, Literal)]) -> Result<Vec<(Option<usize>, Vec<CellInput<'a>>)>> {
        let mut groups: Vec<(Option<usize>, Vec<CellInput>)> = vec![];
        for (key, value) in pairs {
            let number = |l: &Literal| match &l.value {
                LiteralValue::Int(n) => usize::try_from(*n).ok(),
                LiteralValue::Text(text) => text.trim().parse().ok(),
                _ => None,
            };
            let edge = match (&key.value, &value.value) {
                (LiteralValue::List(ends), LiteralValue::Text(op)) if ends.len() == 2 => {
                    number(&ends[0]).zip(number(&ends[1])).zip(Some(op))
                }
                _ => None,
            };
            let (node, inputs) = match (number(key), edge) {
                (Some(node), _) => (node, self.inputs_of(value)?),
                (None, Some(((a, b), op))) => {
                    let (from, node) = (a.min(b), a.max(b));
                    (node, vec![CellInput { op, op_at: value.at + 1, from, from_at: key.at, node: Some(node) }])
                }
                _ => return Err(self.error(key.at, "the number of a node")),
            };
            match groups.iter_mut().find(|(known, _)| *known == Some(node)) {
                Some((_, own)) => own.extend(inputs),
                None => groups.push((Some(node), inputs)),
            }
        }
        groups.sort_by_key(|(node, _)| *node);
        if groups.first().is_some_and(|(node, _)| *node == Some(0)) {
            groups.iter_mut().for_each(|(node, _)| *node = node.map(|n| n + 2));
        }
        Ok(groups)
    }
}

/// Which nodes have inputs that are there: nothing comes of a node that reads only such as have none.
fn present(nodes: &[Vec<(Primitive, usize)>]) -> Vec<bool> {
    let mut there: Vec<bool> = vec![];
    for inputs in nodes {
        let is = inputs.iter().any(|(_, from)| *from < 2 || there.get(from - 2).copied().unwrap_or(false));
        there.push(is);
    }
    there
}
