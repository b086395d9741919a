//! `fmt`: scripts in the one style.

use super::{print, scripts};
use isdarts_host::{Error, Result, files, host};
use std::path::{Path, PathBuf};

/// Formats files, and all scripts in folders, in place; `-` is standard input, to standard output. With `check` nothing is written:
/// an error if one is not in the style.
pub fn fmt(paths: &[PathBuf], check: bool) -> Result<()> {
    let mut others: Vec<String> = Vec::new();
    let paths = scripts::named(paths)?;
    for path in &paths {
        let piped = path == Path::new("-");
        let path = if piped { Path::new("/dev/stdin") } else { path };
        let text = files::read_text(path).map_err(Error::io("read", path))?;
        let formatted = host::format(&text, &if piped { "-".into() } else { path.to_string_lossy() })?;
        if check {
            if formatted != text {
                others.push(path.display().to_string());
            }
        } else if piped {
            print(&formatted)?;
        } else if formatted != text {
            files::write(path, formatted.as_bytes())?;
        }
    }
    others.iter().try_for_each(|path| print(path))?;
    match others.len() {
        0 => Ok(()),
        n => Err(Error::Script(format!(
            "{n} of {} files are not in the style: isdarts-host fmt writes them",
            paths.len()
        ))),
    }
}
