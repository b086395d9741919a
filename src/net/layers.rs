//! The table Primitive -> layer, the blocks of a network, and the parameters of each, in state-dict order.
//!
//! Names are those of the authors' PyTorch code: `cells.0.edges.1<-0.3.op.1.weight` in NAS-Bench-201,
//! `cells.0.edges.0<-1.ops.2.op_a.op.1.weight` in the DARTS space. May use: `space`, `ops::window`.

use super::{Role, SupernetConfig};
use crate::ops::window::Window;
use crate::space::primitive::{Form, strides};
use crate::space::{Candidate, Edge, Primitive, SearchSpace, Topology};

/// Average or maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// Over the valid pixels.
    Average,
    /// The first maximum.
    Maximum,
}

/// What a name in the network computes. `c`, `ci`, `co`: channels (in, out); `kernel`: side; the image shrinks by `stride`.
#[allow(missing_docs, reason = "the fields are said once, above")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// The input.
    Identity,
    /// ReLU, `kernel` x `kernel` convolution, batch norm (`affine`: with running statistics; else with a cancelled bias).
    ReluConvBn { ci: usize, co: usize, kernel: usize, stride: usize, affine: bool },
    /// ReLU, convolutions of kernels (height, width) one behind the other, batch norm.
    ReluConvsBn { c: usize, kernels: &'static [(usize, usize)], stride: usize },
    /// ReLU, depthwise convolution, 1x1 convolution, batch norm.
    SepConv { c: usize, kernel: usize, stride: usize, dilation: usize },
    /// Two [`Layer::SepConv`], the second of stride 1.
    DualSepConv { c: usize, kernel: usize, stride: usize },
    /// ReLU, two 1x1 convolutions of stride 2, the second one pixel off, side by side; batch norm.
    FactorizedReduce { ci: usize, co: usize },
    /// 3x3 pool; with `norm`, batch norm without affine part behind it.
    Pool { kind: PoolKind, stride: usize, norm: bool },
    /// Standard normal draws, whatever the input.
    Noise { stride: usize },
    /// Two [`Layer::ReluConvBn`] 3x3, the first of stride 2, plus 2x2 average and 1x1 convolution of the input.
    ResidualBlock { ci: usize, co: usize },
    /// 3x3 convolution, batch norm.
    Stem { co: usize },
    /// Batch norm, ReLU.
    BnRelu { c: usize },
    /// Affine map.
    Linear { ci: usize, co: usize },
}

/// How a parameter starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform in +- 1 / sqrt(fan_in).
    Uniform {
        /// Inputs of one output.
        fan_in: usize,
    },
    /// All the same.
    Constant(f32),
}

/// A parameter before it exists.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Full name.
    pub name: String,
    /// Shape.
    pub shape: Vec<usize>,
    /// How it starts.
    pub init: Init,
    /// Trained or kept.
    pub role: Role,
    /// A bias in front of a batch norm, which cancels it: never computed with, its gradient counts as zero.
    pub cancelled: bool,
}

impl Layer {
    /// The layer of a candidate on `c` channels; none for [`Primitive::None`], whose zeros need no computing.
    pub fn of(primitive: Primitive, c: usize, stride: usize) -> Option<Self> {
        Self::of_form(primitive.form(), c, stride)
    }

    /// [`Layer::of`] a candidate in a supernet with these options.
    pub fn in_supernet(primitive: Primitive, c: usize, stride: usize, config: &SupernetConfig) -> Option<Self> {
        match Self::of(primitive, c, stride)? {
            Layer::Pool { kind, stride, .. } => Some(Layer::Pool { kind, stride, norm: config.pool_norm }),
            other => Some(other),
        }
    }

