//! How far a sweep is, by its folders alone.

use super::folder::Folder;
use super::plan::Row;
use crate::search::{RunFolder, RunState};
use serde_json::Value;
use std::path::Path;

/// What became of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Done.
    Finished,
    /// A process works on it.
    Running,
    /// It has begun, and nobody works on it: it can go on.
    Stopped,
    /// It ended with an error.
    Failed,
    /// It has not begun.
    Waiting,
}

impl State {
    /// All of them, as they are counted.
    pub const ALL: [State; 5] = [State::Finished, State::Running, State::Stopped, State::Failed, State::Waiting];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Finished => "finished",
            State::Running => "running",
            State::Stopped => "stopped",
            State::Failed => "failed",
            State::Waiting => "waiting",
        }
    }
}

/// A point and how far it is.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The point.
    pub row: Row,
    /// What became of it.
    pub state: State,
    /// Epochs done, of how many, if that is known; why it failed.
    pub word: String,
    /// Seconds it has worked.
    pub seconds: Option<f64>,
}

/// How each wanted point stands.
pub fn standings(folder: &Folder) -> Vec<Standing> {
    folder.plan.wanted().map(|row| standing(folder, row)).collect()
}

/// How a point stands.
pub fn standing(folder: &Folder, row: &Row) -> Standing {
    let run = folder.run(row);
    let failure = std::fs::read_to_string(folder.failure(row)).ok();
    let why = || failure.as_deref().and_then(|text| text.lines().next()).unwrap_or("no reason is known").to_string();
    let manifest = RunFolder::has_manifest(&run).then(|| RunFolder::read_manifest(&run, false));
    let (state, word, manifest) = match manifest {
        Some(Err(error)) => (State::Failed, error.to_string(), Value::Null),
        Some(Ok(manifest)) => {
            let (state, word) = match RunFolder::state(&run, &manifest) {
                RunState::Finished => (State::Finished, String::new()),
                RunState::Failed => (State::Failed, why()),
                RunState::Running | RunState::Elsewhere(..) => (State::Running, progress(&run, &manifest)),
                RunState::Stopped | RunState::Interrupted => (State::Stopped, progress(&run, &manifest)),
            };
            (state, word, manifest)
        }
        None if failure.is_some() => (State::Failed, why(), Value::Null),
        None => (State::Waiting, String::new(), Value::Null),
    };
    Standing { row: row.clone(), state, word, seconds: manifest["seconds"].as_f64() }
}

/// `epoch 12 of 30`, by the last row of metrics.csv and the settings.
fn progress(run: &Path, manifest: &Value) -> String {
    let mut csv = match csv::Reader::from_path(run.join("metrics.csv")) {
        Ok(csv) => csv,
        Err(_) => return String::new(),
    };
    let column = csv.headers().ok().and_then(|header| header.iter().position(|name| name == "epoch"));
    let last = csv.records().map_while(Result::ok).last();
    let Some(epoch) = column.zip(last).and_then(|(at, row)| row.get(at).map(str::to_string)) else {
        return String::new();
    };
    match manifest["settings"]["epochs"].as_u64() {
        Some(all) => format!("epoch {epoch} of {all}"),
        None => format!("epoch {epoch}"),
    }
}

/// How many points are in each state.
pub fn counts(all: &[Standing]) -> Vec<(State, usize)> {
    let count = |state: State| all.iter().filter(|standing| standing.state == state).count();
    State::ALL.into_iter().map(|state| (state, count(state))).filter(|(_, n)| *n > 0).collect()
}

/// `1 point`, `2 points`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// `24 points: 20 finished, 3 running, 1 failed`.
pub fn summary(all: &[Standing]) -> String {
    let each: Vec<String> = counts(all).iter().map(|(state, n)| format!("{n} {}", state.name())).collect();
    format!("{}: {}", count(all.len(), "point"), each.join(", "))
}

/// A line for each of `shown`, in columns; `width` of a terminal, or no limit.
pub fn lines(shown: &[&Standing], width: Option<usize>) -> Vec<String> {
    let name = shown.iter().map(|s| s.row.folder.chars().count()).max().unwrap_or(0);
    let line = |s: &&Standing| {
        let seconds = s.seconds.map_or_else(String::new, |seconds| format!("{seconds:.0} s"));
        let line = format!("{:>6}  {:name$}  {:8} {seconds:>8}  {}", s.row.index, s.row.folder, s.state.name(), s.word);
        width.map_or(line.clone(), |width| line.chars().take(width).collect()).trim_end().to_string()
    };
    shown.iter().map(line).collect()
}
