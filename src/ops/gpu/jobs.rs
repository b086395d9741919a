//! What kernels are told, the same as in `jobs.cuh`, which says what each field means. Plain data; addresses are those of the device.

use super::Arithmetic;
use bytemuck::{Pod, Zeroable};

/// An address on the device; 0 is none.
pub type Address = u64;

/// Makes the structs of `jobs.cuh`: all fields public, zero by default.
macro_rules! structs {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
        #[allow(missing_docs, reason = "jobs.cuh says what they are")]
        pub struct $name { $(pub $field: $type,)+ }
    )+

        /// The size of each in bytes, by name.
        pub const SIZES: &[(&str, usize)] = &[$((stringify!($name), size_of::<$name>()),)+];
    };
}

structs! {
    /// What a pass is like.
    Pass { mode: i32, images: i32, lr: f32, momentum: f32, decay: f32, clip: f32, nesterov: i32, drawn: i32, smoothing: f32, unused: i32, }
    /// An image as a convolution reads it.
    Source { x: Address, a: Address, t: Address, relu: i32, unused: i32, }
    /// The gradient at a convolution's output.
    Gradient { dy: Address, z: Address, a: Address, b: Address, g: Address, r: Address, }
    /// A window over an image.
    Window {
        b: i32, h: i32, w: i32, c: i32, oh: i32, ow: i32, oc: i32, k: i32, stride: i32, pad: i32, dilation: i32, unused: i32,
    }
    /// A norm on its way forward.
    Norm {
        kind: i32, channels: i32, gamma: Address, beta: Address, running_mean: Address, running_var: Address,
        new_mean: Address, new_var: Address, bias: [Address; 2], first: i32, unused: i32, mean: Address, istd: Address, a: Address, t: Address,
    }
    /// Sums over a batch.
    Sums { parts: Address, done: Address, }
    /// A norm on its way back.
    NormGradient {
        kind: i32, channels: i32, mean: Address, istd: Address, gamma: Address, beta: Address, mix: Address,
        a: Address, b: Address, g: Address, dgamma: Address, dbeta: Address, dmix: Address,
    }
    /// Packs weights.
    PackJob {
        kind: i32, k: i32, ci: i32, co: i32, ci_p: i32, co_p: i32, w: [Address; 2], forward: Address, backward: Address,
    }
    /// A dense convolution, forward.
    ConvForwardOf { weights: Address, z: Address, norm: Norm, live: Address, }
    /// Dense convolutions of one image.
    ConvForwardJob {
        x: Source, window: Window, of: Address, sums: Sums, n_of: i32, tiles: i32, blocks: i32, split: i32, staged: i32, unused: i32, }
    /// A dense convolution that reads a node.
    ConvInputPart { dz: Gradient, window: Window, weights: Address, live: Address, }
    /// What comes back through dense convolutions.
    ConvInputJob {
        x: Source, b: i32, h: i32, w: i32, c: i32, dx: Address, parts: Address, n_parts: i32, add: i32, blocks: i32, split: i32,
        staged: i32, unused: i32, live: Address, }
    /// The weights' gradient of a dense convolution.
    ConvWeightJob {
        x: Source, dz: Gradient, window: Window, kind: i32, ci: i32, co: i32, splits: i32, parts: Address, done: Address,
        dw: [Address; 2], blocks: i32, staged: i32, pixels: i32, unused: i32, live: Address, }
    /// A separable convolution, forward.
    SeparableForwardJob {
        x: Source, window: Window, depthwise: Address, pointwise: Address, z: Address, sums: Sums, norm: Norm, blocks: i32,
        each: i32, live: Address, }
    /// A separable convolution, back to its middle.
    SeparableInnerJob {
        x: Source, dz: Gradient, window: Window, depthwise: Address, pointwise: Address, da: Address, ci: i32, co: i32,
        splits: i32, unused: i32, parts: Address, done: Address, dw: Address, blocks: i32, unused2: i32, live: Address, }
    /// A separable convolution that reads a node.
    SeparableInputPart { window: Window, da: Address, depthwise: Address, live: Address, }
    /// What comes back through separable convolutions.
    SeparableInputJob {
        x: Source, b: i32, h: i32, w: i32, c: i32, dx: Address, parts: Address, n_parts: i32, add: i32, blocks: i32, unused: i32, live: Address, }
    /// The depthwise weights' gradient.
    SeparableTapJob {
        x: Source, window: Window, da: Address, ci: i32, splits: i32, parts: Address, done: Address, dw: Address, blocks: i32,
        unused: i32, live: Address, }
    /// A node made of another one.
    DeriveJob {
        kind: i32, b: i32, h: i32, w: i32, c: i32, sh: i32, sw: i32, sc: i32, channels: i32, stride: i32, at: i32, width: i32,
        x: Address, y: Address, choice: Address, blocks: i32, unused: i32, live: Address, }
    /// A pool before a norm.
    PoolForwardJob {
        x: Address, window: Window, kind: i32, unused: i32, z: Address, choice: Address, sums: Sums, norm: Norm, blocks: i32,
        each: i32, live: Address, }
    /// A term of a node.
    FillTerm {
        kind: i32, h: i32, w: i32, stride: i32, x: Address, a: Address, t: Address, mix: Address, scale: Address,
    }
    /// A node as a sum.
    FillJob { b: i32, h: i32, w: i32, c: i32, x: Address, terms: Address, n_terms: i32, blocks: i32, live: Address, }
    /// What arrives at a node from one made of it.
    GatherSource {
        kind: i32, h: i32, w: i32, c: i32, stride: i32, at: i32, channels: i32, unused: i32, dz: Gradient, mix: Address,
        choice: Address, live: Address, }
    /// A number by channel.
    GatherRow { left: i32, source: i32, right: Address, r: Address, mean: Address, }
    /// A convolution that is a term of the node.
    GatherTerm { sum: i32, dot: i32, norm: NormGradient, }
    /// The gradient of the weight before a copy or a pool.
    GatherDot { row: i32, unused: i32, dmix: Address, }
    /// The gradient of a node.
    GatherJob {
        b: i32, h: i32, w: i32, c: i32, channels: i32, each: i32, base: Address, x: Address, dx: Address,
        sources: Address, rows: Address, terms: Address, dots: Address, ghost: Address,
        n_sources: i32, n_rows: i32, n_terms: i32, n_dots: i32, n_averages: i32, tiles: i32, sums: Sums, blocks: i32, n_plain: i32, live: Address, }
    /// The gradient of the mixing weights.
    MixJob { start: Address, slots: Address, values: Address, out: Address, n: i32, blocks: i32, }
    /// Two launches as one.
    SideBySide {
        first: Address, first_work: Address, second: Address, second_work: Address, n_first: i32, blocks: i32, shared: i32,
        unused: i32,
    }
    /// The norm of an image's channels.
    MomentsJob { x: Address, pixels: i32, c: i32, sums: Sums, norm: Norm, blocks: i32, each: i32, }
    /// Logits.
    HeadJob {
        b: i32, pixels: i32, c: i32, channels: i32, classes: i32, unused: i32, x: Address, a: Address, t: Address,
        weight: Address, bias: Address, pooled: Address, logits: Address, blocks: i32, unused2: i32,
    }
    /// The head on the way back.
    HeadBackJob {
        b: i32, pixels: i32, c: i32, channels: i32, classes: i32, unused: i32, x: Address, a: Address, t: Address,
        weight: Address, pooled: Address, dlogits: Address, dn: Address, dweight: Address, dbias: Address, sums: Sums,
        norm: NormGradient, weight_blocks: i32, blocks: i32,
    }
    /// What the auxiliary head reads.
    TapJob { x: Address, window: Window, channels: i32, unused: i32, y: Address, blocks: i32, unused2: i32, }
    /// Cross-entropy.
    LossJob {
        b: i32, classes: i32, logits: Address, labels: Address, dlogits: Address, loss: Address,
        blocks: i32, unused2: i32,
    }
    /// A candidate's score.
    ScoreJob {
        x: Address, a: Address, t: Address, b: i32, h: i32, w: i32, c: i32, channels: i32, stride: i32, sh: i32, sw: i32,
        parts: Address, done: Address, score: Address, blocks: i32, unused: i32,
    }
    /// What clipping came to.
    SgdState { norm: f64, scale: f32, finite: i32, }
    /// A weight's step.
    SgdJob {
        w: Address, m: Address, g: Address, n: i32, first: i32, parts: Address, done: Address, state: Address,
        all_blocks: i32, blocks: i32, live: Address,
    }
    /// Running statistics.
    CommitJob { from: Address, to: Address, n: i32, all: i32, spoiled: Address, done: Address, state: Address, }
}

