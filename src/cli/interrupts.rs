//! Ctrl-C (and a polite kill): once to stop within a second, twice to be gone at once.

use super::INTERRUPTED;
use isdarts_host::interrupt;
use std::path::PathBuf;
use std::time::Duration;

/// How long work may take to notice before the process ends regardless. Checkpoints are atomic, so nothing is lost that
/// would have been saved.
const PATIENCE: Duration = Duration::from_millis(900);

/// Install the handler. `folder` is the run folder, for the farewell.
pub fn install(folder: Option<PathBuf>) {
    let handler = move || {
        if interrupt::requested() {
            std::process::exit(INTERRUPTED.into());
        }
        interrupt::request();
        let folder = folder.clone();
        std::thread::spawn(move || {
            std::thread::sleep(PATIENCE);
            farewell(folder.as_deref());
            std::process::exit(INTERRUPTED.into());
        });
    };
    // Without a handler Ctrl-C still ends the process.
    ctrlc::set_handler(handler).ok();
}

/// Where the work is, and how to go on.
pub fn farewell(folder: Option<&std::path::Path>) {
    match folder {
        Some(folder) if folder.join("checkpoint").is_dir() => eprintln!(
            "\ninterrupted; saved up to the last whole epoch in {}\ngo on with: isdarts-host --resume {}",
            folder.join("checkpoint").display(),
            folder.display()
        ),
        Some(folder) => eprintln!(
            "\ninterrupted before anything was saved in {}\nbegin anew with: isdarts-host --resume {}",
            folder.display(),
            folder.display()
        ),
        None => eprintln!("\ninterrupted"),
    }
}
