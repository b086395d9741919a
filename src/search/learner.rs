//! A supernet that learns: weights, optimiser, epoch, random streams.

mod drops;
mod freeze;
mod gpu;
mod grown;
pub mod probe;
mod seen;
mod state;
mod turn;
mod weights;

use super::passed::{Passed, Where};
use super::training::{StepBy, Training, input, look};
use super::{EpochStats, Progress, Trace, TrainConfig, classes, finite, last_batch, progress::Tick};
use crate::data::{Augment, Batch, BatchPlan, Batches, Dataset, Rest};
use crate::error::Result;
use crate::interrupt;
use crate::net::{Drops, Gradients, Logits, Mode, Pass, Supernet};
use crate::ops::sgd;
use crate::space::{Candidate, Iim};
use candle_core::{Device, Tensor};
use drops::Draws;
use seen::Seen;
use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::time::Instant;
use turn::Turns;

pub use drops::DropRates;
pub use grown::Growth;

/// A supernet with its SGD momentum, its epoch and its seeds. All its randomness is derived from (seed, epoch), so its
/// state is small and a resumed run sees the same batches.
pub struct Learner {
    /// The network.
    pub net: Supernet,
    /// Where its steps are written.
    pub trace: Trace,
    training: Training,
    /// Whether `begin_epoch` was called and no `train_epoch` has used it up.
    entered: bool,
    stats: EpochStats,
    draws: Draws,
    seen: Seen,
    turns: Turns,
    /// Candidates whose weights stay as they are.
    frozen: BTreeSet<(Candidate, usize)>,
}

/// What IIM is measured on, and how.
pub struct Measurement<'a> {
    /// Images; 0: all.
    pub samples: usize,
    /// Images a batch, at most.
    pub batch_size: usize,
    /// Whether the images are augmented as in training, without cutout, anew each epoch.
    pub augment: bool,
    /// What candidates weigh; None: as under the mask.
    pub mixing: Option<&'a [Tensor]>,
}

impl Measurement<'_> {
    /// Images as they are, under the mask.
    pub fn of(samples: usize, batch_size: usize) -> Self {
        Measurement { samples, batch_size, augment: false, mixing: None }
    }
}

impl Learner {
    /// A learner with zero momentum. `seed` drives the order and augmentation of batches.
    pub fn new(net: Supernet, seed: u64) -> Self {
        let training = Training::new(net.params(), seed);
        Learner {
            net,
            trace: Trace::default(),
            training,
            entered: false,
            stats: EpochStats::default(),
            draws: Draws::default(),
            seen: Seen::default(),
            turns: Turns::default(),
            frozen: BTreeSet::new(),
        }
    }

    /// The current epoch, 0 before the first.
    pub fn epoch(&self) -> usize {
        self.training.epoch
    }

    /// Training batches of this epoch, shuffled and augmented as `cfg` has it; `stream` tells apart several sets used side by side. An error
    /// for settings out of range, and where batch norm could not take the last batch.
    pub fn batches(&self, data: &Dataset, cfg: &TrainConfig, stream: u64) -> Result<Batches> {
        cfg.check()?;
        self.check_data(data, cfg.batch_size)?;
        self.turns.used();
        let augment = match cfg.augment {
            true => Some(Augment { cutout: cfg.cutout, ..data.augment }),
            false if cfg.cutout > 0 => Some(Augment { crop_pad: 0, flip: false, cutout: cfg.cutout, photo: false }),
            false => None,
        };
        let (_, h, w) = data.shape;
        let plan = BatchPlan { shuffle: cfg.shuffle, augment, ..BatchPlan::in_order(cfg.batch_size, Rest::Short) };
        self.training.batches(data, plan, self.net.least_pixels(h, w), stream)
    }

    /// Cross-entropy of a batch, a scalar in the graph; `mixing` defaults to the mask's. Counts nothing. `drop` is what is
    /// left out in train mode. [`crate::Error::Diverged`] where it is not finite.
    pub fn loss(
        &self,
        batch: &Batch,
        mixing: Option<&[Tensor]>,
        pass: impl Into<Pass>,
        drop: impl Into<DropRates>,
    ) -> Result<Tensor> {
        Ok(self.forward("loss", batch, mixing, pass, drop.into())?.loss)
    }

    /// Logits `[b, classes]` of a batch, in the graph; `mixing` defaults to the mask's. [`crate::Error::Diverged`] where they are not
    /// finite.
    pub fn logits(
        &self,
        batch: &Batch,
        mixing: Option<&[Tensor]>,
        pass: impl Into<Pass>,
        drop: impl Into<DropRates>,
    ) -> Result<Tensor> {
        Ok(self.forward("logits", batch, mixing, pass, drop.into())?.out.logits)
    }