/// A job of a kernel: which one, how many blocks, and how many bytes of shared memory a block has.
pub trait Job: Pod {
    /// The kernel.
    const KERNEL: &'static str;
    /// Blocks.
    fn blocks(&self) -> u32;
    /// Bytes.
    fn shared(&self, arithmetic: Arithmetic) -> u32;
}

/// Blocks that fill a large card: two for each of 132 multiprocessors.
pub const WAVE: usize = 264;
/// Threads of every block.
const THREADS: u32 = 256;
/// Bytes of an int at the end, by which a block sees whether it is the last.
const FLAG: u32 = 16;
/// Bytes that sums over lanes take (rows.cuh).
const ROWS: u32 = 4 * THREADS * 16;
/// Blocks of all jobs and groups together: three for each of 132 multiprocessors.
const SHARES: usize = 396;
/// Blocks of a bunch (rows.cuh).
const BUNCH: usize = 16;
/// Channels that sums are made of side by side (rows.cuh).
pub const GROUP: usize = 64;

/// `ceil(numbers / each)`.
pub fn blocks_of(numbers: usize, each: usize) -> i32 {
    numbers.div_ceil(each) as i32
}

/// How a kernel that sums by channel cuts an image of so many pixels and stored channels (rows.cuh).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Groups of channels.
    pub groups: usize,
    /// Blocks of pixels of each.
    pub blocks: usize,
    /// Pixels of a block.
    pub pixels: usize,
    /// Counters of all groups.
    pub counters: usize,
}

