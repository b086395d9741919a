//! CIFAR-10 and CIFAR-100 in their Python version, as torchvision leaves them: pickled batches with `data`, `[n, 3072]` bytes,
//! channels first, and a list of labels. Source: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::images::Images;
use super::pickle::{self, Object, Pickle};
use crate::error::{Error, Result};
use std::path::Path;

const SIDE: usize = 32;

/// Whether a file begins as a pickle: other data sets have files and folders named `train`, too.
pub(super) fn is_one(path: &Path) -> bool {
    use std::io::Read;
    let mut first = [0];
    path.is_file() && std::fs::File::open(path).is_ok_and(|mut f| f.read_exact(&mut first).is_ok()) && first == [0x80]
}

fn open(path: &Path) -> Result<Pickle> {
    let expected = "a file of the Python version of CIFAR";
    if !path.is_file() {
        return Err(Error::file(path, "no such file", expected));
    }
    pickle::read(&std::fs::read(path).map_err(Error::io("read", path))?, path)
}

/// The images of a batch; `labels` is the key of their classes, of which there are `classes`.
pub(super) fn read(path: &Path, labels: &str, classes: usize) -> Result<Images> {
    let batch = open(path)?;
    let len = 3 * SIDE * SIDE;
    let wrong = |got: String| {
        Error::file(
            path,
            got,
            format!("a dictionary with `data` [n, {len}] of bytes, and n `{labels}` of 0..={}", classes - 1),
        )
    };
    let data = match batch.entry("data") {
        Some(Object::Array(array)) => array,
        Some(_) => return Err(wrong("`data` that is no array".into())),
        None => return Err(wrong("no entry `data`".into())),
    };
    if data.dtype != "u1" || data.shape.len() != 2 || data.shape[1] != len {
        return Err(wrong(format!("`data` of type {} and shape {:?}", data.dtype, data.shape)));
    }
    let found = batch.entry(labels).and_then(|l| batch.integers(l));
    let found = found.ok_or_else(|| wrong(format!("no list `{labels}` of whole numbers")))?;
    if found.len() != data.shape[0] || found.is_empty() {
        return Err(wrong(format!("{} images and {} labels", data.shape[0], found.len())));
    }
    let in_range = |(i, &label): (usize, &i64)| match u32::try_from(label).ok().filter(|l| (*l as usize) < classes) {
        Some(label) => Ok(label),
        None => Err(wrong(format!("label {label} of image {i}"))),
    };
    let labels = found.iter().enumerate().map(in_range).collect::<Result<_>>()?;
    Ok(Images { channels: 3, side: SIDE, pixels: data.data.clone(), labels, files: vec![] })
}

/// The class names in `path` under `key`, where there is such a file.
pub(super) fn names(path: &Path, key: &str, classes: usize) -> Result<Option<Vec<String>>> {
    if !path.is_file() {
        return Ok(None);
    }
    let meta = open(path)?;
    let names = meta.entry(key).and_then(|list| meta.texts(list)).filter(|names| names.len() == classes);
    let expected = format!("a dictionary with `{key}`, {classes} texts");
    names.map(Some).ok_or_else(|| Error::file(path, "something else", expected))
}
