//! An evaluation network that learns: weights, optimiser, epoch, learning curve.

use super::passed::{Passed, Where, drop_paths};
use super::training::{StepBy, Training, in_order, input, look, stream_seed};
use super::{EpochStats, EvalConfig, Progress, Silent, State, Stateful, finite};
use crate::data::{Augment, Batch, BatchPlan, Batches, Dataset, Rest};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::net::{DropPath, Mode, Subnet};
use crate::ops::sgd::Step;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::time::Instant;

/// What an evaluation came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Mean cross-entropy over images (labels as they are).
    pub loss: f64,
    /// Fraction whose largest logit is their class's.
    pub top1: f64,
    /// Fraction whose class is among the five largest logits (all, of up to five classes).
    pub top5: f64,
    /// Images by true class (row) and class found (column).
    pub confusion: Vec<Vec<u32>>,
}

/// A row of the learning curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurveRow {
    /// From 1.
    pub epoch: usize,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Mean training loss (augmented images, drop path, smoothed labels, auxiliary head).
    pub train_loss: f64,
    /// Fraction of the augmented training images right.
    pub train_top1: f64,
    /// Mean test loss.
    pub test_loss: f64,
    /// Fraction of the test images right.
    pub test_top1: f64,
    /// Fraction of the test images whose class is among the five largest.
    pub test_top5: f64,
    /// Seconds of training and testing.
    pub seconds: f64,
}

/// An evaluation network with its momentum, epoch and curve. All its randomness is derived from (seed, epoch).
pub struct Trainer {
    /// The network.
    pub net: Subnet,
    /// How it is trained.
    pub config: EvalConfig,
    training: Training,
    curve: Vec<CurveRow>,
}

impl Trainer {
    /// Zero momentum, before the first epoch.
    pub fn new(net: Subnet, config: EvalConfig, seed: u64) -> Self {
        let training = Training::new(net.params(), seed);
        Trainer { net, config, training, curve: vec![] }
    }

    /// The rows so far.
    pub fn curve(&self) -> &[CurveRow] {
        &self.curve
    }

    /// The row of the best test accuracy so far (the first of equals).
    pub fn best(&self) -> Option<&CurveRow> {
        self.curve.iter().reduce(|best, row| if row.test_top1 > best.test_top1 { row } else { best })
    }

    /// Enter an epoch (from 1) without training in it: for single steps.
    pub fn enter(&mut self, epoch: usize) {
        self.training.epoch = epoch;
    }

    /// One epoch of training, then an evaluation; a row of the curve.
    pub fn epoch(&mut self, train: &Dataset, test: &Dataset, progress: &dyn Progress) -> Result<Evaluation> {
        let start = Instant::now();
        let stats = self.train_epoch(train, progress)?;
        let found = self.evaluate(test, progress)?;
        self.curve.push(CurveRow {
            epoch: self.training.epoch,
            lr: stats.lr,
            train_loss: stats.loss,
            train_top1: stats.accuracy,
            test_loss: found.loss,
            test_top1: found.top1,
            test_top5: found.top5,
            seconds: start.elapsed().as_secs_f64(),
        });
        Ok(found)
    }

    fn train_epoch(&mut self, data: &Dataset, progress: &dyn Progress) -> Result<EpochStats> {
        self.training.epoch += 1;
        let (start, mut stats) = (Instant::now(), EpochStats::default());
        for batch in self.batches(data)? {
            interrupt::check()?;
            self.train_step(&batch, &mut stats)?;
            let (epoch, step) = ((self.training.epoch, self.config.epochs), (batch.index + 1, batch.total));
            progress.tick(&stats.tick("train", epoch, step, start));
        }
        Ok(stats)
    }

    /// The batches of the epoch entered, shuffled and augmented.
    pub fn batches(&self, data: &Dataset) -> Result<Batches> {
        let cfg = &self.config;
        let none = Augment { crop_pad: 0, flip: false, ..data.augment };
        let augment = if cfg.augment { Augment { photo: cfg.photo, ..data.augment } } else { none };
        let augment = Augment { cutout: cfg.cutout, ..augment };
        let augment = (cfg.augment || cfg.cutout > 0).then_some(augment);
        let (_, h, w) = data.shape;
        let plan = BatchPlan { shuffle: true, augment, ..BatchPlan::in_order(cfg.batch_size, Rest::Short) };
        self.training.batches(data, plan, self.net.least_pixels(h, w), 0)
    }

    /// Forward, loss, backward, clip, SGD. Logits, loss or gradients that are not finite are [`Error::Diverged`], and weights
    /// and statistics stay as they were.
    pub fn train_step(&mut self, batch: &Batch, stats: &mut EpochStats) -> Result<()> {
        let EvalConfig { momentum, nesterov, weight_decay, clip, auxiliary, label_smoothing: smoothing, .. } =
            self.config;
        let lr = self.config.learning_rate(self.training.epoch, batch.index, batch.total);
        let step = Step { lr, momentum, nesterov, weight_decay, scale: 1.0 };
        let by = StepBy { step, clip, decay_unused: true, auxiliary, smoothing };
        let drop = self.drop_path(batch);
        let passed = self.training.step(&self.net, batch, &[], drop.as_ref().into(), &by)?;
        stats.add(passed.loss.to_scalar()?, passed.right(&batch.y)?, batch.y.len());
        stats.lr = lr;
        Ok(())
    }

