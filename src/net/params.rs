//! Named weights and buffers, under the names of the authors' PyTorch state dict.

use super::SupernetConfig;
use crate::error::Result;
use crate::space::SearchSpace;
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use std::path::Path;

/// Trained, or only kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Trained by gradient.
    Weight,
    /// Running statistic.
    Buffer,
}

/// A named tensor.
#[derive(Clone, Debug)]
pub struct Param {
    /// As in the authors' state dict: `cells.0.edges.1<-0.3.op.1.weight`.
    pub name: String,
    /// Its value, f32.
    pub var: Var,
    /// Trained or kept.
    pub role: Role,
}

/// All weights and buffers of a network, in state-dict order.
pub struct Params {
    list: Vec<Param>,
    index: std::collections::HashMap<String, usize>,
}

impl Params {
    /// Initialised as PyTorch does (uniform in +-1/sqrt(fan_in); batch norm 1, 0; running 0, 1), by `config.seed`.
    pub fn init(_space: &SearchSpace, _config: &SupernetConfig, _device: &Device) -> Result<Self> {
        todo!()
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Param> {
        self.list.iter()
    }

    /// Number of tensors.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Position of a name in [`Params::iter`]; unknown names are an error with the nearest.
    pub fn position(&self, _name: &str) -> Result<usize> {
        todo!()
    }

    /// By position.
    pub fn at(&self, position: usize) -> &Param {
        &self.list[position]
    }

    /// By name.
    pub fn get(&self, name: &str) -> Result<&Param> {
        Ok(self.at(self.position(name)?))
    }

    /// Copy values in from named tensors; `num_batches_tracked` is ignored; a missing, extra or misshaped one is an error.
    pub fn assign(&self, _tensors: &std::collections::HashMap<String, Tensor>) -> Result<()> {
        todo!()
    }

    /// All as named tensors.
    pub fn tensors(&self) -> std::collections::HashMap<String, Tensor> {
        todo!()
    }

    /// Write a safetensors file.
    pub fn save(&self, _path: &Path) -> Result<()> {
        todo!()
    }

    /// Read a safetensors file.
    pub fn load(&self, _path: &Path) -> Result<()> {
        todo!()
    }
}

/// What a backward pass left.
pub struct Gradients {
    /// By position in [`Params`]; `None` where nothing flowed (count it as zero).
    pub params: Vec<Option<Tensor>>,
    /// Of everything else in the graph: architecture parameters.
    pub graph: GradStore,
}
