//! The known data sets, one row a format, and how each is read.

use super::dataset::{DataOptions, stratified};
use super::images::{Images, check_side};
use super::inventory::Inventory;
use super::random::Purpose;
use super::records::Layout;
use super::{cifar_python, digits, folder, hash::Hash, idx, imagenet16};
use crate::error::{Error, Result};
use std::path::Path;

/// How the images of a format are stored.
#[derive(Clone, Copy, Debug)]
pub enum Store {
    /// In this program.
    Embedded,
    /// Files of fixed-size records.
    Records {
        /// The layout of a record.
        layout: Layout,
        /// One class name a line, beside the files; may be missing.
        class_names: &'static str,
    },
    /// Pickled batches of ImageNet at 16x16, of which the first 120 classes are kept.
    Pickles,
    /// Pickled batches of CIFAR, as torchvision leaves them.
    Batches {
        /// Number of classes.
        classes: usize,
        /// The key of an image's class.
        labels: &'static str,
        /// The file with the class names, and their key in it.
        names: (&'static str, &'static str),
    },
    /// A pair of IDX files (images, labels) for training, one for testing.
    Idx,
    /// `train/CLASS/*.jpg`, and the same for testing.
    Pictures,
}

/// A data set that can be opened by name, or in a folder that holds one of its files.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// The name for `--data`.
    pub name: &'static str,
    /// The folder that its archive unpacks to; empty for an embedded set.
    pub folder: &'static str,
    /// Files of training images, and the number of images in each.
    pub train: &'static [(&'static str, usize)],
    /// The same for test images.
    pub test: &'static [(&'static str, usize)],
    /// How to read them.
    pub store: Store,
    /// Class names, space-separated.
    pub classes: &'static str,
    /// Whether a mirrored image is still one of its class.
    pub flip: bool,
    /// Where to get it.
    pub source: &'static str,
}

const CIFAR10: &str = "airplane automobile bird cat deer dog frog horse ship truck";
const CIFAR100: &str = "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel \
                  can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur \
                  dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion \
                  lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree \
                  pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea \
                  seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table \
                  tank telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman \
                  worm";

