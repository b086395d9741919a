//! The CPU engine: runs a [`Program`] forward and backward on planned NHWC buffers. It uses `ops` and rayon, and no tensors.
//!
//! One pass per stage (a few nodes that do not read each other), over blocks of images that run side by side:
//! - forward ([`forward`]): compute the node of the block ([`fill`]: add up its terms, or put its parts together), then, while
//!   it is in cache, every convolution that reads it, with the sums that batch norm needs. Then the statistics of those
//!   convolutions are known.
//! - backward ([`backward`]): add up the gradients of everything that reads the node (the convolutions' input gradients, from
//!   gradients of batch norm that are formed on load and never stored), the weight gradients of those convolutions, then,
//!   while the block is in cache, the sums that the batch norms of the node's own terms need.
//!
//! Why each is fast:
//! - batch norm without affine part and the weighted sum over candidates are one pass over the convolutions' outputs, which
//!   waits for memory alone; the average pools into a node are one pool of a sum; a maximum pool is computed once for all edges;
//! - siblings share the ReLU of their input: transformed once for all 3x3 convolutions (Winograd), framed by zeros once for all
//!   depthwise ones; the depthwise output goes to its 1x1 convolution in cache and is computed again in the backward pass;
//! - dropped candidates are not in the program.
//!
//! Memory: nodes and convolution outputs are kept from forward to backward, but not nodes that are quickly made again
//! ([`Program::is_kept`]: the middle of a separable convolution, cells' concatenated outputs); node gradients live only from the
//! pass that makes them to the last one that reads them; ReLU, pools, norms, depthwise outputs and Winograd transforms are
//! computed again where they are needed. Buffers go back to a pool and are used again, so a step allocates nothing large after
//! the first.
//!
//! The blocks depend on the sizes alone and partial sums are added in their order, so the bits do not depend on threads.
//!
//! What strategies ask of the engine, and where each is said:
//! - any mixing tensor, with its gradient ([`Coef::Mix`]). Products and sums in front of it are tensor algebra of the caller's:
//!   edge weights, dropout of whole ops, samples with a straight-through gradient;
//! - the active candidates: those of the mask ([`super::lower`]), and of these, where that is asked for, the ones whose mixing
//!   weight is not 0 ([`route`]), which another batch may draw anew;
//! - scales that differ from image to image ([`Coef::Image`]: drop path of evaluation networks; [`Coef::MixImage`]: of
//!   supernets, beside a mixing weight). The nodes before and behind them are computed image by image;
//! - partial channels: candidates read [`Origin::First`], and a node is the [`Origin::Shuffle`] of the sum of all candidates into it and
//!   the sum of what goes past them, which is one shuffle in place of one an edge (it is linear);
//! - single values that are left out ([`Origin::Dropout`]): drawn from a seed and their place, so the backward pass finds them again.

mod backward;
mod fill;
mod forward;
mod gates;
mod norm;
mod plan;
pub mod profile;
mod route;
mod tap;

use super::ids::{ParamId, Table};
use super::program::{Coef, ConvId, Filter, MixId, Node, NodeId, Origin, Program};
use super::{Dropout, Mode, Paths};
use crate::error::Result;
use crate::ops::buffer::{Buffer, BufferPool};
use norm::NormState;
use plan::{Group, Packed, Plan};
use rayon::prelude::*;
use std::sync::{Arc, Mutex};

pub use backward::{Backward, Want};
pub use forward::Forward;
pub use gates::Gates;

/// The values of all parameters.
pub type Values<'a> = &'a Table<ParamId, &'a [f32]>;

/// The input of a forward pass.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// `[b, 3, h, w]`, with the b that the engine was made for.
    pub x: &'a [f32],
    /// Mixing weights of all cell types, one after the other.
    pub mix: &'a [f32],
    /// The scales that [`Coef::Image`] names, one for each image: `[n, b]`.
    pub scales: &'a [f32],
    /// Which single values are left out.
    pub dropout: Option<Dropout>,
    /// Statistics of the affine norms.
    pub mode: Mode,
    /// Which candidates are computed.
    pub paths: Paths,
}