    /// The layer of a form: all that the network knows of an op.
    pub fn of_form(form: Form, c: usize, stride: usize) -> Option<Self> {
        Some(match form {
            Form::Zero => return None,
            Form::Identity if stride == 1 => Layer::Identity,
            Form::Identity => Layer::FactorizedReduce { ci: c, co: c },
            Form::Noise => Layer::Noise { stride },
            Form::AveragePool => Layer::Pool { kind: PoolKind::Average, stride, norm: false },
            Form::MaximumPool => Layer::Pool { kind: PoolKind::Maximum, stride, norm: false },
            Form::Convs(&[(kernel, width)]) if kernel == width => {
                Layer::ReluConvBn { ci: c, co: c, kernel, stride, affine: false }
            }
            Form::Convs(kernels) => Layer::ReluConvsBn { c, kernels, stride },
            Form::Separable { kernel, dilation } => Layer::SepConv { c, kernel, stride, dilation },
            Form::SeparableTwice { kernel } => Layer::DualSepConv { c, kernel, stride },
        })
    }

    /// Its parameters below `prefix`, in order.
    pub fn params(self, prefix: &str) -> Vec<ParamSpec> {
        let at = |name: &str| format!("{prefix}.{name}");
        match self {
            Layer::Identity | Layer::Pool { .. } | Layer::Noise { .. } => vec![],
            Layer::ReluConvBn { ci, co, kernel, affine, .. } => {
                let mut list = vec![conv(&at("op.1"), co, ci, kernel)];
                list.extend(if affine {
                    batch_norm(&at("op.2"), co).to_vec()
                } else {
                    vec![cancelled_bias(&at("op.1"), co, ci * kernel * kernel)]
                });
                list
            }
            Layer::ReluConvsBn { c, kernels, .. } => {
                let weight = |(i, &(h, w)): (usize, &(usize, usize))| {
                    spec(&at(&format!("op.{}.weight", i + 1)), &[c, c, h, w], Init::Uniform { fan_in: c * h * w })
                };
                kernels.iter().enumerate().map(weight).collect()
            }
            Layer::SepConv { c, kernel, .. } => {
                vec![conv(&at("op.1"), c, 1, kernel), conv(&at("op.2"), c, c, 1), cancelled_bias(&at("op.2"), c, c)]
            }
            Layer::DualSepConv { c, kernel, stride } => {
                let (a, b) = Layer::dual(c, kernel, stride);
                [a.params(&at("op_a")), b.params(&at("op_b"))].concat()
            }
            Layer::FactorizedReduce { ci, co } => [co / 2, co - co / 2]
                .into_iter()
                .enumerate()
                .map(|(i, co)| (at(&format!("convs.{i}")), co))
                .flat_map(|(name, co)| [conv(&name, co, ci, 1), cancelled_bias(&name, co, ci)])
                .collect(),
            Layer::ResidualBlock { ci, co } => {
                let (a, b) = Layer::residual(ci, co);
                [a.params(&at("conv_a")), b.params(&at("conv_b")), vec![conv(&at("downsample.1"), co, ci, 1)]].concat()
            }
            Layer::Stem { co } => [vec![conv(&at("0"), co, 3, 3)], batch_norm(&at("1"), co).to_vec()].concat(),
            Layer::BnRelu { c } => batch_norm(&at("0"), c).to_vec(),
            Layer::Linear { ci, co } => vec![
                spec(&at("weight"), &[co, ci], Init::Uniform { fan_in: ci }),
                spec(&at("bias"), &[co], Init::Uniform { fan_in: ci }),
            ],
        }
    }

    /// The two halves (`op_a`, `op_b`) of a [`Layer::DualSepConv`].
    pub fn dual(c: usize, kernel: usize, stride: usize) -> (Layer, Layer) {
        let half = |stride| Layer::SepConv { c, kernel, stride, dilation: 1 };
        (half(stride), half(1))
    }

    /// The windows (down, across) of the convolutions of a [`Layer::ReluConvsBn`].
    pub fn windows(kernels: &[(usize, usize)], stride: usize) -> Vec<[Window; 2]> {
        let strides = strides(kernels, stride);
        let windows = kernels.iter().zip(strides);
        windows.map(|(&(h, w), (down, across))| [Window::same(h, down, 1), Window::same(w, across, 1)]).collect()
    }

    /// The two convolutions (`conv_a`, `conv_b`) of a [`Layer::ResidualBlock`].
    pub fn residual(ci: usize, co: usize) -> (Layer, Layer) {
        let half = |ci, stride| Layer::ReluConvBn { ci, co, kernel: 3, stride, affine: true };
        (half(ci, 2), half(co, 1))
    }
}

