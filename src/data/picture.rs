//! One picture as the input of a network.

use super::decode;
use crate::error::{Error, Result};
use std::path::Path;

/// The picture in `path` (of any kind that folders of pictures may hold) as `[3, side, side]`: shrunk by its shorter side, its middle, `(p / 255 - mean) / std`
/// per channel (a deviation of 0 divides by 1, as in training).
pub fn read(path: &Path, side: usize, mean: &[f32], std: &[f32]) -> Result<Vec<f32>> {
    if mean.len() != 3 || std.len() != 3 || side == 0 {
        let got = format!("{} means, {} deviations, side {side}", mean.len(), std.len());
        return Err(Error::invalid("normalisation of a picture", got, "3 of each, and a side of at least 1"));
    }
    let pixels = decode::decode(path, side)?;
    let normal = |(i, &p): (usize, &u8)| {
        let channel = i / (side * side);
        let std = if std[channel] > 0.0 { std[channel] } else { 1.0 };
        (f32::from(p) / 255.0 - mean[channel]) / std
    };
    Ok(pixels.iter().enumerate().map(normal).collect())
}
