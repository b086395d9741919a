//! Progress for people: one line that is rewritten on a terminal, plain lines elsewhere; on stderr.

use isdarts_host::search::{Progress, progress::Tick};
use isdarts_host::streams;
use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows progress on stderr.
pub struct Terminal {
    /// Whether lines can be rewritten.
    rewrites: bool,
    /// Whether steps are shown, besides notes.
    steps: bool,
    state: RefCell<Shown>,
}

struct Shown {
    /// When the line was last shown.
    shown: Option<Instant>,
    /// Whether a line stands that is to be rewritten.
    standing: bool,
    /// When training began, and how much of it was done then: a run that is resumed begins in the middle.
    began: Option<(Instant, f64)>,
    last_epoch: usize,
}

impl Terminal {
    /// Finds out what stderr is.
    pub fn new() -> Self {
        Terminal::showing(true)
    }

    /// Only notes: for a transcript, which has no use for figures of the moment.
    pub fn notes() -> Self {
        Terminal::showing(false)
    }

    fn showing(steps: bool) -> Self {
        let state = Shown { shown: None, standing: false, began: None, last_epoch: 0 };
        Terminal { rewrites: std::io::stderr().is_terminal(), steps, state: RefCell::new(state) }
    }
}

impl Progress for Terminal {
    fn tick(&self, tick: &Tick) {
        if !self.steps {
            return;
        }
        let mut state = self.state.borrow_mut();
        let now = Instant::now();
        let left = state.left(tick, now);
        let ended = tick.step.0 == tick.step.1;
        let since = state.shown.map_or(Duration::MAX, |t| now - t);
        // Elsewhere than on a terminal: every epoch, and long epochs now and then.
        let due = match self.rewrites {
            true => since > Duration::from_millis(100) || ended,
            false => since > Duration::from_secs(10) || (ended && tick.task == "train"),
        };
        if !due {
            return;
        }
        state.shown = Some(now);
        let mut err = std::io::stderr().lock();
        // A closed stderr is no reason to stop working.
        if self.rewrites {
            // At the end of a task the line goes: what a script prints next wants one of its own.
            state.standing = !ended;
            let text = if ended { String::new() } else { line(tick, left) };
            write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush()).ok();
        } else {
            writeln!(err, "{}", line(tick, left)).ok();
        }
    }

    fn note(&self, note: &str) {
        self.clear();
        streams::say(&streams::plain(note));
    }

    fn clear(&self) {
        if std::mem::take(&mut self.state.borrow_mut().standing) {
            let mut err = std::io::stderr().lock();
            write!(err, "\r\x1b[2K").and_then(|()| err.flush()).ok();
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.state.borrow().standing {
            streams::say("");
        }
    }
}

impl Shown {
    /// Seconds of training left in this search, once some of it is done.
    fn left(&mut self, tick: &Tick, now: Instant) -> Option<f64> {
        let (epoch, epochs) = tick.epoch;
        if tick.task != "train" || epochs == 0 || tick.step.1 == 0 {
            return None;
        }
        let done = ((epoch - 1) as f64 + tick.step.0 as f64 / tick.step.1 as f64) / epochs as f64;
        if epoch < self.last_epoch {
            self.began = None;
        }
        self.last_epoch = epoch;
        let (start, before) = *self.began.get_or_insert((now, done));
        let passed = (now - start).as_secs_f64();
        (done > before && passed > 0.5).then(|| passed / (done - before) * (1.0 - done).max(0.0))
    }
}

fn line(tick: &Tick, left: Option<f64>) -> String {
    let mut text = format!("{:8}", tick.task);
    if tick.epoch.0 > 0 {
        text += &format!(" epoch {}/{}", tick.epoch.0, tick.epoch.1);
    }
    text += &format!("  step {}/{}", tick.step.0, tick.step.1);
    if let Some(loss) = tick.loss {
        text += &format!("  loss {loss:.4}");
    }
    if let Some(accuracy) = tick.accuracy {
        text += &format!("  acc {:.1}%", 100.0 * accuracy);
    }
    if tick.seconds > 0.0 {
        text += &format!("  {:.0} img/s", tick.images as f64 / tick.seconds);
    }
    if let Some(left) = left {
        text += &format!("  {} left", clock(left));
    }
    text
}

/// `0:42`, `12:03`, `1:02:03`.
fn clock(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(epoch: usize, step: usize) -> Tick {
        let (loss, accuracy) = (Some(1.25), Some(0.5));
        Tick { task: "train", epoch: (epoch, 30), step: (step, 20), loss, accuracy, images: 640, seconds: 0.5 }
    }

    #[test]
    fn a_line_says_how_far_how_good_how_fast_and_how_long_yet() {
        assert_eq!(
            line(&tick(3, 10), Some(62.4)),
            "train    epoch 3/30  step 10/20  loss 1.2500  acc 50.0%  1280 img/s  1:02 left"
        );
        let measure = Tick { task: "measure", epoch: (0, 0), loss: None, accuracy: None, ..tick(0, 2) };
        assert_eq!(line(&measure, None), "measure   step 2/20  1280 img/s");
        assert_eq!(clock(3723.0), "1:02:03");
    }

    #[test]
    fn time_left_counts_from_where_a_resumed_run_began() {
        let mut state = Shown { shown: None, standing: false, began: None, last_epoch: 0 };
        let start = Instant::now();
        assert_eq!(state.left(&tick(16, 0), start), None);
        // Of 30 epochs, 15 were done before, 3 more in 6 s: 12 are left.
        let left = state.left(&tick(19, 0), start + Duration::from_secs(6)).unwrap();
        assert!((left - 24.0).abs() < 1e-9, "{left}");
        // The next search begins anew.
        assert_eq!(state.left(&tick(1, 1), start + Duration::from_secs(7)), None);
    }
}
