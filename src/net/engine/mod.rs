//! The CPU engine: runs a [`Program`] forward and backward on planned NHWC buffers. May use: `ops`, rayon; no tensors.
//!
//! One pass per node, over blocks of images that run side by side:
//! - forward ([`forward`]): add up the node's terms, then, while the block is in cache, every convolution that reads the
//!   node, with the sums that batch norm needs. Then the statistics of those convolutions are known.
//! - backward ([`backward`]): add up the gradients of everything that reads the node (the convolutions' input gradients, from
//!   gradients of batch norm that are formed on load and never stored), the weight gradients of those convolutions, then,
//!   while the block is in cache, the sums that the batch norms of the node's own terms need.
//!
//! Memory: nodes and convolution outputs are kept from forward to backward; node gradients live only from the pass that
//! makes them to the last one that reads them; ReLU, pools, norms and Winograd transforms are computed again where they are
//! needed. Buffers go back to a pool and are used again, so a step allocates nothing large after the first.
//!
//! The blocks depend on the sizes alone and partial sums are added in their order, so the bits do not depend on threads.

mod backward;
mod forward;
mod norm;

use super::Mode;
use super::program::{Coef, Program};
use crate::error::Result;
use crate::ops::buffer::{Buffer, Pool};
use crate::ops::conv::{ConvPlan, PackedFilter};
use norm::NormState;
use rayon::prelude::*;
use std::sync::Mutex;

pub use backward::Backward;
pub use forward::Forward;

/// Parameter values by position in [`super::Params`].
pub type Values<'a> = &'a [&'a [f32]];

/// The input of a forward pass.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    /// `[b, 3, h, w]`
    pub x: &'a [f32],
    /// b
    pub batch: usize,
    /// Mixing weights of all cell types, one after the other.
    pub mix: &'a [f32],
    /// Statistics of the affine norms.
    pub mode: Mode,
}

/// A program with everything it needs to run for one batch size.
pub struct Engine {
    program: Program,
    batch: usize,
    /// Which nodes are computed.
    wanted: Vec<bool>,
    plans: Vec<ConvPlan>,
    filters: Vec<PackedFilter>,
    /// Node images.
    x: Vec<Buffer>,
    /// Convolution outputs.
    z: Vec<Buffer>,
    norms: Vec<NormState>,
    head_norm: NormState,
    /// Input of the linear map, `[b, c]`.
    pooled: Vec<f32>,
    mix: Vec<f32>,
    mode: Mode,
    scratch: Mutex<Vec<Buffer>>,
    pool: Pool,
}

impl Engine {
    /// For batches of `batch` images. `all` computes nodes that the logits do not depend on, too (their candidates are
    /// scored all the same).
    pub fn new(program: Program, batch: usize, strict: bool, all: bool, mut pool: Pool) -> Result<Self> {
        let mut wanted = program.useful();
        wanted.iter_mut().for_each(|w| *w |= all);
        let plans: Vec<ConvPlan> = program.convs.iter().map(|c| ConvPlan::new(c.shape, batch, strict)).collect();
        let filters = plans.iter().map(PackedFilter::new).collect();
        let mut x = Vec::new();
        for (node, &wanted) in program.nodes.iter().zip(&wanted) {
            x.push(pool.take(if wanted { batch * node.size.len() } else { 0 })?);
        }
        let mut z = Vec::new();
        for conv in &program.convs {
            let len = batch * program.nodes[conv.dst].size.len();
            z.push(pool.take(if wanted[conv.dst] { len } else { 0 })?);
        }
        Ok(Engine {
            norms: vec![NormState::default(); program.convs.len()],
            head_norm: NormState::default(),
            program,
            batch,
            wanted,
            plans,
            filters,
            x,
            z,
            pooled: Vec::new(),
            mix: Vec::new(),
            mode: Mode::Eval,
            scratch: Mutex::default(),
            pool,
        })
    }

    /// The batch size it was made for.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Its memory, for the next engine.
    pub fn into_pool(mut self) -> Pool {
        let scratch = self.scratch.into_inner().unwrap_or_default();
        for buffer in self.x.into_iter().chain(self.z).chain(scratch) {
            self.pool.give(buffer);
        }
        self.pool
    }

    fn coef(&self, coef: Coef) -> f64 {
        match coef {
            Coef::One => 1.0,
            Coef::Mix(i) => f64::from(self.mix[i]),
        }
    }

    /// Images in a block of the pass over a node: enough tiles of 4x4 pixels for the matrix products behind a block to be
    /// worth it, few enough for its data to stay in cache.
    fn block(&self, node: usize) -> usize {
        let size = self.program.nodes[node].size;
        let tiles = size.h.div_ceil(4) * size.w.div_ceil(4);
        (64 / tiles).clamp(1, 16).min(self.batch)
    }

    /// The convolutions of a node that are computed, group by group of siblings.
    fn groups(&self, node: usize) -> Vec<Vec<usize>> {
        let wanted = |g: &Vec<usize>| g.iter().copied().filter(|&c| self.wanted[self.program.convs[c].dst]).collect();
        self.program.nodes[node].convs.iter().map(wanted).filter(|g: &Vec<usize>| !g.is_empty()).collect()
    }

    /// Scratch for a block of a pass over `node`: what its convolutions need, and one image block.
    fn scratch_len(&self, node: usize) -> usize {
        let block = self.block(node);
        let convs = self.groups(node).iter().map(|g| self.plans[g[0]].scratch_len(block, g.len())).max().unwrap_or(0);
        convs + block * self.program.nodes[node].size.len()
    }

    /// Run `f` on every task, side by side, with scratch memory of `len` (contents arbitrary).
    fn for_each_block<T: Send>(
        &self,
        tasks: Vec<T>,
        len: usize,
        f: impl Fn(T, &mut [f32]) -> Result<()> + Sync,
    ) -> Result<()> {
        tasks.into_par_iter().with_max_len(1).try_for_each(|task| {
            let kept = self.scratch.lock().ok().and_then(|mut s| s.pop()).filter(|b| b.len() >= len);
            let mut scratch = kept.map_or_else(|| Buffer::zeros(len), Ok)?;
            f(task, &mut scratch[..len])?;
            if let Ok(mut s) = self.scratch.lock() {
                s.push(scratch);
            }
            Ok(())
        })
    }
}
