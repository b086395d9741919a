//! `check`: scripts looked over without running them.

use super::{print, scripts};
use isdarts_host::host::{self, Finding, Severity};
use isdarts_host::{Error, Result, files};
use std::path::PathBuf;

/// All findings of all files, and of all scripts in folders; an error if one is surely a mistake.
pub fn check(paths: &[PathBuf]) -> Result<()> {
    let mut found: Vec<Finding> = Vec::new();
    for path in &scripts::named(paths)? {
        let text = files::read_text(path).map_err(Error::io("read", path))?;
        found.extend(host::check(&text, path)?);
    }
    found.sort();
    found.dedup();
    for finding in &found {
        print(&finding.to_string())?;
    }
    match found.iter().filter(|finding| finding.severity == Severity::Error).count() {
        0 => Ok(()),
        1 => Err(Error::Script("1 mistake".into())),
        n => Err(Error::Script(format!("{n} mistakes"))),
    }
}
