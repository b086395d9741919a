//! Results that are dear to compute are kept: decoded folders of images, statistics. Files in `$ISDARTS_CACHE`, or else in
//! `isdarts-host` below `$XDG_CACHE_HOME` or `~/.cache`; without any of these, nothing is kept.
//!
//! A file that does not check out is as good as none, and one that cannot be written is not missed.

use super::images::Images;
use crate::files;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use xxhash_rust::xxh3::xxh3_64;

fn folder() -> Option<PathBuf> {
    let named = |variable: &str| std::env::var_os(variable).filter(|v| !v.is_empty()).map(PathBuf::from);
    named("ISDARTS_CACHE").or_else(|| {
        let usual = named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache")));
        Some(usual?.join("isdarts-host"))
    })
}

/// What was kept under a key.
pub(super) fn get(key: &str) -> Option<Vec<u8>> {
    let bytes = std::fs::read(folder()?.join(key)).ok()?;
    let (sum, rest) = bytes.split_first_chunk::<8>()?;
    (u64::from_le_bytes(*sum) == xxh3_64(rest)).then(|| rest.to_vec())
}

/// Keep it: whole or not at all.
pub(super) fn put(key: &str, bytes: &[u8]) {
    let write = || -> Option<()> {
        let folder = folder()?;
        std::fs::create_dir_all(&folder).ok()?;
        files::replace(&folder.join(key), &[&xxh3_64(bytes).to_le_bytes()[..], bytes].concat()).ok()
    };
    write();
}

/// Mean and standard deviation per channel, from what was kept under the fingerprint, or computed and kept.
pub(super) fn statistics(fingerprint: &str, images: &Images) -> (Vec<f32>, Vec<f32>) {
    #[derive(Serialize, Deserialize)]
    struct KeptImages(Vec<f32>, Vec<f32>);
    let key = format!("statistics-{fingerprint}");
    let kept = get(&key).and_then(|bytes| serde_json::from_slice::<KeptImages>(&bytes).ok());
    if let Some(KeptImages(mean, std)) = kept.filter(|k| [k.0.len(), k.1.len()] == [images.channels; 2]) {
        return (mean, std);
    }
    let (mean, std) = images.mean_std();
    // Of few images they are computed faster than they are read.
    if images.pixels.len() > 1 << 24
        && let Ok(bytes) = serde_json::to_vec(&KeptImages(mean.clone(), std.clone()))
    {
        put(&key, &bytes);
    }
    (mean, std)
}
