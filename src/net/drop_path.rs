//! What a pass of training leaves out at random. Drop path (Larsson et al., 2017): a path of a network is left out for some images of
//! a batch, and kept at `1 / keep` for the others. Dropout: single values are. Plain data.

use super::graph::Dropped;
use crate::error::{Error, Result};
use crate::ops::dropout::Mask;

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

/// Dropout of the values behind candidates that have no weights: which ones follows from the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Dropout {
    /// Probability that a value behind a skip connection of stride 1 is left out, below 1.
    pub skip: f64,
    /// The same behind a pool.
    pub pool: f64,
    /// Of the draws.
    pub seed: u64,
}

impl Dropout {
    fn p(&self, behind: Dropped) -> f64 {
        match behind {
            Dropped::Skip => self.skip,
            Dropped::Pool => self.pool,
        }
    }

    /// Whether values are left out behind skips, and behind pools.
    pub fn is_there(&self) -> [bool; 2] {
        [self.skip > 0.0, self.pool > 0.0]
    }

    /// Which values are left out at a place; none where all are kept.
    pub fn mask(&self, place: usize, behind: Dropped) -> Option<Mask> {
        let p = self.p(behind);
        (p > 0.0).then(|| Mask::new(p, self.seed, place))
    }

    /// An error unless both are probabilities below 1.
    pub fn check(&self) -> Result<()> {
        match [self.skip, self.pool].into_iter().find(|p| !(0.0..1.0).contains(p)) {
            Some(p) => Err(Error::invalid("dropout", p, "a probability below 1")),
            None => Ok(()),
        }
    }
}

/// All that a pass leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Drops<'a> {
    /// Paths, image by image.
    pub paths: Option<&'a DropPath>,
    /// Single values.
    pub values: Option<Dropout>,
}

impl<'a> From<Option<&'a DropPath>> for Drops<'a> {
    fn from(paths: Option<&'a DropPath>) -> Self {
        Drops { paths, values: None }
    }
}