    /// Backward from a loss.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        self.net.backward(loss)
    }

    /// One step of SGD: clip, weight decay (every weight; unless `cfg.decay_unused` is false also where no gradient flowed, as
    /// PyTorch does with zero gradients), momentum; learning rate by cosine over `cfg.epochs`, at the position of `batch` in the current epoch.
    ///
    /// # Errors
    /// A setting out of range. [`crate::Error::Diverged`]: a gradient that is not finite. The weights are then as they were.
    pub fn sgd_step(&mut self, gradients: &Gradients, batch: &Batch, cfg: &TrainConfig) -> Result<()> {
        cfg.check()?;
        let by = self.step_by(batch, cfg);
        self.training.sgd(&self.net, gradients, batch, &by)?;
        self.stepped(by.step.lr, cfg)
    }

    /// What the step that `batch` is for goes by.
    fn step_by(&self, batch: &Batch, cfg: &TrainConfig) -> StepBy {
        let step = sgd::Step {
            lr: cfg.learning_rate(self.epoch(), batch.index, batch.total),
            momentum: cfg.momentum,
            nesterov: cfg.nesterov,
            weight_decay: cfg.weight_decay,
            scale: 1.0,
        };
        StepBy { step, clip: cfg.clip, decay_unused: cfg.decay_unused, auxiliary: 0.0, smoothing: 0.0 }
    }

    /// What every step leaves behind.
    fn stepped(&mut self, lr: f64, cfg: &TrainConfig) -> Result<()> {
        self.stats.lr = lr;
        self.seen.forget();
        self.trace.sgd(lr, cfg)
    }

    /// `loss`, `backward`, `sgd_step`, and the epoch's statistics; architecture parameters behind `mixing` get no gradient.
    /// Logits, loss or gradients that are not finite are [`crate::Error::Diverged`], and weights and statistics stay as they were.
    pub fn train_step(&mut self, batch: &Batch, mixing: Option<&[Tensor]>, cfg: &TrainConfig) -> Result<f32> {
        interrupt::check()?;
        let start = Instant::now();
        let mixing: Option<Vec<Tensor>> = mixing.map(|m| m.iter().map(Tensor::detach).collect());
        let drop = self.drawn(batch, Mode::Train, cfg.into())?;
        let (out, loss) = match self.step_on_gpu(batch, mixing.as_deref(), drop.drops(), cfg)? {
            Some(out) => out,
            None => {
                cfg.check()?;
                self.turns.used();
                let by = self.step_by(batch, cfg);
                let mixing = mixing.map_or_else(|| self.net.mask_mixing(), Ok)?;
                let out = self.training.step(&self.net, batch, &mixing, drop.drops(), &by)?;
                self.trace.batch("train", self.epoch(), batch, Some(&out.loss))?;
                self.stepped(by.step.lr, cfg)?;
                let loss = out.loss.to_scalar()?;
                (out, loss)
            }
        };
        self.stats.add(loss, out.right(&batch.y)?, batch.y.len());
        self.stats.seconds += start.elapsed().as_secs_f64();
        Ok(loss)
    }

    /// One epoch of `train_step`. Outside an epochs loop (`begin_epoch` not called since the last one) it enters the next.
    pub fn train_epoch(
        &mut self,
        data: &Dataset,
        mixing: Option<&[Tensor]>,
        cfg: &TrainConfig,
        progress: &dyn Progress,
    ) -> Result<EpochStats> {
        cfg.check()?;
        if !std::mem::take(&mut self.entered) {
            self.enter(self.epoch() + 1);
        }
        let (start, before) = (Instant::now(), self.stats.seconds);
        for batch in self.batches(data, cfg, 0)? {
            self.train_step(&batch, mixing, cfg)?;
            let step = (batch.index + 1, batch.total);
            progress.tick(&self.stats.tick("train", (self.epoch(), cfg.epochs), step, start));
        }
        self.stats.seconds = before + start.elapsed().as_secs_f64();
        self.trace.weights(&self.net)?;
        Ok(self.stats)
    }

    /// Statistics of the epoch so far.
    pub fn stats(&self) -> EpochStats {
        self.stats
    }

    /// Loss and accuracy over batches, in [`Mode::Eval`] or [`Mode::Batch`]. Changes nothing: in train mode running statistics
    /// would move, and one evaluation would not be worth the same as the next.
    pub fn evaluate(
        &self,
        batches: impl IntoIterator<Item: Borrow<Batch>>,
        mixing: Option<&[Tensor]>,
        mode: Mode,
        progress: &dyn Progress,
    ) -> Result<EpochStats> {
        let mixing: Option<Vec<Tensor>> = mixing.map(|m| m.iter().map(Tensor::detach).collect());
        let stats = look(batches, progress, |batch| {
            self.forward("evaluate", batch, mixing.as_deref(), mode, DropRates::default())
        })?;
        self.trace.evaluation(&stats)?;
        Ok(stats)
    }

    /// IIM of every live candidate on the first `samples` images of a seeded shuffle (0 = all), eval mode. The same images
    /// each time, so that one measurement can be held against another, in batches as equal as can be: 200 images by 64 are 4
    /// batches of 50, for in a rest of 8 batch norm would go by 8 images.
    pub fn measure_iim(&self, data: &Dataset, how: &Measurement, progress: &dyn Progress) -> Result<Iim> {
        let start = Instant::now();
        self.net.params().check_finite()?;
        let own = self.net.mask_mixing()?;
        let mixing = how.mixing.unwrap_or(&own);
        let mut sums = vec![];
        let mut images = 0;
        for batch in self.measured(data, how)? {
            interrupt::check()?;
            self.trace.batch("measure", self.epoch(), &batch, None)?;
            self.turns.used();
            let x = match self.net.trains_on_gpu() {
                // The engine brings it to the GPU.
                true => Tensor::from_slice(&batch.x, batch.shape, &Device::Cpu)?,
                false => input(&self.net, &batch)?,
            };
            sums.push(self.net.score(&x, mixing)?);
            images += batch.y.len();
            let tick = EpochStats { images, ..Default::default() }.tick(
                "measure",
                (0, 0),
                (batch.index + 1, batch.total),
                start,
            );
            progress.tick(&Tick { loss: None, accuracy: None, ..tick });
        }
        let iim = crate::net::supernet::mean_scores(&sums)?;
        self.trace.iim(&iim)?;
        Ok(iim)
    }

    /// The batches of a measurement.
    fn measured(&self, data: &Dataset, how: &Measurement) -> Result<Batches> {
        let samples = if how.samples == 0 { data.len() } else { how.samples };
        let (draws, augment) = (self.training.draws(u64::MAX), how.augment.then_some(data.augment));
        let plan = BatchPlan { draws, augment, ..BatchPlan::in_order(how.batch_size, Rest::Spread) };
        Batches::start(&data.take(samples, draws.0), plan)
    }

    /// An error for data of other classes than the supernet's, and where batch norm could not take the last of these batches: in
    /// evaluation, too, candidates take the statistics of the batch.
    pub fn check_data(&self, data: &Dataset, batch_size: usize) -> Result<()> {
        let (_, h, w) = data.shape;
        classes::check_data(data, self.net.config().classes)?;
        last_batch::check(data.len(), batch_size, self.net.least_pixels(h, w))
    }

    fn input(&self, batch: &Batch) -> Result<Tensor> {
        self.turns.used();
        input(&self.net, batch)
    }

    /// `what` for: as the trace calls it.
    fn forward(
        &self,
        what: &str,
        batch: &Batch,
        mixing: Option<&[Tensor]>,
        pass: impl Into<Pass>,
        rates: DropRates,
    ) -> Result<Passed> {
        let pass = pass.into();
        let drop = self.drawn(batch, pass.mode, rates)?;
        self.forward_with(what, batch, mixing, pass, drop.drops())
    }

    fn forward_with(
        &self,
        what: &str,
        batch: &Batch,
        mixing: Option<&[Tensor]>,
        pass: Pass,
        drops: Drops,
    ) -> Result<Passed> {
        let (begun, x) = (Instant::now(), self.input(batch)?);
        let own = self.net.mask_mixing()?;
        let mixing = mixing.unwrap_or(&own);
        let logits = self.net.forward_dropped(&x, mixing, pass, drops)?;
        let place = || self.place(batch, pass.mode);
        let at = Where { params: self.net.params(), x: &x, mixing, place: &place };
        let passed = Passed::of(Logits { logits, auxiliary: None }, &batch.y, 0.0, 0.0, &at)?;
        self.trace.batch(what, self.epoch(), batch, Some(&passed.loss))?;
        if pass.mode == Mode::Train {
            self.seen.add(batch, &passed, begun);
        }
        Ok(passed)
    }

    fn place(&self, batch: &Batch, mode: Mode) -> String {
        match mode {
            Mode::Train => finite::step(self.epoch(), batch.index),
            Mode::Batch | Mode::Eval => format!("an evaluation in {}", finite::step(self.epoch(), batch.index)),
        }
    }
}

#[cfg(test)]
mod tests;
