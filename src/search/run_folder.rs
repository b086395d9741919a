//! The run folder: manifest.json, metrics.csv, iim.csv, genotype.txt, checkpoint/.

use super::EpochStats;
use crate::error::Result;
use crate::space::{Iim, Mask, SearchSpace};
use std::path::{Path, PathBuf};

/// A run's folder. Rows are appended and flushed at once; on resume, rows after the checkpoint are cut off.
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Make (or, with `resume`, reopen) the folder. A folder that cannot be written is a clear error.
    pub fn open(_path: &Path, _resume: bool) -> Result<Self> {
        todo!()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Write manifest.json (atomically).
    pub fn write_manifest(&self, _manifest: &serde_json::Value) -> Result<()> {
        todo!()
    }

    /// Append a row to metrics.csv: `search, epoch, net, loss, accuracy, lr, images, seconds`.
    pub fn log_epoch(&mut self, _search: &str, _epoch: usize, _net: usize, _stats: &EpochStats) -> Result<()> {
        todo!()
    }

    /// Append rows to iim.csv: `search, epoch, cell_type, edge, op, score, iim, alive`.
    pub fn log_iim(
        &mut self,
        _search: &str,
        _epoch: usize,
        _space: &SearchSpace,
        _iim: &Iim,
        _mask: &Mask,
    ) -> Result<()> {
        todo!()
    }

    /// Write genotype.txt (one line a genotype: `search<TAB>genotype`... a single one: just its text).
    pub fn write_genotype(&mut self, _search: &str, _genotype: &str) -> Result<()> {
        todo!()
    }

    /// Lengths of the logs now, for the checkpoint.
    pub fn log_lengths(&self) -> Result<serde_json::Value> {
        todo!()
    }

    /// Cut the logs back to the lengths of a checkpoint.
    pub fn truncate_logs(&mut self, _lengths: &serde_json::Value) -> Result<()> {
        todo!()
    }
}
