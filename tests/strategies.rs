//! Every strategy of the stdlib runs to its end on each space, in a reduced setting, and a search that was cut off resumes to the
//! same bits. What the strategies compute is held by `tests/methods.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod stop_at;

use isdarts_host::error::Error;
use isdarts_host::host::{self, RunOptions, STDLIB};
use isdarts_host::interrupt;
use std::path::Path;
use std::rc::Rc;
use stop_at::StopAt;

const SPACES: [&str; 2] = ["nas-bench-201", "darts"];

/// Modules with a search.
fn strategies() -> Vec<&'static str> {
    let searches = STDLIB.iter().filter(|(_, text)| text.contains("\nfn search(space, data, cfg)"));
    searches.map(|(path, _)| path.strip_prefix("nas/").unwrap()).collect()
}

fn options(method: &str, space: &str, folder: &Path, resume: bool) -> RunOptions {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/methods/strategy.rhai");
    let args = vec![method.to_string(), space.to_string()];
    RunOptions { script: Some(script), folder: Some(folder.into()), args, resume, quiet: true, ..Default::default() }
}

/// What the run wrote, without what tells the time: losses of the epochs (where it trains), cell, the next draw.
fn outcome(folder: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    let metrics: Vec<String> =
        read("metrics.csv").lines().map(|l| l.rsplitn(3, ',').last().unwrap().to_string()).collect();
    let found = read("genotype.txt");
    assert!(found.contains("none") || found.contains('_'), "{found}");
    assert_eq!(read("results.csv").lines().count(), 2);
    [metrics.join("\n"), found, read("results.csv")].concat()
}

/// One thread does it all: a request to interrupt is for the whole process.
#[test]
fn every_strategy_runs_to_its_end_and_resumes_to_the_same_bits() {
    let strategies = strategies();
    assert!(strategies.len() >= 12, "{strategies:?}");
    let dir = tempfile::tempdir().unwrap();
    for method in strategies {
        for space in SPACES {
            let whole = dir.path().join(format!("{method}-{space}"));
            let all = Rc::new(StopAt::default());
            host::run(&options(method, space, &whole, false), all.clone())
                .unwrap_or_else(|e| panic!("{method}, {space}: {e}"));
            let expected = outcome(&whole);
            let ticks = all.ticks.get();
            if space != SPACES[0] || ticks < 3 {
                continue;
            }
            let folder = dir.path().join(format!("{method}-cut"));
            let cut = Rc::new(StopAt { stop: 1 + ticks / 2, ..Default::default() });
            let result = host::run(&options(method, space, &folder, false), cut);
            interrupt::clear();
            assert!(matches!(result, Err(Error::Interrupted)), "{method}: {result:?}");
            host::run(&options(method, space, &folder, true), Rc::new(StopAt::default()))
                .unwrap_or_else(|e| panic!("{method}, resumed: {e}"));
            assert_eq!(outcome(&folder), expected, "{method}, cut at {} of {ticks}", 1 + ticks / 2);
        }
    }
}
