//! An image data set in memory, and how one is opened by name or folder.

use crate::error::Result;
use std::sync::Arc;

/// Images and labels in memory; clones share them.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// "digits", "cifar10", ...
    pub name: String,
    /// Class names.
    pub classes: Arc<Vec<String>>,
    /// Channels, height, width of an image.
    pub shape: (usize, usize, usize),
    /// Pixels, `[n, c, h, w]`, of all images of the underlying store.
    pub pixels: Arc<Vec<u8>>,
    /// Class of every image of the underlying store.
    pub labels: Arc<Vec<u32>>,
    /// Which images of the store belong to this (sub)set, in order.
    pub indices: Arc<Vec<u32>>,
    /// Mean and standard deviation per channel, of pixels scaled to 0..1 (of the training set).
    pub mean: Vec<f32>,
    /// See `mean`.
    pub std: Vec<f32>,
    /// Augmentation that suits training on it (digits are not flipped).
    pub augment: super::Augment,
}

/// The two sets of a data source.
#[derive(Clone, Debug)]
pub struct Splits {
    /// For training.
    pub train: Dataset,
    /// For the final word.
    pub test: Dataset,
    /// Hex fingerprint of the bytes and options (for the manifest).
    pub fingerprint: String,
}

/// Options of [`Splits::open`].
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// Shrink images to `resize x resize` by box mean (the side must divide).
    pub resize: Option<usize>,
    /// At most this many training images per class, drawn by `seed`.
    pub limit: Option<usize>,
    /// Seed of `limit`.
    pub seed: u64,
}

impl Splits {
    /// `digits` (embedded), a known name below the data folder (`ISDARTS_DATA`), or a folder whose format is recognised.
    pub fn open(_name_or_dir: &str, _options: &DataOptions) -> Result<Self> {
        todo!()
    }
}

impl Dataset {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Number of classes.
    pub fn n_classes(&self) -> usize {
        self.classes.len()
    }

    /// Two disjoint parts, the first with `fraction` of each class, drawn by `seed`.
    pub fn split(&self, _fraction: f64, _seed: u64) -> Result<(Dataset, Dataset)> {
        todo!()
    }
}
