//! How a run stands, as others see it: by the lock, not by the manifest's word alone.

use super::{LOCK, RESULT, RunFolder};
use crate::files::{Holder, Lock};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// A living process of this machine works in the folder.
    Running,
    /// A process of another machine (its name, its number there) has written that it works there; whether it lives cannot be
    /// seen from here.
    Elsewhere(String, u32),
    /// It was killed, or its machine went down: no process works there, and none has said how the run ended.
    Stopped,
    /// Ctrl-C, or a polite kill; saved up to its last epoch.
    Interrupted,
    /// An error, which stands in the manifest.
    Failed,
    /// It came to its end.
    Finished,
}

impl RunState {
    /// The names of all states.
    pub const NAMES: [&str; 6] = ["running", "elsewhere", "stopped", "interrupted", "failed", "finished"];

    /// Its name.
    pub fn name(&self) -> &'static str {
        Self::NAMES[match self {
            RunState::Running => 0,
            RunState::Elsewhere(..) => 1,
            RunState::Stopped => 2,
            RunState::Interrupted => 3,
            RunState::Failed => 4,
            RunState::Finished => 5,
        }]
    }
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunState::Elsewhere(host, process) => write!(f, "elsewhere ({host}, process {process})"),
            other => f.write_str(other.name()),
        }
    }
}

impl RunFolder {
    /// How the run in `folder` stands, whose manifest was read; nothing is touched there.
    pub fn state(folder: &Path, manifest: &Value) -> RunState {
        let unfinished = || match manifest["status"].as_str() {
            Some("interrupted") => RunState::Interrupted,
            Some("failed") => RunState::Failed,
            _ => RunState::Stopped,
        };
        if manifest["status"] == "finished" && folder.join(RESULT).is_file() {
            return RunState::Finished;
        }
        match Lock::holder(&folder.join(LOCK)) {
            Holder::Nobody => unfinished(),
            Holder::Here => RunState::Running,
            Holder::Elsewhere(host, process) => RunState::Elsewhere(host, process),
        }
    }
}
