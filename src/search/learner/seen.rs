//! What the passes since the last step came to: a step with given gradients counts the pass that they are of.

use super::super::passed::Passed;
use super::{Learner, TrainConfig};
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::net::{Gradients, Logits};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Instant;

/// Passes that are remembered: several over one batch, and of both batches of a pair.
const MOST: usize = 8;

/// The last passes in train mode.
#[derive(Default)]
pub(super) struct Seen(RefCell<VecDeque<One>>);

struct One {
    index: usize,
    images: Vec<u32>,
    came_to: Passed,
    begun: Instant,
}

impl Seen {
    pub(super) fn add(&self, batch: &Batch, passed: &Passed, begun: Instant) {
        let mut all = self.0.borrow_mut();
        all.truncate(MOST - 1);
        // Detached: what is only counted must not keep a graph alive.
        let out = Logits { logits: passed.out.logits.detach(), auxiliary: None };
        let came_to = Passed { out, loss: passed.loss.detach() };
        all.push_front(One { index: batch.index, images: batch.images.clone(), came_to, begun });
    }

    /// The last pass over `batch`, and when it began.
    fn of(&self, batch: &Batch) -> Option<(Passed, Instant)> {
        let all = std::mem::take(&mut *self.0.borrow_mut());
        let of_it = |one: &One| one.index == batch.index && one.images == batch.images;
        all.into_iter().find(of_it).map(|one| (one.came_to, one.begun))
    }

    pub(super) fn forget(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Learner {
    /// `sgd_step` with gradients of a loss of `batch`; the epoch's statistics take in the last pass in train mode over it.
    pub fn step_with(&mut self, gradients: &Gradients, batch: &Batch, cfg: &TrainConfig) -> Result<()> {
        if gradients.params.iter().all(Option::is_none) {
            let expected = "gradients of a loss that is made of this supernet's logits";
            return Err(Error::invalid("step", "gradients that reach no weight of it", expected));
        }
        let seen = self.seen.of(batch);
        self.sgd_step(gradients, batch, cfg)?;
        if let Some((passed, begun)) = seen {
            self.stats.add(passed.loss.to_scalar()?, passed.right(&batch.y)?, batch.y.len());
            self.stats.seconds += begun.elapsed().as_secs_f64();
        }
        Ok(())
    }
}
