//! ImageNet16-120: ImageNet shrunk to 16x16 (Chrabaszcz, Loshchilov, Hutter, 2017), its first 120 classes (NAS-Bench-201).
//! Pickled batches: `data`, `[n, 3 * 16 * 16]` bytes, channels first; `labels`, from 1 to 1000.

use super::images::Images;
use super::pickle::{self, Object};
use crate::error::{Error, Result};
use crate::files;
use std::path::Path;

/// Height and width.
const SIDE: usize = 16;
/// Classes that are kept.
pub(super) const CLASSES: usize = 120;

/// The images of the first 120 classes in a file.
pub(super) fn read(path: &Path) -> Result<Images> {
    let bytes = files::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::file(path, "no such file", "a pickled batch of ImageNet at 16x16"),
        _ => Error::io("read", path)(e),
    })?;
    let batch = pickle::read(&bytes, path)?;
    drop(bytes);
    let wrong =
        |got: String| Error::file(path, got, "a dictionary with `data` [n, 768] of bytes, and n `labels` of 1..=1000");
    let data = match batch.entry("data") {
        Some(Object::Array(array)) => array,
        Some(_) => return Err(wrong("`data` that is no array".into())),
        None => return Err(wrong("no entry `data`".into())),
    };
    let len = 3 * SIDE * SIDE;
    if data.dtype != "u1" || data.shape.len() != 2 || data.shape[1] != len {
        return Err(wrong(format!("`data` of type {} and shape {:?}", data.dtype, data.shape)));
    }
    let labels = batch.entry("labels").ok_or_else(|| wrong("no entry `labels`".into()))?;
    let labels = batch.integers(labels).ok_or_else(|| wrong("`labels` that are no whole numbers".into()))?;
    if labels.len() != data.shape[0] {
        return Err(wrong(format!("{} images and {} labels", data.shape[0], labels.len())));
    }
    let mut images = Images { channels: 3, side: SIDE, pixels: vec![], labels: vec![], files: vec![] };
    for (i, (&label, pixels)) in labels.iter().zip(data.data.chunks_exact(len)).enumerate() {
        match label {
            1..=120 => {
                images.labels.push(label as u32 - 1);
                images.pixels.extend_from_slice(pixels);
            }
            121..=1000 => {}
            _ => return Err(wrong(format!("label {label} of image {i}"))),
        }
    }
    Ok(images)
}
