//! manifest.json: what a run was asked, with what, and how it went.

use super::outcome;
use super::shared::Run;
use crate::error::{Error, Result};
use crate::files;
use crate::search::RunFolder;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The status of a run that is not over; how long it takes is then not known.
const RUNNING: &str = "running";

/// Writes it before any work.
pub fn begin(host: &Run) -> Result<()> {
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let head = json!({
        "program": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "command": std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect::<Vec<_>>(),
        "run": host.options.to_json(),
        "id": host.origin.id,
        "started": started,
        "resumed": host.options.resume,
        "host": files::host_name(),
        "instructions": outcome::instructions(),
    });
    host.folder.borrow().as_ref().map_or(Ok(()), RunFolder::remove_result)?;
    host.head.set(head).ok();
    write(host, RUNNING, None)
}

/// When a first turn is saved: settings and data, for who looks at a run under way, or at what a kill has left.
pub fn under_way(host: &Run) -> Result<()> {
    if host.said.replace(true) { Ok(()) } else { write(host, RUNNING, None) }
}

/// When the run is over, one way or the other.
pub fn end(host: &Run, result: &Result<()>) -> Result<()> {
    match result {
        // A result is there before somebody is told so.
        Ok(()) => {
            host.log_settings()?;
            outcome::write(host)?;
            write(host, "finished", None)
        }
        Err(Error::Interrupted) => write(host, "interrupted", None),
        Err(error) => write(host, "failed", Some(error)),
    }
}

fn write(host: &Run, status: &str, error: Option<&Error>) -> Result<()> {
    // A session at the prompt is no run.
    let Some(head) = host.head.get() else { return Ok(()) };
    let mut all = head.clone();
    all["made_of"] = host.origin.made_of()?;
    all["status"] = json!(status);
    if let Some(error) = error {
        all["error"] = error.to_string().into();
    }
    if status != RUNNING {
        all["seconds"] = json!(host.clock.seconds());
    }
    all["settings"] = Value::Object(host.settings.effective.borrow().clone());
    if let Some(data) = host.data.borrow().as_ref() {
        all["data"] = json!({"train": data.train.describe(), "test": data.test.len(), "fingerprint": data.fingerprint});
    }
    match host.folder.borrow().as_ref() {
        Some(folder) => folder.write_manifest(&all),
        None => Ok(()),
    }
}
