//! Settings of training, with the paper's defaults.

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
    /// Nesterov momentum.
    pub momentum: f64,
    /// L2 added to the gradient: 5e-4 (paper) or 3e-4 (authors' code).
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
    /// Augment training images.
    pub augment: bool,
    /// Side of cutout; 0 = none.
    pub cutout: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            epochs: 30,
            batch_size: 64,
            lr: 0.025,
            lr_min: 0.001,
            momentum: 0.9,
            weight_decay: 5e-4,
            clip: 5.0,
            augment: true,
            cutout: 0,
        }
    }
}
