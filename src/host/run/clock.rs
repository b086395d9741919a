//! How long a run has taken, on the clock and on the processor.

use std::cell::Cell;
use std::time::Instant;

/// The seconds before it was resumed, and when it began then; the same of the processor, where the system tells.
pub struct Clock {
    wall: Cell<(f64, Instant)>,
    cpu: Cell<Option<f64>>,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { wall: Cell::new((0.0, Instant::now())), cpu: Cell::new(processor().map(|now| -now)) }
    }
}

impl Clock {
    /// Seconds that the run has taken, those before it was resumed among them.
    pub fn seconds(&self) -> f64 {
        let (before, since) = self.wall.get();
        before + since.elapsed().as_secs_f64()
    }

    /// Seconds of processors that it has taken, all threads together.
    pub fn cpu_seconds(&self) -> Option<f64> {
        Some(self.cpu.get()? + processor()?)
    }

    /// Counts on from the seconds of a saved run.
    pub fn go_on(&self, seconds: f64, cpu_seconds: Option<f64>) {
        self.wall.set((seconds, Instant::now()));
        self.cpu.set(cpu_seconds.zip(processor()).map(|(before, now)| before - now));
    }
}

/// Seconds of processors that this process has taken.
fn processor() -> Option<f64> {
    #[cfg(unix)]
    {
        use nix::sys::{
            resource::{UsageWho, getrusage},
            time::TimeValLike,
        };
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        Some((usage.user_time() + usage.system_time()).num_microseconds() as f64 * 1e-6)
    }
    #[cfg(not(unix))]
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_counts_on() {
        let clock = Clock::default();
        assert!(clock.seconds() < 1.0);
        clock.go_on(100.0, Some(50.0));
        let work: f64 = (0..2_000_000).map(|i| f64::from(i).sqrt()).sum();
        assert!(work > 0.0 && clock.seconds() > 100.0 && clock.seconds() < 160.0);
        assert!(!cfg!(unix) || clock.cpu_seconds().is_some_and(|s| s > 50.0 && s < 110.0));
        // What a checkpoint did not know stays unknown.
        clock.go_on(100.0, None);
        assert_eq!(clock.cpu_seconds(), None);
    }
}
