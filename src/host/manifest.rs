//! manifest.json: what a run was asked, with what, and how it went.

use super::context::Host;
use crate::error::{Error, Result};
use crate::search::RunFolder;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes the manifest at the beginning and end of a run.
pub struct Manifest {
    head: Value,
}

impl Manifest {
    /// Before any work.
    pub fn begin(host: &Host, script: &str) -> Result<Self> {
        let script_hash = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(script.as_bytes()));
        if host.options.resume {
            same_script(host, &script_hash)?;
        }
        let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let head = json!({
            "program": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "command": std::env::args().collect::<Vec<_>>(),
            "run": host.options.to_json(),
            "script_hash": script_hash,
            "started": started,
            "resumed": host.options.resume,
        });
        let manifest = Manifest { head };
        manifest.write(host, "running")?;
        Ok(manifest)
    }

    /// When the run is over, one way or the other.
    pub fn end(&self, host: &Host, result: &Result<()>) -> Result<()> {
        self.write(
            host,
            match result {
                Ok(()) => "finished",
                Err(Error::Interrupted) => "interrupted",
                Err(_) => "failed",
            },
        )
    }

    fn write(&self, host: &Host, status: &str) -> Result<()> {
        let mut all = self.head.clone();
        all["status"] = json!(status);
        all["seconds"] = json!(host.seconds());
        all["settings"] = Value::Object(host.settings.borrow().clone());
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

/// A resumed run goes on with the text it began with.
fn same_script(host: &Host, now: &str) -> Result<()> {
    let Some(folder) = host.options.folder.as_deref() else { return Ok(()) };
    match RunFolder::read_manifest(folder)?["script_hash"].as_str() {
        Some(then) if then != now => Err(Error::invalid(
            format!("resuming {}", folder.display()),
            "a script that was changed since the run began",
            "the same text (or a new run)",
        )),
        _ => Ok(()),
    }
}
