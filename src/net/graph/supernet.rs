//! The graph of a supernet under a mask: every live candidate of every edge, mixed.
//!
//! Names are those of the authors' PyTorch code: `cells.0.edges.1<-0.3.op.1.weight` in NAS-Bench-201,
//! `cells.0.edges.0<-1.ops.2.op_a.op.1.weight` in the DARTS space.

use super::build::{Builder, OpStyle};
use super::{Coef, Dropped, Graph, Order, Term, Value};
use crate::net::SupernetConfig;
use crate::net::ids::{MixId, ParamId, Table};
use crate::space::primitive::Form;
use crate::space::{Candidate, Edge, Mask, Primitive, SearchSpace, Topology};
use std::collections::HashMap;

/// The graph; `config` is checked, and the mask is one of the space.
pub fn graph(space: &SearchSpace, config: &SupernetConfig, mask: &Mask) -> Graph {
    built(space, config, mask, false)
}

/// The same with mixing weights of its own for each cell, in place of one table for all cells of a type.
pub fn graph_by_cell(space: &SearchSpace, config: &SupernetConfig, mask: &Mask) -> Graph {
    built(space, config, mask, true)
}

/// The type of each cell, in order.
pub fn cells(space: &SearchSpace, config: &SupernetConfig) -> Vec<usize> {
    (0..blocks(config)).filter_map(|k| cell_type(space, config, k)).collect()
}

fn built(space: &SearchSpace, config: &SupernetConfig, mask: &Mask, by_cell: bool) -> Graph {
    let tables = if by_cell { cells(space, config).len() } else { space.cell_types().len() };
    let mut cell = 0;
    let c = config.channels;
    let mut b = Builder::new(OpStyle::Search { pool_norm: config.pool_norm });
    let stem = match space.topology() {
        Topology::NasBench201 => c,
        Topology::Darts => 3 * c,
    };
    let stem = b.conv_bn("stem", 0, Builder::INPUT, stem, 1);
    let stem = b.node(stem);
    let (mut s0, mut s1, mut reduction_before) = (stem, stem, false);
    for k in 0..blocks(config) {
        let width = c << reductions(config).iter().filter(|at| k >= **at).count();
        let reduction = is_reduction(config, k);
        let table = if by_cell { cell } else { usize::from(reduction) };
        let block = BuiltCell { space, config, mask, k, width, reduction, table, tables };
        cell += usize::from(cell_type(space, config, k).is_some());
        let out = match space.topology() {
            Topology::NasBench201 if reduction => b.residual_block(&block.name(), s1, width),
            Topology::NasBench201 => block.nodes(&mut b, vec![s1]).pop().unwrap_or(s1),
            Topology::Darts => {
                let inputs = block.preprocess(&mut b, [s0, s1], reduction_before);
                let mut nodes = block.nodes(&mut b, inputs);
                if let Some(skeleton) = space.skeleton() {
                    nodes.drain(..nodes.len().saturating_sub(skeleton.outputs));
                }
                b.concat(nodes)
            }
        };
        (s0, s1, reduction_before) = (s1, out, reduction);
    }
    if config.head_norm {
        let y = b.norm("lastact.0", s1);
        s1 = b.relu(y);
    }
    let y = b.mean(s1);
    let logits = b.linear("classifier", y, config.classes);
    let n_edges = tables * space.n_edges();
    let n_candidates = n_edges * space.ops().len();
    let n_mix = n_candidates + n_edges * config.edge_weights();
    let drop_paths = blocks(config) * space.n_edges();
    Graph { n_mix, n_candidates, drop_paths, order: Order::AsBuilt, ..b.finish(logits, None) }
}

/// How many blocks stand between stem and head: N at C, a reduction, N at 2C, a reduction, N at 4C, or as many as are said.
pub fn blocks(config: &SupernetConfig) -> usize {
    if config.in_all { config.cells } else { 3 * config.cells + 2 }
}

/// The blocks that reduce: at a third and at two thirds of them, which is one where there is but one.
pub fn reductions(config: &SupernetConfig) -> Vec<usize> {
    let mut at = vec![blocks(config) / 3, 2 * blocks(config) / 3];
    at.dedup();
    at
}

fn is_reduction(config: &SupernetConfig, block: usize) -> bool {
    reductions(config).contains(&block)
}