impl Groups {
    /// Of all images of a batch, one of `jobs` side by side; each thread takes `most` pixels at most.
    pub fn of(pixels: usize, c: usize, jobs: usize, most: usize) -> Self {
        let (groups, widest) = (c.div_ceil(GROUP), c.min(GROUP));
        let lanes = THREADS as usize / (widest / 4);
        let shares = (SHARES / (groups * jobs)).max(1);
        let rounds = pixels.div_ceil(lanes).div_ceil(shares).min(most);
        let blocks = pixels.div_ceil(rounds * lanes);
        Groups { groups, blocks, pixels: rounds * lanes, counters: groups * (1 + blocks.div_ceil(BUNCH)) }
    }

    /// All blocks.
    pub fn all(&self) -> i32 {
        (self.groups * self.blocks) as i32
    }
}

/// Implements [`Job`] by rows `type: kernel, bytes of shared memory;`.
macro_rules! kernels {
    ($($job:ident: $kernel:literal, |$j:ident| $shared:expr;)+) => {$(
        impl Job for $job {
            const KERNEL: &'static str = $kernel;
            fn blocks(&self) -> u32 {
                self.blocks as u32
            }
            fn shared(&self, _: Arithmetic) -> u32 {
                let $j = self;
                $shared
            }
        }
    )+};
}

kernels! {
    DeriveJob: "derive", |_j| 0;
    PoolForwardJob: "pool_forward", |_j| ROWS + FLAG;
    FillJob: "fill", |_j| 0;
    GatherJob: "gather", |j| ROWS + 8 * THREADS + FLAG + 32 * (j.n_sources + j.n_rows) as u32 + 4 * j.tiles as u32 * j.tile();
    MixJob: "mix_gradient", |_j| 0;
    MomentsJob: "moments", |_j| ROWS + FLAG;
    HeadJob: "head", |j| 4 * (THREADS + j.c as u32);
    HeadBackJob: "head_back", |j| 32 * THREADS + 4 * j.c as u32 + FLAG;
    TapJob: "tap", |_j| 0;
    LossJob: "cross_entropy", |_j| 8 * THREADS;
    ScoreJob: "score", |_j| 8 * THREADS + FLAG;
    SideBySide: "taps_and_gather", |j| j.shared as u32;
    SgdJob: "sgd_step", |_j| 8 * THREADS + FLAG;
}

impl Job for CommitJob {
    const KERNEL: &'static str = "commit";
    fn blocks(&self) -> u32 {
        1
    }
    fn shared(&self, _: Arithmetic) -> u32 {
        FLAG
    }
}

impl GatherJob {
    /// Whether it reads what came through convolutions where it stands, and holds nothing.
    fn is_direct(&self) -> bool {
        self.base == self.dx && self.n_sources == 0 && self.tiles == 1
    }

    /// Pixels of a thread at most: a block holds 44 KiB of images, so that it fits where there are 64.
    pub fn most(&self) -> usize {
        if self.is_direct() { usize::MAX } else { 11 / self.tiles as usize }
    }

    /// Floats of an image's part that a block holds.
    fn tile(&self) -> u32 {
        if self.is_direct() { 0 } else { self.each as u32 * (self.c as u32).min(GROUP as u32) }
    }
}
