//! The readable forward pass of a supernet in candle tensor algebra: runs on every device, differentiable by candle's
//! autograd in every weight and mixing weight. The oracle of faster engines. May use: `layers`, `ops::*::tensor`.

use super::layers::{self, Block, Layer, PoolKind};
use super::{DropPath, Mode, Param, Params, Paths, SupernetConfig};
use crate::error::Result;
use crate::interrupt;
use crate::ops::poll::poll;
use crate::ops::window::Window;
use crate::ops::{batch_norm, conv, head, linear_sum, noise, pool, relu};
use crate::space::{Candidate, Edge, Mask, Primitive, SearchSpace};
use candle_core::{DType, Tensor};
use std::cell::Cell;

/// Sees the output of each live candidate: index of the block, the candidate, `[b, c, h, w]`; `None` stands for zeros.
pub type Probe<'a> = &'a mut dyn FnMut(usize, Candidate, Option<&Tensor>) -> Result<()>;

/// One forward pass.
pub struct Definition<'a> {
    /// The space.
    pub space: &'a SearchSpace,
    /// The size.
    pub config: &'a SupernetConfig,
    /// Weights and buffers.
    pub params: &'a Params,
    /// Which candidates are alive.
    pub mask: &'a Mask,
    /// Train or eval.
    pub mode: Mode,
    /// Which of those alive are computed.
    pub paths: Paths,
    /// Which edges are left out for which images; drop paths are numbered block by block, edge by edge.
    pub drop: Option<&'a DropPath>,
    /// Whether gradients will be asked for; without, no graph is kept.
    pub track: bool,
    /// What it computes in: f64 as an oracle (parameters and results stay f32).
    pub dtype: DType,
    /// What the draws of `noise` ops follow from, besides their place: the seed and the images.
    pub draws: Cell<u64>,
}

/// Mixing weights, and which of the candidates are computed.
struct Mixing {
    weights: Vec<Tensor>,
    drawn: Mask,
}

/// A node, as far as it has been added up.
#[derive(Default)]
struct Sum {
    outputs: Option<Tensor>,
    /// Weights of candidates that are not computed: `[1, 1, 1, 1]`, zero in value.
    ghosts: Option<Tensor>,
}

