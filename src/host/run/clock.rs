//! How long a run has taken.

use std::cell::Cell;
use std::time::Instant;

/// The seconds before it was resumed, and when it began then.
pub struct Clock(Cell<(f64, Instant)>);

impl Default for Clock {
    fn default() -> Self {
        Clock(Cell::new((0.0, Instant::now())))
    }
}

impl Clock {
    /// Seconds that the run has taken, those before it was resumed among them.
    pub fn seconds(&self) -> f64 {
        let (before, since) = self.0.get();
        before + since.elapsed().as_secs_f64()
    }

    /// Counts on from the seconds of a saved run.
    pub fn go_on(&self, before: f64) {
        self.0.set((before, Instant::now()));
    }
}
