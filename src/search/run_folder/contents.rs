//! What lies in a folder: whether it suits, and whether anything was done there.

use super::{EVENTS, IIM, LOCK, MANIFEST, METRICS, RunFolder, SCRIPTS, absent_is_fine};
use crate::error::{Error, Result};
use crate::files::{self, Lock};
use std::path::Path;

impl RunFolder {
    /// Whether no more was written here than what stands here before any work.
    pub fn is_untouched(&self) -> bool {
        let empty = |entry: &std::fs::DirEntry| entry.metadata().is_ok_and(|m| m.len() == 0);
        let known = |entry: std::fs::DirEntry| match entry.file_name().to_str() {
            Some(MANIFEST | LOCK | SCRIPTS) => true,
            Some(log) => [METRICS.0, IIM.0, EVENTS].contains(&log) && empty(&entry),
            None => false,
        };
        std::fs::read_dir(&self.path).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(known)))
    }

    /// Remove what stands here before any work, and the folder.
    pub fn discard(self) -> Result<()> {
        let remove = |name: &str, result: std::io::Result<()>| {
            result.or_else(absent_is_fine).map_err(Error::io("remove", self.path.join(name)))
        };
        remove(SCRIPTS, std::fs::remove_dir_all(self.path.join(SCRIPTS)))?;
        // The lock is the last: whoever waits for it sees that it is gone.
        for name in [METRICS.0, IIM.0, EVENTS, MANIFEST, LOCK] {
            remove(name, std::fs::remove_file(self.path.join(name)))?;
        }
        // Somebody else's file may have come.
        std::fs::remove_dir(&self.path).ok();
        Ok(())
    }
}

/// Why the folder does not suit.
pub(super) fn refusal(path: &Path, resume: bool) -> Result<Option<Error>> {
    let new = "an empty or absent folder for a new run (--out)";
    let refused = match (resume, contents(path)?) {
        (false, Contents::Run) => ("an earlier run", new),
        (false, Contents::Other) => ("other files", new),
        (true, Contents::Other) => ("no manifest.json", "the folder of an earlier run (--resume)"),
        _ => return Ok(None),
    };
    Ok(Some(Error::file(path, format!("a folder with {} in it", refused.0), refused.1)))
}

/// What a folder holds.
pub(super) enum Contents {
    Nothing,
    /// A run with its manifest.
    Run,
    Other,
}

/// A run that was killed before it had written its manifest leaves nothing that counts.
pub(super) fn contents(path: &Path) -> Result<Contents> {
    let mut found = Contents::Nothing;
    for entry in std::fs::read_dir(path).map_err(Error::io("read", path))? {
        let entry = entry.map_err(Error::io("read", path))?;
        let empty = || entry.metadata().is_ok_and(|m| m.is_file() && m.len() == 0);
        match entry.file_name().to_str() {
            Some(MANIFEST) => return Ok(Contents::Run),
            Some(LOCK) if Lock::is_one(&entry.path()) => {}
            Some(log) if [METRICS.0, IIM.0, EVENTS].contains(&log) && empty() => {}
            Some(name) if files::is_temporary(name) => {}
            _ => found = Contents::Other,
        }
    }
    Ok(found)
}
