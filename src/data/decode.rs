//! Picture files: which there are, and their pixels.

use crate::error::{Error, Result};
use image::imageops::FilterType;
use image::{ImageFormat, ImageReader, RgbImage};
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

/// Endings of picture files, in small letters.
const ENDINGS: [&str; 15] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "dib", "tif", "tiff", "gif", "ppm", "pgm", "pbm", "pnm"];
const EXPECTED: &str = "a whole picture: JPEG, PNG, WebP, BMP, TIFF, GIF or PNM";

/// Whether a name has the ending of a picture.
pub(super) fn has_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    ENDINGS.contains(&ending.as_str())
}

/// Whether a file is a picture: by its ending, or where it has none, by its first bytes.
pub(super) fn is_picture(path: &Path) -> bool {
    let begins_as_one = || {
        let mut begin = vec![];
        let file = std::fs::File::open(path).ok()?;
        file.take(32).read_to_end(&mut begin).ok()?;
        image::guess_format(&begin).ok()
    };
    has_ending(path) || path.extension().is_none() && begins_as_one().is_some()
}

fn broken(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::file(path, format!("a file that does not decode ({})", what.to_string().trim_end()), EXPECTED)
}

/// Width and height, from the head of the file.
pub(super) fn dimensions(path: &Path) -> Result<(u32, u32)> {
    let file = std::fs::File::open(path).map_err(Error::io("read", path))?;
    let reader = ImageReader::new(BufReader::new(file)).with_guessed_format().map_err(Error::io("read", path))?;
    reader.into_dimensions().map_err(|e| broken(path, e))
}

/// The pixels of a picture file, `[3, side, side]`.
pub(super) fn decode(path: &Path, side: usize) -> Result<Vec<u8>> {
    Ok(planes(&fit(open(path)?, side as u32)))
}

/// A picture file.
pub(super) fn open(path: &Path) -> Result<RgbImage> {
    let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
    let reader = ImageReader::new(Cursor::new(&bytes)).with_guessed_format().map_err(Error::io("read", path))?;
    // The decoder makes grey of what is not there.
    if reader.format() == Some(ImageFormat::Jpeg) && !is_whole_jpeg(&bytes) {
        return Err(broken(path, "truncated: its data end before the picture does"));
    }
    Ok(reader.decode().map_err(|e| broken(path, e))?.into_rgb8())
}

/// `[3, h, w]`
pub(super) fn planes(picture: &RgbImage) -> Vec<u8> {
    (0..3).flat_map(|c: usize| picture.pixels().map(move |p| p.0[c])).collect()
}

/// The shorter side of a picture before its middle of `side x side` is taken.
pub(super) fn before_crop(side: u32) -> u32 {
    (f64::from(side) * 256.0 / 224.0).round() as u32
}

/// Times its shorter side that a picture may be long and be shrunk whole; of a longer one only so much of its middle is, for the
/// whole would take up far more than its file or what becomes of it.
const LONG: u32 = 16;

/// The picture, or so much of its middle as is looked at.
fn middle(picture: RgbImage) -> RgbImage {
    let (w, h) = picture.dimensions();
    let most = w.min(h).saturating_mul(LONG);
    if w.max(h) <= most {
        return picture;
    }
    let (to_w, to_h) = (w.min(most), h.min(most));
    image::imageops::crop_imm(&picture, (w - to_w) / 2, (h - to_h) / 2, to_w, to_h).to_image()
}

/// The picture with its shorter side as given.
pub(super) fn sized(picture: RgbImage, shorter: u32) -> RgbImage {
    let picture = middle(picture);
    let (w, h) = picture.dimensions();
    let scaled = |n: u32| ((f64::from(n) * f64::from(shorter) / f64::from(w.min(h))).round() as u32).max(shorter);
    let (sw, sh) = (scaled(w), scaled(h));
    if (w, h) == (sw, sh) { picture } else { image::imageops::resize(&picture, sw, sh, FilterType::Triangle) }
}

