//! A folder of pictures: `train/CLASS/*.jpg|jpeg|png`, and the same below `test`, `val` or `valid`.
//!
//! A picture is shrunk so that its shorter side has `side` pixels (triangle filter), and its middle is taken. Decoded in
//! parallel; what comes out is kept, under the paths, sizes and times of all files.

use super::cache;
use super::images::Images;
use crate::error::{Error, Result};
use crate::interrupt;
use image::imageops::FilterType;
use image::{ImageReader, RgbImage};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Side of pictures of several sizes, where none is asked for.
const USUAL_SIDE: usize = 32;
/// Names of the folder of test pictures.
const TEST: [&str; 3] = ["test", "val", "valid"];

/// Whether `dir` is such a folder: it has `train`, with folders in it.
pub(super) fn is_in(dir: &Path) -> bool {
    let below = std::fs::read_dir(dir.join("train"));
    below.is_ok_and(|entries| entries.flatten().any(|e| e.path().is_dir()))
}

/// Class names, training and test pictures, `side x side` (default: as they are, if all are squares of one size; else 32).
pub(super) fn read(dir: &Path, side: Option<usize>) -> Result<(Vec<String>, Images, Images)> {
    let classes = folders(&dir.join("train"))?;
    let test = TEST.iter().map(|name| dir.join(name)).find(|path| path.is_dir());
    let test =
        test.ok_or_else(|| Error::file(dir, "no folder of test pictures", "one of test, val, valid beside train"))?;
    if let Some(strange) = folders(&test)?.into_iter().find(|name| !classes.contains(name)) {
        let expected = format!("the classes of train: {}", classes.join(", "));
        return Err(Error::file(test.join(&strange), "a class without training pictures", expected));
    }
    if side == Some(0) {
        return Err(Error::invalid("resize", 0, "at least 1 pixel"));
    }
    let sets = [dir.join("train"), test].map(|root| pictures(&root, &classes));
    let [train, test] = sets;
    let (train, test) = (train?, test?);
    let side = match side {
        Some(side) => side,
        None => common_side([&train, &test].into_iter().flatten())?.unwrap_or(USUAL_SIDE),
    };
    Ok((classes, decoded(&train, side)?, decoded(&test, side)?))
}

/// A picture file and its class.
struct Picture {
    path: PathBuf,
    label: u32,
}

/// Names of the folders in a folder, sorted.
fn folders(root: &Path) -> Result<Vec<String>> {
    let mut names = vec![];
    for entry in std::fs::read_dir(root).map_err(Error::io("read", root))? {
        let entry = entry.map_err(Error::io("read", root))?;
        if entry.path().is_dir() {
            let name = entry.file_name().into_string();
            names.push(name.map_err(|name| Error::file(root.join(name), "a name that is not UTF-8", "a class name"))?);
        }
    }
    names.sort();
    Ok(names)
}

fn pictures(root: &Path, classes: &[String]) -> Result<Vec<Picture>> {
    let mut all = vec![];
    for (label, class) in classes.iter().enumerate() {
        let folder = root.join(class);
        if !folder.is_dir() {
            continue;
        }
        let mut own = vec![];
        for entry in std::fs::read_dir(&folder).map_err(Error::io("read", &folder))? {
            let path = entry.map_err(Error::io("read", &folder))?.path();
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
            if ["jpg", "jpeg", "png"].contains(&ending.as_str()) && path.is_file() {
                own.push(Picture { path, label: label as u32 });
            }
        }
        own.sort_by(|a, b| a.path.cmp(&b.path));
        all.extend(own);
    }
    if all.is_empty() {
        return Err(Error::file(root, "no picture", "CLASS/*.jpg, *.jpeg or *.png"));
    }
    Ok(all)
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    let reader = ImageReader::open(path).map_err(Error::io("read", path))?;
    reader.with_guessed_format().map_err(Error::io("read", path))
}

fn broken(path: &Path) -> impl FnOnce(image::ImageError) -> Error {
    let path = path.to_path_buf();
    move |e| Error::file(path, format!("a file that does not decode ({e})"), "a JPEG or PNG picture")
}

/// The side of all pictures, if all are squares of one.
fn common_side<'a>(pictures: impl Iterator<Item = &'a Picture>) -> Result<Option<usize>> {
    let mut side = None;
    for picture in pictures {
        let (w, h) = reader(&picture.path)?.into_dimensions().map_err(broken(&picture.path))?;
        if w != h || *side.get_or_insert(w) != w {
            return Ok(None);
        }
    }
    Ok(side.map(|side| side as usize))
}

/// The pixels of a picture file, `[3, side, side]`.
pub(super) fn decode(path: &Path, side: usize) -> Result<Vec<u8>> {
    let picture = reader(path)?.decode().map_err(broken(path))?.into_rgb8();
    let fitted = fit(picture, side as u32);
    let plane = |c: usize| fitted.pixels().map(move |p| p.0[c]);
    Ok((0..3).flat_map(plane).collect())
}

