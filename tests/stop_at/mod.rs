//! A run that is cut off.

use isdarts_host::interrupt;
use isdarts_host::search::{Progress, progress::Tick};
use std::cell::Cell;

/// Interrupts the run at so many ticks from its beginning (0: never), and counts them.
#[derive(Default)]
pub struct StopAt {
    pub stop: usize,
    pub ticks: Cell<usize>,
}

impl Progress for StopAt {
    fn tick(&self, _: &Tick) {
        self.ticks.set(self.ticks.get() + 1);
        if self.ticks.get() == self.stop {
            interrupt::request();
        }
    }

    fn note(&self, _: &str) {}
}
