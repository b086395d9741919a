//! Evaluation networks: the cells of one genotype, stacked and trained from scratch.
//!
//! Every batch norm is affine with running statistics; parameter names are those of quark0/darts and AutoDL-Projects.

pub use super::{DropPath, Logits, SubnetConfig};
pub use crate::space::{Family, Plan};

use super::definition::Given;
use super::graph::{self, Graph, Op, ParamSpec, Value};
use super::ids::{ParamId, Table};
use super::network::{Backend, Learns, Network, image_sizes};
use super::{Drops, Gradients, Mode, Param, Params, Role, size};
use crate::error::{Error, Result};
use crate::space::Primitive;
use crate::space::primitive::Form;
use candle_core::{Device, Tensor};

/// An evaluation network with its weights.
pub struct Subnet {
    plan: Plan,
    config: SubnetConfig,
    network: Network,
}

impl Subnet {
    /// Fresh weights, by `config.seed`. An error for a size of 0, sizes that the memory does not hold, or cells that the skeleton
    /// does not take.
    pub fn new(plan: Plan, config: SubnetConfig, device: &Device) -> Result<Self> {
        Self::on(plan, config, device, Backend::Fastest)
    }

    /// As [`Subnet::new`], but every pass is the readable [`super::definition`] in f64: the oracle.
    pub fn new_reference(plan: Plan, config: SubnetConfig, device: &Device) -> Result<Self> {
        Self::on(plan, config, device, Backend::Reference)
    }

    fn on(plan: Plan, config: SubnetConfig, device: &Device, backend: Backend) -> Result<Self> {
        Self::check(&plan, &config)?;
        let network = Network::new(graph::subnet::graph(&plan, &config), (config.seed, false), device, backend)?;
        Ok(Subnet { plan, config, network })
    }

    /// An error for cells that such a network cannot have.
    pub(super) fn check_cells(plan: &Plan, config: &SubnetConfig) -> Result<()> {
        plan.check()?;
        config.family.check(plan.topology, config.auxiliary)?;
        let drawn = |op: &Primitive| op.form() == Form::Noise;
        let ops = plan.cells.iter().flatten().flatten().map(|(op, _)| *op);
        if let Some(op) = ops.into_iter().find(drawn) {
            let expected = "pools, skips and convolutions";
            return Err(Error::invalid("op of an evaluation network", op, expected));
        }
        for (t, cell) in plan.cells.iter().enumerate() {
            for (to, (op, from)) in
                (plan.inputs()..).zip(cell).flat_map(|(to, inputs)| inputs.iter().map(move |i| (to, i)))
            {
                let stride = plan.topology.stride(t, *from);
                op.check_stride(stride, || format!("op of an evaluation network, of node {from} into node {to}"))?;
            }
        }
        Ok(())
    }

    /// The same, and for sizes that are 0 or that the memory does not hold.
    fn check(plan: &Plan, config: &SubnetConfig) -> Result<()> {
        Self::check_cells(plan, config)?;
        size::check_subnet(plan, config)
    }

    /// The parameters of such a network, without making any.
    pub fn specs(plan: &Plan, config: &SubnetConfig) -> Result<Table<ParamId, ParamSpec>> {
        Self::check(plan, config)?;
        Ok(graph::subnet::graph(plan, config).params)
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
        self.network.graph()
    }

    /// Weights and buffers.
    pub fn params(&self) -> &Params {
        self.network.params()
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        self.network.device()
    }

    /// Trained numbers; without the auxiliary head, as papers count them.
    pub fn n_weights(&self) -> usize {
        let counts = |p: &&Param| p.role == Role::Weight && !p.name.starts_with("auxiliary_head.");
        self.params().iter().filter(counts).map(|p| p.var.elem_count()).sum()
    }

    /// Number of drop paths: [`DropPath::masks`] holds one list for each.
    pub fn drop_paths(&self) -> usize {
        self.graph().drop_paths
    }

    /// Logits of `x: [b, 3, h, w]` (f32, NCHW); `Mode::Train`: batch statistics, drop path, the auxiliary head. Gradients of
    /// the weights come out of [`Subnet::backward`].
    pub fn forward(&self, x: &Tensor, mode: Mode, drop: Option<&DropPath>) -> Result<Logits> {
        self.check_input(x, mode, drop)?;
        let auxiliary = mode == Mode::Train && self.config.auxiliary;
        let drop = drop.filter(|_| mode == Mode::Train);
        self.network.forward(None, x, None, mode.into(), drop.into(), auxiliary)
    }

    /// What the classifier takes the mean of, `[b, c, h, w]`, by the [`super::definition`]; no running statistics move in
    /// [`Mode::Batch`] and [`Mode::Eval`].
    pub fn features(&self, x: &Tensor, mode: Mode) -> Result<Tensor> {
        self.check_input(x, mode, None)?;
        let features = std::cell::RefCell::new(None);
        let watch = |_: Value, op: &Op, x: &Tensor, y: Tensor| {
            if let Op::Mean { .. } = op {
                *features.borrow_mut() = Some(x.clone());
            }
            Ok(y)
        };
        let given = Given { watch: Some(&watch), weights: None };
        self.network.measured(x, None, mode, candle_core::DType::F32, given)?;
        features.take().ok_or_else(|| Error::invalid("network", "no mean before its classifier", "one"))
    }

    /// Backward from a scalar made of logits of this network.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        self.network.backward(loss)
    }

    /// Pixels of the smallest image that a batch norm of training takes the statistics of, of images of `h x w`.
    pub fn least_pixels(&self, h: usize, w: usize) -> usize {
        self.graph().least_pixels(h, w)
    }

    /// An error in words for images of `h x w` that this network cannot take.
    pub fn check_size(&self, h: usize, w: usize, mode: Mode) -> Result<()> {
        graph::subnet::check_size(self.graph(), self.config.family, (h, w), mode == Mode::Train)
    }

    fn check_input(&self, x: &Tensor, mode: Mode, drop: Option<&DropPath>) -> Result<()> {
        let (batch, h, w) = image_sizes("input of the network", (x.dtype(), x.dims()))?;
        self.check_size(h, w, mode)?;
        drop.map_or(Ok(()), |drop| drop.check(self.drop_paths(), batch))
    }
}

impl Learns for Subnet {
    fn network(&self) -> &Network {
        &self.network
    }

    fn learn<T>(
        &self,
        x: &Tensor,
        _mixing: &[Tensor],
        drops: Drops,
        loss: impl FnOnce(Logits) -> Result<(Tensor, T)>,
    ) -> Result<(Gradients, T)> {
        self.check_input(x, Mode::Train, drops.paths)?;
        self.network.learn(None, x, None, drops, self.config.auxiliary, loss)
    }
}

#[cfg(test)]
mod tests;
