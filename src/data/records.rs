//! Files of fixed-size records, as CIFAR's binary version has them: label bytes, then a `[3, side, side]` image.
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>.

use super::images::Images;
use crate::error::{Error, Result};
use std::path::Path;

/// The layout of a record.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Number of classes of each label byte of a record; the last one is the label that is used.
    pub labels: &'static [usize],
    /// Height and width of an image.
    pub side: usize,
}

/// Channels of an image.
const CHANNELS: usize = 3;

impl Layout {
    /// Bytes of a record.
    pub fn record_len(&self) -> usize {
        self.labels.len() + CHANNELS * self.side * self.side
    }

    /// No images yet.
    pub(super) fn empty(&self) -> Images {
        Images { channels: CHANNELS, side: self.side, pixels: Vec::new(), labels: Vec::new(), files: vec![] }
    }

    /// Read a file of `n` records. Errors: no such file, another size than `n` records have, a label out of range.
    pub(super) fn read(&self, path: &Path, n: usize) -> Result<Images> {
        let expected = format!("{} bytes ({n} records of {})", n * self.record_len(), self.record_len());
        let size = match std::fs::metadata(path) {
            Ok(meta) if meta.is_file() => meta.len(),
            Ok(_) => return Err(Error::file(path, "a folder", format!("a file of {expected}"))),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::file(path, "no such file", format!("a file of {expected}")));
            }
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        // Looked at before reading: a file of another kind may be huge.
        if size != (n * self.record_len()) as u64 {
            return Err(Error::file(path, format!("{size} bytes"), expected));
        }
        let mut bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        if bytes.len() != n * self.record_len() {
            return Err(Error::file(path, format!("{} bytes", bytes.len()), expected));
        }
        let mut labels = Vec::with_capacity(n);
        let image_len = self.record_len() - self.labels.len();
        for i in 0..n {
            let start = i * self.record_len();
            let image = start + self.labels.len();
            for (k, (&label, &classes)) in bytes[start..image].iter().zip(self.labels).enumerate() {
                if usize::from(label) >= classes {
                    let got = format!("label {label} in record {i} (byte {})", start + k);
                    return Err(Error::file(path, got, format!("a label of 0..={}", classes - 1)));
                }
            }
            labels.push(u32::from(bytes[image - 1]));
            // Images move up over the labels in place: a file may be most of the memory there is.
            bytes.copy_within(image..image + image_len, i * image_len);
        }
        bytes.truncate(n * image_len);
        Ok(Images { pixels: bytes, labels, ..self.empty() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_LABELS: Layout = Layout { labels: &[2, 3], side: 2 };

    fn records(labels: &[[u8; 2]]) -> Vec<u8> {
        let image = |i: usize| (0..12).map(move |p| (20 * i + p) as u8);
        labels.iter().enumerate().flat_map(|(i, label)| label.iter().copied().chain(image(i))).collect()
    }

    fn read(bytes: Option<&[u8]>, n: usize) -> std::result::Result<Images, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.bin");
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let prefix = format!("{}: ", path.display());
        TWO_LABELS.read(&path, n).map_err(|e| e.to_string().replace(&prefix, "FILE: "))
    }

    #[test]
    fn a_file_gives_its_images_and_last_labels() {
        let images = read(Some(&records(&[[1, 0], [0, 2]])), 2).unwrap();
        assert_eq!(images.labels, [0, 2]);
        assert_eq!(images.pixels, (0..12).chain(20..32).collect::<Vec<u8>>());
    }

    #[test]
    fn a_wrong_file_is_an_error_that_names_it_what_was_found_and_what_was_expected() {
        let good = records(&[[1, 0], [0, 2]]);
        let table: [(Option<&[u8]>, &str); 6] = [
            (None, "FILE: got no such file, expected a file of 28 bytes (2 records of 14)"),
            (Some(&[]), "FILE: got 0 bytes, expected 28 bytes (2 records of 14)"),
            (Some(&good[..27]), "FILE: got 27 bytes, expected 28 bytes (2 records of 14)"),
            (Some(&[&good[..], &[0]].concat()), "FILE: got 29 bytes, expected 28 bytes (2 records of 14)"),
            (Some(&records(&[[1, 0], [0, 3]])), "FILE: got label 3 in record 1 (byte 15), expected a label of 0..=2"),
            (Some(&records(&[[2, 0], [0, 1]])), "FILE: got label 2 in record 0 (byte 0), expected a label of 0..=1"),
        ];
        for (bytes, message) in table {
            assert_eq!(read(bytes, 2).unwrap_err(), message);
        }
    }
}
