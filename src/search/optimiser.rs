//! SGD over the weights of a network: which they are, clipping, one step, and the state that survives.

use super::State;
use crate::error::{Error, Result};
use crate::net::{Gradients, Params, Role};
use crate::ops::sgd::{self, Sgd, Step};
use candle_core::Tensor;
use std::collections::HashMap;

/// Momentum of all weights of one network.
pub struct Optimiser {
    sgd: Sgd,
    /// Positions of the trained weights in the parameters, in the order of `sgd`.
    weights: Vec<usize>,
}

impl Optimiser {
    /// Zero momentum.
    pub fn new(params: &Params) -> Self {
        let weights: Vec<usize> = (0..params.len()).filter(|&i| params.at(i).role == Role::Weight).collect();
        Optimiser { sgd: Sgd::new(weights.iter().map(|&i| &params.at(i).var)), weights }
    }

    /// One step of SGD: clip (`clip` 0: not), weight decay (every weight, also where no gradient flowed, as PyTorch
    /// does with zero gradients), momentum. `step.scale` is overwritten by the clipping.
    ///
    /// # Errors
    /// With clipping, a gradient that is not finite; the weights are then as they were. `place` says where that was.
    pub fn step(
        &mut self,
        params: &Params,
        gradients: &Gradients,
        step: Step,
        clip: f64,
        place: impl Fn() -> String,
    ) -> Result<()> {
        let pairs: Vec<_> = self.weights.iter().map(|&i| (&params.at(i).var, gradients.params[i].as_ref())).collect();
        let mut scale = 1.0;
        if clip > 0.0 {
            let norm = sgd::norm(pairs.iter().filter_map(|(_, g)| *g))?;
            if !norm.is_finite() {
                let what = format!("norm of the gradients in {}", place());
                return Err(Error::invalid(what, norm, "a finite number; try a smaller learning rate (lr)"));
            }
            scale = sgd::clip_scale(norm, clip);
        }
        self.sgd.step(&pairs, &Step { scale, ..step })
    }

    /// Add weights and buffers under `net/`, momentum under `momentum/`.
    pub fn save(&self, params: &Params, state: &mut State) -> Result<()> {
        for (name, value) in params.tensors()? {
            state.tensors.insert(format!("net/{name}"), value);
        }
        for (position, &i) in self.weights.iter().enumerate() {
            let param = params.at(i);
            state.tensors.insert(format!("momentum/{}", param.name), self.sgd.momentum(position, &param.var)?);
        }
        Ok(())
    }

    /// Take both back.
    pub fn restore(&mut self, params: &Params, state: &State) -> Result<()> {
        let prefix = |p: &str| -> HashMap<String, Tensor> {
            let named = state.tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix(p)?.to_string(), t.clone())));
            named.collect()
        };
        let momentum = prefix("momentum/");
        params.assign(&prefix("net/"))?;
        for (position, &i) in self.weights.iter().enumerate() {
            let param = params.at(i);
            let value = momentum.get(&param.name).ok_or_else(|| {
                Error::invalid("network of the checkpoint", format!("no momentum of `{}`", param.name), "all of them")
            })?;
            self.sgd.set_momentum(position, &param.var, value)?;
        }
        Ok(())
    }
}
