//! Where files lie: folders and files that are no links, names that nobody can foresee.

use crate::error::{Error, Result};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};
use std::sync::Mutex;

const TEMPORARY: (&str, &str) = (".isdarts-", ".tmp");

/// 16 hexadecimal digits that no other process has.
#[expect(clippy::disallowed_methods, reason = "two runs of one seed have names of their own")]
pub fn unique() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// A name for a file that is not there for long.
pub(super) fn temporary_name() -> String {
    format!("{}{}{}", TEMPORARY.0, unique(), TEMPORARY.1)
}

/// Whether a file of this name is one that a writer had not finished.
pub fn is_temporary(name: &str) -> bool {
    let random = name.strip_prefix(TEMPORARY.0).and_then(|rest| rest.strip_suffix(TEMPORARY.1));
    random.is_some_and(|r| r.len() == 16 && r.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Remove what writers that were killed left in the folder `path` and in the folders below it.
pub fn sweep(path: &Path) {
    // What cannot be looked at or removed does no harm.
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => sweep(&entry.path()),
            Ok(_) if is_temporary(&entry.file_name().to_string_lossy()) => drop(std::fs::remove_file(entry.path())),
            _ => {}
        }
    }
}

/// Open a plain file of our own: a link is not followed, a pipe or device is refused (and not waited for).
pub fn open_plain(path: &Path, options: &mut OpenOptions) -> Result<File> {
    #[cfg(unix)]
    {
        use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(O_NOFOLLOW | O_NONBLOCK);
    }
    let refused =
        |got: &str| Error::file(path, got, "a plain file; others may have put this there: look, then remove it");
    let file = options.open(path).map_err(|e| match path.is_symlink() {
        true => refused("a link"),
        false => Error::io("open", path)(e),
    })?;
    match file.metadata().map_err(Error::io("read", path))?.is_file() {
        true => Ok(file),
        false => Err(refused("a pipe or device")),
    }
}

/// The folder `relative` below `root`, made where it is missing. A link on the way is refused.
pub fn folder_below(root: &Path, relative: impl AsRef<Path>) -> Result<PathBuf> {
    let mut path = root.to_path_buf();
    for part in relative.as_ref().components().filter(|part| *part != Component::CurDir) {
        path.push(part);
        match std::fs::create_dir(&path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            made => made.map_err(Error::io("create", &path))?,
        }
        let known = std::fs::symlink_metadata(&path).map_err(Error::io("read", &path))?;
        if !known.is_dir() {
            let got = if known.is_symlink() { "a link" } else { "a file" };
            return Err(Error::file(&path, got, "a folder of the run's own"));
        }
    }
    Ok(path)
}

/// A folder that only this process and its user can write to, below the temporary folder; made at the first call.
pub fn private_folder() -> Result<PathBuf> {
    static FOLDER: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut folder = FOLDER.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(path) = folder.as_ref() {
        return Ok(path.clone());
    }
    let path = std::env::temp_dir().join(format!("isdarts-{}", unique()));
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path).map_err(Error::io("create", &path))?;
    Ok(folder.insert(path).clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_killed_writer_left_is_swept_away() {
        let dir = tempfile::tempdir().unwrap();
        let inside = folder_below(dir.path(), "a/b").unwrap();
        for name in [&temporary_name(), "state.safetensors", ".isdarts-x.tmp", "a.tmp"] {
            std::fs::write(inside.join(name), "").unwrap();
        }
        sweep(dir.path());
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 3);
    }

    #[test]
    #[cfg(unix)]
    fn links_are_not_followed_and_pipes_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        for (target, name) in [(&other, "folder"), (&dir.path().join("file"), "log")] {
            std::os::unix::fs::symlink(target, dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("file"), "precious").unwrap();
        let error = folder_below(dir.path(), "folder/new").unwrap_err().to_string();
        assert!(error.contains("folder: got a link, expected a folder of the run's own"), "{error}");
        let mut options = OpenOptions::new();
        let error = open_plain(&dir.path().join("log"), options.append(true).create(true)).unwrap_err().to_string();
        assert!(error.contains("log: got a link"), "{error}");
        assert!(std::process::Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
        assert!(open_plain(&dir.path().join("pipe"), OpenOptions::new().read(true).append(true)).is_err());
        assert_eq!(std::fs::read_dir(&other).unwrap().count(), 0);
    }

    #[test]
    fn the_private_folder_is_the_same_for_the_whole_process() {
        let path = private_folder().unwrap();
        assert_eq!(path, private_folder().unwrap());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777, 0o700);
        std::fs::remove_dir(path).ok();
    }
}