/// Index into [`SearchSpace::cell_types`]; none for a residual block.
pub fn cell_type(space: &SearchSpace, config: &SupernetConfig, block: usize) -> Option<usize> {
    match (space.topology(), is_reduction(config, block)) {
        (Topology::NasBench201, true) => None,
        (_, reduction) => Some(usize::from(reduction)),
    }
}

/// The mixing weight of a candidate; of a cell, with its number in place of its type.
pub fn mix_of(space: &SearchSpace, c: Candidate) -> MixId {
    MixId((c.cell_type * space.n_edges() + c.edge) * space.ops().len() + c.op)
}

/// The candidate that has a mixing weight, back from [`mix_of`].
pub fn candidate_of(space: &SearchSpace, mix: MixId) -> Candidate {
    let (edges, ops) = (space.n_edges(), space.ops().len());
    Candidate { cell_type: mix.0 / ops / edges, edge: mix.0 / ops % edges, op: mix.0 % ops }
}

/// The name of a candidate in a block.
pub fn name_of(space: &SearchSpace, block: usize, edge: Edge, op: usize) -> String {
    match space.topology() {
        Topology::NasBench201 => format!("cells.{block}.edges.{}<-{}.{op}", edge.to, edge.from),
        // In names the intermediate nodes count from 0, without the two inputs.
        Topology::Darts => format!("cells.{block}.edges.{}<-{}.ops.{op}", edge.to - 2, edge.from),
    }
}

/// Of each parameter, whose names are given in order, the candidate and the block that it belongs to; none for stem, reductions and head.
pub fn owners<'a>(
    space: &SearchSpace,
    config: &SupernetConfig,
    names: impl Iterator<Item = &'a str>,
) -> Table<ParamId, Option<(Candidate, usize)>> {
    let edges = space.edges();
    let in_block = |block| {
        let cell_type = cell_type(space, config, block);
        let here = space.candidates().into_iter().filter(move |c| Some(c.cell_type) == cell_type);
        here.map(move |c| (c, block)).collect::<Vec<_>>()
    };
    let places = (0..blocks(config)).flat_map(in_block);
    let places: HashMap<String, (Candidate, usize)> =
        places.map(|(c, block)| (name_of(space, block, edges[c.edge], c.op), (c, block))).collect();
    let owner = |name: &str| name.match_indices('.').find_map(|(end, _)| places.get(&name[..end]).copied());
    names.map(owner).collect()
}

/// The name of the auxiliary skip of an edge in a block.
pub fn skip_of(space: &SearchSpace, block: usize, edge: Edge) -> String {
    match space.topology() {
        Topology::NasBench201 => format!("cells.{block}.edges.{}<-{}.skip", edge.to, edge.from),
        Topology::Darts => format!("cells.{block}.edges.{}<-{}.skip", edge.to - 2, edge.from),
    }
}

/// A cell, or what stands in its place.
struct BuiltCell<'a> {
    space: &'a SearchSpace,
    config: &'a SupernetConfig,
    mask: &'a Mask,
    k: usize,
    /// Channels of the nodes.
    width: usize,
    reduction: bool,
    /// Which table of mixing weights is its, of how many.
    table: usize,
    tables: usize,
}

