//! What an epoch or an evaluation came to.

use super::progress::Tick;
use std::time::Instant;

/// What an epoch (or an evaluation) came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochStats {
    /// Mean loss over images.
    pub loss: f64,
    /// Fraction right.
    pub accuracy: f64,
    /// Images seen.
    pub images: usize,
    /// Seconds.
    pub seconds: f64,
    /// Learning rate of the last step (0 in evaluation).
    pub lr: f64,
}

impl EpochStats {
    /// Take in a batch of which `right` images are right, with mean loss `loss`.
    pub(super) fn add(&mut self, loss: f32, right: usize, images: usize) {
        let (before, now) = (self.images as f64, (self.images + images) as f64);
        self.loss = (self.loss * before + f64::from(loss) * images as f64) / now;
        self.accuracy = (self.accuracy * before + right as f64) / now;
        self.images += images;
    }

    pub(super) fn tick(&self, task: &'static str, epoch: (usize, usize), step: (usize, usize), start: Instant) -> Tick {
        Tick {
            task,
            epoch,
            step,
            loss: Some(self.loss as f32),
            accuracy: Some(self.accuracy as f32),
            images: self.images,
            seconds: start.elapsed().as_secs_f64(),
        }
    }
}
