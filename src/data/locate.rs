//! From a name or a folder to a data format and the folder of its files.

use super::formats::{FORMATS, Format, Store};
use super::{folder, inventory};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// The variable that names the folder of data sets.
const VARIABLE: &str = "ISDARTS_DATA";

/// Where data sets are looked up by name: below `$ISDARTS_DATA`, then below `./data`.
pub(super) fn roots() -> Vec<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    named.into_iter().chain([PathBuf::from("data")]).collect()
}

/// Where data sets are put: the first folder in which they are looked up.
pub fn first_root() -> PathBuf {
    roots().swap_remove(0)
}

/// Whether there are files of the data set `name_or_dir`; they are not read.
///
/// # Errors
/// There are none, or it is no data set.
pub fn find(name_or_dir: &str) -> Result<()> {
    locate(name_or_dir, &roots(), true).map(|_| ())
}

/// The format that `name_or_dir` means, and the folder of its files (empty for an embedded one). A name is looked up
/// below `roots`; a folder is recognised by the files in it, or in a folder of an archive's name directly below it.
/// `divides`: whether pictures that lie in folders of their classes alone are to be divided.
pub(super) fn locate(name_or_dir: &str, roots: &[PathBuf], divides: bool) -> Result<(&'static Format, PathBuf)> {
    let dir = Path::new(name_or_dir);
    // A data set may be published in several formats.
    let named: Vec<&Format> = FORMATS.iter().filter(|f| f.name == name_or_dir).collect();
    if let Some(format) = named.first() {
        return match format.store {
            Store::Embedded => Ok((format, PathBuf::new())),
            Store::Pictures => {
                Err(Error::invalid("data set", "`pictures`", "the folder of a data set: train/CLASS/*.jpg"))
            }
            _ => match roots.iter().find_map(|root| named.iter().find_map(|f| Some((*f, within(f, root)?)))) {
                Some(found) => Ok(found),
                None if dir.is_dir() => recognise(dir, divides),
                None => Err(not_found(format, roots)),
            },
        };
    }
    if dir.is_dir() {
        recognise(dir, divides)
    } else if dir.exists() {
        Err(Error::file(dir, "a file", "a data set's name or folder"))
    } else if dir.components().count() > 1 || name_or_dir.ends_with(std::path::MAIN_SEPARATOR) {
        Err(Error::file(dir, "no such folder", format!("a folder of {}, or one of these names", names(placed()))))
    } else {
        Err(Error::unknown_name("data set or folder", name_or_dir, placed().into_iter().map(|f| f.name)))
    }
}

/// The folder with files of `format`: `dir`, or one directly below it that has the archive's or the format's name.
fn within(format: &Format, dir: &Path) -> Option<PathBuf> {
    [dir.to_path_buf(), dir.join(format.folder), dir.join(format.name)].into_iter().find(|d| format.is_in(d))
}

fn recognise(dir: &Path, divides: bool) -> Result<(&'static Format, PathBuf)> {
    let found = FORMATS.iter().filter_map(|f| Some((f, within(f, dir)?)));
    let mut found: Vec<_> = found.filter(|(f, d)| !f.is_namesake(d)).collect();
    // One data set in two formats: the first.
    found.dedup_by_key(|(f, _)| f.name);
    if found.is_empty() && divides && folder::is_undivided(dir) {
        found.extend(FORMATS.iter().find(|f| !f.has_place()).map(|f| (f, dir.to_path_buf())));
    }
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let (got, near) = inventory::describe(dir);
            let files = FORMATS.iter().filter_map(|f| Some(format!("{} ({})", f.train.first()?.0, f.name)));
            let files = files.collect::<Vec<_>>().join(", ");
            let known = format!("files of a known data set, as {files}, or train/CLASS/*.jpg and test/CLASS/*.jpg");
            let expected = near.map_or(known.clone(), |near| format!("{near}; or {known}"));
            Err(Error::file(dir, format!("a folder with no file of a known data set: {got}"), expected))
        }
        several => {
            let got = format!("files of {}", names(several.iter().map(|(f, _)| *f)));
            let dirs: Vec<_> = several.iter().map(|(_, d)| d.display().to_string()).collect();
            Err(Error::file(dir, got, format!("the folder of one of them: {}", dirs.join(" or "))))
        }
    }
}

/// The formats that can be opened by name, each name once.
fn placed() -> Vec<&'static Format> {
    let mut all: Vec<&Format> = FORMATS.iter().filter(|f| f.has_place()).collect();
    all.dedup_by_key(|f| f.name);
    all
}

fn names<'a>(formats: impl IntoIterator<Item = &'a Format>) -> String {
    formats.into_iter().map(|f| f.name).collect::<Vec<_>>().join(", ")
}