/// A program with everything it needs to run for one batch size.
pub struct Engine {
    /// Every live candidate.
    full: Program,
    /// The part of it that is computed now.
    program: Program,
    /// The mixing weights of the candidates that are left out now.
    left_out: Table<MixId, bool>,
    stages: Vec<Vec<NodeId>>,
    batch: usize,
    /// Whether nodes are computed that the logits do not depend on.
    all: bool,
    /// Which nodes are computed.
    wanted: Table<NodeId, bool>,
    /// Which nodes stay in memory.
    kept: Table<NodeId, bool>,
    /// Images in a block of the pass over each node.
    blocks: Table<NodeId, usize>,
    /// One for each convolution; those of equal size share it.
    plans: Table<ConvId, Arc<Plan>>,
    filters: Table<ConvId, Packed>,
    /// For each node, the convolutions that read it and are computed, group by group of siblings.
    groups: Table<NodeId, Vec<Vec<ConvId>>>,
    /// Node images, of nodes that are kept.
    x: Table<NodeId, Buffer>,
    /// Convolution outputs.
    z: Table<ConvId, Buffer>,
    norms: Table<ConvId, NormState>,
    head_norm: NormState,
    /// Input of the linear map, `[b, c]`.
    pooled: Vec<f32>,
    mix: Table<MixId, f32>,
    scales: Vec<f32>,
    dropout: Option<Dropout>,
    /// The gates that ReLUs keep to, if they do not follow their inputs.
    held: Option<Gates>,
    /// The terms of these nodes, or what arrives at them, differ from image to image.
    by_image: Table<NodeId, bool>,
    mode: Mode,
    paths: Paths,
    /// Scratch memory for a block of any pass, one a thread.
    scratch: Mutex<Vec<Buffer>>,
    scratch_len: usize,
    pool: BufferPool,
}

impl Engine {
    /// For batches of `batch` images. `all` computes nodes that the logits do not depend on, too (their candidates are
    /// scored all the same).
    pub fn new(program: Program, batch: usize, strict: bool, all: bool, pool: BufferPool) -> Result<Self> {
        let mut wanted = program.useful();
        wanted.items_mut().iter_mut().for_each(|w| *w |= all);
        check_memory(&program, batch, &wanted, &pool)?;
        let plans = plans(&program, batch, strict);
        let filters = plans.beside(|c| Packed::new(&plans[c]));
        let mut engine = Engine {
            norms: program.convs.beside(|_| NormState::default()),
            head_norm: NormState::default(),
            stages: program.stages(),
            by_image: program.nodes.beside(|i| program.is_by_image(i)),
            kept: program.nodes.beside(|i| program.is_kept(i)),
            blocks: program.nodes.beside(|i| block(&program, i, batch)),
            program: program.clone(),
            full: program,
            left_out: Table::default(),
            batch,
            all,
            wanted: Table::default(),
            plans,
            filters,
            groups: Table::default(),
            x: Table::default(),
            z: Table::default(),
            pooled: Vec::new(),
            mix: Table::default(),
            scales: Vec::new(),
            dropout: None,
            held: None,
            mode: Mode::Eval,
            paths: Paths::All,
            scratch: Mutex::default(),
            scratch_len: 0,
            pool,
        };
        engine.compute_all()?;
        let passed = engine.program.nodes.ids().filter(|&i| engine.wanted[i]);
        engine.scratch_len = passed.map(|i| engine.scratch_len(i)).max().unwrap_or(0);
        let scratch =
            (0..rayon::current_num_threads()).map(|_| engine.pool.take(engine.scratch_len)).collect::<Result<_>>()?;
        engine.scratch = Mutex::new(scratch);
        Ok(engine)
    }

    /// Whether [`Want::along`] has all weights: no convolution is separable.
    pub fn sees_all(&self) -> bool {
        !self.program.convs.iter().any(|conv| matches!(conv.filter, Filter::Separable { .. }))
    }

    /// Its memory, for the next engine.
    pub fn into_pool(mut self) -> BufferPool {
        let scratch = self.scratch.into_inner().unwrap_or_default();
        for buffer in self.x.into_iter().chain(self.z).chain(scratch) {
            self.pool.give(buffer);
        }
        self.pool
    }

    /// The weight of a term for an image; the same for all of them, unless there is a scale in it.
    fn coef(&self, coef: Coef, image: usize) -> f64 {
        self.mixed(coef) * self.scale(coef, image)
    }

    /// The mixing weight in it, if that is a candidate's.
    fn candidate(&self, coef: Coef) -> Option<MixId> {
        coef.candidate(self.program.n_candidates)
    }

    /// The part of it that is the same for all images.
    fn mixed(&self, coef: Coef) -> f64 {
        coef.mix().map_or(1.0, |i| f64::from(self.mix[i]))
    }

    /// The part of it that is the image's.
    fn scale(&self, coef: Coef, image: usize) -> f64 {
        coef.image().map_or(1.0, |i| f64::from(self.scales[i * self.batch + image]))
    }

