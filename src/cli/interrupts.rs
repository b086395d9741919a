//! Ctrl-C (and a polite kill): once to stop within a second, twice to be gone at once.

use super::INTERRUPTED;
use isdarts_host::search::RunFolder;
use isdarts_host::{interrupt, processes, streams};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long work may take to notice before the process ends regardless. Checkpoints are atomic, so nothing is lost that
/// would have been saved.
const PATIENCE: Duration = Duration::from_millis(900);

/// Install the handler. `folder` is the run folder, for the farewell.
pub fn install(folder: Option<PathBuf>) {
    let handler = move || {
        if interrupt::requested() {
            leave(folder.as_deref());
        }
        interrupt::request();
        let folder = folder.clone();
        let late = move || {
            std::thread::sleep(PATIENCE);
            farewell(folder.as_deref());
            leave(folder.as_deref());
        };
        // Where no thread can be had, this one waits.
        if std::thread::Builder::new().spawn(late.clone()).is_err() {
            late();
        }
    };
    // Without a handler Ctrl-C still ends the process.
    ctrlc::set_handler(handler.clone()).ok();
    processes::watch_parent(handler);
}

/// For a process that waits for its children: once to stop them, who save and end in their own time, twice to be gone at once.
pub fn install_for_children() {
    let handler = || match interrupt::requested() {
        true => std::process::exit(INTERRUPTED.into()),
        false => interrupt::request(),
    };
    ctrlc::set_handler(handler).ok();
}

fn leave(folder: Option<&Path>) {
    if let Some(folder) = folder {
        RunFolder::abandon(folder);
    }
    std::process::exit(INTERRUPTED.into());
}

/// Where the work is, and how to go on.
pub fn farewell(folder: Option<&Path>) {
    streams::say(&match folder {
        Some(folder) if folder.join("checkpoint").is_dir() => format!(
            "\ninterrupted; saved up to the last whole epoch in {}\ngo on with: isdarts-host --resume {}",
            folder.join("checkpoint").display(),
            folder.display()
        ),
        Some(folder) if RunFolder::has_manifest(folder) => format!(
            "\ninterrupted before anything was saved in {}\nbegin anew with: isdarts-host --resume {}",
            folder.display(),
            folder.display()
        ),
        Some(_) => "\ninterrupted before the run had begun: start it again as it was".to_string(),
        None => "\ninterrupted".to_string(),
    });
}
