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

#[derive(Default)]
struct Shown {
    /// When the line was last shown.
    shown: Option<Instant>,
    /// Whether a line stands that is to be rewritten.
    standing: bool,
    /// When training began, and how much of it was done then: a run that is resumed begins in the middle.
    began: Option<(Instant, f64)>,
    last_epoch: (usize, usize),
    /// The search under way, where a script says it.
    label: String,
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
        Terminal { rewrites: std::io::stderr().is_terminal(), steps, state: RefCell::default() }
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
            true => since > Duration::from_millis(100),
            false => since > Duration::from_secs(10) || (ended && tick.task == "train"),
        };
        if !due {
            return;
        }
        state.shown = Some(now);
        let mut err = std::io::stderr().lock();
        // A closed stderr is no reason to stop working.
        if self.rewrites {
            // It stands until something else is printed: short epochs would show nothing but gaps between lines.
            state.standing = true;
            write!(err, "\r\x1b[2K{}", line(&state.label, tick, left, columns())).and_then(|()| err.flush()).ok();
        } else {
            writeln!(err, "{}", line(&state.label, tick, left, usize::MAX)).ok();
        }
    }

    fn note(&self, note: &str) {
        self.clear();
        streams::say(&streams::plain(note));
    }

    fn label(&self, name: &str) {
        self.state.borrow_mut().label = name.to_string();
    }

    fn columns(&self) -> Option<usize> {
        (self.rewrites && self.steps).then(columns)
    }

    fn clear(&self) {
        if std::mem::take(&mut self.state.borrow_mut().standing) {
            let mut err = std::io::stderr().lock();
            write!(err, "\r\x1b[2K").and_then(|()| err.flush()).ok();
        }
    }

    fn over(&self) {
        self.clear();
        let label = std::mem::take(&mut self.state.borrow_mut().label);
        *self.state.borrow_mut() = Shown { label, ..Shown::default() };
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
        // Another loop: its pace is not known yet.
        if epoch < self.last_epoch.0 || epochs != self.last_epoch.1 {
            self.began = None;
        }
        self.last_epoch = (epoch, epochs);
        let (start, before) = *self.began.get_or_insert((now, done));
        let passed = (now - start).as_secs_f64();
        (done > before && passed > 0.5).then(|| passed / (done - before) * (1.0 - done).max(0.0))
    }
}

/// Letters of a label that are shown.
const LABEL: usize = 24;

fn columns() -> usize {
    streams::stderr_width().unwrap_or(80)
}

/// Of which search, how far, how good, how fast, how long yet: what fits into a row of so many columns, whose last one stays free, for some
/// terminals begin another row there.
fn line(label: &str, tick: &Tick, left: Option<f64>, columns: usize) -> String {
    // Text, and how much it is missed: what is missed least goes first. The label stands where the eye begins.
    let mut parts = vec![(format!("{:8}", tick.task), 6)];
    if !label.is_empty() {
        let cut = label.chars().count() > LABEL;
        let name = if cut { label.chars().take(LABEL - 3).collect::<String>() + "..." } else { label.into() };
        parts.insert(0, (format!("{name}  "), 5));
    }
    if tick.epoch.0 > 0 {
        parts.push((format!(" epoch {}/{}", tick.epoch.0, tick.epoch.1), 4));
    }
    parts.push((format!("  step {}/{}", tick.step.0, tick.step.1), 1));
    parts.extend(tick.loss.map(|loss| (format!("  loss {loss:.4}"), 2)));
    parts.extend(tick.accuracy.map(|accuracy| (format!("  acc {:.1}%", 100.0 * accuracy), 2)));
    if tick.seconds > 0.0 {
        parts.push((format!("  {:.0} img/s", tick.images as f64 / tick.seconds), 0));
    }
    parts.extend(left.map(|left| (format!("  {} left", clock(left)), 3)));
    let fits = |parts: &[(String, i32)]| parts.iter().map(|(text, _)| text.chars().count()).sum::<usize>() < columns;
    for least in 0..6 {
        if !fits(&parts) {
            parts.retain(|(_, missed)| *missed > least);
        }
    }
    parts.into_iter().map(|(text, _)| text).collect::<String>().chars().take(columns.saturating_sub(1)).collect()
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
        for (columns, expected) in [
            (79, "train    epoch 3/30  step 10/20  loss 1.2500  acc 50.0%  1280 img/s  1:02 left"),
            (78, "train    epoch 3/30  step 10/20  loss 1.2500  acc 50.0%  1:02 left"),
            (60, "train    epoch 3/30  loss 1.2500  acc 50.0%  1:02 left"),
            (40, "train    epoch 3/30  1:02 left"),
            (20, "train    epoch 3/30"),
            (9, "train   "),
            (4, "tra"),
        ] {
            let shown = line("", &tick(3, 10), Some(62.4), columns);
            assert_eq!(shown, expected);
            assert!(shown.len() < columns);
        }
        let measure = Tick { task: "measure", epoch: (0, 0), loss: None, accuracy: None, ..tick(0, 2) };
        assert_eq!(line("", &measure, None, 80), "measure   step 2/20  1280 img/s");
        assert_eq!(clock(3723.0), "1:02:03");
    }

    #[test]
    fn a_line_names_the_search_that_it_belongs_to() {
        let terminal = Terminal { rewrites: false, steps: false, state: RefCell::default() };
        terminal.label("gdas/1");
        terminal.over();
        let state = terminal.state.borrow();
        for (columns, expected) in [
            (80, "gdas/1  train    epoch 3/30  step 10/20  loss 1.2500  acc 50.0%  1:02 left"),
            (40, "gdas/1  train    epoch 3/30  1:02 left"),
            (30, "gdas/1  train    epoch 3/30"),
            (20, "gdas/1  train   "),
        ] {
            assert_eq!(line(&state.label, &tick(3, 10), Some(62.4), columns), expected);
        }
        let long = line(&"m".repeat(60), &tick(3, 10), None, 80);
        assert!(long.starts_with(&format!("{}...  train ", "m".repeat(21))), "{long}");
    }

    #[test]
    fn time_left_counts_from_where_a_resumed_run_began() {
        let mut state = Shown::default();
        let start = Instant::now();
        assert_eq!(state.left(&tick(16, 0), start), None);
        // Of 30 epochs, 15 were done before, 3 more in 6 s: 12 are left.
        let left = state.left(&tick(19, 0), start + Duration::from_secs(6)).unwrap();
        assert!((left - 24.0).abs() < 1e-9, "{left}");
        // The next search begins anew.
        assert_eq!(state.left(&tick(1, 1), start + Duration::from_secs(7)), None);
        // So does one of another length, though its epochs go on from there.
        assert!(state.left(&tick(2, 1), start + Duration::from_secs(9)).is_some());
        let longer = Tick { epoch: (3, 500), ..tick(3, 1) };
        assert_eq!(state.left(&longer, start + Duration::from_secs(3600)), None);
    }

    #[test]
    fn what_is_left_does_not_count_the_time_between_two_inputs() {
        let terminal = Terminal { rewrites: false, steps: true, state: RefCell::default() };
        terminal.tick(&tick(1, 1));
        terminal.over();
        let later = Instant::now() + Duration::from_secs(3600);
        assert_eq!(terminal.state.borrow_mut().left(&tick(2, 1), later), None);
    }
}
