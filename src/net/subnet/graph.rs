//! An evaluation network as data: a list of steps, each of which computes one image from earlier ones. Plain data.
//!
//! Everything else reads this list: the definition in tensor algebra, the lowering for the CPU engine, the ONNX writer.

use crate::net::layers::{ParamSpec, PoolKind};
use crate::net::program::AffineNorm;
use crate::ops::window::Window;

/// Index of a step in [`Graph::steps`]: the value it computes.
pub type Value = usize;

/// What a step computes. `x`: what it reads; positions are those of the parameters in [`Graph::params`].
#[allow(missing_docs, reason = "the fields are said once, above")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The images, `[b, 3, h, w]`.
    Input,
    /// `max(x, 0)`
    Relu { x: Value },
    /// Convolution without bias: `weight` is `[co, ci, k, k]`, or `[c, 1, k, k]` if depthwise.
    Conv { x: Value, weight: usize, window: Window, depthwise: bool },
    /// Convolution without bias by a window that is taller or wider: `weight` is `[co, ci, kh, kw]`.
    LongConv { x: Value, weight: usize, down: Window, across: Window },
    /// Affine batch norm with running statistics.
    Norm { x: Value, norm: AffineNorm },
    /// Pool over the pixels of the image: padding counts in neither kind.
    Pool { x: Value, kind: PoolKind, window: Window },
    /// The image one pixel down and to the right, zeros coming in at the end: what the second half of a factorised
    /// reduction reads.
    Offset { x: Value },
    /// Zeros, of the size of `x` divided by `stride` (rounded up).
    Zero { x: Value, stride: usize },
    /// One after the other along the channels.
    Concat { xs: Vec<Value> },
    /// Their sum.
    Sum { xs: Vec<Value> },
    /// In training, each image times 0 or 1 / keep (drop path; Larsson et al., 2017); `index` counts them.
    DropPath { x: Value, index: usize },
    /// Mean over the pixels: `[b, c, h, w]` to `[b, c]`.
    Mean { x: Value },
    /// `[b, c, 1, 1]` to `[b, c]`
    Flatten { x: Value },
    /// Affine map of `[b, c]`.
    Linear { x: Value, weight: usize, bias: usize },
}

/// A step and the channels of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it computes.
    pub op: Op,
    /// Channels.
    pub channels: usize,
}

/// A network. Steps are in an order in which they can be computed; step 0 is the input.
#[derive(Clone, Debug)]
pub struct Graph {
    /// The steps.
    pub steps: Vec<Step>,
    /// Parameters in state-dict order.
    pub params: Vec<ParamSpec>,
    /// The logits, `[b, classes]`.
    pub logits: Value,
    /// Logits of the auxiliary head, which only training computes.
    pub auxiliary: Option<Value>,
    /// Number of [`Op::DropPath`] steps.
    pub drop_paths: usize,
}

impl Op {
    /// The values it reads.
    pub fn inputs(&self) -> &[Value] {
        match self {
            Op::Input => &[],
            Op::Concat { xs } | Op::Sum { xs } => xs,
            Op::Relu { x }
            | Op::Conv { x, .. }
            | Op::LongConv { x, .. }
            | Op::Norm { x, .. }
            | Op::Pool { x, .. }
            | Op::Offset { x }
            | Op::Zero { x, .. }
            | Op::DropPath { x, .. }
            | Op::Mean { x }
            | Op::Flatten { x }
            | Op::Linear { x, .. } => std::slice::from_ref(x),
        }
    }
}

impl Graph {
    /// Which steps the logits (with `auxiliary`, those of the auxiliary head too) depend on.
    pub fn wanted(&self, auxiliary: bool) -> Vec<bool> {
        let mut wanted = vec![false; self.steps.len()];
        wanted[self.logits] = true;
        if let Some(value) = self.auxiliary.filter(|_| auxiliary) {
            wanted[value] = true;
        }
        for i in (0..self.steps.len()).rev() {
            if wanted[i] {
                self.steps[i].op.inputs().iter().for_each(|&x| wanted[x] = true);
            }
        }
        wanted
    }

    /// Whether all convolutions have square windows.
    pub fn is_square(&self) -> bool {
        !self.steps.iter().any(|step| matches!(step.op, Op::LongConv { .. }))
    }

    /// Height and width of every value for images of `h x w`; (1, 1) behind [`Op::Mean`]; 0 where a window is larger than
    /// its image.
    pub fn sizes(&self, h: usize, w: usize) -> Vec<(usize, usize)> {
        let mut sizes: Vec<(usize, usize)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let of = |x: Value| sizes[x];
            let slid = |x: Value, window: &Window| (window.outputs(of(x).0), window.outputs(of(x).1));
            sizes.push(match &step.op {
                Op::Input => (h, w),
                Op::LongConv { x, down, across, .. } => (down.outputs(of(*x).0), across.outputs(of(*x).1)),
                Op::Conv { x, window, .. } | Op::Pool { x, window, .. } => slid(*x, window),
                Op::Zero { x, stride } => (of(*x).0.div_ceil(*stride), of(*x).1.div_ceil(*stride)),
                Op::Mean { .. } | Op::Linear { .. } => (1, 1),
                other => of(other.inputs()[0]),
            });
        }
        sizes
    }
}
