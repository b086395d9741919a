//! A network as data: a list of steps, each of which computes one image from earlier ones. Plain data.
//!
//! [`supernet`] (of a space and a mask) and [`subnet`] (of the cells of a genotype) put it together out of the blocks and ops of
//! [`build`]. Everything else reads it: the definition in tensor algebra, the lowering for the CPU engine, the ONNX writer.

pub mod build;
mod coef;
pub mod spec;
pub mod subnet;
pub mod supernet;

pub use coef::Coef;
pub use spec::{Init, ParamSpec, Role};

use crate::net::ids::{ParamId, Table};
use crate::ops::window::Window;

/// Index of a step in [`Graph::steps`]: the value it computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(pub usize);

/// Average or maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolKind {
    /// Over the valid pixels.
    Average,
    /// The first maximum.
    Maximum,
}

/// What values are left out behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// A skip connection that is the identity.
    Skip,
    /// A pool.
    Pool,
}

/// The parameters of an affine batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffineNorm {
    /// `weight`
    pub gamma: ParamId,
    /// `bias`
    pub beta: ParamId,
    /// `running_mean`
    pub mean: ParamId,
    /// `running_var`
    pub var: ParamId,
}

/// A term of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// What is added.
    pub x: Value,
    /// Its weight.
    pub coef: Coef,
}

/// What a step computes. `x`: what it reads.
#[allow(missing_docs, reason = "the fields are said once, above")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The images, `[b, 3, h, w]`.
    Input,
    /// `max(x, 0)`
    Relu { x: Value },
    /// Convolution by a window that goes `down` the rows and `across` the columns: `weight` is `[co, ci, kh, kw]`, or
    /// `[c, 1, k, k]` if depthwise (and square then). A bias that a batch norm behind it cancels is not added.
    Conv { x: Value, weight: ParamId, cancelled: Option<ParamId>, down: Window, across: Window, depthwise: bool },
    /// Batch norm: affine with running statistics, or neither (then by the batch's statistics in every mode).
    Norm { x: Value, affine: Option<AffineNorm> },
    /// Pool over the pixels of the image: padding counts in neither kind.
    Pool { x: Value, kind: PoolKind, window: Window },
    /// The image one pixel down and to the right, zeros coming in at the end: what the second half of a factorised
    /// reduction reads.
    Offset { x: Value },
    /// Zeros, of the size of `x` divided by `stride` (rounded up).
    Zero { x: Value, stride: usize },
    /// Standard normal draws of that size, by the images of the batch and `place`.
    Noise { x: Value, stride: usize, place: String },
    /// One after the other along the channels.
    Concat { xs: Vec<Value> },
    /// The first `channels` of an image.
    First { x: Value, channels: usize },
    /// `first`, behind it the channels of `rest` from there on, and both shuffled: of `groups` runs of channels come the first
    /// ones, then the second ones, and so on. `first` is one of the runs.
    Shuffle { first: Value, rest: Value, groups: usize },
    /// The image itself, of which training may leave out values ([`crate::ops::dropout`]); `place` is nobody else's.
    Dropout { x: Value, place: usize, behind: Dropped },
    /// Their sum; never empty.
    Sum { terms: Vec<Term> },
    /// Mean over the pixels: `[b, c, h, w]` to `[b, c]`.
    Mean { x: Value },
    /// `[b, c, 1, 1]` to `[b, c]`
    Flatten { x: Value },
    /// Affine map of `[b, c]`.
    Linear { x: Value, weight: ParamId, bias: ParamId },
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
    /// Parameters in state-dict order, those of candidates that the mask leaves out among them.
    pub params: Table<ParamId, ParamSpec>,
    /// The logits, `[b, classes]`.
    pub logits: Value,
    /// Logits of the auxiliary head, which only training computes.
    pub auxiliary: Option<Value>,
    /// Number of mixing weights.
    pub n_mix: usize,
    /// How many of them are candidates'; the others, behind these, are weights of edges.
    pub n_candidates: usize,
    /// Number of drop paths: scales that differ from image to image.
    pub drop_paths: usize,
    /// How the engine takes the steps.
    pub order: Order,
}

/// The order in which the engine computes the steps, which decides what is in cache and how long gradients live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// In the order in which they were built.
    AsBuilt,
    /// Level by level: those that can be computed together stand together.
    ByLevel,
}

