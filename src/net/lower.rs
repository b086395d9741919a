//! Lowering: a search space, a size and a mask become a [`Program`].
//!
//! It goes by the [`Layer`] of each candidate, not by the name of the space. A layer that the engine has no kernel for is not
//! in [`knows`], and [`supports`] sends its space to the definition; the place to add one is [`knows`] and `Lowering::layer`.

use super::layers::{self, Block, Layer, PoolKind};
use super::program::{AffineNorm, Coef, Conv, Filter, Head, Node, Norm, Origin, Program, Term};
use super::{Params, SupernetConfig};
use crate::error::{Error, Result};
use crate::ops::conv::ConvShape;
use crate::ops::depthwise::SeparableShape;
use crate::space::{Candidate, Mask, SearchSpace};
use std::collections::HashMap;

/// Whether the engine has everything that a space needs.
pub fn supports(space: &SearchSpace) -> bool {
    let layers = space.ops().iter().flat_map(|&op| [1, 2].map(|stride| Layer::of(op, 1, stride)));
    layers.flatten().all(knows)
}

/// Whether the engine computes a candidate's layer.
fn knows(layer: Layer) -> bool {
    matches!(
        layer,
        Layer::Identity
            | Layer::ReluConvBn { .. }
            | Layer::SepConv { .. }
            | Layer::DualSepConv { .. }
            | Layer::FactorizedReduce { .. }
            | Layer::Pool { .. }
    )
}

/// The program of a supernet for images of `h x w`; with `drop_path` a scale of its own for each edge of each block and each
/// image. A space that [`supports`] denies is an error.
pub fn lower(
    space: &SearchSpace,
    config: &SupernetConfig,
    mask: &Mask,
    params: &Params,
    (h, w): (usize, usize),
    drop_path: bool,
) -> Result<Program> {
    let head = Head {
        norm: config.head_norm.then(|| affine(params, "lastact.0")).transpose()?,
        weight: params.position("classifier.weight")?,
        bias: params.position("classifier.bias")?,
        classes: config.classes,
    };
    let n_mix = space.n_edges() * space.ops().len() * space.cell_types().len();
    let mut net = Lowering { space, config, mask, params, drop_path, program: Program::new(3, h, w, head, n_mix) };
    let stem = net.stem(layers::stem_channels(space, config))?;
    let (mut s0, mut s1) = (stem, stem);
    for (k, block) in layers::blocks(space, config).into_iter().enumerate() {
        let out = match block {
            Block::Residual { co, .. } => net.residual_block(k, s1, co)?,
            _ => net.cell(k, block, [s0, s1])?,
        };
        (s0, s1) = (s1, out);
    }
    let mut program = net.program;
    for (conv, biases) in program.convs.iter().zip(&mut program.cancelled) {
        let bias = |weight| params.find(&params.at(weight).name.replace(".weight", ".bias"));
        biases.extend(conv.filter.last_weights().into_iter().filter_map(bias));
    }
    Ok(program)
}

fn affine(params: &Params, prefix: &str) -> Result<AffineNorm> {
    let at = |name: &str| params.position(&format!("{prefix}.{name}"));
    Ok(AffineNorm { gamma: at("weight")?, beta: at("bias")?, mean: at("running_mean")?, var: at("running_var")? })
}

struct Lowering<'a> {
    space: &'a SearchSpace,
    config: &'a SupernetConfig,
    mask: &'a Mask,
    params: &'a Params,
    drop_path: bool,
    program: Program,
}

/// A term of a node that may not exist yet.
enum Pending {
    Conv { src: usize, relu: bool, filter: Filter, norm: Norm },
    Copy(usize),
    AvgPool3 { src: usize, stride: usize },
}

