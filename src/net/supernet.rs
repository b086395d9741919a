//! The supernet: every candidate of every edge, mixed.

use super::{Gradients, Params};
use crate::error::Result;
use crate::space::{Candidate, Genotype, Iim, Mask, PerCandidate, SearchSpace};
use candle_core::{Device, Tensor};

/// Size of a supernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SupernetConfig {
    /// Channels of the first stage, C.
    pub channels: usize,
    /// Cells a stage, N (NAS-Bench-201: 3 N + 2 blocks; DARTS: N = 2 gives the usual 8 cells).
    pub cells: usize,
    /// Classes.
    pub classes: usize,
    /// Seed of the initial weights.
    pub seed: u64,
    /// Direct convolutions only (no Winograd).
    pub strict: bool,
}

/// Which statistics the affine batch norms (stem, reductions, head) use; those of candidates always use the batch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, and the running ones move.
    Train,
    /// Running statistics.
    Eval,
}

/// Scores of one batch, summed over its images (divide by the images measured), averaged over the cells of a type.
#[derive(Clone, Debug)]
pub struct ScoreSums {
    /// Sum over images of the per-image mean score; NaN where the candidate is dead.
    pub sum: PerCandidate<f64>,
    /// Images in the batch.
    pub images: usize,
}

/// A supernet with its weights and its mask. Methods take `&self`; state is inside shared tensors.
pub struct Supernet {
    space: SearchSpace,
    config: SupernetConfig,
    device: Device,
    params: Params,
    mask: Mask,
}

impl Supernet {
    /// Fresh weights, every candidate alive. An error for sizes of 0.
    pub fn new(_space: SearchSpace, _config: SupernetConfig, _device: &Device) -> Result<Self> {
        todo!()
    }

    /// The space.
    pub fn space(&self) -> &SearchSpace {
        &self.space
    }

    /// The size.
    pub fn config(&self) -> &SupernetConfig {
        &self.config
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Weights and buffers.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Which candidates are alive.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Replace the mask (same shape).
    pub fn set_mask(&mut self, _mask: Mask) -> Result<()> {
        todo!()
    }

    /// Drop one candidate: it is no longer computed.
    pub fn drop(&mut self, _candidate: Candidate) -> Result<()> {
        todo!()
    }

    /// `mask / |O|`, one `[edges, ops]` tensor per cell type.
    pub fn mask_mixing(&self) -> Result<Vec<Tensor>> {
        todo!()
    }

    /// Logits `[b, classes]` of `x: [b, 3, h, w]` (f32, NCHW), differentiable in `mixing` (one `[edges, ops]` tensor per
    /// cell type; entries of dead candidates are not read). Gradients of the weights come out of [`Supernet::backward`].
    pub fn forward(&self, _x: &Tensor, _mixing: &[Tensor], _mode: Mode) -> Result<Tensor> {
        todo!()
    }

    /// Backward from a scalar made of logits of this supernet.
    pub fn backward(&self, _loss: &Tensor) -> Result<Gradients> {
        todo!()
    }

    /// Measure the IIM scores of all live candidates on one batch, in eval mode.
    pub fn score(&self, _x: &Tensor, _mixing: &[Tensor]) -> Result<ScoreSums> {
        todo!()
    }

    /// The genotype that the mask leaves; an error while more is alive.
    pub fn genotype(&self) -> Result<Genotype> {
        todo!()
    }
}

/// Mean of several batches' scores.
pub fn mean_scores(_batches: &[ScoreSums]) -> Result<Iim> {
    todo!()
}
