//! Evaluation networks: the cells of one genotype, stacked and trained from scratch. May use: `space`, `ops`.
//!
//! A [`Plan`] has the cells, [`networks`] stacks them to a [`graph`] by the blocks of [`build`], [`definition`] computes it.
//! Every batch norm is affine with running statistics; parameter names are those of quark0/darts and AutoDL-Projects.

pub mod build;
pub mod definition;
mod fast;
pub mod graph;
mod lower;
pub mod networks;

pub use super::DropPath;
pub use crate::space::{Family, Plan};
pub use graph::Graph;

use super::layers::ParamSpec;
use super::{Gradients, Mode, Param, Params, Role, size};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::space::NetworkShape;
use candle_core::{DType, Device, Tensor};
use fast::Fast;
use std::sync::Arc;

/// Size of an evaluation network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SubnetConfig {
    /// The skeleton.
    pub family: Family,
    /// Channels of the first stage, C.
    pub channels: usize,
    /// DARTS cells in all, of which those at 1/3 and 2/3 reduce; NAS-Bench-201: cells a stage, N.
    pub cells: usize,
    /// Classes.
    pub classes: usize,
    /// Whether there is an auxiliary head behind the second reduction (DARTS cells only).
    pub auxiliary: bool,
    /// Seed of the initial weights.
    pub seed: u64,
}

impl SubnetConfig {
    /// What the literature trains: CIFAR C=36, 20 cells; ImageNet C=48, 14 cells; NAS-Bench-201 C=16, N=5.
    pub fn usual(family: Family, classes: usize, seed: u64) -> Self {
        let NetworkShape { channels, cells, .. } = NetworkShape::usual(family);
        let (channels, cells) = (channels as usize, cells as usize);
        SubnetConfig { family, channels, cells, classes, auxiliary: family != Family::NasBench201, seed }
    }

    fn check(&self, plan: &Plan) -> Result<()> {
        plan.check()?;
        self.family.check(plan.topology, self.auxiliary)?;
        let ops = plan.cells.iter().flatten().flatten().map(|(op, _)| *op);
        if let Some(op) = ops.into_iter().find(|op| !build::Builder::knows(*op)) {
            let expected = "pools, skips and convolutions";
            return Err(Error::invalid("op of an evaluation network", op, expected));
        }
        size::check_subnet(plan, self)
    }
}

/// What a pass gives.
#[derive(Clone, Debug)]
pub struct Logits {
    /// `[b, classes]`
    pub logits: Tensor,
    /// Those of the auxiliary head, in training.
    pub auxiliary: Option<Tensor>,
}

/// An evaluation network with its weights.
pub struct Subnet {
    plan: Plan,
    config: SubnetConfig,
    graph: Arc<Graph>,
    params: Arc<Params>,
    device: Device,
    /// The CPU engine; without it (also where a convolution is longer than wide), every pass is the [`definition`].
    fast: Option<Arc<Fast>>,
    /// What the definition computes in.
    dtype: DType,
}

impl Subnet {
    /// Fresh weights, by `config.seed`. An error for a size of 0, sizes that the memory does not hold, or cells that the skeleton
    /// does not take.
    pub fn new(plan: Plan, config: SubnetConfig, device: &Device) -> Result<Self> {
        config.check(&plan)?;
        let graph = Arc::new(networks::graph(&plan, &config));
        let fast = (device.is_cpu() && graph.is_square()).then(Arc::default);
        let params = Arc::new(Params::of_specs(graph.params.clone(), config.seed, device)?);
        Ok(Subnet { plan, config, graph, params, device: device.clone(), fast, dtype: DType::F32 })
    }

    /// The parameters of such a network, without making any.
    pub fn specs(plan: &Plan, config: &SubnetConfig) -> Result<Vec<ParamSpec>> {
        config.check(plan)?;
        Ok(networks::graph(plan, config).params)
    }

    /// As [`Subnet::new`], but every pass is the readable [`definition`] in f64: the oracle.
    pub fn new_reference(plan: Plan, config: SubnetConfig, device: &Device) -> Result<Self> {
        Ok(Subnet { fast: None, dtype: DType::F64, ..Self::new(plan, config, device)? })
    }

    /// Its cells.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its size.
    pub fn config(&self) -> &SubnetConfig {
        &self.config
    }

    /// Its steps.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Weights and buffers.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Trained numbers; without the auxiliary head, as papers count them.
    pub fn n_weights(&self) -> usize {
        let counts = |p: &&Param| p.role == Role::Weight && !p.name.starts_with("auxiliary_head.");
        self.params.iter().filter(counts).map(|p| p.var.elem_count()).sum()
    }

