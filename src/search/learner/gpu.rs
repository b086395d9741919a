//! A step of training that a GPU makes without coming back.

use super::super::passed::Passed;
use super::super::training::StepBy;
use super::{Learner, TrainConfig};
use crate::data::Batch;
use crate::error::Result;
use crate::net::{Drops, Logits};
use candle_core::{Device, Tensor};

impl Learner {
    /// `train_step` where the supernet is on a GPU engine: what the pass came to, and its loss. None where it is not, and where a
    /// label is none of the classes or something is not finite: nothing has moved then, and the step in parts says what it was.
    pub(super) fn step_on_gpu(
        &mut self,
        batch: &Batch,
        mixing: Option<&[Tensor]>,
        drops: Drops,
        cfg: &TrainConfig,
    ) -> Result<Option<(Passed, f32)>> {
        let classes = self.net.config().classes;
        // What no gradient reached decays in the kernels, and none leaves out single values; the step in parts can do both.
        let in_parts = !cfg.decay_unused || drops.values.is_some();
        if !self.net.trains_on_gpu() || in_parts || batch.y.iter().any(|&y| y as usize >= classes) {
            return Ok(None);
        }
        cfg.check()?;
        let StepBy { step, clip, .. } = self.step_by(batch, cfg);
        let momentum = self.training.optimiser.addresses(self.net.params())?;
        self.turns.used();
        let (b, c, h, w) = batch.shape;
        let (x, how) = ((&batch.x[..], [b, c, h, w]), (&step, clip));
        let Some(out) = self.net.train(x, mixing, drops.paths, &batch.y, how, momentum)? else {
            return Ok(None);
        };
        let logits = Tensor::from_vec(out.logits, (batch.y.len(), classes), &Device::Cpu)?;
        let loss = Tensor::new(out.loss, &Device::Cpu)?;
        self.trace.batch("train", self.training.epoch, batch, Some(&loss))?;
        self.stepped(step.lr, cfg)?;
        Ok(Some((Passed { out: Logits { logits, auxiliary: None }, loss }, out.loss)))
    }
}
