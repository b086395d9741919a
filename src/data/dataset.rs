//! An image data set in memory, and how one is opened by name or folder.

use super::formats::Source;
use super::hash::Hash;
use super::images::Images;
use super::inventory::Inventory;
use super::locate::{locate, roots};
use super::random::{Purpose, shuffled};
use super::statistics::statistics;
use super::whole::Wholes;
use crate::error::{Error, Result};
use crate::streams;
use std::path::PathBuf;
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
    /// Mean and standard deviation per channel, of pixels scaled to 0..1: computed over the training images that were
    /// opened (after `resize` and `limit`), and used for the test images too. All of CIFAR-10 gives the usual
    /// 0.4914, 0.4822, 0.4465 and 0.2470, 0.2435, 0.2616.
    pub mean: Vec<f32>,
    /// See `mean`.
    pub std: Vec<f32>,
    /// Augmentation that suits training on it: crops padded by an eighth of the side, flips unless a mirrored image
    /// means something else (digits), no cutout.
    pub augment: super::Augment,
    /// The whole pictures of a training set of photographs, of which augmentation takes parts.
    pub wholes: Option<Arc<Wholes>>,
}

/// The two sets of a data source.
#[derive(Clone, Debug)]
pub struct Splits {
    /// For training.
    pub train: Dataset,
    /// The images for testing.
    pub test: Dataset,
    /// Hex fingerprint of the bytes and options (for the manifest).
    pub fingerprint: String,
    /// What was read, and what lies beside it and was left out.
    pub inventory: Inventory,
}

/// Options of [`Splits::open`].
#[derive(Clone, Debug, Default)]
pub struct DataOptions {
    /// Shrink images to `resize x resize` by box mean (the side must divide).
    pub resize: Option<usize>,
    /// At most this many training images per class, drawn by `seed`; they keep their order, and a smaller limit draws
    /// from what a larger one of the same seed does. The test images stay as they are.
    pub limit: Option<usize>,
    /// The share of each class that is for training, drawn by `seed`, in a folder of pictures without test pictures. The rest is
    /// for testing.
    pub split: Option<f64>,
    /// Seed of `limit` and `split`.
    pub seed: u64,
}

impl Splits {
    /// `digits` (embedded), a known name below the data folder (`ISDARTS_DATA`, then `./data`), or a folder whose format
    /// is recognised (the one with the files, or its parent).
    ///
    /// # Errors
    /// An unknown name, a folder or file that is missing or not what it should be, an option out of range.
    pub fn open(name_or_dir: &str, options: &DataOptions) -> Result<Self> {
        Self::open_below(name_or_dir, options, &roots())
    }

    pub(super) fn open_below(name_or_dir: &str, options: &DataOptions, roots: &[PathBuf]) -> Result<Self> {
        if options.limit == Some(0) {
            return Err(Error::invalid("limit", 0, "at least 1 image per class"));
        }
        if let Some(share) = options.split.filter(|share| !(*share > 0.0 && *share < 1.0)) {
            return Err(Error::invalid(
                "split",
                share,
                "a number between 0 and 1: the share of each class for training",
            ));
        }
        let (format, dir) = locate(name_or_dir, roots, options.split.is_some())?;
        let mut hash = Hash::new();
        let Source { classes, mut train, test, inventory } = format.read(&dir, options, &mut hash)?;
        if let Some(limit) = options.limit {
            train = train.select(&stratified(&train.labels, options.seed, Purpose::Limit, |n| n.min(limit)).0);
        }
        hash.text(&describe_options(options, train.side));

        let fingerprint = hash.finish();
        let (mean, std) = statistics(&fingerprint, &train);
        // Pictures have no name of their own but that of their folder.
        let named = dir.file_name().filter(|_| !format.has_place()).map(|n| n.to_string_lossy().into_owned());
        let name = streams::name(&named.unwrap_or_else(|| format.name.to_string()));
        // Names that people and tables are shown.
        let classes: Arc<Vec<String>> = Arc::new(classes.iter().map(|class| streams::name(class)).collect());
        let files = std::mem::take(&mut train.files);
        let wholes = (!files.is_empty()).then(|| Arc::new(Wholes::new(files, train.side)));
        let dataset = |images| Dataset::of(images, &name, &classes, format.flip, (&mean, &std));
        let train = Dataset { wholes, ..dataset(train) };
        Ok(Splits { train, test: dataset(test), fingerprint, inventory })
    }
}

/// What the options did, so that options without effect leave the fingerprint as it is.
fn describe_options(options: &DataOptions, side: usize) -> String {
    let limit = options.limit.map(|limit| format!(" limit={limit} seed={}", options.seed)).unwrap_or_default();
    format!("side={side}{limit}")
}