    /// Number of drop paths: [`DropPath::masks`] holds one list for each.
    pub fn drop_paths(&self) -> usize {
        self.graph.drop_paths
    }

    /// Logits of `x: [b, 3, h, w]` (f32, NCHW); `Mode::Train`: batch statistics, drop path, the auxiliary head. Gradients of
    /// the weights come out of [`Subnet::backward`].
    pub fn forward(&self, x: &Tensor, mode: Mode, drop: Option<&DropPath>) -> Result<Logits> {
        self.check_input(x, mode, drop)?;
        let auxiliary = mode == Mode::Train && self.config.auxiliary;
        let how = definition::How { mode, drop, auxiliary, dtype: self.dtype };
        let (logits, auxiliary) = match &self.fast {
            None => definition::forward(&self.graph, &self.params, x, how)?,
            Some(fast) => {
                let network = (&self.graph, &self.params);
                let (logits, tapped) = fast.forward(network, x, mode, drop, auxiliary)?;
                let head = |pooled| definition::auxiliary_head(&self.graph, &self.params, pooled, how);
                (logits, tapped.map(head).transpose()?)
            }
        };
        Ok(Logits { logits, auxiliary })
    }

    /// Backward from a scalar made of logits of this network.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        if let Some(fast) = &self.fast {
            fast.take_gradients()?;
        }
        let mut graph = loss.backward().map_err(interrupt::or)?;
        let mut left = self.fast.as_ref().map_or(Ok(vec![]), |fast| fast.take_gradients())?.into_iter();
        // The engine's, or (the auxiliary head, the definition) the graph's.
        let tensor = |p: &Param| match left.next().flatten() {
            Some(gradient) => Tensor::from_vec(gradient, p.var.shape(), &self.device).map(Some),
            None => Ok(graph.remove(p.var.as_tensor())),
        };
        let params = self.params.iter().map(tensor).collect::<candle_core::Result<_>>()?;
        Ok(Gradients { params, graph })
    }

    /// Pixels of the smallest image that a batch norm of training takes the statistics of, of images of `h x w`.
    pub fn least_pixels(&self, h: usize, w: usize) -> usize {
        let (sizes, wanted) = (self.graph.sizes(h, w), self.graph.wanted(true));
        let norm = |i: &usize| wanted[*i] && matches!(self.graph.steps[*i].op, graph::Op::Norm { .. });
        (0..sizes.len()).filter(norm).map(|i| sizes[i].0 * sizes[i].1).min().unwrap_or(usize::MAX)
    }

    /// An error in words for images of `h x w` that this network cannot take.
    pub fn check_size(&self, h: usize, w: usize, mode: Mode) -> Result<()> {
        let sizes = self.graph.sizes(h, w);
        let wanted = self.graph.wanted(mode == Mode::Train);
        let got = format!("images of {h}x{w}");
        for (i, step) in self.graph.steps.iter().enumerate().filter(|(i, _)| wanted[*i]) {
            match step.op {
                graph::Op::Flatten { x } if sizes[x] != (1, 1) => {
                    let side = if self.config.family == Family::ImageNet { 224 } else { 32 };
                    let expected =
                        format!("{side}x{side}, which its auxiliary head is made for (auxiliary: 0 leaves it out)");
                    return Err(Error::invalid("evaluation network", got, expected));
                }
                // Its two shortcuts halve by convolution (rounding up) and by 2x2 average (down): both must agree.
                graph::Op::Sum { ref xs } if xs.iter().any(|x| sizes[*x] != sizes[xs[0]]) => {
                    return Err(Error::invalid("evaluation network", got, "a height and a width divisible by 4"));
                }
                _ if sizes[i].0 * sizes[i].1 == 0 => {
                    let expected = "larger ones, or no auxiliary head (auxiliary: 0)";
                    return Err(Error::invalid("evaluation network", got, expected));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_input(&self, x: &Tensor, mode: Mode, drop: Option<&DropPath>) -> Result<()> {
        let batch = match x.dims() {
            &[b, 3, h, w] if b * h * w > 0 && x.dtype() == DType::F32 => {
                self.check_size(h, w, mode)?;
                b
            }
            _ => {
                let expected = "f32 images [b, 3, h, w], b, h, w >= 1";
                return Err(Error::invalid(
                    "input of the network",
                    format!("{:?} {:?}", x.dtype(), x.dims()),
                    expected,
                ));
            }
        };
        drop.map_or(Ok(()), |drop| drop.check(self.drop_paths(), batch))
    }
}

#[cfg(test)]
mod tests;
