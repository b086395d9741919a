//! Files that are there whole or not at all.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Write `bytes` to `path` so that after a crash at any moment it holds what it held before, or `bytes`: temporary file
/// beside it, fsync, rename, fsync of the folder. On an error the old file stays, and the temporary one goes. Into what is no
/// file, a pipe or a device, it just writes.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        let written = File::options().write(true).open(path).and_then(|mut file| file.write_all(bytes));
        return written.map_err(Error::io("write", path));
    }
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let written = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    written().and_then(|()| std::fs::rename(&temporary, path)).map_err(|e| {
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
    #[cfg(target_os = "linux")]
    fn a_device_is_written_to_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let error = write(&path, b"x").unwrap_err().to_string();
        assert!(error.contains("No space left") && error.contains("link"), "{error}");
        assert!(path.is_symlink() && std::fs::read_dir(dir.path()).unwrap().count() == 1);
    }
}
