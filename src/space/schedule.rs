//! When to shrink, and by how much.

use crate::error::{Error, Result};
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
    pub fn new(epochs: usize, steps: usize, every: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::invalid("shrink schedule, steps", steps, "at least 1"));
        }
        if every == 0 && steps > 1 {
            let expected = "at least 1 (0 means one step after the last epoch, and allows steps = 1 only)";
            return Err(Error::invalid("shrink schedule, epochs between steps", every, expected));
        }
        if steps.checked_mul(every).is_none_or(|span| span >= epochs) {
            let counted = |n: usize| if n == 1 { "1 epoch".to_string() } else { format!("{n} epochs") };
            let got = format!("{steps} steps, {} apart, in {}", counted(every), counted(epochs));
            return Err(Error::invalid("shrink schedule", got, "steps * every < epochs"));
        }
        Ok(ShrinkSchedule { epochs, steps, every })
    }

    /// The epochs after which a step falls, in order.
    pub fn due_epochs(&self) -> Vec<usize> {
        (1..=self.steps).rev().map(|k| self.epochs.saturating_sub(k.saturating_mul(self.every))).collect()
    }

    /// Whether a step falls after this (1-based) epoch.
    pub fn is_due(&self, epoch: usize) -> bool {
        match (self.epochs.checked_sub(epoch), self.every) {
            (None, _) => false,
            (Some(to_go), 0) => to_go == 0,
            (Some(to_go), every) => to_go % every == 0 && (1..=self.steps).contains(&(to_go / every)),
        }
    }

    /// Steps left after this epoch, the one due now included.
    pub fn steps_left(&self, epoch: usize) -> usize {
        match (self.epochs.checked_sub(epoch), self.every) {
            (None, _) => 0,
            (Some(_), 0) => self.steps,
            (Some(to_go), every) => self.steps.min(to_go / every),
        }
    }

    /// `ceil((alive - keep) / steps_left)`; 0 if no step is due.
    pub fn n_to_drop(&self, alive: usize, keep: usize, epoch: usize) -> usize {
        if self.is_due(epoch) { alive.saturating_sub(keep).div_ceil(self.steps_left(epoch)) } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(epochs: usize, steps: usize, every: usize) -> ShrinkSchedule {
        ShrinkSchedule::new(epochs, steps, every).unwrap()
    }

    /// How many are dropped at each step of a schedule, from `alive` down to `keep`.
    fn drops(s: ShrinkSchedule, mut alive: usize, keep: usize) -> Vec<usize> {
        let drop_at = |e| {
            let n = s.n_to_drop(alive, keep, e);
            alive -= n;
            n
        };
        s.due_epochs().into_iter().map(drop_at).collect()
    }

    #[test]
    fn steps_fall_after_the_epochs_of_the_paper() {
        for (s, due) in [
            (schedule(30, 4, 2), vec![22, 24, 26, 28]),
            (schedule(50, 7, 3), vec![29, 32, 35, 38, 41, 44, 47]),
            (schedule(50, 1, 0), vec![50]),
            (schedule(5, 4, 1), vec![1, 2, 3, 4]),
            (schedule(2, 1, 1), vec![1]),
        ] {
            assert_eq!(s.due_epochs(), due, "{s:?}");
            let found: Vec<usize> = (0..=s.epochs + 5).filter(|e| s.is_due(*e)).collect();
            assert_eq!(found, due, "{s:?}");
            for epoch in 0..=s.epochs + 5 {
                assert_eq!(s.steps_left(epoch), due.iter().filter(|d| **d >= epoch).count(), "{s:?} epoch {epoch}");
            }
        }
    }

    #[test]
    fn each_step_drops_its_share_of_what_is_left_rounded_up() {
        for (s, alive, keep, expected) in [
            (schedule(30, 4, 2), 5, 1, vec![1, 1, 1, 1]),
            (schedule(50, 7, 3), 16, 2, vec![2; 7]),
            (schedule(50, 7, 3), 24, 2, vec![4, 3, 3, 3, 3, 3, 3]),
            (schedule(50, 7, 3), 32, 2, vec![5, 5, 4, 4, 4, 4, 4]),
            (schedule(50, 7, 3), 40, 2, vec![6, 6, 6, 5, 5, 5, 5]),
            (schedule(50, 1, 0), 40, 2, vec![38]),
            (schedule(30, 8, 2), 5, 1, vec![1, 1, 1, 1, 0, 0, 0, 0]),
            (schedule(30, 4, 2), 1, 1, vec![0; 4]),
            (schedule(30, 4, 2), 0, 1, vec![0; 4]),
        ] {
            assert_eq!(drops(s, alive, keep), expected, "{s:?} {alive} -> {keep}");
        }
    }

    #[test]
    fn nothing_is_dropped_where_no_step_is_due() {
        let s = schedule(30, 4, 2);
        for epoch in (0..35).filter(|e| !s.is_due(*e)) {
            assert_eq!(s.n_to_drop(5, 1, epoch), 0, "epoch {epoch}");
        }
    }

    #[test]
    fn a_schedule_that_does_not_fit_is_refused_with_its_numbers() {
        for (e, s, i, says) in [
            (30, 0, 2, "got 0, expected at least 1"),
            (30, 2, 0, "steps = 1 only"),
            (8, 4, 2, "4 steps, 2 epochs apart, in 8 epochs"),
            (0, 1, 0, "in 0 epochs"),
            (30, usize::MAX, 2, "steps * every < epochs"),
        ] {
            let message = ShrinkSchedule::new(e, s, i).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