impl BuiltCell<'_> {
    fn name(&self) -> String {
        format!("cells.{}", self.k)
    }

    /// Both inputs of a DARTS cell, brought to its width and to the size of the nearer one.
    fn preprocess(&self, b: &mut Builder, [s0, s1]: [Value; 2], reduction_before: bool) -> Vec<Value> {
        let name = |i: usize| format!("{}.preprocess{i}", self.name());
        let s0 = match reduction_before {
            true => b.factorized_reduce(&name(0), s0, self.width),
            false => b.relu_conv_bn(&name(0), s0, self.width, 1, 1),
        };
        let s1 = b.relu_conv_bn(&name(1), s1, self.width, 1, 1);
        [s0, s1].map(|x| b.node(x)).to_vec()
    }

    /// The nodes behind the inputs. What reads a node stands right behind it, so that it is computed while the node is in cache
    /// and gradients between them live shortly.
    fn nodes(&self, b: &mut Builder, mut nodes: Vec<Value>) -> Vec<Value> {
        let n_inputs = nodes.len();
        b.declare(|b| {
            let x = self.read(b, nodes[0]);
            for edge in self.space.edges() {
                for op in 0..self.space.ops().len() {
                    self.candidate(b, x, edge, op, true);
                }
                self.auxiliary_skip(b, x, edge);
            }
        });
        let mut terms: Vec<Vec<Term>> = vec![vec![]; n_inputs + self.space.nodes()];
        // Of the channels that go past the candidates.
        let mut rests = terms.clone();
        for from in 0..n_inputs + self.space.nodes() {
            if from >= n_inputs {
                let of_node = [&mut terms, &mut rests].map(|all| std::mem::take(&mut all[from]));
                nodes.push(self.node(b, nodes[0], of_node));
            }
            let edges = self.space.edges().into_iter().filter(|e| e.from == from && self.is_there(*e));
            let mut x = nodes[from];
            if edges.clone().next().is_some() {
                x = self.read(b, x);
                // What a DARTS cell reads first has come out of such a norm.
                if self.config.node_norm && (from >= n_inputs || self.space.topology() == Topology::NasBench201) {
                    x = b.normed(x);
                }
            }
            for edge in edges {
                for op in 0..self.space.ops().len() {
                    terms[edge.to].extend(self.candidate(b, x, edge, op, false));
                }
                terms[edge.to].extend(self.auxiliary_skip(b, x, edge));
                rests[edge.to].extend(self.rest(b, nodes[from], edge));
            }
        }
        nodes.split_off(n_inputs)
    }

    /// A node: the sum of what candidates give, with partial channels beside the sum of what goes past them; `input` is one of
    /// the cell's.
    fn node(&self, b: &mut Builder, input: Value, [mut terms, mut rests]: [Vec<Term>; 2]) -> Value {
        let stride = self.space.topology().stride(usize::from(self.reduction), 0);
        let zero = |x: Value| Term { x, coef: Coef::One };
        if terms.is_empty() {
            let x = self.read(b, input);
            terms.push(zero(b.zero(x, stride)));
        }
        let sum = b.sum(terms);
        if self.config.partial == 1 {
            return sum;
        }
        if rests.is_empty() {
            rests.push(zero(b.zero(input, stride)));
        }
        let rest = b.sum(rests);
        b.shuffle(sum, rest, self.config.partial)
    }

    /// What candidates read of a node.
    fn read(&self, b: &mut Builder, x: Value) -> Value {
        if self.config.partial == 1 { x } else { b.first(x, self.width / self.config.partial) }
    }

    fn stride(&self, edge: Edge) -> usize {
        self.space.topology().stride(usize::from(self.reduction), edge.from)
    }

    /// Whether a candidate of the edge is alive; without, nothing goes along it.
    fn is_there(&self, edge: Edge) -> bool {
        (0..self.space.ops().len()).any(|op| self.mask.is_alive(self.place(edge, op)))
    }

    fn place(&self, edge: Edge, op: usize) -> Candidate {
        Candidate { cell_type: usize::from(self.reduction), edge: edge.index, op }
    }

    /// `x` with a mixing weight, dropped image by image with the edge.
    fn term(&self, x: Value, edge: Edge, mix: MixId) -> Term {
        Term { x, coef: Coef::MixImage { mix, image: self.k * self.space.n_edges() + edge.index } }
    }

    /// A candidate on `x`, if it is alive, or (`dead_or_alive`) if the space has it.
    fn candidate(&self, b: &mut Builder, x: Value, edge: Edge, op: usize, dead_or_alive: bool) -> Option<Term> {
        let candidate = self.place(edge, op);
        let there = if dead_or_alive { self.space.has(candidate) } else { self.mask.is_alive(candidate) };
        if !there {
            return None;
        }
        let name = name_of(self.space, self.k, edge, op);
        let (primitive, stride) = (self.space.ops()[op], self.stride(edge));
        let x = b.primitive(&name, primitive, x, stride);
        let place = (self.k * self.space.n_edges() + edge.index) * self.space.ops().len() + op;
        let x = match primitive.form() {
            Form::Identity if stride == 1 => b.dropout(x, place, Dropped::Skip),
            Form::AveragePool | Form::MaximumPool => b.dropout(x, place, Dropped::Pool),
            _ => x,
        };
        Some(self.term(x, edge, mix_of(self.space, Candidate { cell_type: self.table, ..candidate })))
    }

    /// The skip beside the candidates on `x`, if the network has them.
    fn auxiliary_skip(&self, b: &mut Builder, x: Value, edge: Edge) -> Option<Term> {
        let mix = self.mix_of_edge(edge, 0);
        self.config.auxiliary_skip.then(|| {
            let x = b.primitive(&skip_of(self.space, self.k, edge), Primitive::SkipConnect, x, self.stride(edge));
            self.term(x, edge, mix)
        })
    }

    /// What goes past the candidates of an edge out of node `x`, with partial channels.
    fn rest(&self, b: &mut Builder, x: Value, edge: Edge) -> Option<Term> {
        let mix = self.mix_of_edge(edge, usize::from(self.config.auxiliary_skip));
        (self.config.partial > 1).then(|| {
            let x = if self.stride(edge) == 2 { b.halved(x) } else { x };
            self.term(x, edge, mix)
        })
    }

    /// Of the [`SupernetConfig::edge_weights`] that an edge has besides its candidates', the one at `nth`.
    fn mix_of_edge(&self, edge: Edge, nth: usize) -> MixId {
        let (edges, ops) = (self.space.n_edges(), self.space.ops().len());
        MixId(self.tables * edges * ops + (self.table * edges + edge.index) * self.config.edge_weights() + nth)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    /// Recorded from the PyTorch program: tensors, trained numbers, CRC-32 of the lines `name [shape]`.
    #[test]
    fn names_shapes_and_order_are_those_of_the_pytorch_state_dict() {
        for (space, channels, cells, tensors, trained, digest) in [
            ("nas-bench-201", 16, 5, 393, 1_692_826, 0xf923_7a48),
            ("darts", 16, 2, 2127, 1_959_418, 0x3e79_53e8),
            ("darts", 5, 1, 1359, 195_255, 0x97cd_555c),
        ] {
            let space = SearchSpace::by_name(space).unwrap();
            let config = SupernetConfig { channels, cells, ..Default::default() };
            let list = graph(&space, &config, &space.full_mask()).params.into_items();
            let weights = list.iter().filter(|p| p.role == Role::Weight);
            let mut crc = flate2::Crc::new();
            for p in &list {
                crc.update(format!("{} {:?}\n", p.name, p.shape).as_bytes());
            }
            let n: usize = weights.map(|p| p.shape.iter().product::<usize>()).sum();
            assert_eq!((list.len(), n, crc.sum()), (tensors, trained, digest), "{}", space.name());
        }
    }

    #[test]
    fn only_biases_in_front_of_a_batch_norm_without_affine_part_are_cancelled() {
        let space = SearchSpace::darts();
        let config = SupernetConfig { channels: 5, cells: 1, ..Default::default() };
        let list = graph(&space, &config, &space.full_mask()).params.into_items();
        let cancelled = list.iter().filter(|p| p.cancelled).map(|p| p.name.as_str());
        let first: Vec<&str> = cancelled.take_while(|n| !n.starts_with("cells.0.edges.0<-1")).collect();
        let of_edge = ["op_a.op.2", "op_b.op.2"].map(|part| [2, 3].map(|op| format!("{op}.{part}.bias"))).concat();
        assert_eq!(first.len(), 2 + of_edge.len() + 2, "{first:?}");
        assert!(
            first.contains(&"cells.0.preprocess0.op.1.bias") && first.contains(&"cells.0.edges.0<-0.ops.4.op.2.bias")
        );
        assert!(of_edge.iter().all(|n| first.contains(&format!("cells.0.edges.0<-0.ops.{n}").as_str())));
        assert!(list.iter().any(|p| p.cancelled && p.name == "cells.1.edges.0<-0.ops.1.convs.1.bias"));
        assert!(list.iter().filter(|p| p.cancelled).all(|p| p.name.starts_with("cells.") && p.name.ends_with(".bias")));
    }

    #[test]
    fn what_the_mask_leaves_out_has_parameters_and_no_steps() {
        let space = SearchSpace::nas_bench_201();
        let config = SupernetConfig { channels: 4, cells: 1, ..Default::default() };
        let full = graph(&space, &config, &space.full_mask());
        let none = graph(&space, &config, &Mask::only(&space, &[]).unwrap());
        assert_eq!(full.params, none.params);
        let convs = |g: &Graph| g.steps.iter().filter(|s| matches!(s.op, super::super::Op::Conv { .. })).count();
        // Stem, and three a reduction; in each of three cells two on each of six edges.
        assert_eq!((convs(&none), convs(&full)), (7, 7 + 3 * 6 * 2));
    }
}