fn not_found(format: &Format, roots: &[PathBuf]) -> Error {
    let places: Vec<_> = roots.iter().map(|r| r.join(format.folder).display().to_string()).collect();
    Error::invalid(
        format!("data set `{}`", format.name),
        format!("no folder {}", places.join(", ")),
        format!(
            "the files of {} there; unpack it below a folder named by {VARIABLE} or below ./data, or give its folder \
             in place of the name",
            format.source
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder that holds empty `files`, and what `locate` makes of `name_or_dir` (`DIR` stands for the folder) with it as the
    /// only root: "format: folder of its files", or the message.
    fn located(files: &[&str], name_or_dir: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let dir = dir.path().display().to_string();
        let found = match locate(&name_or_dir.replace("DIR", &dir), &[PathBuf::from(&dir)], false) {
            Ok((format, at)) => format!("{}: {}", format.name, at.display()),
            Err(e) => e.to_string(),
        };
        found.replace(&dir, "DIR")
    }

    #[test]
    fn names_and_folders_lead_to_a_format_and_its_files() {
        let ten = "cifar-10-batches-bin/data_batch_1.bin";
        let hundred = "cifar-100-binary/train.bin";
        let table: [(&[&str], &str, &str); 17] = [
            (&[], "digits", "digits: "),
            (&[ten], "cifar10", "cifar10: DIR/cifar-10-batches-bin"),
            (&[ten, hundred], "cifar100", "cifar100: DIR/cifar-100-binary"),
            (&["cifar10/test_batch.bin"], "cifar10", "cifar10: DIR/cifar10"),
            (&["data_batch_3.bin"], "cifar10", "cifar10: DIR/"),
            (&[ten], "DIR", "cifar10: DIR/cifar-10-batches-bin"),
            (&[ten], "DIR/cifar-10-batches-bin/", "cifar10: DIR/cifar-10-batches-bin/"),
            (&["train.bin"], "DIR", "cifar100: DIR"),
            (&["val_data"], "DIR", "imagenet16-120: DIR"),
            (&["ImageNet16/train_data_batch_7"], "imagenet16-120", "imagenet16-120: DIR/ImageNet16"),
            (&["train-images-idx3-ubyte.gz"], "DIR", "mnist: DIR"),
            (&["mnist/t10k-labels-idx1-ubyte"], "mnist", "mnist: DIR/mnist"),
            (&["FashionMNIST/raw/t10k-labels-idx1-ubyte"], "DIR", "fashion-mnist: DIR/FashionMNIST/raw"),
            (&["fashion-mnist/t10k-labels-idx1-ubyte"], "DIR/fashion-mnist", "fashion-mnist: DIR/fashion-mnist"),
            (&["train/cat/1.jpg"], "DIR", "pictures: DIR"),
            (&["t10k-labels.idx1-ubyte.gz"], "DIR", "mnist: DIR"),
            (&["archive/x", "train-images.idx3-ubyte/train-images.idx3-ubyte"], "DIR", "mnist: DIR"),
        ];
        for (files, name_or_dir, expected) in table {
            assert_eq!(
                located(files, name_or_dir).trim_end_matches('/'),
                expected.trim_end_matches('/'),
                "{name_or_dir}"
            );
        }
    }

    #[test]
    fn what_leads_nowhere_is_an_error_that_says_what_to_do() {
        let table: [(&[&str], &str, &[&str]); 8] = [
            (
                &[],
                "cifar1O",
                &["unknown data set or folder `cifar1O`", "did you mean `cifar10`?", "known: digits, cifar10, "],
            ),
            (&[], "svhn", &["unknown data set or folder `svhn`; known: digits"]),
            (&[], "mnist", &["no folder DIR/MNIST/raw", "ossci-datasets"]),
            (&[], "cifar10", &["no folder DIR/cifar-10-batches-bin", "ISDARTS_DATA", "cifar-10-binary.tar.gz"]),
            (&[], "DIR/none", &["DIR/none: got no such folder, expected a folder of digits, cifar10"]),
            (
                &["notes.txt"],
                "DIR",
                &["DIR: got a folder with no file of a known data set", "data_batch_1.bin (cifar10)"],
            ),
            (&["notes.txt"], "DIR/notes.txt", &["DIR/notes.txt: got a file, expected a data set's name or folder"]),
            (
                &["cifar10/data_batch_1.bin", "cifar-100-binary/test.bin"],
                "DIR",
                &[
                    "DIR: got files of cifar10, cifar100, expected the folder of one of them: DIR/cifar10 or DIR/cifar-100-binary",
                ],
            ),
        ];
        for (files, name_or_dir, parts) in table {
            let message = located(files, name_or_dir);
            for part in parts {
                assert!(message.contains(part), "{name_or_dir}: `{part}` is not in `{message}`");
            }
        }
    }
}
