//! IDX files, the format of MNIST and of the sets made after it; plain or gzipped.
//! Source: <http://yann.lecun.com/exdb/mnist/>: two zero bytes, a type (8: unsigned byte), the number of axes, the length
//! of each axis (32 bits, big end first), the numbers.

use super::images::Images;
use crate::error::{Error, Result};
use crate::memory;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Classes that a label may name.
const CLASSES: usize = 256;

/// The file `name` in `dir`, or the same with `.gz` behind it; also with a dot before `idx`, as many mirrors have it, and in a
/// folder of its own name, as some archives unpack to.
pub(super) fn find(dir: &Path, name: &str) -> Option<PathBuf> {
    let places = |n: String| [dir.join(&n), dir.join(&n).join(&n)];
    names(name).into_iter().flat_map(places).find(|p| p.is_file())
}

/// The names by which a file goes.
pub(super) fn names(name: &str) -> [String; 4] {
    let dotted = name.replace("-idx", ".idx");
    [name.to_string(), format!("{name}.gz"), dotted.clone(), format!("{dotted}.gz")]
}

/// Images and labels of a pair of files; grey in three equal channels.
pub(super) fn read(dir: &Path, images: &str, labels: &str) -> Result<Images> {
    let (shape, grey, image_path) = open(dir, images, 3)?;
    let (label_shape, labels, label_path) = open(dir, labels, 1)?;
    let (n, h, w) = (shape[0], shape[1], shape[2]);
    if h != w || h == 0 {
        return Err(Error::file(image_path, format!("images of {h}x{w}"), "square ones, of 1x1 or more"));
    }
    if label_shape[0] != n {
        return Err(Error::file(label_path, format!("{} labels", label_shape[0]), format!("{n}, one for each image")));
    }
    let mut pixels = Vec::with_capacity(3 * grey.len());
    for image in grey.chunks_exact(h * w) {
        (0..3).for_each(|_| pixels.extend_from_slice(image));
    }
    Ok(Images { channels: 3, side: h, pixels, labels: labels.into_iter().map(u32::from).collect(), files: vec![] })
}

/// Axes and bytes of a file with `axes` axes.
fn open(dir: &Path, name: &str, axes: usize) -> Result<(Vec<usize>, Vec<u8>, PathBuf)> {
    let path = find(dir, name).ok_or_else(|| {
        Error::file(dir.join(name), "no such file", "an IDX file, or the same with .gz behind its name")
    })?;
    let mut file = BufReader::new(File::open(&path).map_err(Error::io("read", &path))?);
    let gzipped = file.fill_buf().map_err(Error::io("read", &path))?.starts_with(&[0x1f, 0x8b]);
    let broken = |e: std::io::Error| match gzipped {
        true => Error::file(&path, format!("a damaged gzip file ({e})"), "an IDX file, gzipped"),
        false => Error::io("read", &path)(e),
    };
    let mut reader: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    // Never more than the head says: a file of megabytes may unpack to many gigabytes.
    let mut take = |n: usize| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        (&mut reader).take(n as u64).read_to_end(&mut bytes).map_err(broken)?;
        Ok(bytes)
    };
    let head = take(4 + 4 * axes)?;
    if head.len() < 4 + 4 * axes || head[..4] != [0, 0, 8, axes as u8] {
        let got = format!("{} bytes that begin {:?}", head.len(), &head[..head.len().min(4)]);
        return Err(Error::file(&path, got, format!("an IDX file of bytes with {axes} axes: 0, 0, 8, {axes}, ...")));
    }
    let axis = |i: usize| u32::from_be_bytes([0, 1, 2, 3].map(|k| head[4 + 4 * i + k])) as usize;
    let shape: Vec<usize> = (0..axes).map(axis).collect();
    let size = memory::product(&shape);
    // Three channels are made of one.
    memory::check(&path.to_string_lossy(), size.map(|n| 4 * n as u128), "the number or size of its images")?;
    let size = size.unwrap_or(0);
    let data = take(size)?;
    if data.len() < size || !take(1)?.is_empty() {
        let got = if data.len() < size { format!("{}", data.len()) } else { format!("more than {size}") };
        return Err(Error::file(
            &path,
            format!("{got} bytes behind its head"),
            format!("the product of its axes, {shape:?}"),
        ));
    }
    Ok((shape, data, path))
}