/// One of the `3 N + 2` blocks between stem and head.
#[allow(missing_docs, reason = "the fields are said at each variant")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    /// A NAS-Bench-201 cell on `c` channels.
    Cell { c: usize },
    /// A NAS-Bench-201 reduction: [`Layer::ResidualBlock`].
    Residual { ci: usize, co: usize },
    /// A DARTS cell: its two inputs have `cpp` and `cp` channels, its nodes `c`; the output has `4 c`.
    DartsCell { cpp: usize, cp: usize, c: usize, reduction: bool, reduction_before: bool },
}

impl Block {
    /// Index into [`SearchSpace::cell_types`]; none for a residual block.
    pub fn cell_type(self) -> Option<usize> {
        match self {
            Block::Cell { .. } => Some(0),
            Block::Residual { .. } => None,
            Block::DartsCell { reduction, .. } => Some(usize::from(reduction)),
        }
    }

    /// Channels of the nodes of a cell, or out of a residual block.
    pub fn channels(self) -> usize {
        match self {
            Block::Cell { c } | Block::DartsCell { c, .. } => c,
            Block::Residual { co, .. } => co,
        }
    }

    /// Stride of the candidates on an edge.
    pub fn stride(self, edge: Edge) -> usize {
        match self {
            Block::DartsCell { reduction: true, .. } if edge.from < 2 => 2,
            _ => 1,
        }
    }

    /// `preprocess0`, `preprocess1` of a DARTS cell.
    pub fn preprocess(self) -> Option<[Layer; 2]> {
        let Block::DartsCell { cpp, cp, c, reduction_before, .. } = self else { return None };
        let plain = |ci| Layer::ReluConvBn { ci, co: c, kernel: 1, stride: 1, affine: false };
        Some([if reduction_before { Layer::FactorizedReduce { ci: cpp, co: c } } else { plain(cpp) }, plain(cp)])
    }
}

/// Channels out of the stem.
pub fn stem_channels(space: &SearchSpace, config: &SupernetConfig) -> usize {
    match space.topology() {
        Topology::NasBench201 => config.channels,
        Topology::Darts => 3 * config.channels,
    }
}

/// The blocks in order: N cells at C, a reduction, N at 2C, a reduction, N at 4C.
pub fn blocks(space: &SearchSpace, config: &SupernetConfig) -> Vec<Block> {
    let (c, n) = (config.channels, config.cells);
    let stem = stem_channels(space, config);
    let (mut cpp, mut cp, mut reduction_before) = (stem, stem, false);
    let mut blocks = Vec::with_capacity(3 * n + 2);
    for i in 0..3 * n + 2 {
        let reduction = i == n || i == 2 * n + 1;
        let width = c << (usize::from(i >= n) + usize::from(i > 2 * n));
        match space.topology() {
            Topology::NasBench201 => {
                blocks.push(if reduction { Block::Residual { ci: cp, co: width } } else { Block::Cell { c: width } });
                cp = width;
            }
            Topology::Darts => {
                blocks.push(Block::DartsCell { cpp, cp, c: width, reduction, reduction_before });
                (cpp, cp, reduction_before) = (cp, space.nodes() * width, reduction);
            }
        }
    }
    blocks
}

/// Channels into the head.
pub fn head_channels(space: &SearchSpace, config: &SupernetConfig) -> usize {
    let last = 4 * config.channels;
    match space.topology() {
        Topology::NasBench201 => last,
        Topology::Darts => space.nodes() * last,
    }
}

/// Prefix of block `k`.
pub fn block_prefix(block: usize) -> String {
    format!("cells.{block}")
}

/// Prefix of a candidate in block `k`.
pub fn candidate_prefix(space: &SearchSpace, block: usize, edge: Edge, op: usize) -> String {
    match space.topology() {
        Topology::NasBench201 => format!("cells.{block}.edges.{}<-{}.{op}", edge.to, edge.from),
        // In names the intermediate nodes count from 0, without the two inputs.
        Topology::Darts => format!("cells.{block}.edges.{}<-{}.ops.{op}", edge.to - 2, edge.from),
    }
}

