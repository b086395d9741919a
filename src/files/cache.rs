//! Results that are dear to compute are kept: decoded folders of images, statistics, compiled kernels. Files in `$ISDARTS_CACHE`,
//! or else in `isdarts-host` below `$XDG_CACHE_HOME` or `~/.cache`; without any of these, nothing is kept.
//!
//! A file that does not check out is as good as none, and one that cannot be written is not missed.

use super::atomic::replace;
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

fn folder() -> Option<PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
    named("ISDARTS_CACHE").or_else(|| {
        let usual = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
        Some(usual?.join("isdarts-host"))
    })
}

/// A text that belongs to the program, put where others can read it below its name; where that is.
pub fn copy(name: &str, text: &str) -> Option<PathBuf> {
    let path = folder()?.join(concat!("texts-", env!("CARGO_PKG_VERSION"))).join(name);
    if std::fs::read_to_string(&path).ok().as_deref() != Some(text) {
        std::fs::create_dir_all(path.parent()?).ok()?;
        replace(&path, text.as_bytes()).ok()?;
    }
    Some(path)
}

/// What was kept under a key.
pub fn get(key: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(folder()?.join(key)).ok()?;
    let (sum, rest) = bytes.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*sum) == xxh3_64(rest)).then(|| rest.to_vec())
}

/// Keep it: whole or not at all.
pub fn put(key: &str, bytes: &[u8]) {
    let write = || -> Option<()> {
        let folder = folder()?;
        std::fs::create_dir_all(&folder).ok()?;
        replace(&folder.join(key), &[&xxh3_64(bytes).to_le_bytes()[..], bytes].concat()).ok()
    };
    write();
}
