//! manifest.json: what a run was asked, with what, and how it went.

use super::outcome;
use super::shared::Run;
use crate::error::{Error, Result};
use crate::files;
use crate::search::RunFolder;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the manifest at the beginning and end of a run.
pub struct Manifest {
    head: Value,
}

impl Manifest {
    /// Writes it before any work.
    pub fn begin(host: &Run) -> Result<Self> {
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
        let manifest = Manifest { head };
        manifest.write(host, "running", None)?;
        Ok(manifest)
    }

    /// When the run is over, one way or the other.
    pub fn end(&self, host: &Run, result: &Result<()>) -> Result<()> {
        match result {
            // A result is there before somebody is told so.
            Ok(()) => {
                host.log_settings()?;
                outcome::write(host)?;
                self.write(host, "finished", None)
            }
            Err(Error::Interrupted) => self.write(host, "interrupted", None),
            Err(error) => self.write(host, "failed", Some(error)),
        }
    }

    fn write(&self, host: &Run, status: &str, error: Option<&Error>) -> Result<()> {
        let mut all = self.head.clone();
        all["made_of"] = host.origin.made_of()?;
        all["status"] = json!(status);
        if let Some(error) = error {
            all["error"] = error.to_string().into();
        }
        all["seconds"] = json!(host.clock.seconds());
        all["settings"] = Value::Object(host.settings.effective.borrow().clone());
        if let Some(data) = host.data.borrow().as_ref() {
            all["data"] =
                json!({"train": data.train.describe(), "test": data.test.len(), "fingerprint": data.fingerprint});
        }
        match host.folder.borrow().as_ref() {
            Some(folder) => folder.write_manifest(&all),
            None => Ok(()),
        }
    }
}
