//! The statistics of a data set, kept in the cache.

use super::images::Images;
use crate::files::cache::{get, put};
use serde::{Deserialize, Serialize};

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
