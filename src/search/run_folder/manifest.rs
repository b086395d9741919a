//! manifest.json and result.json: JSON objects, each with a sum over all of it.

use super::{LOCK, MANIFEST, RESULT, RunFolder, absent_is_fine};
use crate::error::{Error, Result};
use crate::files::{self, Lock};
use serde_json::Value;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// The member that holds the sum of the others.
const SUM: &str = "sum";

fn sum(object: &Value) -> String {
    format!("{:032x}", xxh3_128(object.to_string().as_bytes()))
}

fn write(folder: &Path, name: &str, object: &Value) -> Result<()> {
    let mut all = object.clone();
    all[SUM] = sum(object).into();
    let text = serde_json::to_string_pretty(&all).map_err(|e| Error::invalid(name, e, "plain data"))?;
    files::replace(&folder.join(name), (text + "\n").as_bytes())
}

/// An object that [`write`] wrote; `changed`: or that was changed since.
fn read(folder: &Path, name: &str, changed: bool) -> Result<Value> {
    let path = folder.join(name);
    let text = files::read_plain_text(&path).map_err(Error::io("read", &path))?;
    let expected = format!("the {} of an earlier run, as JSON", name.trim_end_matches(".json"));
    let mut object: Value = serde_json::from_str(&text).map_err(|e| Error::file(&path, e, &expected))?;
    let members = object.as_object_mut().ok_or_else(|| Error::file(&path, "no object", &expected))?;
    let written = members.shift_remove(SUM);
    let found = sum(&object);
    if !changed && written.as_ref().and_then(Value::as_str) != Some(found.as_str()) {
        let got = written.map_or("no `sum`".into(), |w| format!("a text with sum {found} where {w} was written"));
        let expected = "what the run wrote: it was damaged, or changed by hand (--accept-changes takes it as it is)";
        return Err(Error::file(&path, got, expected));
    }
    Ok(object)
}

impl RunFolder {
    /// Whether the run in `folder` came as far as to write its manifest.
    pub fn has_manifest(folder: &Path) -> bool {
        folder.join(MANIFEST).is_file()
    }

    /// Write manifest.json, whole or not at all.
    pub fn write_manifest(&self, manifest: &Value) -> Result<()> {
        write(&self.path, MANIFEST, manifest)
    }

    /// Write result.json, whole or not at all.
    pub fn write_result(&self, result: &Value) -> Result<()> {
        write(&self.path, RESULT, result)
    }

    /// Remove what the run came to before it went on.
    pub fn remove_result(&self) -> Result<()> {
        let path = self.path.join(RESULT);
        std::fs::remove_file(&path).or_else(absent_is_fine).map_err(Error::io("remove", &path))
    }

    /// What the run in `folder` came to; none if it is not finished.
    ///
    /// # Errors
    /// A result.json that does not have its sum.
    pub fn read_result(folder: &Path) -> Result<Option<Value>> {
        folder.join(RESULT).is_file().then(|| read(folder, RESULT, false)).transpose()
    }

    /// The manifest of an earlier run.
    ///
    /// # Errors
    /// None, or one that does not have its sum: damaged, or changed by hand. `changed`: take one that was changed.
    pub fn read_manifest(folder: &Path, changed: bool) -> Result<Value> {
        read(folder, MANIFEST, changed)
    }

    /// For a process that ends without ceremony: say so in the manifest and let go of the lock, if they are this process's.
    pub fn abandon(folder: &Path) {
        // Nothing can be done about an error here, and nothing is lost by it.
        if Lock::is_of_this_process(&folder.join(LOCK))
            && let Ok(mut manifest) = Self::read_manifest(folder, false)
            && manifest["status"] == "running"
        {
            manifest["status"] = "interrupted".into();
            write(folder, MANIFEST, &manifest).ok();
        }
        Lock::abandon(&folder.join(LOCK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_changed_letter_of_a_manifest_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(dir.path(), false).unwrap();
        let manifest =
            json!({"run": {"set": {"lr": 0.05, "epochs": 3}, "data": null}, "status": "running", "seconds": 0.1});
        folder.write_manifest(&manifest).unwrap();
        assert_eq!(RunFolder::read_manifest(dir.path(), false).unwrap(), manifest);
        let (path, whole) = (dir.path().join(MANIFEST), std::fs::read(dir.path().join(MANIFEST)).unwrap());
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&path, &bytes).unwrap();
            let read = RunFolder::read_manifest(dir.path(), false);
            assert!(
                whole[at].is_ascii_whitespace() || read.is_err(),
                "byte {at} of {}",
                String::from_utf8_lossy(&bytes)
            );
        }
        std::fs::write(&path, &whole).unwrap();
        RunFolder::abandon(dir.path());
        assert_eq!(RunFolder::read_manifest(dir.path(), false).unwrap()["status"], "interrupted");
    }
}