impl Op {
    /// The values it reads.
    pub fn inputs(&self) -> Vec<Value> {
        match self {
            Op::Input => vec![],
            Op::Concat { xs } => xs.clone(),
            Op::Sum { terms } => terms.iter().map(|t| t.x).collect(),
            &Op::Shuffle { first, rest, .. } => vec![first, rest],
            &(Op::Relu { x }
            | Op::Conv { x, .. }
            | Op::Norm { x, .. }
            | Op::Pool { x, .. }
            | Op::Offset { x }
            | Op::First { x, .. }
            | Op::Dropout { x, .. }
            | Op::Zero { x, .. }
            | Op::Noise { x, .. }
            | Op::Mean { x }
            | Op::Flatten { x }
            | Op::Linear { x, .. }) => vec![x],
        }
    }

    /// Whether a sum has mixing weights in it.
    fn is_mixed(&self) -> bool {
        matches!(self, Op::Sum { terms } if terms.iter().any(|t| t.coef.mix().is_some()))
    }
}

impl Graph {
    /// What step `x` computes.
    pub fn op(&self, x: Value) -> &Op {
        &self.steps[x.0].op
    }

    /// Which steps a pass computes, where a term is left out unless its weight `counts`: those that the logits (with
    /// `auxiliary`, those of the auxiliary head too) depend on; and, where what is left out cuts these off, all the same the
    /// mixed sums (whose candidates are scored) and the norms whose running statistics move.
    pub fn needed(&self, auxiliary: bool, counts: impl Fn(Coef) -> bool) -> Vec<bool> {
        let ends = |i: &usize| *i == self.logits.0 || auxiliary && self.auxiliary == Some(Value(*i));
        let all = self.behind((0..self.steps.len()).filter(|i| ends(i) || self.steps[*i].op.is_mixed()), |_| true);
        let moves = |op: &Op| matches!(op, Op::Norm { affine: Some(_), .. });
        let kept = |i: &usize| ends(i) || all[*i] && (self.steps[*i].op.is_mixed() || moves(&self.steps[*i].op));
        self.behind((0..self.steps.len()).filter(kept), counts)
    }

    fn behind(&self, ends: impl Iterator<Item = usize>, counts: impl Fn(Coef) -> bool) -> Vec<bool> {
        let mut behind = vec![false; self.steps.len()];
        ends.for_each(|i| behind[i] = true);
        for i in (0..self.steps.len()).rev().filter(|i| *i > 0) {
            match &self.steps[i].op {
                _ if !behind[i] => {}
                Op::Sum { terms } => terms.iter().filter(|t| counts(t.coef)).for_each(|t| behind[t.x.0] = true),
                op => op.inputs().into_iter().for_each(|x| behind[x.0] = true),
            }
        }
        behind
    }

    /// Whether the CPU engine has a kernel for every step: windows of convolutions are square, and nothing is drawn.
    pub fn is_on_engine(&self) -> bool {
        !self.steps.iter().any(|step| match &step.op {
            Op::Conv { down, across, .. } => down != across,
            op => matches!(op, Op::Noise { .. }),
        })
    }

    /// Height and width of every value for images of `h x w`; (1, 1) behind [`Op::Mean`]; 0 where a window is larger than
    /// its image.
    pub fn sizes(&self, h: usize, w: usize) -> Vec<(usize, usize)> {
        let mut sizes: Vec<(usize, usize)> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let of = |x: &Value| sizes[x.0];
            sizes.push(match &step.op {
                Op::Input => (h, w),
                Op::Conv { x, down, across, .. } => (down.outputs(of(x).0), across.outputs(of(x).1)),
                Op::Pool { x, window, .. } => (window.outputs(of(x).0), window.outputs(of(x).1)),
                Op::Zero { x, stride } | Op::Noise { x, stride, .. } => {
                    (of(x).0.div_ceil(*stride), of(x).1.div_ceil(*stride))
                }
                Op::Mean { .. } | Op::Linear { .. } => (1, 1),
                Op::Sum { terms } => of(&terms[0].x),
                Op::Concat { xs } => of(&xs[0]),
                Op::Shuffle { first, .. } => of(first),
                Op::Relu { x }
                | Op::Norm { x, .. }
                | Op::Offset { x }
                | Op::First { x, .. }
                | Op::Dropout { x, .. }
                | Op::Flatten { x } => of(x),
            });
        }
        sizes
    }

    /// Pixels of the smallest image that a batch norm of training takes the statistics of, of images of `h x w`.
    pub fn least_pixels(&self, h: usize, w: usize) -> usize {
        let (sizes, needed) = (self.sizes(h, w), self.needed(true, |_| true));
        let norm = |i: &usize| needed[*i] && matches!(self.steps[*i].op, Op::Norm { .. });
        (0..sizes.len()).filter(norm).map(|i| sizes[i].0 * sizes[i].1).min().unwrap_or(usize::MAX)
    }
}