/// The nodes made of a node of a cell, which all its edges share.
#[derive(Default)]
struct Derived(HashMap<(usize, &'static str, usize), usize>);

impl Lowering<'_> {
    fn hw(&self, node: usize) -> (usize, usize) {
        let size = self.program.nodes[node].size;
        (size.h, size.w)
    }

    /// A `k` x `k` convolution of node `src`, zero-padded so that stride 1 keeps the size.
    fn dense(&self, src: usize, co: usize, (k, stride): (usize, usize), weight: &str) -> Result<Filter> {
        let (node, (h, w)) = (&self.program.nodes[src], self.hw(src));
        let shape = ConvShape { k, stride, pad: k / 2, dilation: 1, c_in: node.channels, c_out: co, h, w };
        Ok(Filter::Dense { shape, weight: self.params.position(weight)? })
    }

    fn separable(&self, src: usize, layer: Layer, prefix: &str) -> Result<Filter> {
        let Layer::SepConv { c, kernel: k, stride, dilation } = layer else { return Err(unknown(layer)) };
        let (h, w) = self.hw(src);
        let at = |name: &str| self.params.position(&format!("{prefix}.{name}.weight"));
        let shape = SeparableShape { k, stride, dilation, c_in: c, c_out: c, h, w };
        Ok(Filter::Separable { shape, depthwise: at("op.1")?, pointwise: at("op.2")? })
    }

    /// What a layer that reads node `src` adds to another node, behind nodes of its own where it needs them.
    fn layer(&mut self, src: usize, layer: Layer, prefix: &str, derived: &mut Derived) -> Result<Pending> {
        Ok(match layer {
            Layer::Identity => Pending::Copy(src),
            Layer::ReluConvBn { co, kernel, stride, affine: with, .. } => {
                let filter = self.dense(src, co, (kernel, stride), &format!("{prefix}.op.1.weight"))?;
                let norm =
                    if with { Norm::Affine(affine(self.params, &format!("{prefix}.op.2"))?) } else { Norm::Batch };
                Pending::Conv { src, relu: true, filter, norm }
            }
            Layer::SepConv { .. } => {
                let filter = self.separable(src, layer, prefix)?;
                Pending::Conv { src, relu: true, filter, norm: Norm::Batch }
            }
            Layer::DualSepConv { c, kernel, stride } => {
                let (a, b) = Layer::dual(c, kernel, stride);
                let first = self.layer(src, a, &format!("{prefix}.op_a"), derived)?;
                let (h, w) = self.hw(src);
                let middle = self.program.add_sum(c, (h.div_ceil(stride), w.div_ceil(stride)));
                self.add(middle, first, Coef::One);
                self.layer(middle, b, &format!("{prefix}.op_b"), derived)?
            }
            Layer::FactorizedReduce { ci, co } => {
                let halves = self.derived(derived, Origin::Halves(src));
                let (h, w) = self.hw(halves);
                let shape = ConvShape { k: 1, stride: 1, pad: 0, dilation: 1, c_in: 2 * ci, c_out: co, h, w };
                let at = |i: usize| self.params.position(&format!("{prefix}.convs.{i}.weight"));
                let filter = Filter::Halves { shape, weights: [at(0)?, at(1)?] };
                Pending::Conv { src: halves, relu: true, filter, norm: Norm::Batch }
            }
            Layer::Pool { kind, stride, norm: true } => Pending::Copy(self.normed_pool(derived, src, kind, stride)),
            Layer::Pool { kind: PoolKind::Average, stride, .. } => Pending::AvgPool3 { src, stride },
            Layer::Pool { kind: PoolKind::Maximum, stride, .. } => {
                Pending::Copy(self.derived(derived, Origin::MaxPool3 { src, stride }))
            }
            other => return Err(unknown(other)),
        })
    }

    fn derived(&mut self, derived: &mut Derived, origin: Origin) -> usize {
        let key = match origin {
            Origin::Halves(src) => (src, "halves", 2),
            Origin::MaxPool3 { src, stride } => (src, "max", stride),
            _ => return self.program.add_derived(origin),
        };
        *derived.0.entry(key).or_insert_with(|| self.program.add_derived(origin))
    }

    /// A pool behind its batch norm, once for all edges out of `src`: they would all have the same statistics.
    fn normed_pool(&mut self, derived: &mut Derived, src: usize, kind: PoolKind, stride: usize) -> usize {
        let key = (src, if kind == PoolKind::Average { "normed average" } else { "normed max" }, stride);
        if let Some(&node) = derived.0.get(&key) {
            return node;
        }
        let Node { channels, size, .. } = self.program.nodes[src];
        let out = size.strided(stride);
        let node = self.program.add_sum(channels, (out.h, out.w));
        let filter = Filter::Pool { kind, size, stride };
        self.add(node, Pending::Conv { src, relu: false, filter, norm: Norm::Batch }, Coef::One);
        derived.0.insert(key, node);
        node
    }

    fn add(&mut self, dst: usize, term: Pending, coef: Coef) {
        match term {
            Pending::Conv { src, relu, filter, norm } => {
                self.program.add_conv(Conv { src, dst, relu, filter, norm }, coef);
            }
            Pending::Copy(src) => self.program.add_term(dst, Term::Copy { src, coef }),
            Pending::AvgPool3 { src, stride } => self.program.add_term(dst, Term::AvgPool3 { src, stride, coef }),
        }
    }

    fn stem(&mut self, channels: usize) -> Result<usize> {
        let filter = self.dense(0, channels, (3, 1), "stem.0.weight")?;
        let norm = Norm::Affine(affine(self.params, "stem.1")?);
        let out = self.program.add_sum(channels, self.hw(0));
        self.add(out, Pending::Conv { src: 0, relu: false, filter, norm }, Coef::One);
        Ok(out)
    }

    /// `conv1x1(avg_pool2x2(x)) + bn(conv3x3(relu(bn(conv3x3 stride 2(relu(x))))))`
    fn residual_block(&mut self, k: usize, x: usize, channels: usize) -> Result<usize> {
        let (prefix, (h, w)) = (layers::block_prefix(k), self.hw(x));
        let (a, b) = Layer::residual(self.program.nodes[x].channels, channels);
        let pooled = self.program.add_derived(Origin::AvgPool2(x));
        let first = self.layer(x, a, &format!("{prefix}.conv_a"), &mut Derived::default())?;
        let middle = self.program.add_sum(channels, (h.div_ceil(2), w.div_ceil(2)));
        self.add(middle, first, Coef::One);
        let second = self.layer(middle, b, &format!("{prefix}.conv_b"), &mut Derived::default())?;
        let out = self.program.add_sum(channels, self.hw(middle));
        self.add(out, second, Coef::One);
        let filter = self.dense(pooled, channels, (1, 1), &format!("{prefix}.downsample.1.weight"))?;
        self.add(out, Pending::Conv { src: pooled, relu: false, filter, norm: Norm::None }, Coef::One);
        Ok(out)
    }

    /// The output of a cell. What reads a node is lowered right behind it, so that it is computed while the node is in cache
    /// and gradients between them live shortly.
    fn cell(&mut self, k: usize, block: Block, inputs: [usize; 2]) -> Result<usize> {
        let mut nodes = self.inputs(k, block, inputs)?;
        let (n_inputs, c) = (nodes.len(), block.channels());
        let (h, w) = self.hw(nodes[0]);
        let halved = matches!(block, Block::DartsCell { reduction: true, .. });
        let hw = if halved { (h.div_ceil(2), w.div_ceil(2)) } else { (h, w) };
        let mut pending: Vec<(usize, Pending, Coef)> = Vec::new();
        for from in 0..n_inputs {
            self.candidates(k, block, from, &nodes, &mut pending)?;
        }
        for to in n_inputs..n_inputs + self.space.nodes() {
            nodes.push(self.program.add_sum(c, hw));
            self.program.nodes[nodes[to]].mixed = self.mixed(block, to);
            let (ready, later): (Vec<_>, Vec<_>) = pending.into_iter().partition(|(dst, ..)| *dst == to);
            pending = later;
            for (_, term, coef) in ready {
                self.add(nodes[to], term, coef);
            }
            self.candidates(k, block, to, &nodes, &mut pending)?;
        }
        Ok(match block {
            Block::DartsCell { .. } => self.program.add_derived(Origin::Concat(nodes.split_off(n_inputs))),
            _ => nodes[n_inputs + self.space.nodes() - 1],
        })
    }

    fn inputs(&mut self, k: usize, block: Block, inputs: [usize; 2]) -> Result<Vec<usize>> {
        let Some(layers) = block.preprocess() else { return Ok(vec![inputs[1]]) };
        let mut terms = Vec::new();
        for (i, (layer, x)) in layers.into_iter().zip(inputs).enumerate() {
            let prefix = format!("{}.preprocess{i}", layers::block_prefix(k));
            terms.push(self.layer(x, layer, &prefix, &mut Derived::default())?);
        }
        let mut nodes = Vec::new();
        for term in terms {
            let Pending::Conv { src, .. } = term else { return Err(unknown(layers[0])) };
            let node = self.program.add_sum(block.channels(), self.hw(src));
            self.add(node, term, Coef::One);
            nodes.push(node);
        }
        Ok(nodes)
    }

    /// The mixing weights of the live candidates into node `to` of a cell.
    fn mixed(&self, block: Block, to: usize) -> Vec<usize> {
        let live = |c: &Candidate| block.cell_type() == Some(c.cell_type) && self.mask.is_alive(*c);
        let edges = self.space.edges();
        let into = |c: &Candidate| edges[c.edge].to == to;
        self.space.candidates().into_iter().filter(live).filter(into).map(|c| self.place(c)).collect()
    }

    /// Where the mixing weight of a candidate is among all of them.
    fn place(&self, c: Candidate) -> usize {
        (c.cell_type * self.space.n_edges() + c.edge) * self.space.ops().len() + c.op
    }

    /// The live candidates out of node `from` of a cell.
    fn candidates(
        &mut self,
        k: usize,
        block: Block,
        from: usize,
        nodes: &[usize],
        pending: &mut Vec<(usize, Pending, Coef)>,
    ) -> Result<()> {
        let Some(cell_type) = block.cell_type() else { return Ok(()) };
        let mut derived = Derived::default();
        for edge in self.space.edges().into_iter().filter(|e| e.from == from) {
            for (op, &primitive) in self.space.ops().iter().enumerate() {
                let candidate = Candidate { cell_type, edge: edge.index, op };
                let alive = self.mask.is_alive(candidate);
                let layer = Layer::in_supernet(primitive, block.channels(), block.stride(edge), self.config);
                if let Some(layer) = layer.filter(|_| alive) {
                    let prefix = layers::candidate_prefix(self.space, k, edge, op);
                    let term = self.layer(nodes[from], layer, &prefix, &mut derived)?;
                    let (mix, image) = (self.place(candidate), k * self.space.n_edges() + edge.index);
                    let coef = if self.drop_path { Coef::MixImage { mix, image } } else { Coef::Mix(mix) };
                    pending.push((edge.to, term, coef));
                }
            }
        }
        Ok(())
    }
}

fn unknown(layer: Layer) -> Error {
    Error::invalid("layer of the CPU engine", format!("{layer:?}"), "one that it has a kernel for")
}
