//! SGD over the weights of a network: which they are, clipping, one step, and the state that survives.

use super::{State, finite};
use crate::error::{Error, Result};
use crate::net::ids::{ParamId, Table};
use crate::net::{Gradients, Params, Role};
use crate::ops::finite::not_finite;
use crate::ops::sgd::{self, Sgd, Step};
use candle_core::Tensor;
use std::collections::{BTreeSet, HashMap};

/// Momentum of all weights of one network.
pub struct Optimiser {
    sgd: Sgd,
    /// The trained weights, in the order of `sgd`.
    weights: Vec<ParamId>,
    /// Those that stay as they are.
    frozen: BTreeSet<ParamId>,
    /// [`Optimiser::addresses`], as long as they are good.
    addresses: Option<Table<ParamId, u64>>,
}

impl Optimiser {
    /// Zero momentum.
    pub fn new(params: &Params) -> Self {
        let weights: Vec<ParamId> = params.ids().filter(|&i| params.at(i).role == Role::Weight).collect();
        Optimiser {
            sgd: Sgd::new(weights.iter().map(|&i| &params.at(i).var)),
            weights,
            frozen: BTreeSet::new(),
            addresses: None,
        }
    }

    /// Which weights stay as they are: as in PyTorch without a gradient, they count in no norm, and their momentum stays.
    pub fn freeze(&mut self, frozen: BTreeSet<ParamId>) {
        self.frozen = frozen;
        self.addresses = None;
    }

    /// One step of SGD: clip (`clip` 0: not), weight decay (every weight; `decay_unused` says whether also where no gradient flowed,
    /// as PyTorch does with zero gradients), momentum. `step.scale` is overwritten by the clipping.
    ///
    /// # Errors
    /// [`Error::Diverged`]: a gradient that is not finite; the weights are then as they were. `place` says where that was.
    pub fn step(
        &mut self,
        params: &Params,
        gradients: &Gradients,
        step: Step,
        (clip, decay_unused): (f64, bool),
        place: impl Fn() -> String,
    ) -> Result<()> {
        let moving = |i: &&ParamId| !self.frozen.contains(i);
        let gradient = |i: &ParamId| gradients.params[*i].as_ref();
        let norm = sgd::norm(self.weights.iter().filter(moving).filter_map(gradient))?;
        if !norm.is_finite() {
            for i in self.weights.iter().filter(moving).copied() {
                let Some(gradient) = gradient(&i) else { continue };
                let what = || format!("the gradient of `{}`", params.at(i).name);
                finite::check(what, gradient, &place, String::new)?;
            }
        }
        let step = Step { scale: sgd::clip_scale(norm, clip), ..step };
        let idle = Step { weight_decay: if decay_unused { step.weight_decay } else { 0.0 }, ..step };
        let each = self.weights.iter().map(|i| {
            let (g, own) = (gradient(i), if gradient(i).is_some() { step } else { idle });
            (&params.at(*i).var, g, Some(own).filter(|_| !self.frozen.contains(i)))
        });
        let each: Vec<_> = each.collect();
        self.addresses = None;
        self.sgd.step_each(&each)
    }

    /// The trained weights.
    pub fn weights(&self) -> &[ParamId] {
        &self.weights
    }

    /// The momentum of each parameter; none for what is not trained.
    pub fn momentum(&self, params: &Params) -> Result<Table<ParamId, Option<Tensor>>> {
        let mut found = params.beside(|_| None);
        for (position, &i) in self.weights.iter().enumerate() {
            found[i] = Some(self.sgd.momentum(position, &params.at(i).var)?);
        }
        Ok(found)
    }

    /// Where the momentum of each parameter stands on its device; 0 for what is not trained, or frozen.
    pub fn addresses(&mut self, params: &Params) -> Result<&Table<ParamId, u64>> {
        if self.addresses.is_none() {
            self.addresses = Some(self.found(params)?);
        }
        let Some(addresses) = &self.addresses else { unreachable!("found above") };
        Ok(addresses)
    }

    fn found(&mut self, params: &Params) -> Result<Table<ParamId, u64>> {
        let weights: Vec<_> = self.weights.iter().map(|&i| &params.at(i).var).collect();
        let mut addresses = params.beside(|_| 0);
        for (&i, address) in self.weights.iter().zip(self.sgd.addresses(&weights)?) {
            addresses[i] = if self.frozen.contains(&i) { 0 } else { address };
        }
        Ok(addresses)
    }

    /// Add weights and buffers under `net/`, momentum under `momentum/`. An error that names the first that is not finite.
    pub fn save(&self, params: &Params, state: &mut State) -> Result<()> {
        params.check_finite()?;
        for (name, value) in params.tensors()? {
            state.tensors.insert(format!("net/{name}"), value);
        }
        for (position, &i) in self.weights.iter().enumerate() {
            let param = params.at(i);
            let momentum = self.sgd.momentum(position, &param.var)?;
            if let Some(value) = not_finite(&momentum)? {
                return Err(Error::invalid(format!("momentum of `{}`", param.name), value, "finite numbers"));
            }
            state.tensors.insert(format!("momentum/{}", param.name), momentum);
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
        self.addresses = None;
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
