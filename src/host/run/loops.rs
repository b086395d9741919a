//! The epochs loops of a run, and what is saved of them.

use crate::error::{Error, Result};
use crate::search::{State, checkpoint};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// States by name, and the meta data of a loop's checkpoint.
pub(super) type Saved = (Vec<(String, State)>, Value);

/// The epochs loops of a run.
#[derive(Default)]
pub struct Loops {
    pub(super) started: usize,
    pub(super) open: Vec<usize>,
    pub(super) serial: u64,
    pub(super) saved: BTreeMap<usize, Saved>,
    pub(super) last: Option<usize>,
    /// The loop whose turn the learners' statistics are of.
    pub(super) owner: Option<usize>,
}

impl Loops {
    /// The loops of a resumed run: reads the checkpoints below `folder`.
    pub fn resume(folder: &Path) -> Result<Self> {
        let mut loops = Loops::default();
        let entries = match std::fs::read_dir(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(loops),
            entries => entries.map_err(Error::io("read", folder))?,
        };
        for entry in entries {
            let path = entry.map_err(Error::io("read", folder))?.path();
            let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix("loop-")?.parse().ok());
            if let Some(number) = number
                && let Some((states, meta)) = checkpoint::load(&path)?
            {
                let serial = get(&meta, "serial")?;
                if serial > loops.serial {
                    (loops.serial, loops.last) = (serial, Some(number));
                }
                loops.saved.insert(number, (states, meta));
            }
        }
        Ok(loops)
    }

    /// Number and meta data of every saved loop that was not come to yet.
    pub fn saved(&self) -> impl Iterator<Item = (usize, &Value)> {
        self.saved.iter().map(|(number, (_, meta))| (*number, meta))
    }

    /// Meta data of the checkpoint that was saved last.
    pub fn last_saved(&self) -> Option<&Value> {
        self.last.and_then(|number| self.saved.get(&number)).map(|(_, meta)| meta)
    }

    /// Whether the run still walks over what a former run did.
    pub fn replaying(&self) -> bool {
        self.last.is_some()
    }

    /// How many loops have started so far: the number of the next one.
    pub fn started(&self) -> usize {
        self.started
    }

    /// Whether a loop is running.
    pub fn running(&self) -> bool {
        !self.open.is_empty()
    }
}

/// A number of the meta data.
pub(super) fn get(meta: &Value, key: &str) -> Result<u64> {
    meta[key].as_u64().ok_or_else(|| Error::invalid(format!("checkpoint, `{key}`"), &meta[key], "a number"))
}
