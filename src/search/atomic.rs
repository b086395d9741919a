//! Files that are there whole or not at all.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Write `bytes` to `path` so that after a crash at any moment it holds what it held before, or `bytes`: temporary file
/// beside it, fsync, rename, fsync of the folder. On an error the old file stays, and the temporary one goes.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
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
