//! A network in training, a supernet or an evaluation network: its optimiser, seed and epoch; the batches of an epoch, a step, a
//! look at batches.

use super::passed::{Passed, Where};
use super::{EpochStats, Optimiser, Progress, finite, last_batch};
use crate::data::{Batch, BatchPlan, Batches, Dataset, Rest};
use crate::error::Result;
use crate::interrupt;
use crate::net::network::Learns;
use crate::net::{Drops, Gradients, Params};
use crate::ops::sgd;
use candle_core::Tensor;
use std::borrow::Borrow;
use std::time::Instant;

/// What a step goes by.
#[derive(Clone, Copy)]
pub(super) struct StepBy {
    /// Learning rate, momentum, weight decay.
    pub step: sgd::Step,
    /// Largest norm of all gradients; 0: no clipping.
    pub clip: f64,
    /// Whether the decay moves weights that no gradient reached.
    pub decay_unused: bool,
    /// Weight of the auxiliary head's loss.
    pub auxiliary: f64,
    /// Smoothing of the labels.
    pub smoothing: f64,
}

/// Momentum, epoch and seed of a network. All randomness is derived from (seed, epoch).
pub(super) struct Training {
    pub optimiser: Optimiser,
    pub seed: u64,
    /// 0 before the first.
    pub epoch: usize,
}

impl Training {
    /// Zero momentum, before the first epoch.
    pub fn new(params: &Params, seed: u64) -> Self {
        Training { optimiser: Optimiser::new(params), seed, epoch: 0 }
    }

    /// Batches of this epoch by `plan`, drawn by seed and epoch; `stream` tells apart several sets used side by side. An error
    /// where batch norm on `pixels` pixels an image could not take the last one.
    pub fn batches(&self, data: &Dataset, plan: BatchPlan, pixels: usize, stream: u64) -> Result<Batches> {
        last_batch::check(data.len(), plan.batch_size, pixels)?;
        Batches::start(data, BatchPlan { draws: self.draws(stream), ..plan })
    }

    /// Seed and epoch of what is drawn now for `stream`.
    pub fn draws(&self, stream: u64) -> (u64, u64) {
        (stream_seed(self.seed, stream), self.epoch as u64)
    }

    /// Forward, loss, backward, clip, SGD, and what the pass came to. Logits, loss or gradients that are not finite are
    /// [`crate::Error::Diverged`], and weights and statistics stay as they were.
    pub fn step(
        &mut self,
        net: &impl Learns,
        batch: &Batch,
        mixing: &[Tensor],
        drops: Drops,
        by: &StepBy,
    ) -> Result<Passed> {
        let x = input(net, batch)?;
        let place = || finite::step(self.epoch, batch.index);
        let at = Where { params: net.network().params(), x: &x, mixing, place: &place };
        let (gradients, passed) = net.learn(&x, mixing, drops, |out| {
            let passed = Passed::of(out, &batch.y, by.auxiliary, by.smoothing, &at)?;
            Ok((passed.loss.clone(), passed))
        })?;
        self.sgd(net, &gradients, batch, by)?;
        Ok(passed)
    }

    /// One step of SGD with gradients of a loss of `batch`.
    ///
    /// # Errors
    /// [`crate::Error::Diverged`]: a gradient that is not finite. The weights are then as they were.
    pub fn sgd(&mut self, net: &impl Learns, gradients: &Gradients, batch: &Batch, by: &StepBy) -> Result<()> {
        let place = || finite::step(self.epoch, batch.index);
        self.optimiser.step(net.network().params(), gradients, by.step, (by.clip, by.decay_unused), place)
    }
}

/// The images of a batch, `[b, c, h, w]`, where the network lives.
pub(super) fn input(net: &impl Learns, batch: &Batch) -> Result<Tensor> {
    Ok(Tensor::from_slice(&batch.x, batch.shape, net.network().device())?)
}

/// Loss and accuracy over batches, as `pass` finds them.
pub(super) fn look(
    batches: impl IntoIterator<Item: Borrow<Batch>>,
    progress: &dyn Progress,
    mut pass: impl FnMut(&Batch) -> Result<Passed>,
) -> Result<EpochStats> {
    let (start, mut stats) = (Instant::now(), EpochStats::default());
    for batch in batches {
        interrupt::check()?;
        let batch = batch.borrow();
        let passed = pass(batch)?;
        stats.add(passed.loss.to_scalar()?, passed.right(&batch.y)?, batch.y.len());
        progress.tick(&stats.tick("evaluate", (0, 0), (batch.index + 1, batch.total), start));
    }
    stats.seconds = start.elapsed().as_secs_f64();
    Ok(stats)
}

/// The batches of a data set as they are.
pub fn in_order(data: &Dataset, batch_size: usize) -> Result<Batches> {
    Batches::start(data, BatchPlan::in_order(batch_size, Rest::Short))
}

/// A seed of its own for every (seed, stream); stream 0 is the seed itself.
pub(super) fn stream_seed(seed: u64, stream: u64) -> u64 {
    // The finaliser of SplitMix64 (Steele et al., 2014), 0 -> 0.
    let mut z = stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    seed ^ z ^ (z >> 31)
}
