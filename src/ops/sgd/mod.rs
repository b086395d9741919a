//! Stochastic gradient descent with momentum (Nesterov's or plain) and coupled weight decay, and the clipping that goes before it.
//!
//! For every weight `w` with gradient `g` (none: zero) and momentum `m` (zero at first), all of one shape, f32:
//! ```text
//! d  = scale g + decay w
//! m <- mu m + d
//! w <- w - lr (d + mu m)      Nesterov; plain: w - lr m
//! ```
//! This is `torch.optim.SGD(nesterov=...)` (whose first step sets `m = d`: the same); `scale` is
//! `torch.nn.utils.clip_grad_norm_`: `min(1, limit / (norm + 1e-6))` with the L2 norm of all gradients together.
//! `cpu` does it in one pass over each weight; `definition` in tensor algebra, on any device.

mod cpu;
pub mod definition;

use crate::error::{Error, Result};
use candle_core::{Device, Tensor, Var};

/// The numbers of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Learning rate.
    pub lr: f64,
    /// Momentum, `mu`.
    pub momentum: f64,
    /// Nesterov's, or plain.
    pub nesterov: bool,
    /// L2 added to the gradient.
    pub weight_decay: f64,
    /// Factor on every gradient, from [`clip_scale`]; 1 without clipping.
    pub scale: f64,
}

/// The momentum of a list of weights.
pub struct Sgd {
    momentum: Vec<Momentum>,
}

enum Momentum {
    /// A plain buffer, updated in the weight's own pass.
    Cpu(Vec<f32>),
    /// On other devices; `None` before the first step: zero.
    Other(Option<Tensor>),
}

/// Below this many numbers in all, threads cost more than they bring.
const PARALLEL_FROM: usize = 1 << 18;

impl Sgd {
    /// Zero momentum for `weights`, in their order.
    pub fn new<'a>(weights: impl IntoIterator<Item = &'a Var>) -> Self {
        let zero = |w: &'a Var| match w.device() {
            Device::Cpu => Momentum::Cpu(vec![0.0; w.elem_count()]),
            _ => Momentum::Other(None),
        };
        Sgd { momentum: weights.into_iter().map(zero).collect() }
    }

    /// Where the momentum of each weight stands on its device, for kernels that change it; `weights` in the order of [`Sgd::new`].
    /// Good until [`Sgd::set_momentum`].
    pub fn addresses(&mut self, weights: &[&Var]) -> Result<Vec<u64>> {
        let address = |(momentum, weight): (&mut Momentum, &&Var)| match momentum {
            Momentum::Cpu(m) => Ok(m.as_mut_ptr() as u64),
            Momentum::Other(m) => {
                let m = match m {
                    Some(m) => m,
                    None => m.insert(weight.zeros_like()?),
                };
                super::gpu::address(m)
            }
        };
        self.momentum.iter_mut().zip(weights).map(address).collect()
    }

    /// One step of every weight; `weights` in the order of [`Sgd::new`], each with its gradient.
    pub fn step(&mut self, weights: &[(&Var, Option<&Tensor>)], step: &Step) -> Result<()> {
        self.step_each(&weights.iter().map(|(w, g)| (*w, *g, Some(*step))).collect::<Vec<_>>())
    }

    /// A step of its own for each weight; none: it stays, and so does its momentum.
    pub fn step_each(&mut self, weights: &[(&Var, Option<&Tensor>, Option<Step>)]) -> Result<()> {
        let update = |(momentum, (w, g, step)): (&mut Momentum, &(&Var, Option<&Tensor>, Option<Step>))| match momentum
        {
            _ if step.is_none() => Ok(()),
            Momentum::Cpu(m) => step.iter().try_for_each(|step| cpu::update(w, m, *g, step)),
            Momentum::Other(m) => step.iter().try_for_each(|step| {
                let (new_w, new_m) = definition::update(w, m.as_ref(), *g, step)?;
                w.set(&new_w)?;
                *m = Some(new_m);
                Ok(())
            }),
        };
        if weights.iter().map(|(w, ..)| w.elem_count()).sum::<usize>() < PARALLEL_FROM {
            self.momentum.iter_mut().zip(weights).try_for_each(update)
        } else {
            use rayon::prelude::*;
            self.momentum.par_iter_mut().zip(weights).try_for_each(update)
        }
    }

    /// The momentum of the weight at `position`, shaped as `weight`.
    pub fn momentum(&self, position: usize, weight: &Var) -> Result<Tensor> {
        match &self.momentum[position] {
            Momentum::Cpu(m) => Ok(Tensor::from_slice(m, weight.shape(), &Device::Cpu)?),
            // A copy: kernels change it where it stands.
            Momentum::Other(Some(m)) => Ok(m.copy()?),
            Momentum::Other(None) => Ok(weight.zeros_like()?),
        }
    }

    /// Set the momentum of the weight at `position`, to the bit; `value` is shaped as `weight`.
    pub fn set_momentum(&mut self, position: usize, weight: &Var, value: &Tensor) -> Result<()> {
        if value.shape() != weight.shape() {
            return Err(Error::invalid(
                "momentum of a weight",
                format!("{:?}", value.dims()),
                format!("{:?}", weight.dims()),
            ));
        }
        match &mut self.momentum[position] {
            // Into the buffer that there is: a GPU's tape knows its address.
            Momentum::Cpu(m) => m.copy_from_slice(&value.flatten_all()?.to_vec1::<f32>()?),
            // A copy: kernels change it where it stands.
            Momentum::Other(m) => *m = Some(value.to_device(weight.device())?.copy()?),
        }
        Ok(())
    }
}

/// L2 norm of all gradients together, summed in f64 in a fixed order (the same whatever the thread count).
pub fn norm<'a>(gradients: impl IntoIterator<Item = &'a Tensor>) -> Result<f64> {
    let mut on_device = vec![];
    let mut sum = 0f64;
    for g in gradients {
        match g.device() {
            Device::Cpu => sum += cpu::sum_of_squares(g)?,
            // One transfer for all of them, below.
            _ => on_device.push(g.sqr()?.sum_all()?),
        }
    }
    if !on_device.is_empty() {
        sum += Tensor::stack(&on_device, 0)?.to_vec1::<f32>()?.into_iter().map(f64::from).sum::<f64>();
    }
    Ok(sum.sqrt())
}

/// The factor that brings gradients of this norm down to `limit` (0: no limit), as `clip_grad_norm_` does.
pub fn clip_scale(norm: f64, limit: f64) -> f64 {
    if limit > 0.0 { (limit / (norm + 1e-6)).min(1.0) } else { 1.0 }
}

#[cfg(test)]
mod tests;
