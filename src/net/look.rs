//! A look at one batch: a pass on the CPU engine, passes back from any gradients of its logits, and what lies between.

use super::Mode;
use super::engine::{Backward, Engine, Forward, Gates, Input, Want};
use super::ids::{ParamId, Table};
use super::slot::with_slices;
use crate::error::Result;
use candle_core::Tensor;

/// The engine of a network, for one batch. Weights are given to each pass: those of the network, or others. Nothing moves.
pub struct Look<'a> {
    engine: &'a mut Engine,
    input: Input<'a>,
}

/// A value for each parameter, f32, contiguous, on the CPU.
pub type Weights = Table<ParamId, Tensor>;

impl<'a> Look<'a> {
    /// Of the batch in `input`.
    pub(super) fn new(engine: &'a mut Engine, input: Input<'a>) -> Self {
        engine.hold(None);
        Look { engine, input }
    }

    /// A forward pass; in [`Mode::Train`] with what the running statistics would become.
    pub fn forward(&mut self, weights: &Weights, mode: Mode) -> Result<Forward> {
        let Look { engine, input } = self;
        let tensors: Vec<&Tensor> = weights.iter().collect();
        with_slices(&tensors, |values| {
            engine.forward(&values.iter().copied().collect(), Input { mode, ..*input }, false)
        })
    }

    /// Back from the gradient of the logits of the last forward pass, by the same weights.
    pub fn backward(&mut self, weights: &Weights, gradient: &[f32], want: Want) -> Result<Backward> {
        let tensors: Vec<&Tensor> = weights.iter().collect();
        with_slices(&tensors, |values| self.engine.backward(&values.iter().copied().collect(), gradient, want))
    }

    /// Whether [`Want::along`] has all weights.
    pub fn sees_all(&self) -> bool {
        self.engine.sees_all()
    }

    /// What the classifier takes the mean of, in an order of its own.
    pub fn features(&self) -> Vec<f32> {
        self.engine.features()
    }

    /// The gates of the last forward pass.
    pub fn gates(&self) -> Gates {
        self.engine.gates()
    }

    /// Keeps ReLUs to these gates for as long as it looks.
    pub fn hold(&mut self, gates: Gates) {
        self.engine.hold(Some(gates));
    }
}

impl Drop for Look<'_> {
    fn drop(&mut self) {
        self.engine.hold(None);
    }
}
