//! The embedded data set: UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak; CC BY 4.0).

use super::images::Images;
use crate::error::{Error, Result};
use std::io::Read;

const FILE: &[u8] = include_bytes!("embedded/digits.csv.gz");
const SIDE: usize = 8;
const CLASSES: usize = 10;

/// Training and test images, `[n, 3, 8, 8]`: grey in three equal channels, pixels 0..16 scaled to 0..255. Within each
/// class every fifth image (the 5th, 10th, ... in file order) is a test image: 1,442 and 355 images.
pub(super) fn read() -> Result<(Images, Images)> {
    let wrong = |got: String| Error::file("digits.csv.gz (embedded)", got, "rows of 64 pixels of 0..16 and a class");
    let mut text = String::new();
    flate2::read::GzDecoder::new(FILE).read_to_string(&mut text).map_err(|e| wrong(e.to_string()))?;
    let empty = || Images { channels: 3, side: SIDE, pixels: Vec::new(), labels: Vec::new(), files: vec![] };
    let (mut train, mut test) = (empty(), empty());
    let mut seen = [0; CLASSES];
    for line in text.lines() {
        let row: Vec<u8> = line.split(',').map_while(|v| v.parse().ok()).collect();
        let (&class, image) = row.split_last().ok_or_else(|| wrong(format!("`{line}`")))?;
        if image.len() != SIDE * SIDE || usize::from(class) >= CLASSES || image.iter().any(|&p| p > 16) {
            return Err(wrong(format!("`{line}`")));
        }
        let count = &mut seen[usize::from(class)];
        *count += 1;
        let part = if *count % 5 == 0 { &mut test } else { &mut train };
        let plane: Vec<u8> = image.iter().map(|&p| ((u32::from(p) * 255 + 8) / 16) as u8).collect();
        part.pixels.extend(plane.repeat(3));
        part.labels.push(u32::from(class));
    }
    Ok((train, test))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_1797_digits_are_there_in_a_stratified_split() {
        let (train, test) = read().unwrap();
        assert_eq!(train.labels.len() + test.labels.len(), 1797);
        assert_eq!((train.pixels.len(), test.pixels.len()), (train.labels.len() * 192, test.labels.len() * 192));
        for class in 0..10 {
            let count = |images: &Images| images.labels.iter().filter(|&&l| l == class).count();
            assert_eq!(count(&test), (count(&train) + count(&test)) / 5, "class {class}");
        }
    }

    #[test]
    fn the_first_digit_is_a_zero_in_three_equal_channels_scaled_to_255() {
        let (train, _) = read().unwrap();
        assert_eq!(train.labels[0], 0);
        assert_eq!(train.pixels[..8], [0, 0, 80, 207, 143, 16, 0, 0], "of 0,0,5,13,9,1,0,0");
        assert_eq!(train.pixels[..64], train.pixels[64..128]);
        assert_eq!(train.pixels[..64], train.pixels[128..192]);
        assert_eq!(train.pixels.iter().max(), Some(&255));
    }
}
