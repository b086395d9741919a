//! Batches, augmented and normalised, prepared ahead on their own thread.

use super::Dataset;
use crate::error::Result;

/// Augmentation of training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Zero padding (of the normalised image) before a random crop of the original size; 0 = no crop.
    pub crop_pad: usize,
    /// Horizontal flip with probability 1/2.
    pub flip: bool,
    /// Side of the square set to zero at a random centre; 0 = none.
    pub cutout: usize,
}

/// A batch ready for a network.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Normalised pixels, `[b, c, h, w]`.
    pub x: Vec<f32>,
    /// Classes, `[b]`.
    pub y: Vec<u32>,
    /// `(b, c, h, w)`
    pub shape: (usize, usize, usize, usize),
    /// Position in its epoch, 0-based.
    pub index: usize,
    /// Batches in its epoch.
    pub total: usize,
}

/// What to load, in which order.
#[derive(Clone, Copy, Debug)]
pub struct BatchPlan {
    /// Images a batch.
    pub batch_size: usize,
    /// Shuffle by this (seed, epoch); `None`: in order.
    pub shuffle: Option<(u64, u64)>,
    /// `None`: the images as they are.
    pub augment: Option<Augment>,
    /// Leave out a last batch that is not full (unless it is the only one).
    pub drop_last: bool,
}

/// Iterator over the batches of one epoch. The same plan gives the same bits, whatever the thread count.
pub struct Batches {
    _private: (),
}

impl Batches {
    /// Start loading. An error for an empty set or `batch_size = 0`.
    pub fn start(_data: &Dataset, _plan: BatchPlan) -> Result<Self> {
        todo!()
    }

    /// Number of batches of the epoch.
    pub fn total(&self) -> usize {
        todo!()
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        todo!()
    }
}
