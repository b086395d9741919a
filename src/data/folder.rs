//! A folder of pictures: `train/CLASS/*.jpg`, and the same below `test`, `val` or `valid`; or `CLASS/*.jpg`, divided on request.
//!
//! Below a class folders are walked. What is hidden or no picture is left out, and the [`Inventory`] has it. A picture that
//! has not `side x side` pixels is sized so that its shorter side has 256/224 of `side` (triangle filter), and its middle is taken:
//! the test of ImageNet, at any side. Decoded in parallel; what comes out is kept, under the paths of all files and what the file
//! system says of them. Training on parts of photographs takes them from the whole pictures ([`super::whole`]).

use super::decode;
use super::images::Images;
use super::inventory::{Inventory, Why, entries};
use crate::error::{Error, Result};
use crate::files::cache;
use crate::interrupt;
use crate::memory;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::Xxh3;

/// Side of pictures of several sizes, where none is asked for.
const USUAL_SIDE: usize = 32;
/// Names of the folder of test pictures.
const TEST: [&str; 3] = ["test", "val", "valid"];
/// Folders in folders, at most.
const DEPTH: usize = 32;

/// Whether `dir` is such a folder: it has `train`, with folders in it.
pub(super) fn is_in(dir: &Path) -> bool {
    entries(&dir.join("train")).is_ok_and(|all| all.iter().any(|(name, path)| !name.starts_with('.') && path.is_dir()))
}

/// Whether `dir` has folders of pictures, but no `train`.
pub(super) fn is_undivided(dir: &Path) -> bool {
    let is_class = |(name, path): &(String, PathBuf)| {
        let mut quiet = Inventory::default();
        !name.starts_with('.') && path.is_dir() && !walk(path, path, 0, &mut quiet).is_ok_and(|p| p.is_empty())
    };
    !dir.join("train").exists() && entries(dir).is_ok_and(|all| all.iter().any(is_class))
}

/// Class names, training and test pictures, `side x side` (default: as they are, if all are squares of one size; else 32).
/// `divide`: of the labels of all pictures, which are for training and which for testing.
pub(super) fn read(
    dir: &Path,
    side: Option<usize>,
    divide: Option<&dyn Fn(&[u32]) -> (Vec<u32>, Vec<u32>)>,
    inventory: &mut Inventory,
) -> Result<(Vec<String>, Images, Images)> {
    if side == Some(0) {
        return Err(Error::invalid("resize", 0, "at least 1 pixel"));
    }
    let train = dir.join("train");
    let root = if train.is_dir() { &train } else { dir };
    let test = TEST.iter().map(|name| dir.join(name)).find(|path| path.is_dir()).filter(|_| root != dir);
    match (&test, divide) {
        (None, None) => {
            let expected = "one of test, val, valid beside train, or the setting split (split=0.8: 80 % of each class for \
                            training, the rest for testing)";
            return Err(Error::file(dir, "no folder of test pictures", expected));
        }
        (Some(test), Some(_)) => {
            return Err(Error::file(
                test,
                "test pictures",
                "none where split is set, which divides those for training",
            ));
        }
        _ => {}
    }
    if root != dir {
        let test = test.as_deref().and_then(|t| t.file_name()).and_then(|n| n.to_str()).unwrap_or("train");
        inventory.besides(dir, &["train", test]);
    }
    let classes = classes(dir, root, inventory)?;
    let names: Vec<String> = classes.iter().map(|(name, _)| name.clone()).collect();
    let labelled = |classes: Vec<(String, Vec<PathBuf>)>| -> Vec<Picture> {
        let label = |name: &str| names.iter().position(|n| n == name).unwrap_or_default() as u32;
        let own = |(name, paths): (String, Vec<PathBuf>)| {
            let label = label(&name);
            paths.into_iter().map(move |path| Picture { path, label })
        };
        classes.into_iter().flat_map(own).collect()
    };
    let train = labelled(classes);
    let test = match test {
        None => vec![],
        Some(test) => {
            let found = self::classes(dir, &test, inventory)?;
            if let Some((strange, _)) = found.iter().find(|(name, _)| !names.contains(name)) {
                let expected = format!("the classes of train: {}", names.join(", "));
                return Err(Error::file(test.join(strange), "a class without training pictures", expected));
            }
            labelled(found)
        }
    };
    inventory.read += train.len() + test.len();
    let side = match side {
        Some(side) => side,
        None => common_side([&train, &test].into_iter().flatten())?.unwrap_or(USUAL_SIDE),
    };
    let bytes = memory::product(&[train.len() + test.len(), 3, side, side]).map(|n| n as u128);
    memory::check(&format!("pictures of {side}x{side}"), bytes.filter(|_| u32::try_from(side).is_ok()), "resize")?;
    let all = decoded(&train, side)?;
    match divide {
        None => Ok((names, all, decoded(&test, side)?)),
        Some(divide) => {
            let (train, test) = divide(&all.labels);
            if train.is_empty() || test.is_empty() {
                let expected = "a share that leaves both parts a picture";
                return Err(Error::file(dir, format!("{} pictures, divided by split", all.labels.len()), expected));
            }
            Ok((names, all.select(&train), all.select(&test)))
        }
    }
}

