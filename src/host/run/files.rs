//! Files of scripts: written into the run folder (without one, a private temporary folder) and nowhere else; read from there,
//! from the script's folder, and where the command line says.

use super::shared::Run;
use crate::error::{Error, Result};
use crate::files;
use crate::search::run_folder;
use std::path::{Component, Path, PathBuf};

/// Where a script's files go.
fn root(host: &Run) -> Result<PathBuf> {
    match host.folder.borrow().as_ref() {
        Some(folder) => Ok(folder.path().to_path_buf()),
        None => files::private_folder(),
    }
}

/// `name` as a path below `root`, whether it was said with `root` in front of it or without; `None` if it leads out of it.
fn below<'a>(root: &Path, name: &'a str) -> Option<&'a Path> {
    let name = Path::new(name);
    let inside = name.strip_prefix(root).unwrap_or(name);
    let plain = inside.components().all(|c| matches!(c, Component::Normal(_)));
    (plain && !inside.as_os_str().is_empty()).then_some(inside)
}

/// The path of a file that a script may write.
///
/// # Errors
/// A path that leads out of the run folder, also by a link; a name that is the program's own there.
pub(crate) fn run_file(host: &Run, name: &str) -> Result<PathBuf> {
    let root = root(host)?;
    let what = "file in the run folder";
    let inside = below(&root, name).ok_or_else(|| Error::invalid(what, name, "a file name, without `..` or a root"))?;
    if run_folder::is_own(inside) {
        return Err(Error::invalid(what, name, "another name: this one is the program's own"));
    }
    let mut folder = root.clone();
    for part in inside.parent().into_iter().flat_map(Path::components) {
        folder.push(part);
        if folder.is_symlink() {
            return Err(Error::file(folder, "a link", "a folder in the run folder"));
        }
    }
    Ok(root.join(inside))
}

/// Write a script's file, whole or not at all; its path.
pub(crate) fn write(host: &Run, name: &str, bytes: &[u8]) -> Result<String> {
    let path = run_file(host, name)?;
    files::replace(&path, bytes)?;
    Ok(path.to_string_lossy().into_owned())
}

/// The path of a file that a script may read: in the run folder, beside the script, or as `args()` has it.
pub(crate) fn readable(host: &Run, name: &str) -> Result<PathBuf> {
    if host.options.args.iter().any(|arg| arg == name) {
        return Ok(name.into());
    }
    let script = host.options.script.as_deref().and_then(Path::parent).filter(|p| !p.as_os_str().is_empty());
    let roots = [root(host)?, script.unwrap_or(Path::new(".")).to_path_buf()];
    let found: Vec<PathBuf> = roots.iter().filter_map(|root| Some(root.join(below(root, name)?))).collect();
    let first = found.iter().find(|path| path.exists()).or(found.first());
    let expected = "a file in the run folder or beside the script, or one that stands behind `--` on the command line";
    first.cloned().ok_or_else(|| Error::invalid("file to read", name, expected))
}
