//! Settings of training, with the paper's defaults.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Settings of weight training (DESIGN section 2, row "training"). Unknown keys are errors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// E
    pub epochs: usize,
    /// Images a batch.
    pub batch_size: usize,
    /// Learning rate at the start.
    pub lr: f64,
    /// Learning rate at the end of the cosine (per step).
    pub lr_min: f64,
    /// Momentum.
    pub momentum: f64,
    /// Nesterov's momentum (the authors of IS-DARTS, AutoDL), or plain (quark0/darts and what follows it).
    pub nesterov: bool,
    /// L2 added to the gradient: 5e-4 (paper) or 3e-4 (authors' code).
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
    /// Augment training images.
    pub augment: bool,
    /// Side of cutout; 0 = none.
    pub cutout: usize,
    /// Probability that an edge is left out for an image, in training; 0 = none.
    pub drop_path: f64,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            epochs: 30,
            batch_size: 64,
            lr: 0.025,
            lr_min: 0.001,
            momentum: 0.9,
            nesterov: true,
            weight_decay: 5e-4,
            clip: 5.0,
            augment: true,
            cutout: 0,
            drop_path: 0.0,
        }
    }
}

impl TrainConfig {
    /// An error for the first value out of range.
    pub fn check(&self) -> Result<()> {
        let count = |what: &str, v: usize| match v {
            0 => Err(Error::invalid(format!("setting `{what}`"), v, "at least 1")),
            _ => Ok(()),
        };
        let number = |what: &str, v: f64, limit: f64, expected: &str| match v >= 0.0 && v < limit {
            false => Err(Error::invalid(format!("setting `{what}`"), v, expected)),
            true => Ok(()),
        };
        // Steps compute in single precision.
        let most = f64::from(f32::MAX);
        count("epochs", self.epochs)?;
        count("batch_size", self.batch_size)?;
        number("lr", self.lr, most, "a finite number, 0 or more")?;
        number("lr_min", self.lr_min, most, "a finite number, 0 or more")?;
        number("momentum", self.momentum, 1.0, "0 or more, and less than 1")?;
        number("weight_decay", self.weight_decay, most, "a finite number, 0 or more")?;
        number("drop_path", self.drop_path, 1.0, "0 or more, and less than 1")?;
        number("clip", self.clip, most, "a finite number, 0 (no clipping) or more")
    }

    /// Learning rate of a step: `lr_min + (lr - lr_min) / 2 (1 + cos(pi t / T))` with `t` the steps done before it and `T`
    /// those of all epochs. `epoch` counts from 1 (past the last one: the end of the cosine), `index` from 0.
    pub fn learning_rate(&self, epoch: usize, index: usize, steps: usize) -> f64 {
        let done = epoch.saturating_sub(1) * steps + index;
        let t = (done as f64 / (self.epochs * steps).max(1) as f64).min(1.0);
        self.lr_min + (self.lr - self.lr_min) / 2.0 * (1.0 + (std::f64::consts::PI * t).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_falls_by_a_cosine_step_by_step() {
        let cfg = TrainConfig { epochs: 4, lr: 1.0, lr_min: 0.2, ..Default::default() };
        for (epoch, index, lr) in [
            (1, 0, 1.0),
            (2, 0, 0.8828427),
            (3, 0, 0.6),
            (3, 5, 0.446926627),
            (4, 9, 0.20123307),
            (5, 0, 0.2),
            (9, 3, 0.2),
        ] {
            let got = cfg.learning_rate(epoch, index, 10);
            assert!((got - lr).abs() < 1e-6, "epoch {epoch}, step {index}: {got}, expected {lr}");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        for (cfg, message) in [
            (TrainConfig { batch_size: 0, ..Default::default() }, "setting `batch_size`: got 0, expected at least 1"),
            (
                TrainConfig { lr: f64::NAN, ..Default::default() },
                "setting `lr`: got NaN, expected a finite number, 0 or more",
            ),
            (
                TrainConfig { momentum: 1.0, ..Default::default() },
                "setting `momentum`: got 1, expected 0 or more, and less than 1",
            ),
        ] {
            assert_eq!(cfg.check().unwrap_err().to_string(), message);
        }
        TrainConfig::default().check().unwrap();
    }
}