    /// What is dropped in a batch: drawn from (seed, epoch, position of the batch).
    pub fn drop_path(&self, batch: &Batch) -> Option<DropPath> {
        let keep = self.config.keep_path(self.training.epoch);
        if keep >= 1.0 || self.net.drop_paths() == 0 {
            return None;
        }
        let seed = stream_seed(self.training.seed, self.training.epoch as u64);
        let (pass, size) = (1 + batch.index as u64, (self.net.drop_paths(), batch.y.len()));
        Some(drop_paths((seed, pass), size, keep, |u| u < keep))
    }

    /// Loss, accuracies and confusion in eval mode, images as they are.
    pub fn evaluate(&self, data: &Dataset, progress: &dyn Progress) -> Result<Evaluation> {
        let classes = data.n_classes();
        let (mut top5, mut confusion) = (0, vec![vec![0; classes]; classes]);
        let stats = look(in_order(data, self.config.batch_size)?, progress, |batch| {
            let passed = self.passed(batch, Mode::Eval)?;
            for (row, &class) in passed.out.logits.to_vec2::<f32>()?.iter().zip(&batch.y) {
                top5 += usize::from(rank(row, class as usize) < 5);
                confusion[class as usize][largest(row)] += 1;
            }
            Ok(passed)
        })?;
        let top5 = top5 as f64 / stats.images.max(1) as f64;
        Ok(Evaluation { loss: stats.loss, top1: stats.accuracy, top5, confusion })
    }

    /// Mean cross-entropy of a batch and its logits, in the graph; nothing is dropped, and no running statistics move.
    pub fn pass(&self, batch: &Batch, mode: Mode) -> Result<(Tensor, Tensor)> {
        let passed = self.passed(batch, mode)?;
        Ok((passed.loss, passed.out.logits))
    }

    fn passed(&self, batch: &Batch, mode: Mode) -> Result<Passed> {
        let x = input(&self.net, batch)?;
        let place = || format!("an evaluation in {}", finite::step(self.training.epoch, batch.index));
        let at = Where { params: self.net.params(), x: &x, mixing: &[], place: &place };
        Passed::of(self.net.forward(&x, mode, None)?, &batch.y, 0.0, 0.0, &at)
    }

    /// What the classifier takes the mean of, `[b, c, h, w]`.
    pub fn features(&self, batch: &Batch, mode: Mode) -> Result<Tensor> {
        self.net.features(&input(&self.net, batch)?, mode)
    }

    /// Loss and accuracy of batches, in [`Mode::Eval`] or [`Mode::Batch`].
    pub fn look(&self, batches: impl IntoIterator<Item: Borrow<Batch>>, mode: Mode) -> Result<EpochStats> {
        look(batches, &Silent, |batch| self.passed(batch, mode))
    }
}

/// The first of the largest.
fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// How many classes come before `class` by logit; of equals, the lower ones do. A row of NaN finds nothing.
fn rank(row: &[f32], class: usize) -> usize {
    let own = row[class];
    row.iter().enumerate().filter(|&(i, &v)| !(v < own || (v == own && i >= class))).count()
}

impl Stateful for Trainer {
    fn kind(&self) -> &'static str {
        "subnet"
    }

    fn state(&self) -> Result<State> {
        let json = serde_json::json!({
            "genotype": self.net.plan(),
            "network": self.net.config(),
            "settings": self.config,
            "seed": self.training.seed,
            "epoch": self.training.epoch,
            "curve": self.curve,
        });
        let mut state = State { tensors: Default::default(), json };
        self.training.optimiser.save(self.net.params(), &mut state)?;
        Ok(state)
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let here = self.state()?.json;
        for what in ["genotype", "network", "settings"] {
            if state.json[what] != here[what] {
                let expected = format!("{}, as the script makes it", here[what]);
                return Err(Error::invalid(format!("network of the checkpoint, {what}"), &state.json[what], expected));
            }
        }
        let wrong = |e: serde_json::Error| Error::invalid("network of the checkpoint", e, "its epoch, seed and curve");
        let epoch = serde_json::from_value(state.json["epoch"].clone()).map_err(wrong)?;
        let seed = serde_json::from_value(state.json["seed"].clone()).map_err(wrong)?;
        let curve = serde_json::from_value(state.json["curve"].clone()).map_err(wrong)?;
        self.training.optimiser.restore(self.net.params(), &state)?;
        (self.training.epoch, self.training.seed, self.curve) = (epoch, seed, curve);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
