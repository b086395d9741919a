//! A learner in the turns of loops: it enters an epoch, and is as before if nothing was done with it there.

use super::super::EpochStats;
use super::Learner;
use std::cell::Cell;

/// The turns that are under way, the innermost last.
#[derive(Default)]
pub(super) struct Turns {
    /// Whether anything was computed or drawn since the innermost began.
    used: Cell<bool>,
    before: Vec<Before>,
}

/// A learner before a turn.
struct Before {
    epoch: usize,
    entered: bool,
    stats: EpochStats,
    used: bool,
}

impl Turns {
    pub(super) fn used(&self) {
        self.used.set(true);
    }
}

impl Learner {
    /// Enter a (1-based) epoch: statistics start anew, batches of this epoch are drawn from (seed, epoch).
    pub fn begin_epoch(&mut self, epoch: usize) {
        let used = self.turns.used.replace(false);
        self.turns.before.push(Before { epoch: self.training.epoch, entered: self.entered, stats: self.stats, used });
        self.enter(epoch);
        self.entered = true;
    }

    /// The turn that began with `begin_epoch` is over: a learner that nothing was done with is as it was before.
    pub fn leave_epoch(&mut self) {
        let Some(Before { epoch, entered, stats, used }) = self.turns.before.pop() else { return };
        if !self.turns.used.get() {
            (self.training.epoch, self.entered, self.stats) = (epoch, entered, stats);
            self.turns.used.set(used);
        }
    }

    /// Begin the epoch without a turn.
    pub(super) fn enter(&mut self, epoch: usize) {
        self.training.epoch = epoch;
        self.stats = EpochStats::default();
        self.draws.begin();
        self.seen.forget();
    }
}
