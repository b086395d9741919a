//! The history of what was typed, which lasts from start to start: one file in the user's data folder.

use super::helper::ScriptHelper;
use crate::error::{Error, Result};
use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Entries kept.
pub const LENGTH: usize = 10_000;
/// Bytes that so many entries may take.
const LARGEST: u64 = 64 << 20;
/// Names another file; empty: no history.
const VARIABLE: &str = "ISDARTS_HISTORY";

/// The file: what `ISDARTS_HISTORY` names, or `isdarts-host/history` in the user's data folder.
pub fn path() -> Option<PathBuf> {
    choose(|name| std::env::var_os(name))
}

fn choose(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(named) = variable(VARIABLE) {
        return (!named.is_empty()).then(|| named.into());
    }
    let folder = |name: &str| variable(name).filter(|v| !v.is_empty()).map(PathBuf::from).filter(|p| p.is_absolute());
    let data = if cfg!(windows) {
        folder("APPDATA")?
    } else if let Some(data) = folder("XDG_DATA_HOME") {
        data
    } else if cfg!(target_os = "macos") {
        folder("HOME")?.join("Library/Application Support")
    } else {
        folder("HOME")?.join(".local/share")
    };
    Some(data.join("isdarts-host").join("history"))
}

/// Read the file, if there is one, after making its folder.
pub fn load(editor: &mut Editor<ScriptHelper, FileHistory>, path: &Path) -> Result<()> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    let got = match std::fs::metadata(path) {
        // Whatever is no file may be waited for without end.
        Ok(known) if !known.is_file() => Some("a pipe, device or folder".to_string()),
        Ok(known) if known.len() > LARGEST => Some(format!("{} bytes", known.len())),
        _ => None,
    };
    if let Some(got) = got {
        return Err(Error::file(path, got, format!("a file of at most {LARGEST} bytes")));
    }
    match editor.load_history(path) {
        Err(ReadlineError::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Error::file(path, error, "lines of history")),
        Ok(()) => Ok(()),
    }
}

/// Add the latest entries at once, so that neither a crash nor another prompt loses them.
pub fn append(editor: &mut Editor<ScriptHelper, FileHistory>, path: &Path) {
    // A history that cannot be written is no reason to stop: there was a note when it could not be read.
    editor.append_history(path).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_where_the_environment_says() {
        let table: [(&[(&str, &str)], Option<&str>); 4] = [
            (&[("ISDARTS_HISTORY", "/a/b"), ("HOME", "/h")], Some("/a/b")),
            (&[("ISDARTS_HISTORY", ""), ("HOME", "/h")], None),
            (&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")], Some("/d/isdarts-host/history")),
            (&[], None),
        ];
        for (variables, expected) in table {
            if cfg!(windows) && variables.is_empty() {
                continue;
            }
            let found = choose(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v)));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{variables:?}");
        }
    }
}
