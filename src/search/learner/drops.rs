//! What a pass leaves out at random: which edges for which images, and which values.

use super::super::passed::drop_paths;
use super::super::training::stream_seed;
use super::Learner;
use crate::data::Batch;
use crate::error::Result;
use crate::net::{DropPath, Dropout, Drops, Mode};
use crate::search::TrainConfig;
use std::cell::Cell;

/// The random streams of drop path and of dropout; those of batches are counted from 0, that of measurements is the last.
const DROP_PATH: u64 = u64::MAX - 1;
const DROPOUT: u64 = u64::MAX - 2;

/// How much a pass in train mode leaves out; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DropRates {
    /// Probability that an edge is left out for an image.
    pub path: f64,
    /// Probability that a value behind a skip connection of stride 1 is left out.
    pub skip: f64,
    /// The same behind a pool.
    pub pool: f64,
}

impl From<f64> for DropRates {
    /// Drop path alone.
    fn from(path: f64) -> Self {
        DropRates { path, ..DropRates::default() }
    }
}

impl From<&TrainConfig> for DropRates {
    fn from(cfg: &TrainConfig) -> Self {
        DropRates { path: cfg.drop_path, skip: cfg.dropout, pool: cfg.pool_dropout }
    }
}

/// Passes of this epoch that left out edges, and those that left out values.
#[derive(Default)]
pub(super) struct Draws {
    paths: Cell<u64>,
    values: Cell<u64>,
}

impl Draws {
    /// A new epoch begins.
    pub(super) fn begin(&self) {
        self.paths.set(0);
        self.values.set(0);
    }
}

/// What one pass leaves out.
pub(super) struct Drawn {
    paths: Option<DropPath>,
    values: Option<Dropout>,
}

impl Drawn {
    pub(super) fn drops(&self) -> Drops<'_> {
        Drops { paths: self.paths.as_ref(), values: self.values }
    }
}

impl Learner {
    /// What a pass leaves out, written down.
    pub(super) fn drawn(&self, batch: &Batch, mode: Mode, rates: DropRates) -> Result<Drawn> {
        if mode != Mode::Train {
            return Ok(Drawn { paths: None, values: None });
        }
        let (paths, values) = (self.dropped(batch, rates.path), self.left_out(rates));
        if let Some(drop) = &paths {
            self.trace.draw("drop_path", || Ok(serde_json::json!({ "keep": drop.keep, "masks": drop.masks })))?;
        }
        if let Some(values) = &values {
            self.trace.draw("dropout", || Ok(serde_json::json!(values)))?;
        }
        Ok(Drawn { paths, values })
    }

    /// Which edges are dropped in a pass, drawn from the seed, the epoch and the number of the pass in it: of an epoch that is run
    /// again, the same passes are the same.
    pub(super) fn dropped(&self, batch: &Batch, p: f64) -> Option<DropPath> {
        if p <= 0.0 {
            return None;
        }
        let pass = self.draws.paths.replace(self.draws.paths.get() + 1);
        let seed = stream_seed(stream_seed(self.training.seed, DROP_PATH), self.training.epoch as u64);
        Some(drop_paths((seed, pass), (self.net.drop_paths(), batch.y.len()), 1.0 - p, |u| u >= p))
    }

    /// Which values are left out, in the same way.
    fn left_out(&self, rates: DropRates) -> Option<Dropout> {
        let DropRates { skip, pool, .. } = rates;
        if skip.max(pool) <= 0.0 {
            return None;
        }
        let pass = self.draws.values.replace(self.draws.values.get() + 1);
        let epoch = stream_seed(stream_seed(self.training.seed, DROPOUT), self.training.epoch as u64);
        Some(Dropout { skip, pool, seed: stream_seed(epoch, pass + 1) })
    }
}
