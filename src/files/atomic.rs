//! Files that are there whole or not at all.

use super::place::temporary_name;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// [`replace`] for a path that a person named: into what is no file, a pipe or a device, it just writes.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        let written = File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes));
        return written.map_err(Error::io("write", path));
    }
    replace(path, bytes)
}

/// Write `bytes` to `path` so that after a crash at any moment it holds what it held before, or `bytes`: a temporary file
/// beside it, whose name nobody can foresee and which must be new, fsync, rename, fsync of the folder. A link at `path` is
/// replaced, not followed. On an error the old file stays, and the temporary one goes.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_file_name(temporary_name());
    let mut file = File::options().write(true).create_new(true).open(&temporary).map_err(Error::io("write", path))?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    drop(file);
    written.and_then(|()| std::fs::rename(&temporary, path)).map_err(|e| {
        // The first error is the one to tell.
        std::fs::remove_file(&temporary).ok();
        Error::io("write", path)(e)
    })?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Make names in a folder last. Systems that cannot open a folder as a file have nothing to do here.
fn sync_folder(folder: &Path) -> Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    match File::open(folder) {
        Ok(file) if cfg!(unix) => file.sync_all().map_err(Error::io("write", folder)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        for text in ["first", "second, longer", ""] {
            write(&path, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write(dir.path(), b"x").is_err() && dir.path().is_dir());
    }

    #[test]
    #[cfg(unix)]
    fn a_link_is_replaced_and_what_it_leads_to_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (other, link) = (dir.path().join("other"), dir.path().join("link"));
        std::fs::write(&other, "precious").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        write(&link, b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
        assert!(!link.is_symlink() && std::fs::read(&link).unwrap() == b"new");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_device_is_written_to_where_a_person_named_it_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let error = write(&path, b"x").unwrap_err().to_string();
        assert!(error.contains("No space left") && error.contains("link"), "{error}");
        assert!(path.is_symlink() && std::fs::read_dir(dir.path()).unwrap().count() == 1);
        replace(&path, b"x").unwrap();
        assert!(!path.is_symlink());
    }
}
