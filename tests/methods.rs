//! Every strategy of the stdlib beside a search that PyTorch did from the same weights, images and draws: losses, optimiser
//! steps, weights, scores, drops, genotype (`tests/methods/cases`, recorded by `tests/peer/record.py`), in both spaces and two
//! sizes; its settings beside those written down from the papers (`defaults.json`). And blunders in the scripts
//! (`mutations.txt`), each of which that must refuse. The scripts are the binary's, or those of the folder `ISDARTS_STDLIB`.
//!
//! `ISDARTS_METHODS_TABLE=1 cargo test --release --test methods` writes the table of `tests/methods/README.md` anew.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "methods/case.rs"]
mod case;
#[path = "methods/compare.rs"]
mod compare;
mod ended;
#[path = "methods/mutations.rs"]
mod mutations;
#[path = "golden_support/sketch.rs"]
#[allow(dead_code, reason = "first weights are of the golden cases")]
mod sketch;

use case::{Apart, Case};
use mutations::Mutation;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Strategies that nothing recorded holds yet: that they run is tested (`tests/strategies.rs`), what they compute is not.
const NOT_PINNED: [&str; 0] = [];

/// What is known of a strategy.
#[derive(Default)]
struct Row {
    cases: usize,
    spaces: BTreeSet<String>,
    sizes: BTreeSet<String>,
    steps: usize,
    worst: (f64, String),
    refused: usize,
    tried: usize,
}

#[test]
fn every_strategy_keeps_to_pytorch_and_every_blunder_is_refused() {
    let (cases, mutations) = (case::all(), mutations::all());
    let mut failures = vec![];
    let mut rows: BTreeMap<String, Row> = strategies().into_iter().map(|method| (method, Row::default())).collect();

    let kept = in_parallel(&cases, |case| case.keeps(None));
    for (case, kept) in cases.iter().zip(kept) {
        let row = rows.get_mut(&case.method).unwrap_or_else(|| panic!("{}: no such strategy", case.name));
        row.cases += 1;
        row.spaces.insert(case.space.clone());
        row.sizes.insert(case.size());
        row.steps += case.want.n_steps();
        match kept {
            Ok(worst) => {
                for (kind, (share, off)) in worst {
                    if share > row.worst.0 || row.worst.1.is_empty() {
                        row.worst = (share, format!("{kind} {off:.1e}"));
                    }
                }
            }
            Err(Apart::Failed(text) | Apart::Deviates(text)) => failures.push(format!("{}: {text}", case.name)),
        }
    }

    let refused = in_parallel(&mutations, |mutation| refuses(mutation, &cases));
    for (mutation, refused) in mutations.iter().zip(refused) {
        let Some(row) = rows.get_mut(&mutation.method) else {
            failures.push(format!("{}: no such strategy: {}", mutation.method, mutation.breaks));
            continue;
        };
        row.tried += 1;
        match refused {
            Ok(why) => {
                row.refused += 1;
                println!("{}: {}: {why}", mutation.method, mutation.breaks);
            }
            Err(why) => failures.push(format!("mutation of {}, {}: {why}", mutation.method, mutation.breaks)),
        }
    }

    for (method, row) in &rows {
        if NOT_PINNED.contains(&method.as_str()) {
            if row.cases + row.tried > 0 {
                failures.push(format!("{method}: has cases or mutations, and is listed as not pinned"));
            }
            continue;
        }
        failures.extend(row.lacks().map(|lack| format!("{method}: no {lack} (tests/peer/record.py, mutations.txt)")));
    }
    let table = table(&rows);
    // Past the test harness, which keeps the output of a passing test to itself.
    writeln!(std::io::stdout(), "{table}").unwrap();
    if std::env::var_os("ISDARTS_METHODS_TABLE").is_some() {
        write_table(&table);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

impl Row {
    /// What a strategy must have and has not: a case in each space, of two sizes (those that train), and mutations.
    fn lacks(&self) -> impl Iterator<Item = &'static str> {
        let has = |space: &str| self.spaces.contains(space);
        [
            (has("nas-bench-201"), "case in nas-bench-201"),
            (has("darts"), "case in the DARTS space"),
            (self.steps == 0 || self.sizes.len() > 1, "case of a second size"),
            (self.tried > 0, "mutation"),
        ]
        .into_iter()
        .filter_map(|(is_there, what)| (!is_there).then_some(what))
    }
}

/// The folder that scripts come from.
fn stdlib() -> PathBuf {
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("stdlib");
    std::env::var_os("ISDARTS_STDLIB").map_or_else(own, PathBuf::from)
}

/// Modules with a search.
fn strategies() -> Vec<String> {
    let searches = |file: &PathBuf| std::fs::read_to_string(file).unwrap().contains("\nfn search(space, data, cfg)");
    let files = mutations::scripts(&stdlib()).into_iter().filter(searches);
    files.map(|f| f.file_stem().unwrap().to_string_lossy().into_owned()).collect()
}

/// Why the cases refuse a script with the blunder in it.
fn refuses(mutation: &Mutation, cases: &[Case]) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    mutation.apply(&stdlib(), folder.path())?;
    for case in cases.iter().filter(|c| c.method == mutation.method) {
        match case.keeps(Some(folder.path())) {
            Ok(_) => {}
            Err(Apart::Deviates(why)) => return Ok(format!("{}, {why}", case.name)),
            Err(Apart::Failed(why)) => return Err(format!("does not run, so that it tests nothing: {why}")),
        }
    }
    Err("SURVIVES".into())
}

/// As many at once as there are cores; each is a process of one thread.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((i, item)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, items.get(i)?)))
                {
                    let result = work(item);
                    done.lock().unwrap().push((i, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(i, _)| *i);
    done.into_iter().map(|(_, result)| result).collect()
}

fn table(rows: &BTreeMap<String, Row>) -> String {
    let mut text =
        "| strategy | searches | steps compared | worst deviation (share of its bound) | mutations refused |\n\
                    |---|---|---|---|---|\n"
            .to_string();
    for (method, row) in rows {
        let (share, worst) = &row.worst;
        let worst = if worst.is_empty() { "none".into() } else { format!("{worst} ({:.0} %)", 100.0 * share) };
        let Row { cases, steps, refused, tried, .. } = row;
        if NOT_PINNED.contains(&method.as_str()) {
            text += &format!("| {method} | not pinned | | | |\n");
            continue;
        }
        text += &format!("| {method} | {cases} | {steps} | {worst} | {refused} of {tried} |\n");
    }
    text
}

fn write_table(table: &str) {
    let path = case::folder().join("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, _) = text.split_once("| strategy |").unwrap();
    std::fs::write(&path, format!("{before}{table}")).unwrap();
}
