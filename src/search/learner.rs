//! A supernet that learns: weights, optimiser, epoch, random streams.

use super::{Progress, State, Stateful, TrainConfig};
use crate::data::{Batch, Batches, Dataset};
use crate::error::Result;
use crate::net::{Gradients, Supernet};
use crate::space::Iim;
use candle_core::Tensor;

/// What an epoch (or an evaluation) came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EpochStats {
    /// Mean loss over images.
    pub loss: f64,
    /// Fraction right.
    pub accuracy: f64,
    /// Images seen.
    pub images: usize,
    /// Seconds.
    pub seconds: f64,
    /// Learning rate of the last step (0 in evaluation).
    pub lr: f64,
}

/// A supernet with its SGD momentum, its epoch and its seeds. All its randomness is derived from (seed, epoch), so its
/// state is small and a resumed run sees the same batches.
pub struct Learner {
    /// The network.
    pub net: Supernet,
}

impl Learner {
    /// A learner with zero momentum. `seed` drives the order and augmentation of batches.
    pub fn new(_net: Supernet, _seed: u64) -> Self {
        todo!()
    }

    /// Enter a (1-based) epoch: statistics start anew, batches of this epoch are drawn from (seed, epoch).
    pub fn begin_epoch(&mut self, _epoch: usize) {
        todo!()
    }

    /// The current epoch, 0 before the first.
    pub fn epoch(&self) -> usize {
        todo!()
    }

    /// Training batches of this epoch, shuffled and augmented; `stream` tells apart several sets used side by side.
    pub fn batches(&self, _data: &Dataset, _cfg: &TrainConfig, _stream: u64) -> Result<Batches> {
        todo!()
    }

    /// Cross-entropy of a batch in train mode, a scalar in the graph; `mixing` defaults to the mask's. Counts nothing.
    pub fn loss(&self, _batch: &Batch, _mixing: Option<&[Tensor]>) -> Result<Tensor> {
        todo!()
    }

    /// Backward from a loss.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        self.net.backward(loss)
    }

    /// One step of Nesterov SGD: clip, weight decay (every weight, also where no gradient flowed, as PyTorch does with zero
    /// gradients), momentum; learning rate by cosine over `cfg.epochs`, at the position of `batch` in the current epoch.
    pub fn sgd_step(&mut self, _gradients: &Gradients, _batch: &Batch, _cfg: &TrainConfig) -> Result<()> {
        todo!()
    }

    /// `loss`, `backward`, `sgd_step`, and the epoch's statistics. A loss that is not finite is [`crate::Error::Diverged`].
    pub fn train_step(&mut self, _batch: &Batch, _mixing: Option<&[Tensor]>, _cfg: &TrainConfig) -> Result<f32> {
        todo!()
    }

    /// One epoch of `train_step`. Outside an epochs loop (`begin_epoch` not called since the last one) it enters the next.
    pub fn train_epoch(
        &mut self,
        _data: &Dataset,
        _mixing: Option<&[Tensor]>,
        _cfg: &TrainConfig,
        _progress: &dyn Progress,
    ) -> Result<EpochStats> {
        todo!()
    }

    /// Statistics of the epoch so far.
    pub fn stats(&self) -> EpochStats {
        todo!()
    }

    /// Loss and accuracy in eval mode.
    pub fn evaluate(
        &self,
        _data: &Dataset,
        _mixing: Option<&[Tensor]>,
        _batch_size: usize,
        _progress: &dyn Progress,
    ) -> Result<EpochStats> {
        todo!()
    }

    /// IIM of every live candidate on the first `samples` images of a seeded shuffle (0 = all), eval mode, no augmentation.
    pub fn measure_iim(
        &self,
        _data: &Dataset,
        _samples: usize,
        _batch_size: usize,
        _progress: &dyn Progress,
    ) -> Result<Iim> {
        todo!()
    }
}

impl Stateful for Learner {
    fn kind(&self) -> &'static str {
        "supernet"
    }

    fn state(&self) -> Result<State> {
        todo!()
    }

    fn restore(&mut self, _state: State) -> Result<()> {
        todo!()
    }
}