/// All formats.
pub const FORMATS: [Format; 9] = [
    Format {
        name: "digits",
        folder: "",
        train: &[],
        test: &[],
        store: Store::Embedded,
        classes: "0 1 2 3 4 5 6 7 8 9",
        flip: false,
        source: "",
    },
    Format {
        name: "cifar10",
        folder: "cifar-10-batches-bin",
        train: &[
            ("data_batch_1.bin", 10_000),
            ("data_batch_2.bin", 10_000),
            ("data_batch_3.bin", 10_000),
            ("data_batch_4.bin", 10_000),
            ("data_batch_5.bin", 10_000),
        ],
        test: &[("test_batch.bin", 10_000)],
        store: Store::Records { layout: Layout { labels: &[10], side: 32 }, class_names: "batches.meta.txt" },
        classes: CIFAR10,
        flip: true,
        source: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    },
    Format {
        name: "cifar10",
        folder: "cifar-10-batches-py",
        train: &[
            ("data_batch_1", 0),
            ("data_batch_2", 0),
            ("data_batch_3", 0),
            ("data_batch_4", 0),
            ("data_batch_5", 0),
        ],
        test: &[("test_batch", 0)],
        store: Store::Batches { classes: 10, labels: "labels", names: ("batches.meta", "label_names") },
        classes: CIFAR10,
        flip: true,
        source: "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    },
    Format {
        name: "cifar100",
        folder: "cifar-100-binary",
        train: &[("train.bin", 50_000)],
        test: &[("test.bin", 10_000)],
        // The coarse, then the fine label.
        store: Store::Records { layout: Layout { labels: &[20, 100], side: 32 }, class_names: "fine_label_names.txt" },
        classes: CIFAR100,
        flip: true,
        source: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    },
    Format {
        name: "cifar100",
        folder: "cifar-100-python",
        train: &[("train", 0)],
        test: &[("test", 0)],
        store: Store::Batches { classes: 100, labels: "fine_labels", names: ("meta", "fine_label_names") },
        classes: CIFAR100,
        flip: true,
        source: "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
    },
    Format {
        name: "imagenet16-120",
        folder: "ImageNet16",
        train: &[
            ("train_data_batch_1", 0),
            ("train_data_batch_2", 0),
            ("train_data_batch_3", 0),
            ("train_data_batch_4", 0),
            ("train_data_batch_5", 0),
            ("train_data_batch_6", 0),
            ("train_data_batch_7", 0),
            ("train_data_batch_8", 0),
            ("train_data_batch_9", 0),
            ("train_data_batch_10", 0),
        ],
        test: &[("val_data", 0)],
        store: Store::Pickles,
        classes: "",
        flip: true,
        source: "https://image-net.org/download-images (downsampled, 16x16: registration needed)",
    },
    Format {
        name: "mnist",
        folder: "MNIST/raw",
        train: IDX_TRAIN,
        test: IDX_TEST,
        store: Store::Idx,
        classes: "0 1 2 3 4 5 6 7 8 9",
        flip: false,
        source: "https://ossci-datasets.s3.amazonaws.com/mnist/",
    },
    Format {
        name: "fashion-mnist",
        folder: "FashionMNIST/raw",
        train: IDX_TRAIN,
        test: IDX_TEST,
        store: Store::Idx,
        classes: "t-shirt trouser pullover dress coat sandal shirt sneaker bag ankle_boot",
        flip: true,
        source: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    },
    Format {
        name: "pictures",
        folder: "",
        train: &[],
        test: &[],
        store: Store::Pictures,
        classes: "",
        flip: true,
        source: "",
    },
];

/// Images, then labels.
const IDX_TRAIN: &[(&str, usize)] = &[("train-images-idx3-ubyte", 0), ("train-labels-idx1-ubyte", 0)];
const IDX_TEST: &[(&str, usize)] = &[("t10k-images-idx3-ubyte", 0), ("t10k-labels-idx1-ubyte", 0)];

/// A data set as its files hold it.
pub(super) struct Source {
    /// Class names.
    pub classes: Vec<String>,
    /// Training images.
    pub train: Images,
    /// Test images.
    pub test: Images,
    /// What was read, and what lies there besides.
    pub inventory: Inventory,
}

/// How many of `n` pictures of a class are for training: none of two or more classes' parts is left empty.
fn first_of(n: usize, share: f64) -> usize {
    ((share * n as f64).round() as usize).clamp(1.min(n), n.saturating_sub(1).max(1.min(n)))
}

impl Format {
    /// Whether one of its files is directly in `dir`.
    pub fn is_in(&self, dir: &Path) -> bool {
        let mut files = self.train.iter().chain(self.test);
        match self.store {
            Store::Pictures => folder::is_in(dir),
            Store::Idx => files.any(|(file, _)| idx::find(dir, file).is_some()),
            Store::Batches { .. } => files.any(|(file, _)| cifar_python::is_one(&dir.join(file))),
            _ => files.any(|(file, _)| dir.join(file).is_file()),
        }
    }

    /// Whether files in `dir` go by the same names as those of this format, but the folder says that they are of another:
    /// Fashion-MNIST has MNIST's file names.
    pub(super) fn is_namesake(&self, dir: &Path) -> bool {
        let says_fashion = dir.to_string_lossy().to_ascii_lowercase().contains("fashion");
        matches!(self.store, Store::Idx) && says_fashion != (self.name == "fashion-mnist")
    }

    /// Whether it can be opened by name, below a data folder.
    pub fn has_place(&self) -> bool {
        !matches!(self.store, Store::Pictures)
    }

    /// Read all files in `dir`, each shrunk to `options.resize` at once; `hash` takes in what they held before.
    pub(super) fn read(&self, dir: &Path, options: &DataOptions, hash: &mut Hash) -> Result<Source> {
        let resize = options.resize;
        let divided = match (options.split, self.store) {
            (None, _) | (_, Store::Pictures) => options.split,
            (Some(share), _) => {
                let expected = "none for a data set that has test images of its own";
                return Err(Error::invalid(format!("split of the data set {}", self.name), share, expected));
            }
        };
        let mut inventory = self.inventory(dir);
        let mut shrunk = |images: Images| {
            hash.images(&images);
            let side = resize.unwrap_or(images.side);
            images.resize(side)
        };
        match self.store {
            Store::Embedded => {
                let (train, test) = digits::read()?;
                let classes = self.built_in_classes();
                Ok(Source { classes, train: shrunk(train)?, test: shrunk(test)?, inventory })
            }
            Store::Records { layout, class_names } => {
                check_side(layout.side, resize.unwrap_or(layout.side))?;
                let mut read_all = |files: &[(&str, usize)]| {
                    let mut all = Images { side: resize.unwrap_or(layout.side), ..layout.empty() };
                    let total = files.iter().map(|(_, n)| n).sum();
                    for &(file, n) in files {
                        all.append(shrunk(layout.read(&dir.join(file), n)?)?, total);
                    }
                    Ok::<_, Error>(all)
                };
                let (train, test) = (read_all(self.train)?, read_all(self.test)?);
                Ok(Source { classes: self.class_names(&dir.join(class_names))?, train, test, inventory })
            }
            Store::Batches { classes, labels, names: (file, key) } => {
                let mut read_all = |files: &[(&str, usize)]| {
                    let mut all = Images {
                        channels: 3,
                        side: resize.unwrap_or(32),
                        pixels: vec![],
                        labels: vec![],
                        files: vec![],
                    };
                    for (file, _) in files {
                        let more = shrunk(cifar_python::read(&dir.join(file), labels, classes)?)?;
                        let total = all.labels.len() + more.labels.len();
                        all.append(more, total);
                    }
                    Ok::<_, Error>(all)
                };
                check_side(32, resize.unwrap_or(32))?;
                let (train, test) = (read_all(self.train)?, read_all(self.test)?);
                let names = cifar_python::names(&dir.join(file), key, classes)?;
                Ok(Source { classes: names.unwrap_or_else(|| self.built_in_classes()), train, test, inventory })
            }
            Store::Pickles => {
                let mut read_all = |files: &[(&str, usize)]| {
                    let mut all = shrunk(imagenet16::read(&dir.join(files[0].0))?)?;
                    for (file, _) in &files[1..] {
                        let more = shrunk(imagenet16::read(&dir.join(file))?)?;
                        let total = all.labels.len() + more.labels.len();
                        all.append(more, total);
                    }
                    Ok::<_, Error>(all)
                };
                let (train, test) = (read_all(self.train)?, read_all(self.test)?);
                let classes = (1..=imagenet16::CLASSES).map(|n| format!("class_{n}")).collect();
                Ok(Source { classes, train, test, inventory })
            }
            Store::Idx => {
                let mut pair = |files: &[(&str, usize)]| shrunk(idx::read(dir, files[0].0, files[1].0)?);
                let (train, test) = (pair(self.train)?, pair(self.test)?);
                let known: Vec<&str> = self.classes.split(' ').collect();
                Ok(Source { classes: idx::classes(&known, [&train, &test]), train, test, inventory })
            }
            Store::Pictures => {
                let divide = divided.map(|share| {
                    move |labels: &[u32]| stratified(labels, options.seed, Purpose::Split, |n| first_of(n, share))
                });
                let divide = divide.as_ref().map(|f| f as &dyn Fn(&[u32]) -> (Vec<u32>, Vec<u32>));
                let (classes, train, test) = folder::read(dir, resize, divide, &mut inventory)?;
                [&train, &test].into_iter().for_each(|images| hash.images(images));
                Ok(Source { classes, train, test, inventory })
            }
        }
    }

    /// The inventory of a format whose files have fixed names; a folder of pictures adds to it what it finds.
    fn inventory(&self, dir: &Path) -> Inventory {
        let files: Vec<&str> = self.train.iter().chain(self.test).map(|(file, _)| *file).collect();
        let mut inventory = Inventory::of(files.len());
        let known = match self.store {
            Store::Embedded | Store::Pictures => return inventory,
            // Packed and unpacked often lie side by side.
            Store::Idx => files.iter().flat_map(|file| idx::names(file)).collect(),
            Store::Records { class_names, .. } => vec![class_names.to_string()],
            Store::Batches { names: (file, _), .. } => vec![file.to_string()],
            Store::Pickles => vec![],
        };
        let known = known.iter().map(String::as_str).chain(files).chain(["readme.html"]);
        inventory.besides(dir, &known.collect::<Vec<_>>());
        inventory
    }

    fn built_in_classes(&self) -> Vec<String> {
        self.classes.split(' ').map(String::from).collect()
    }

    /// The names in `path`, or the built-in ones where there is no such file.
    fn class_names(&self, path: &Path) -> Result<Vec<String>> {
        let built_in = self.built_in_classes();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(built_in),
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        let names: Vec<_> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
        if names.len() != built_in.len() {
            let expected = format!("{}, one a line", built_in.len());
            return Err(Error::file(path, format!("{} class names", names.len()), expected));
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_name_for_each_class_of_its_labels() {
        for format in &FORMATS {
            if let Store::Records { layout, .. } = format.store {
                assert_eq!(Some(&format.built_in_classes().len()), layout.labels.last(), "{}", format.name);
            }
        }
    }

    #[test]
    fn files_have_the_sizes_of_the_published_archives() {
        let bytes = |name: &str| -> Vec<usize> {
            let format = FORMATS.iter().find(|f| f.name == name).unwrap();
            let Store::Records { layout, .. } = format.store else { panic!("{name} has no records") };
            format.train.iter().chain(format.test).map(|(_, n)| n * layout.record_len()).collect()
        };
        assert_eq!(bytes("cifar10"), [30_730_000; 6]);
        assert_eq!(bytes("cifar100"), [153_700_000, 30_740_000]);
    }
}