/// Positions of `labels` in two parts, each in ascending order: of the positions of each class, in an order drawn by
/// `seed`, the first `n_first(n)` of `n` go to the first part.
pub(super) fn stratified(
    labels: &[u32],
    seed: u64,
    purpose: Purpose,
    mut n_first: impl FnMut(usize) -> usize,
) -> (Vec<u32>, Vec<u32>) {
    let mut members: Vec<Vec<u32>> = Vec::new();
    for (position, &label) in labels.iter().enumerate() {
        let label = label as usize;
        members.resize(members.len().max(label + 1), Vec::new());
        members[label].push(position as u32);
    }
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (class, members) in members.into_iter().enumerate() {
        let members = shuffled(members, seed, purpose, class as u64);
        let (a, b) = members.split_at(n_first(members.len()));
        first.extend_from_slice(a);
        second.extend_from_slice(b);
    }
    first.sort_unstable();
    second.sort_unstable();
    (first, second)
}

impl Dataset {
    /// All of `images`, in their order; `flip`: whether training may mirror them.
    pub(super) fn of(
        images: Images,
        name: &str,
        classes: &Arc<Vec<String>>,
        flip: bool,
        (mean, std): (&[f32], &[f32]),
    ) -> Self {
        Dataset {
            name: name.to_string(),
            classes: classes.clone(),
            shape: (images.channels, images.side, images.side),
            indices: Arc::new((0..images.labels.len() as u32).collect()),
            augment: super::Augment { crop_pad: (images.side + 4) / 8, flip, cutout: 0, photo: false },
            pixels: Arc::new(images.pixels),
            labels: Arc::new(images.labels),
            mean: mean.to_vec(),
            std: std.to_vec(),
            wholes: None,
        }
    }

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

    /// Class of the image at `position`.
    pub fn label(&self, position: usize) -> u32 {
        self.labels[self.indices[position] as usize]
    }

    /// Pixels `[c, h, w]` of the image at `position`.
    pub fn image(&self, position: usize) -> &[u8] {
        let len = self.shape.0 * self.shape.1 * self.shape.2;
        &self.pixels[self.indices[position] as usize * len..][..len]
    }

    /// Pixels `[c, h, w]` of the whole picture that the image at `position` is the middle of, and `(h, w)`; of other images,
    /// and of pictures that were not decoded, the image itself.
    pub(super) fn whole(&self, position: usize) -> (&[u8], (usize, usize)) {
        let wholes = self.wholes.as_ref().and_then(|wholes| wholes.get().ok());
        match wholes.and_then(|wholes| wholes.get(self.indices[position] as usize)) {
            Some(whole) => (&whole.pixels, whole.size),
            None => (self.image(position), (self.shape.1, self.shape.2)),
        }
    }

    /// Number of images of each class.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.n_classes()];
        for position in 0..self.len() {
            counts[self.label(position) as usize] += 1;
        }
        counts
    }

    /// One line for people: `cifar10: 50000 images of 3x32x32, 10 classes`.
    pub fn describe(&self) -> String {
        let (c, h, w) = self.shape;
        format!("{}: {} images of {c}x{h}x{w}, {} classes", self.name, self.len(), self.n_classes())
    }

    /// Two disjoint parts that together are this set, drawn by `seed`, each in this set's order: the first with
    /// `fraction` of each class, to the nearest image, and of the whole.
    ///
    /// # Errors
    /// A fraction outside 0..1, or one that leaves a part empty.
    pub fn split(&self, fraction: f64, seed: u64) -> Result<(Dataset, Dataset)> {
        if !(fraction > 0.0 && fraction < 1.0) {
            return Err(Error::invalid("split fraction", fraction, "a number between 0 and 1, both excluded"));
        }
        let labels: Vec<u32> = (0..self.len()).map(|position| self.label(position)).collect();
        // Rounding sums, not classes, keeps the whole at its fraction when classes have few images.
        let (mut seen, mut taken) = (0, 0);
        let (first, second) = stratified(&labels, seed, Purpose::Split, |n| {
            seen += n;
            let now = (fraction * seen as f64).round() as usize - taken;
            taken += now;
            now
        });
        if first.is_empty() || second.is_empty() {
            let expected = format!("a fraction that leaves both parts at least one of {} images", self.len());
            return Err(Error::invalid("split fraction", fraction, expected));
        }
        Ok((self.subset(&first), self.subset(&second)))
    }

    /// `n` images (all, if there are fewer) in an order drawn by `seed`; a smaller `n` takes the first of them.
    pub fn take(&self, n: usize, seed: u64) -> Dataset {
        let mut positions = shuffled((0..self.len() as u32).collect(), seed, Purpose::Take, 0);
        positions.truncate(n);
        self.subset(&positions)
    }

    /// The images at `positions`, in that order.
    fn subset(&self, positions: &[u32]) -> Dataset {
        let indices = positions.iter().map(|&p| self.indices[p as usize]).collect();
        Dataset { indices: Arc::new(indices), ..self.clone() }
    }
}

#[cfg(test)]
mod tests;
