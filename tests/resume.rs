//! A run that is cut off at any step and resumed ends with the same bits as one that was not.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod stop_at;

use isdarts_host::error::Error;
use isdarts_host::host::{self, RunOptions};
use isdarts_host::interrupt;
use isdarts_host::search::Silent;
use std::path::Path;
use std::rc::Rc;
use stop_at::StopAt;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/resumable.rhai");

fn options(folder: &Path, resume: bool) -> RunOptions {
    RunOptions { script: Some(SCRIPT.into()), folder: Some(folder.into()), resume, quiet: true, ..Default::default() }
}

/// The run folder's files, without what tells the time. The script writes each of them.
fn outcome(folder: &Path) -> Vec<String> {
    let read = |name: &str| {
        let text = std::fs::read_to_string(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let timeless = |l: &str| match l.rsplit_once(',').filter(|_| name == "metrics.csv") {
            Some((head, step)) => format!("{},{step}", head.rsplit_once(',').unwrap().0),
            None => l.into(),
        };
        let lines: Vec<String> = text.lines().map(timeless).collect();
        assert!(lines.len() >= 2, "{name}: {text}");
        lines
    };
    ["metrics.csv", "iim.csv", "genotype.txt", "results.csv"].map(read).concat()
}

#[test]
fn a_run_cut_off_at_any_step_resumes_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    let all = Rc::new(StopAt::default());
    host::run(&options(&whole, false), all.clone()).unwrap();
    let expected = outcome(&whole);
    assert!(expected.len() > 100);
    let total = all.ticks.get();
    assert!(total > 20, "{total}");

    for stop in (1..=total).step_by(3) {
        let folder = dir.path().join(format!("cut-{stop}"));
        let result = host::run(&options(&folder, false), Rc::new(StopAt { stop, ..Default::default() }));
        assert!(matches!(result, Err(Error::Interrupted)), "cut at {stop}: {result:?}");
        interrupt::clear();
        // cut off a second time, a little later
        let twice = host::run(&options(&folder, true), Rc::new(StopAt { stop: 7, ..Default::default() }));
        interrupt::clear();
        if let Err(error) = twice {
            assert!(matches!(error, Error::Interrupted), "cut at {stop}, resumed: {error}");
            host::run(&options(&folder, true), Rc::new(Silent)).unwrap_or_else(|e| panic!("cut at {stop}: {e}"));
        }
        let found = outcome(&folder);
        for (line, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(a, b, "cut at {stop} of {total}, line {line}");
        }
        assert_eq!(found.len(), expected.len(), "cut at {stop} of {total}");
    }
}
