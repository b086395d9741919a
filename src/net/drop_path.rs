//! Drop path (Larsson et al., 2017): in training, a path of a network is left out for some images of a batch, and kept at
//! `1 / keep` for the others. Plain data.

use crate::error::{Error, Result};

/// What drop path does to a batch.
#[derive(Clone, Debug)]
pub struct DropPath {
    /// Probability that a path is kept, above 0.
    pub keep: f64,
    /// 0 or 1 for each drop path of the network and each image: `[drop paths][b]`.
    pub masks: Vec<Vec<f32>>,
}

impl DropPath {
    /// The factors of a path's images.
    pub fn factors(&self, path: usize) -> impl Iterator<Item = f32> {
        self.masks[path].iter().map(|m| (f64::from(*m) / self.keep) as f32)
    }

    /// The factors of all paths, one path after the other.
    pub fn all_factors(&self) -> Vec<f32> {
        (0..self.masks.len()).flat_map(|path| self.factors(path)).collect()
    }

    /// An error unless it is for so many paths and images.
    pub fn check(&self, paths: usize, batch: usize) -> Result<()> {
        if !(self.keep > 0.0 && self.keep <= 1.0) {
            return Err(Error::invalid("drop path, keep", self.keep, "a probability above 0"));
        }
        if self.masks.len() != paths || self.masks.iter().any(|m| m.len() != batch) {
            let got = format!("{} lists of {:?} numbers", self.masks.len(), self.masks.first().map(Vec::len));
            return Err(Error::invalid("drop path, masks", got, format!("{paths} of {batch}")));
        }
        Ok(())
    }
}
