//! Settings of training, with the paper's defaults.

use super::settings::settings;

settings! {
    /// Settings of weight training.
    pub struct TrainConfig {
        /// Epochs of the run, over which the learning rate falls.
        epochs: usize = 30, AtLeastOne;
        /// Images a batch; also of measurements and evaluations.
        batch_size: usize = 64, AtLeastOne;
        /// Learning rate at the start.
        lr: f64 = 0.025, NotNegative;
        /// Learning rate at the end of the cosine, which falls step by step.
        lr_min: f64 = 0.001, NotNegative;
        /// Momentum.
        momentum: f64 = 0.9, BelowOne;
        /// Nesterov's momentum (the authors of IS-DARTS, AutoDL), or plain (quark0/darts and what follows it).
        nesterov: bool = true, Any;
        /// L2 added to the gradient: 5e-4 (paper) or 3e-4 (authors' code).
        weight_decay: f64 = 5e-4, NotNegative;
        /// Whether the decay moves weights that no gradient reached, too, as of candidates that were not drawn.
        decay_unused: bool = true, Any;
        /// Largest norm of all gradients together; 0: no clipping.
        clip: f64 = 5.0, NotNegative;
        /// Show the training images in a new order each epoch, or in that of the store (authors' code of IS-DARTS).
        shuffle: bool = true, Any;
        /// Augment training images.
        augment: bool = true, Any;
        /// Side of cutout in pixels; 0: none.
        cutout: usize = 0, Any;
        /// Probability that an edge is left out for an image, in training; 0: none.
        drop_path: f64 = 0.0, BelowOne;
        /// Probability that a value behind a skip connection of stride 1 is left out, in training; 0: none.
        dropout: f64 = 0.0, BelowOne;
        /// Probability that a value behind a pool is left out, in training; 0: none.
        pool_dropout: f64 = 0.0, BelowOne;
    }
}

impl TrainConfig {
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