    fn group(&self, convs: &[ConvId]) -> Group<'_> {
        Group::new(convs, &self.plans, &self.filters)
    }

    /// f32s of the images that a pass over `node` makes besides the node itself: sums that go through a pool.
    fn temporary_len(&self, node: NodeId) -> usize {
        let len = |i: NodeId| self.program.nodes[i].size.len();
        let from = self.program.sources(node).into_iter().map(len);
        let to = self.program.nodes[node].pools3.iter().map(|&(dst, ..)| len(dst));
        let pooled = matches!(self.program.nodes[node].origin, Origin::Sum(_));
        self.blocks[node] * from.filter(|_| pooled).chain(to).max().unwrap_or(0).max(len(node))
    }

    /// Scratch for a block of a pass over `node`: the node where it is not kept, temporary images, and what convolutions need.
    fn scratch_len(&self, node: NodeId) -> usize {
        let block = self.blocks[node];
        let convs = self.groups[node].iter().map(|g| self.group(g).scratch_len(block)).max().unwrap_or(0);
        self.own_len(node) + self.temporary_len(node).max(convs)
    }

    /// f32s at the start of the scratch that hold the node, where it is not kept.
    fn own_len(&self, node: NodeId) -> usize {
        if self.kept[node] { 0 } else { self.blocks[node] * self.program.nodes[node].size.len() }
    }

    /// Run `f` on every task, side by side, with scratch memory (contents arbitrary).
    fn for_each_block<T: Send>(&self, tasks: Vec<T>, f: impl Fn(T, &mut [f32]) -> Result<()> + Sync) -> Result<()> {
        tasks.into_par_iter().with_max_len(1).try_for_each(|task| {
            let kept = self.scratch.lock().ok().and_then(|mut s| s.pop());
            let mut scratch = kept.map_or_else(|| Buffer::zeros(self.scratch_len), Ok)?;
            f(task, &mut scratch)?;
            if let Ok(mut s) = self.scratch.lock() {
                s.push(scratch);
            }
            Ok(())
        })
    }
}

/// An error if the images of a batch, with their gradients, would not fit into the memory that is free or in the pool.
fn check_memory(program: &Program, batch: usize, wanted: &Table<NodeId, bool>, pool: &BufferPool) -> Result<()> {
    let len = |i: NodeId| program.nodes[i].size.len() as u128;
    let nodes = program.nodes.ids().filter(|&i| wanted[i]).map(|i| if program.is_kept(i) { len(i) } else { 0 });
    let convs = program.convs.iter().filter(|c| wanted[c.dst]).map(|c| len(c.dst));
    let numbers = batch as u128 * nodes.chain(convs).sum::<u128>();
    let bytes = (4 * numbers).saturating_sub(pool.bytes() as u128);
    let what = format!("{batch} images on their way through the network");
    crate::memory::check(&what, Some(bytes), "batch_size, channels or cells, or the size of the images (resize)")
}

/// Runs a pass on one of rayon's threads, which then takes part in each stage; from outside, every stage would put the caller to
/// sleep and wake it.
fn in_pool<R: Send>(pass: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| pass())
}

/// The plan of each convolution; those of equal size share one.
fn plans(program: &Program, batch: usize, strict: bool) -> Table<ConvId, Arc<Plan>> {
    let mut made: Vec<(&Filter, Arc<Plan>)> = Vec::new();
    let mut plan = |filter| {
        if let Some((_, plan)) = made.iter().find(|(f, _)| f.is_like(filter)) {
            return Arc::clone(plan);
        }
        let plan = Arc::new(Plan::new(filter, batch, strict));
        made.push((filter, Arc::clone(&plan)));
        plan
    };
    program.convs.iter().map(|c| plan(&c.filter)).collect()
}

/// Images in a block of the pass over a node, few enough for its data to stay in cache: for dense convolutions enough
/// tiles of 4x4 pixels for the matrix products behind a block to be worth it; for separable ones, which read a frame of
/// each image many times, about 64 KiB, or a few times as much as the block's own weight gradients (and not the whole of a
/// small batch, so that threads share it).
fn block(program: &Program, node: NodeId, batch: usize) -> usize {
    let Node { size, convs, .. } = &program.nodes[node];
    let separable = |c: &ConvId| matches!(program.convs[*c].filter, Filter::Separable { .. });
    if convs.iter().flatten().any(separable) {
        let images = (16 * 1024 / size.len()).max(3 * size.c / (size.h * size.w));
        return images.clamp(1, 16).min(batch.div_ceil(4));
    }
    let tiles = size.h.div_ceil(4) * size.w.div_ceil(4);
    (64 / tiles).clamp(1, 16).min(batch)
}