/// Shorter side to `side`, then the middle.
fn fit(picture: RgbImage, side: u32) -> RgbImage {
    let (w, h) = picture.dimensions();
    let scaled = |n: u32| ((f64::from(n) * f64::from(side) / f64::from(w.min(h))).round() as u32).max(side);
    let (sw, sh) = (scaled(w), scaled(h));
    let sized =
        if (w, h) == (sw, sh) { picture } else { image::imageops::resize(&picture, sw, sh, FilterType::Triangle) };
    image::imageops::crop_imm(&sized, (sw - side) / 2, (sh - side) / 2, side, side).to_image()
}

fn decoded(pictures: &[Picture], side: usize) -> Result<Images> {
    let len = 3 * side * side;
    let labels: Vec<u32> = pictures.iter().map(|p| p.label).collect();
    let key = format!("pictures-{:032x}-{side}", identity(pictures)?);
    let kept = cache::get(&key).filter(|pixels| pixels.len() == len * pictures.len());
    let pixels = match kept {
        Some(pixels) => pixels,
        None => {
            let mut pixels = vec![0; len * pictures.len()];
            let work = |(out, picture): (&mut [u8], &Picture)| {
                interrupt::check()?;
                out.copy_from_slice(&decode(&picture.path, side)?);
                Ok(())
            };
            // The first in order, so that the message does not depend on threads.
            let all: Vec<Result<()>> = pixels.par_chunks_exact_mut(len).zip(pictures).map(work).collect();
            all.into_iter().collect::<Result<()>>()?;
            cache::put(&key, &pixels);
            pixels
        }
    };
    Ok(Images { channels: 3, side, pixels, labels })
}

/// Of paths, sizes and times of change.
fn identity(pictures: &[Picture]) -> Result<u128> {
    let mut hash = Xxh3::new();
    for Picture { path, label } in pictures {
        let meta = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let time = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        hash.update(format!("{}\n{label} {} {time:?}\n", absolute.display(), meta.len()).as_bytes());
    }
    Ok(hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn picture(path: &Path, w: u32, h: u32, colour: [u8; 3]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(w, h, Rgb(colour)).save(path).unwrap();
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, w, h, colour) in [
            ("train/cat/2.png", 4, 4, [10, 20, 30]),
            ("train/cat/1.PNG", 4, 4, [40, 50, 60]),
            ("train/dog/a.png", 4, 4, [7, 8, 9]),
            ("val/dog/b.png", 4, 4, [1, 2, 3]),
        ] {
            picture(&dir.path().join(name), w, h, colour);
        }
        std::fs::write(dir.path().join("train/cat/notes.txt"), "").unwrap();
        dir
    }

    #[test]
    fn classes_are_the_folders_and_pictures_come_in_the_order_of_their_names() {
        let dir = folder();
        let (classes, train, test) = read(dir.path(), None).unwrap();
        assert_eq!(classes, ["cat", "dog"]);
        assert_eq!((train.side, train.labels), (4, vec![0, 0, 1]));
        assert_eq!(train.pixels[..48], [[40; 16], [50; 16], [60; 16]].concat());
        assert_eq!((test.labels, &test.pixels[..1]), (vec![1], &[1][..]));
    }

    #[test]
    fn pictures_of_several_sizes_are_shrunk_and_their_middle_taken() {
        let dir = folder();
        picture(&dir.path().join("train/dog/wide.png"), 9, 3, [100, 100, 100]);
        assert_eq!(read(dir.path(), None).unwrap().1.side, 32);
        let (_, train, _) = read(dir.path(), Some(2)).unwrap();
        assert_eq!((train.side, train.labels.len()), (2, 4));
        assert_eq!(train.pixels[36..], [100; 12]);
        let mut halves = RgbImage::from_pixel(6, 2, Rgb([0, 0, 0]));
        (2..4).for_each(|x| (0..2).for_each(|y| halves.put_pixel(x, y, Rgb([255, 0, 0]))));
        assert!(fit(halves, 2).pixels().all(|p| p.0 == [255, 0, 0]));
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said_with_its_file() {
        let dir = folder();
        let message =
            || read(dir.path(), None).err().unwrap().to_string().replace(&dir.path().display().to_string(), "DIR");
        std::fs::write(dir.path().join("train/dog/z.jpg"), b"\xff\xd8\xff broken").unwrap();
        assert!(message().contains("DIR/train/dog/z.jpg: got a file that does not decode"), "{}", message());
        std::fs::remove_file(dir.path().join("train/dog/z.jpg")).unwrap();
        std::fs::create_dir(dir.path().join("val/cow")).unwrap();
        assert!(message().contains("DIR/val/cow: got a class without training pictures"), "{}", message());
        std::fs::remove_dir_all(dir.path().join("val")).unwrap();
        assert!(message().contains("DIR: got no folder of test pictures"), "{}", message());
    }
}