impl Definition<'_> {
    /// Logits `[b, classes]` of `x: [b, 3, h, w]`, in [`Definition::dtype`]; `mixing`: one `[edges, ops]` tensor per cell type.
    pub fn forward(&self, x: &Tensor, mixing: &[Tensor], mut probe: Option<Probe>) -> Result<Tensor> {
        if self.space.ops().contains(&Primitive::Noise) {
            self.draws.set(noise::key(x, self.config.seed)?);
        }
        let mixing = Mixing { drawn: self.drawn(mixing)?, weights: self.in_dtype(mixing)? };
        let x = x.to_dtype(self.dtype)?;
        let stem = self.layer(Layer::Stem { co: layers::stem_channels(self.space, self.config) }, "stem", &x)?;
        let (mut s0, mut s1) = (stem.clone(), stem);
        for (k, block) in layers::blocks(self.space, self.config).into_iter().enumerate() {
            interrupt::check()?;
            let out = match block {
                Block::Residual { ci, co } => {
                    self.layer(Layer::ResidualBlock { ci, co }, &layers::block_prefix(k), &s1)?
                }
                _ => self.cell(k, block, [&s0, &s1], &mixing, &mut probe)?,
            };
            (s0, s1) = (s1, out);
        }
        let c = layers::head_channels(self.space, self.config);
        let features = if self.config.head_norm { self.layer(Layer::BnRelu { c }, "lastact", &s1)? } else { s1 };
        self.layer(Layer::Linear { ci: c, co: self.config.classes }, "classifier", &features)
    }

    /// The candidates that are computed.
    fn drawn(&self, mixing: &[Tensor]) -> Result<Mask> {
        let mut drawn = self.mask.clone();
        if self.paths != Paths::All {
            let weights = mixing.iter().map(|m| m.to_dtype(DType::F32)?.to_vec2::<f32>());
            let weights = weights.collect::<candle_core::Result<Vec<_>>>()?;
            let zero = |c: &Candidate| weights[c.cell_type][c.edge][c.op] == 0.0;
            self.mask.alive().into_iter().filter(zero).try_for_each(|c| drawn.drop(c))?;
        }
        Ok(drawn)
    }

    fn in_dtype(&self, tensors: &[Tensor]) -> Result<Vec<Tensor>> {
        Ok(tensors.iter().map(|t| t.to_dtype(self.dtype)).collect::<candle_core::Result<_>>()?)
    }

    /// A cell: every node is the sum over its edges of mixed ops.
    fn cell(
        &self,
        k: usize,
        block: Block,
        inputs: [&Tensor; 2],
        mixing: &Mixing,
        probe: &mut Option<Probe>,
    ) -> Result<Tensor> {
        let mut nodes: Vec<Tensor> = match block.preprocess() {
            Some(pre) => pre
                .iter()
                .zip(inputs)
                .enumerate()
                .map(|(i, (&layer, x))| self.layer(layer, &format!("{}.preprocess{i}", layers::block_prefix(k)), x))
                .collect::<Result<_>>()?,
            None => vec![inputs[1].clone()],
        };
        let n_inputs = nodes.len();
        for to in n_inputs..n_inputs + self.space.nodes() {
            let mut sum = Sum::default();
            for edge in self.space.edges().into_iter().filter(|e| e.to == to) {
                self.mixed_op(k, block, edge, &nodes[edge.from], mixing, &mut sum, probe)?;
            }
            // Nothing but `none` alive on all its edges: zeros, of the size that the node would have.
            let node = match sum.outputs {
                Some(outputs) => outputs,
                None => self.zeros(block, &nodes[0])?,
            };
            nodes.push(match sum.ghosts {
                Some(ghosts) => node.broadcast_add(&ghosts)?,
                None => node,
            });
        }
        Ok(match block {
            Block::DartsCell { .. } => Tensor::cat(&nodes[n_inputs..], 1)?,
            _ => nodes.swap_remove(n_inputs + self.space.nodes() - 1),
        })
    }

    /// Adds `sum_o w[e, o] o(x)` of the live candidates of an edge to `sum`; those that are not drawn as [`Paths`] says.
    #[allow(clippy::too_many_arguments)]
    fn mixed_op(
        &self,
        k: usize,
        block: Block,
        edge: Edge,
        x: &Tensor,
        mixing: &Mixing,
        sum: &mut Sum,
        probe: &mut Option<Probe>,
    ) -> Result<()> {
        let Some(cell_type) = block.cell_type() else { return Ok(()) };
        for (op, &primitive) in self.space.ops().iter().enumerate() {
            let candidate = Candidate { cell_type, edge: edge.index, op };
            if !self.mask.is_alive(candidate) {
                continue;
            }
            let weight = mixing.weights[cell_type].narrow(0, edge.index, 1)?.narrow(1, op, 1)?;
            if !mixing.drawn.is_alive(candidate) {
                if self.paths == Paths::DrawnWithGhosts {
                    let weight = weight.reshape((1, 1, 1, 1))?;
                    sum.ghosts = Some(sum.ghosts.take().map_or(Ok(weight.clone()), |ghosts| ghosts + &weight)?);
                }
                continue;
            }
            let y = Layer::in_supernet(primitive, block.channels(), block.stride(edge), self.config)
                .map(|layer| self.layer(layer, &layers::candidate_prefix(self.space, k, edge, op), x))
                .transpose()?;
            if let Some(probe) = probe {
                probe(k, candidate, y.as_ref())?;
            }
            if let Some(y) = y {
                let y = match self.drop {
                    None => y,
                    Some(drop) => {
                        let factors: Vec<f32> = drop.factors(k * self.space.n_edges() + edge.index).collect();
                        let factors = Tensor::from_vec(factors, (y.dim(0)?, 1, 1, 1), y.device())?;
                        y.broadcast_mul(&factors.to_dtype(self.dtype)?)?
                    }
                };
                sum.outputs = Some(linear_sum::tensor::add_weighted(sum.outputs.take(), &y, &weight)?);
            }
        }
        Ok(())
    }

    fn zeros(&self, block: Block, input: &Tensor) -> Result<Tensor> {
        let (b, c, h, w) = input.dims4()?;
        let stride = if matches!(block, Block::DartsCell { reduction: true, .. }) { 2 } else { 1 };
        Ok(Tensor::zeros((b, c, h.div_ceil(stride), w.div_ceil(stride)), self.dtype, input.device())?)
    }

    /// What a layer computes.
    fn layer(&self, layer: Layer, prefix: &str, x: &Tensor) -> Result<Tensor> {
        let at = |name: &str| format!("{prefix}.{name}");
        Ok(match layer {
            Layer::Identity => x.clone(),
            Layer::ReluConvBn { kernel, stride, affine, .. } => {
                let y = self.conv(&at("op.1"), &relu::tensor::relu(x)?, Window::same(kernel, stride, 1))?;
                if affine { self.batch_norm(&at("op.2"), &y)? } else { batch_norm::tensor::batch_norm(&y)? }
            }
            Layer::ReluConvsBn { kernels, stride, .. } => {
                let mut y = relu::tensor::relu(x)?;
                for (i, [down, across]) in Layer::windows(kernels, stride).into_iter().enumerate() {
                    let weight = self.weight(&at(&format!("op.{}.weight", i + 1)))?;
                    y = conv::tensor::conv2d_of(&y, &weight, down, across).map_err(interrupt::or)?;
                }
                batch_norm::tensor::batch_norm(&y)?
            }
            Layer::SepConv { kernel, stride, dilation, .. } => {
                let depthwise = self.weight(&at("op.1.weight"))?;
                let window = Window::same(kernel, stride, dilation);
                let x = relu::tensor::relu(x)?;
                let y = conv::tensor::depthwise_conv2d(&x, &depthwise, window).map_err(interrupt::or)?;
                batch_norm::tensor::batch_norm(&self.conv(&at("op.2"), &y, Window::same(1, 1, 1))?)?
            }
            Layer::DualSepConv { c, kernel, stride } => {
                let (a, b) = Layer::dual(c, kernel, stride);
                self.layer(b, &at("op_b"), &self.layer(a, &at("op_a"), x)?)?
            }
            Layer::FactorizedReduce { .. } => {
                let (_, _, h, w) = x.dims4()?;
                let x = relu::tensor::relu(x)?;
                let off = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.narrow(2, 1, h)?.narrow(3, 1, w)?;
                let halves = [(x, "convs.0"), (off, "convs.1")];
                let halves: Result<Vec<Tensor>> =
                    halves.iter().map(|(x, name)| self.conv(&at(name), x, Window::same(1, 2, 1))).collect();
                batch_norm::tensor::batch_norm(&Tensor::cat(&halves?, 1)?)?
            }
            Layer::Pool { kind, stride, norm } => {
                let y = match kind {
                    PoolKind::Average => pool::tensor::avg_pool3(x, stride)?,
                    PoolKind::Maximum => pool::tensor::max_pool3(x, stride)?,
                };
                if norm { batch_norm::tensor::batch_norm(&y)? } else { y }
            }
            Layer::Noise { stride } => {
                let (b, c, h, w) = x.dims4()?;
                let shape = [b, c, h.div_ceil(stride), w.div_ceil(stride)];
                noise::draw(self.draws.get(), prefix, &shape, x.device())?.to_dtype(self.dtype)?
            }
            Layer::ResidualBlock { ci, co } => {
                let (a, b) = Layer::residual(ci, co);
                let main = self.layer(b, &at("conv_b"), &self.layer(a, &at("conv_a"), x)?)?;
                let shortcut = self.conv(&at("downsample.1"), &pool::tensor::avg_pool2(x)?, Window::same(1, 1, 1))?;
                (shortcut + main)?
            }
            Layer::Stem { .. } => self.batch_norm(&at("1"), &self.conv(&at("0"), x, Window::same(3, 1, 1))?)?,
            Layer::BnRelu { .. } => relu::tensor::relu(&self.batch_norm(&at("0"), x)?)?,
            Layer::Linear { .. } => {
                let (weight, bias) = (self.weight(&at("weight"))?, self.weight(&at("bias"))?);
                head::tensor::linear(&head::tensor::global_mean(x)?, &weight, &bias)?
            }
        })
    }

    /// Biases in front of a batch norm are left out, for it cancels them; unless they are not finite, which the weights of the
    /// channel then are, too.
    fn conv(&self, prefix: &str, x: &Tensor, window: Window) -> Result<Tensor> {
        let mut weight = self.weight(&format!("{prefix}.weight"))?;
        if let Some(bias) = self.params.find(&format!("{prefix}.bias")) {
            let bias = self.params.at(bias).var.as_detached_tensor().to_dtype(self.dtype)?;
            weight = weight.broadcast_add(&(bias.reshape(((), 1, 1, 1))? * 0.0)?)?;
        }
        conv::tensor::conv2d(x, &weight, window).map_err(interrupt::or)
    }

    fn batch_norm(&self, prefix: &str, x: &Tensor) -> Result<Tensor> {
        let at = |name: &str| format!("{prefix}.{name}");
        let (weight, bias) = (self.weight(&at("weight"))?, self.weight(&at("bias"))?);
        let (mean, var) = (self.params.get(&at("running_mean"))?, self.params.get(&at("running_var"))?);
        Ok(match self.mode {
            Mode::Train => batch_norm::tensor::batch_norm_train(x, &weight, &bias, &mean.var, &var.var)?,
            Mode::Batch => batch_norm::tensor::batch_norm_affine(x, &weight, &bias)?,
            Mode::Eval => {
                // Copies: a later pass in train mode moves the running statistics under this graph.
                let copy = |p: &Param| p.var.as_detached_tensor().copy()?.to_dtype(self.dtype);
                batch_norm::tensor::batch_norm_eval(x, &weight, &bias, &copy(mean)?, &copy(var)?)?
            }
        })
    }

    fn weight(&self, name: &str) -> Result<Tensor> {
        let var = &self.params.get(name)?.var;
        let weight = if self.track { var.as_tensor().clone() } else { var.as_detached_tensor() };
        // Every layer with weights is a place to stop at, on the way there and back.
        Ok(poll(&weight).map_err(interrupt::or)?.to_dtype(self.dtype)?)
    }
}

#[cfg(test)]
mod tests;