/// A picture file and its class.
struct Picture {
    path: PathBuf,
    label: u32,
}

/// The folders in `root` that hold pictures, by name, with the pictures in and below them.
fn classes(dir: &Path, root: &Path, inventory: &mut Inventory) -> Result<Vec<(String, Vec<PathBuf>)>> {
    let mut classes = vec![];
    for (name, path) in entries(root).map_err(Error::io("read", root))? {
        if name.starts_with('.') {
            inventory.leave_out(Why::Hidden, dir, &path);
        } else if !path.is_dir() {
            inventory.leave_out(Why::Outside, dir, &path);
        } else {
            if path.file_name().is_none_or(|n| n.to_str().is_none()) {
                return Err(Error::file(&path, "a name that is not UTF-8", "a class name"));
            }
            let pictures = walk(dir, &path, 0, inventory)?;
            if pictures.is_empty() {
                inventory.leave_out(Why::Empty, dir, &path);
            } else {
                classes.push((name, pictures));
            }
        }
    }
    if classes.is_empty() {
        let left_out = inventory.summary();
        return Err(Error::file(root, format!("no picture{left_out}"), "CLASS/*.jpg, *.png, *.webp, ..."));
    }
    Ok(classes)
}

/// The pictures in and below `folder`, by path.
fn walk(dir: &Path, folder: &Path, depth: usize, inventory: &mut Inventory) -> Result<Vec<PathBuf>> {
    if depth > DEPTH {
        return Err(Error::file(
            folder,
            "folders in folders without end",
            format!("at most {DEPTH}; is one a link to one above it?"),
        ));
    }
    let mut pictures = vec![];
    for (name, path) in entries(folder).map_err(Error::io("read", folder))? {
        if name.starts_with('.') {
            inventory.leave_out(Why::Hidden, dir, &path);
        } else if path.is_dir() {
            let below = walk(dir, &path, depth + 1, inventory)?;
            if below.is_empty() {
                inventory.leave_out(Why::Empty, dir, &path);
            }
            pictures.extend(below);
        } else if !path.is_file() {
            inventory.leave_out(Why::Strange, dir, &path);
        } else if decode::is_picture(&path) {
            pictures.push(path);
        } else {
            inventory.leave_out(Why::Other, dir, &path);
        }
    }
    pictures.sort();
    Ok(pictures)
}

/// The side of all pictures, if all are squares of one.
fn common_side<'a>(pictures: impl Iterator<Item = &'a Picture>) -> Result<Option<usize>> {
    let mut side = None;
    for picture in pictures {
        let (w, h) = decode::dimensions(&picture.path)?;
        if w != h || *side.get_or_insert(w) != w {
            return Ok(None);
        }
    }
    Ok(side.map(|side| side as usize))
}

fn decoded(pictures: &[Picture], side: usize) -> Result<Images> {
    let len = 3 * side * side;
    let labels: Vec<u32> = pictures.iter().map(|p| p.label).collect();
    let key = format!("middles-{:032x}-{side}", identity(pictures)?);
    let kept = cache::get(&key).filter(|pixels| pixels.len() == len * pictures.len());
    let pixels = match kept {
        Some(pixels) => pixels,
        None => {
            let mut pixels = vec![0; len * pictures.len()];
            let work = |(out, picture): (&mut [u8], &Picture)| {
                interrupt::check()?;
                out.copy_from_slice(&decode::decode(&picture.path, side)?);
                Ok(())
            };
            // The first in order, so that the message does not depend on threads.
            let all: Vec<Result<()>> = pixels.par_chunks_exact_mut(len).zip(pictures).map(work).collect();
            let wrong = all.iter().filter(|one| one.is_err()).count();
            all.into_iter().collect::<Result<()>>().map_err(|first| match (first, wrong) {
                (Error::File { path, got, expected }, 2..) => {
                    Error::File { path, got: format!("{got}, and {} more such files", wrong - 1), expected }
                }
                (first, _) => first,
            })?;
            cache::put(&key, &pixels);
            pixels
        }
    };
    let files = pictures.iter().map(|picture| picture.path.clone()).collect();
    Ok(Images { channels: 3, side, pixels, labels, files })
}

/// A hash of paths and of what the file system says of them: sizes, times of change and, where it can, number and time of the
/// entry, by which a file that took another's place differs even if it has the same size and time.
fn identity(pictures: &[Picture]) -> Result<u128> {
    let mut hash = Xxh3::new();
    for Picture { path, label } in pictures {
        let meta = std::fs::metadata(path).map_err(Error::io("read", path))?;
        let time = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        hash.update(format!("{}\n{label} {} {time:?} {:?}\n", absolute.display(), meta.len(), entry(&meta)).as_bytes());
    }
    Ok(hash.digest128())
}