/// Names of the classes that the labels use: `known`, or the numbers from 0 to the largest.
pub(super) fn classes(known: &[&str], sets: [&Images; 2]) -> Vec<String> {
    let largest = sets.iter().flat_map(|s| &s.labels).max().map_or(0, |&l| l as usize).min(CLASSES);
    if known.len() > largest {
        return known.iter().map(|n| n.to_string()).collect();
    }
    (0..=largest).map(|n| n.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn idx(axes: &[u32], data: &[u8]) -> Vec<u8> {
        let lengths = axes.iter().flat_map(|n| n.to_be_bytes());
        [0, 0, 8, axes.len() as u8].into_iter().chain(lengths).chain(data.iter().copied()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn images(files: &[(&str, Vec<u8>)]) -> std::result::Result<Images, String> {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, bytes)| std::fs::write(dir.path().join(name), bytes).unwrap());
        let place = format!("{}/", dir.path().display());
        read(dir.path(), "images", "labels").map_err(|e| e.to_string().replace(&place, ""))
    }

    #[test]
    fn plain_and_gzipped_files_give_grey_images_in_three_channels() {
        let (pixels, labels) = (idx(&[2, 2, 2], &[1, 2, 3, 4, 5, 6, 7, 8]), idx(&[2], &[0, 9]));
        let plain = images(&[("images", pixels.clone()), ("labels", labels.clone())]).unwrap();
        assert_eq!((plain.side, plain.channels, &plain.labels[..]), (2, 3, &[0, 9][..]));
        assert_eq!(plain.pixels, [[1, 2, 3, 4].repeat(3), [5, 6, 7, 8].repeat(3)].concat());
        assert_eq!(images(&[("images.gz", gzip(&pixels)), ("labels.gz", gzip(&labels))]).unwrap(), plain);
        assert_eq!(classes(&["a"], [&plain, &plain]).len(), 10);
    }

    #[test]
    fn a_wrong_file_is_named_with_what_was_found() {
        let good = || (idx(&[2, 1, 1], &[1, 2]), idx(&[2], &[0, 1]));
        let cut = |mut bytes: Vec<u8>| {
            bytes.pop();
            bytes
        };
        for (image, label, message) in [
            (
                cut(good().0),
                good().1,
                "images: got 1 bytes behind its head, expected the product of its axes, [2, 1, 1]",
            ),
            (good().0, idx(&[3], &[0, 1, 2]), "labels: got 3 labels, expected 2, one for each image"),
            (good().1.clone(), good().1, "images: got 10 bytes that begin [0, 0, 8, 1], expected an IDX file"),
            (idx(&[2, 1, 1], &[1, 2, 3]), good().1, "images: got more than 2 bytes behind its head"),
            (gzip(&idx(&[2, 1, 1], &vec![0; 1 << 24])), good().1, "images: got more than 2 bytes behind its head"),
            (cut(gzip(&good().0)), good().1, "images: got a damaged gzip file"),
            (idx(&[1, 1, 2], &[1, 2]), good().1, "images: got images of 1x2, expected square ones"),
            (idx(&[u32::MAX, u32::MAX, u32::MAX], &[]), good().1, "images: got a need beyond any memory"),
            (gzip(&idx(&[u32::MAX, 64, 64], &[])), good().1, "images: got a need of 70.4 TB of memory"),
        ] {
            let got = images(&[("images", image), ("labels", label)]).unwrap_err();
            assert!(got.starts_with(message), "{got}");
        }
        assert!(images(&[]).unwrap_err().starts_with("images: got no such file"));
    }
}