/// The picture as it is, if it has this side; else the middle of it, after it was sized.
fn fit(picture: RgbImage, side: u32) -> RgbImage {
    if picture.dimensions() == (side, side) {
        return picture;
    }
    let sized = sized(picture, before_crop(side));
    let (w, h) = sized.dimensions();
    image::imageops::crop_imm(&sized, (w - side) / 2, (h - side) / 2, side, side).to_image()
}

/// Whether the marker of the end comes: segments have their lengths, and within scans 0xff is followed by 0 or by the number of
/// a restart (ITU T.81, B.1.1).
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // To the next marker: fill bytes, or the data of a scan.
        while let Some(pair) = bytes.get(at..at + 2) {
            if pair[0] == 0xff && !matches!(pair[1], 0 | 0xff | 0xd0..=0xd7) {
                break;
            }
            at += 1;
        }
        match bytes.get(at + 1) {
            None => return false,
            Some(0xd9) => return true,
            Some(0x01 | 0xd8) => at += 2,
            Some(_) => {
                let Some(length) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    #[test]
    fn the_middle_of_a_picture_is_taken() {
        let mut halves = RgbImage::from_pixel(6, 2, Rgb([0, 0, 0]));
        (2..4).for_each(|x| (0..2).for_each(|y| halves.put_pixel(x, y, Rgb([255, 0, 0]))));
        assert!(fit(halves, 2).pixels().all(|p| p.0 == [255, 0, 0]));
        // Of 512 x 256 pixels, what is left of the middle 224 when the sides are: a frame of 16 at the top, 144 at the left.
        let inside = |x: u32, y: u32| (144..368).contains(&x) && (16..240).contains(&y);
        let framed = RgbImage::from_fn(512, 256, |x, y| Rgb(if inside(x, y) { [9, 9, 9] } else { [255, 255, 255] }));
        assert!(fit(framed.clone(), 224).pixels().all(|p| p.0 == [9, 9, 9]));
        let small = fit(framed, 28);
        assert!(small.dimensions() == (28, 28) && small.get_pixel(14, 14).0 == [9, 9, 9]);
        assert!(small.pixels().all(|p| p.0[0] < 140), "an eighth of the size: the frame is outside, but for its edge");
        assert_eq!(fit(RgbImage::from_pixel(28, 28, Rgb([1, 2, 3])), 28).dimensions(), (28, 28));
        // A million times as high as wide: only its middle is looked at.
        let thin = fit(RgbImage::from_pixel(1, 1_000_000, Rgb([9, 8, 7])), 32);
        assert!(thin.dimensions() == (32, 32) && thin.pixels().all(|p| p.0 == [9, 8, 7]));
    }

    /// A file that is cut off anywhere is an error, or the decoder had all of the picture before the cut.
    #[test]
    fn a_picture_of_any_kind_that_is_cut_off_is_no_picture() {
        let dir = tempfile::tempdir().unwrap();
        let mut picture = RgbImage::new(40, 40);
        picture
            .enumerate_pixels_mut()
            .for_each(|(x, y, p)| p.0 = [(x * 37 % 251) as u8, (y * 91 % 241) as u8, (x * y % 239) as u8]);
        for ending in ["jpg", "png", "webp", "bmp", "tiff", "gif", "ppm"] {
            let path = dir.path().join(format!("a.{ending}"));
            picture.save(&path).unwrap();
            let (whole, pixels) = (std::fs::read(&path).unwrap(), decode(&path, 40).unwrap());
            assert_eq!(dimensions(&path).unwrap(), (40, 40));
            for percent in [1, 20, 60, 90, 99] {
                std::fs::write(&path, &whole[..whole.len() * percent / 100]).unwrap();
                match decode(&path, 40) {
                    Ok(cut) => assert!(cut == pixels && ending != "jpg", "{ending}, {percent} %"),
                    Err(e) => {
                        assert!(e.to_string().contains(&format!("a.{ending}: got a file that does not decode")), "{e}")
                    }
                }
            }
        }
    }
}