/// Every parameter of a supernet, in state-dict order.
pub fn params(space: &SearchSpace, config: &SupernetConfig) -> Vec<ParamSpec> {
    let mut list = Layer::Stem { co: stem_channels(space, config) }.params("stem");
    for (k, block) in blocks(space, config).into_iter().enumerate() {
        if let Block::Residual { ci, co } = block {
            list.extend(Layer::ResidualBlock { ci, co }.params(&block_prefix(k)));
            continue;
        }
        for (i, layer) in block.preprocess().into_iter().flatten().enumerate() {
            list.extend(layer.params(&format!("{}.preprocess{i}", block_prefix(k))));
        }
        for edge in space.edges() {
            for (op, &primitive) in space.ops().iter().enumerate() {
                let exists =
                    block.cell_type().is_some_and(|t| space.has(Candidate { cell_type: t, edge: edge.index, op }));
                if !exists {
                    continue;
                }
                if let Some(layer) = Layer::of(primitive, block.channels(), block.stride(edge)) {
                    list.extend(layer.params(&candidate_prefix(space, k, edge, op)));
                }
            }
        }
    }
    let c = head_channels(space, config);
    if config.head_norm {
        list.extend(Layer::BnRelu { c }.params("lastact"));
    }
    list.extend(Layer::Linear { ci: c, co: config.classes }.params("classifier"));
    list
}

pub(super) fn spec(name: &str, shape: &[usize], init: Init) -> ParamSpec {
    ParamSpec { name: name.into(), shape: shape.into(), init, role: Role::Weight, cancelled: false }
}

pub(super) fn conv(name: &str, co: usize, ci: usize, kernel: usize) -> ParamSpec {
    spec(&format!("{name}.weight"), &[co, ci, kernel, kernel], Init::Uniform { fan_in: ci * kernel * kernel })
}

fn cancelled_bias(name: &str, co: usize, fan_in: usize) -> ParamSpec {
    ParamSpec { cancelled: true, ..spec(&format!("{name}.bias"), &[co], Init::Uniform { fan_in }) }
}

pub(super) fn batch_norm(name: &str, c: usize) -> [ParamSpec; 4] {
    let constant = |leaf: &str, value: f32| spec(&format!("{name}.{leaf}"), &[c], Init::Constant(value));
    let buffer = |leaf, value| ParamSpec { role: Role::Buffer, ..constant(leaf, value) };
    [constant("weight", 1.), constant("bias", 0.), buffer("running_mean", 0.), buffer("running_var", 1.)]
}

#[cfg(test)]
mod tests {
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
            let list = params(&space, &SupernetConfig { channels, cells, ..Default::default() });
            let weights = list.iter().filter(|p| p.role == Role::Weight);
            let mut crc = flate2::Crc::new();
            for p in &list {
                crc.update(format!("{} {:?}\n", p.name, p.shape).as_bytes());
            }
            let numbers: usize = weights.map(|p| p.shape.iter().product::<usize>()).sum();
            assert_eq!((list.len(), numbers, crc.sum()), (tensors, trained, digest), "{} C={channels}", space.name());
        }
    }

    #[test]
    fn only_biases_in_front_of_a_batch_norm_without_affine_part_are_cancelled() {
        for (layer, cancelled) in [
            (Layer::of(Primitive::NorConv3x3, 4, 1).unwrap(), vec!["x.op.1.bias"]),
            (Layer::of(Primitive::SepConv3x3, 4, 2).unwrap(), vec!["x.op_a.op.2.bias", "x.op_b.op.2.bias"]),
            (Layer::of(Primitive::SkipConnect, 5, 2).unwrap(), vec!["x.convs.0.bias", "x.convs.1.bias"]),
            (Layer::ResidualBlock { ci: 4, co: 8 }, vec![]),
            (Layer::Linear { ci: 4, co: 8 }, vec![]),
        ] {
            let list = layer.params("x");
            let got: Vec<&str> = list.iter().filter(|p| p.cancelled).map(|p| p.name.as_str()).collect();
            assert_eq!(got, cancelled, "{layer:?}");
        }
    }
}
