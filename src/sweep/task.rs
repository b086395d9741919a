//! One point as the run that it is: the command that any engine may start, kill, and start again.

use super::folder::Folder;
use super::plan::Row;
use crate::error::{Error, Result};
use crate::files;
use serde_json::Value;
use std::path::PathBuf;

/// Variables by which engines tell a task its number.
const VARIABLES: [&str; 3] = ["SLURM_ARRAY_TASK_ID", "HQ_TASK_ID", "PBS_ARRAY_INDEX"];

/// A run as a command line says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// The script.
    pub script: PathBuf,
    /// The run folder.
    pub out: PathBuf,
    /// Where names are found from.
    pub folder: Option<PathBuf>,
    /// `--set`.
    pub sets: Vec<(String, Value)>,
    /// `--data`.
    pub data: Option<String>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--device`.
    pub device: Option<String>,
    /// `--threads`.
    pub threads: Option<u16>,
    /// Words for the script.
    pub args: Vec<String>,
}

impl Task {
    /// The run of a point.
    pub fn of(folder: &Folder, row: &Row) -> Self {
        let point = &row.point.0;
        let text = |key: &str| point.get(key).and_then(Value::as_str).map(str::to_string);
        let word = super::value::shown;
        let args = match point.get("args") {
            Some(Value::Array(words)) => words.iter().map(word).collect(),
            one => one.iter().map(|one| word(one)).collect(),
        };
        let settings = point.iter().filter(|(key, _)| !super::points::OPTIONS.contains(&key.as_str()));
        Task {
            script: PathBuf::from(&folder.sweep.script),
            out: folder.run(row),
            folder: folder.sweep.folder.clone(),
            sets: settings.map(|(key, value)| (key.clone(), value.clone())).collect(),
            data: text("data"),
            seed: point.get("seed").and_then(Value::as_u64),
            device: text("device"),
            threads: folder.sweep.resources.threads,
            args,
        }
    }
}

/// The threads that Slurm has cores for.
pub fn threads_of_engine() -> Option<u16> {
    ["SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"].iter().find_map(|name| std::env::var(name).ok()?.parse().ok())
}

/// The number of the task that this process is, from the engine's variable.
///
/// # Errors
/// No variable, or one that is no number.
pub fn index_of_engine() -> Result<usize> {
    let found = VARIABLES.iter().find_map(|name| Some((name, std::env::var(name).ok()?)));
    let expected = format!("a number behind the folder, or one in {}", VARIABLES.join(", "));
    match found {
        None => Err(Error::invalid("sweep task", "no number of a point", expected)),
        Some((name, text)) => text.parse().map_err(|_| Error::invalid(*name, format!("`{text}`"), expected)),
    }
}

/// Write down how a task ended: `failed/INDEX.txt` says why it failed.
///
/// # Errors
/// A folder that cannot be written.
pub fn note_end(folder: &Folder, row: &Row, result: &Result<()>) -> Result<()> {
    let path = folder.failure(row);
    match result {
        Err(error) if !matches!(error, Error::Interrupted | Error::InUse { .. }) => {
            files::replace(&path, format!("{error}\n").as_bytes())
        }
        Ok(()) => std::fs::remove_file(&path).or_else(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(Error::io("remove", &path)(e)),
        }),
        Err(_) => Ok(()),
    }
}
