//! Named weights and buffers, under the names of the authors' PyTorch state dict. May use: `layers`, safetensors.

use super::SupernetConfig;
use super::layers::{self, Init, ParamSpec};
use crate::error::{Error, Result};
use crate::space::SearchSpace;
use candle_core::backprop::GradStore;
use candle_core::safetensors::Load;
use candle_core::{DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use std::collections::HashMap;
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
    index: HashMap<String, usize>,
}

impl Params {
    /// Initialised as PyTorch does (uniform in +-1/sqrt(fan_in); batch norm 1, 0; running 0, 1), by `config.seed`.
    pub fn init(space: &SearchSpace, config: &SupernetConfig, device: &Device) -> Result<Self> {
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        let list: Result<Vec<Param>> = layers::params(space, config)
            .into_iter()
            .map(|spec| {
                let values = initial_values(&spec, &mut random);
                let var = Var::from_vec(values, spec.shape, device)?;
                Ok(Param { name: spec.name, var, role: spec.role })
            })
            .collect();
        let list = list?;
        let index = list.iter().enumerate().map(|(i, p)| (p.name.clone(), i)).collect();
        Ok(Params { list, index })
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
    pub fn position(&self, name: &str) -> Result<usize> {
        let known = || self.list.iter().map(|p| p.name.as_str());
        self.index.get(name).copied().ok_or_else(|| Error::unknown_name("parameter", name, known()))
    }

    /// By position.
    pub fn at(&self, position: usize) -> &Param {
        &self.list[position]
    }

    /// By name.
    pub fn get(&self, name: &str) -> Result<&Param> {
        Ok(self.at(self.position(name)?))
    }

    /// Copy values in from named tensors; `num_batches_tracked` is ignored; a missing, extra or misshaped one is an error,
    /// and then nothing has been copied.
    pub fn assign(&self, tensors: &HashMap<String, Tensor>) -> Result<()> {
        self.check(tensors.iter().map(|(name, t)| (name.as_str(), t.dims())))?;
        for param in &self.list {
            param.var.set(&tensors[&param.name].to_dtype(DType::F32)?.to_device(param.var.device())?)?;
        }
        Ok(())
    }

    /// All as named tensors: copies, which later training does not change.
    pub fn tensors(&self) -> Result<HashMap<String, Tensor>> {
        self.list.iter().map(|p| Ok((p.name.clone(), p.var.as_tensor().copy()?.detach()))).collect()
    }

    /// Write a safetensors file.
    pub fn save(&self, path: &Path) -> Result<()> {
        let bytes = safetensors::serialize(self.list.iter().map(|p| (&p.name, p.var.as_tensor())), None)
            .map_err(|e| Error::invalid("the weights", e, "tensors that safetensors can hold"))?;
        std::fs::write(path, bytes).map_err(Error::io("write", path))
    }

    /// Read a safetensors file. An error leaves the weights as they were.
    pub fn load(&self, path: &Path) -> Result<()> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| {
            Error::file(path, format!("{} bytes that do not parse ({e})", bytes.len()), "a safetensors file")
        })?;
        let views = file.tensors();
        self.check(views.iter().map(|(name, view)| (name.as_str(), view.shape()))).map_err(|e| match e {
            Error::Invalid { what, got, expected } => Error::file(path, format!("{what}: {got}"), expected),
            other => other,
        })?;
        let tensors: Result<HashMap<String, Tensor>> = views
            .iter()
            .filter(|(name, _)| !is_counter(name))
            .map(|(name, view)| Ok((name.clone(), view.load(&Device::Cpu)?)))
            .collect();
        self.assign(&tensors?)
    }

    /// Whether names and shapes are exactly those of this network.
    fn check<'a>(&self, tensors: impl Iterator<Item = (&'a str, &'a [usize])>) -> Result<()> {
        let found: HashMap<&str, &[usize]> = tensors.filter(|(name, _)| !is_counter(name)).collect();
        for param in &self.list {
            let what = || format!("parameter `{}`", param.name);
            match found.get(param.name.as_str()) {
                None => {
                    return Err(Error::invalid(what(), "no tensor of this name", format!("{:?}", param.var.dims())));
                }
                Some(&shape) if shape != param.var.dims() => {
                    return Err(Error::invalid(what(), format!("{shape:?}"), format!("{:?}", param.var.dims())));
                }
                Some(_) => {}
            }
        }
        if let Some(extra) = found.keys().filter(|name| !self.index.contains_key(**name)).min() {
            let expected = format!("only the {} tensors of this network", self.list.len());
            return Err(Error::invalid(
                format!("parameter `{extra}`"),
                "a tensor that the network does not have",
                expected,
            ));
        }
        Ok(())
    }
}

/// PyTorch's count of batches, which nothing here reads.
fn is_counter(name: &str) -> bool {
    name.ends_with("num_batches_tracked")
}

fn initial_values(spec: &ParamSpec, random: &mut ChaCha8Rng) -> Vec<f32> {
    let n = spec.shape.iter().product();
    match spec.init {
        Init::Constant(value) => vec![value; n],
        Init::Uniform { fan_in } => {
            let bound = 1. / (fan_in as f32).sqrt();
            (0..n).map(|_| random.random_range(-bound..bound)).collect()
        }
    }
}

/// What a backward pass left.
pub struct Gradients {
    /// By position in [`Params`]; `None` where nothing flowed (count it as zero).
    pub params: Vec<Option<Tensor>>,
    /// Of everything else in the graph: architecture parameters.
    pub graph: GradStore,
}