#[cfg(unix)]
fn entry(meta: &std::fs::Metadata) -> (u64, u64, i64, i64) {
    use std::os::unix::fs::MetadataExt;
    (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec())
}

#[cfg(not(unix))]
fn entry(_: &std::fs::Metadata) {}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn read(dir: &Path, side: Option<usize>) -> Result<(Vec<String>, Images, Images)> {
        super::read(dir, side, None, &mut Inventory::default())
    }

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
    }

    #[test]
    fn what_is_wrong_with_a_folder_is_said_with_its_file() {
        let dir = folder();
        let message =
            || read(dir.path(), None).err().unwrap().to_string().replace(&dir.path().display().to_string(), "DIR");
        std::fs::write(dir.path().join("train/dog/z.jpg"), b"\xff\xd8\xff broken").unwrap();
        assert!(message().contains("DIR/train/dog/z.jpg: got a file that does not decode"), "{}", message());
        std::fs::remove_file(dir.path().join("train/dog/z.jpg")).unwrap();
        picture(&dir.path().join("val/cow/1.png"), 4, 4, [1, 1, 1]);
        assert!(message().contains("DIR/val/cow: got a class without training pictures"), "{}", message());
        std::fs::remove_dir_all(dir.path().join("val")).unwrap();
        assert!(message().contains("DIR: got no folder of test pictures"), "{}", message());
    }

    #[test]
    fn what_is_left_out_of_a_folder_is_in_its_inventory() {
        let dir = folder();
        for (name, bytes) in [
            ("train/.ipynb_checkpoints/a.png", "x"),
            ("train/dog/.DS_Store", ""),
            ("train/empty/notes.md", ""),
            ("train/list.csv", ""),
            ("valid/cat/a.png", "x"),
            ("README", ""),
        ] {
            std::fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        picture(&dir.path().join("train/dog/more/of/them.WebP"), 4, 4, [5, 5, 5]);
        picture(&dir.path().join("train/dog/more.tiff"), 4, 4, [5, 5, 5]);
        std::fs::rename(dir.path().join("train/dog/more.tiff"), dir.path().join("train/dog/without")).unwrap();
        std::os::unix::fs::symlink("gone", dir.path().join("train/dog/gone.png")).unwrap();
        let mut inventory = Inventory::default();
        let (classes, train, _) = super::read(dir.path(), None, None, &mut inventory).unwrap();
        assert_eq!((classes, train.labels), (vec!["cat".to_string(), "dog".into()], vec![0, 0, 1, 1, 1]));
        assert_eq!(inventory.read, 6);
        let expected = [
            "hidden: 2 (train/.ipynb_checkpoints, ...)",
            "no pictures by their names: 2 (train/cat/notes.txt, ...)",
            "folders without pictures: 1 (train/empty)",
            "outside the folders of classes: 1 (train/list.csv)",
            "beside what is read: 2 (README, ...)",
            "neither files nor folders: 1 (train/dog/gone.png)",
        ];
        assert_eq!(inventory.left_out(), expected);
    }

    #[test]
    fn a_folder_that_links_to_one_above_it_is_refused() {
        let dir = folder();
        std::os::unix::fs::symlink("..", dir.path().join("train/cat/again")).unwrap();
        let message = read(dir.path(), None).unwrap_err().to_string();
        assert!(message.contains("folders in folders without end"), "{message}");
    }

    #[test]
    fn pictures_without_a_division_are_divided_on_request() {
        let dir = tempfile::tempdir().unwrap();
        for class in ["cat", "dog"] {
            (0..5).for_each(|i| picture(&dir.path().join(format!("{class}/{i}.png")), 4, 4, [i, i, i]));
        }
        assert!(is_undivided(dir.path()) && !is_in(dir.path()));
        let all_but_last = |labels: &[u32]| ((0..labels.len() as u32 - 1).collect(), vec![labels.len() as u32 - 1]);
        let mut inventory = Inventory::default();
        let (classes, train, test) = super::read(dir.path(), None, Some(&all_but_last), &mut inventory).unwrap();
        assert_eq!((classes.len(), train.labels.len(), test.labels), (2, 9, vec![1]));
        let message = read(dir.path(), None).unwrap_err().to_string();
        assert!(message.contains("got no folder of test pictures") && message.contains("split=0.8"), "{message}");
    }

    /// A picture of the same size and time of change in the place of another (`cp -p`, `rsync -t`, `tar`) is another.
    #[test]
    fn a_replaced_picture_of_the_same_size_and_time_is_seen() {
        let dir = folder();
        let (path, other) = (dir.path().join("train/cat/2.png"), dir.path().join("other.png"));
        let pictures = || vec![Picture { path: path.clone(), label: 0 }];
        let before = identity(&pictures()).unwrap();
        assert_eq!(identity(&pictures()).unwrap(), before);
        let time = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::copy(&path, &other).unwrap();
        std::fs::File::options().write(true).open(&other).unwrap().set_modified(time).unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(identity(&pictures()).unwrap(), before);
    }
}
