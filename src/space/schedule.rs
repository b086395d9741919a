//! When to shrink, and by how much.

use crate::error::Result;
use serde::{Deserialize, Serialize};

/// `steps` shrink steps, `every` epochs apart, the last one `every` epochs before the end: they fall after the epochs
/// `E - S*I, E - (S-1)*I, ..., E - I` (1-based: "after epoch 22" means when 22 epochs are done). I-DARTS is `every = 0`,
/// `steps = 1`: one step after the last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShrinkSchedule {
    /// E
    pub epochs: usize,
    /// S
    pub steps: usize,
    /// I
    pub every: usize,
}

impl ShrinkSchedule {
    /// An error unless `steps >= 1`, and `steps * every < epochs`; `every = 0` only with `steps = 1`.
    pub fn new(_epochs: usize, _steps: usize, _every: usize) -> Result<Self> {
        todo!()
    }

    /// Whether a step falls after this (1-based) epoch.
    pub fn is_due(&self, _epoch: usize) -> bool {
        todo!()
    }

    /// Steps left after this epoch, the one due now included.
    pub fn steps_left(&self, _epoch: usize) -> usize {
        todo!()
    }

    /// `ceil((alive - keep) / steps_left)`; 0 if no step is due.
    pub fn n_to_drop(&self, _alive: usize, _keep: usize, _epoch: usize) -> usize {
        todo!()
    }
}
