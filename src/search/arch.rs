//! Architecture parameters: a small differentiable tensor per cell type, with Adam.

use super::{State, Stateful};
use crate::error::Result;
use crate::net::Gradients;
use crate::space::{Genotype, Mask, PerCandidate, SearchSpace};
use candle_core::{Device, Tensor, Var};

/// Settings of the architecture optimiser: Adam with coupled weight decay (DARTS: lr 3e-4, betas 0.5/0.999, decay 1e-3).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchConfig {
    /// Learning rate.
    pub arch_lr: f64,
    /// First beta.
    pub arch_beta1: f64,
    /// Second beta.
    pub arch_beta2: f64,
    /// L2 added to the gradient.
    pub arch_weight_decay: f64,
    /// Standard deviation of the initial values.
    pub arch_init: f64,
}

impl Default for ArchConfig {
    fn default() -> Self {
        ArchConfig { arch_lr: 3e-4, arch_beta1: 0.5, arch_beta2: 0.999, arch_weight_decay: 1e-3, arch_init: 1e-3 }
    }
}

/// One `[edges, ops]` variable per cell type and the state of its Adam.
pub struct ArchParams {
    /// The variables.
    pub vars: Vec<Var>,
}

impl ArchParams {
    /// `arch_init * N(0, 1)` by seed.
    pub fn new(_space: &SearchSpace, _config: ArchConfig, _seed: u64, _device: &Device) -> Result<Self> {
        todo!()
    }

    /// Softmax over the live candidates of every edge (dead ones 0), differentiable; one tensor per cell type.
    pub fn softmax(&self, _mask: &Mask) -> Result<Vec<Tensor>> {
        todo!()
    }

    /// One Adam step from a backward pass.
    pub fn step(&mut self, _gradients: &Gradients) -> Result<()> {
        todo!()
    }

    /// Values of [`ArchParams::softmax`] as plain numbers (NaN where dead).
    pub fn importance(&self, _mask: &Mask) -> Result<PerCandidate<f64>> {
        todo!()
    }

    /// The genotype of largest softmax (NAS-Bench-201: argmax per edge, `none` allowed; DARTS: the two best edges into a
    /// node by their best op that is not `none`).
    pub fn genotype(&self, _space: &SearchSpace, _mask: &Mask) -> Result<Genotype> {
        todo!()
    }
}

impl Stateful for ArchParams {
    fn kind(&self) -> &'static str {
        "arch"
    }

    fn state(&self) -> Result<State> {
        todo!()
    }

    fn restore(&mut self, _state: State) -> Result<()> {
        todo!()
    }
}
