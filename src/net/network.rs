//! A graph with its weights on a device: the passes that supernets and evaluation networks share.

use super::definition::{self, Given, How, Probe};
use super::fast::{self, Fast};
use super::gpu::Trained;
use super::graph::Graph;
use super::ids::{MixId, ParamId, Table};
use super::look::Look;
use super::pass::{Logits, Pass};
use super::{DropPath, Drops, Gradients, Mode, Param, Params, Paths, watched};
use crate::error::{Error, Result};
use crate::ops::gpu;
use crate::ops::sgd::Step;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// What computes the passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The engine of the device where it has all that the network needs; else the definition in f32.
    Fastest,
    /// The definition in candle tensor algebra, in f64: the oracle.
    Reference,
}

/// A graph, its weights, and what runs it.
pub struct Network {
    run: fast::Runnable,
    device: Device,
    /// The engine; without it, every pass is the [`definition`].
    fast: Option<Arc<Fast>>,
    /// The type that the definition computes in.
    dtype: DType,
    seed: u64,
}

impl Network {
    /// Fresh weights, by `seed`; `strict`: direct convolutions only.
    pub fn new(graph: Graph, (seed, strict): (u64, bool), device: &Device, backend: Backend) -> Result<Self> {
        let params = Arc::new(Params::of_specs(graph.params.clone(), seed, device)?);
        let on_engine = backend == Backend::Fastest && graph.is_on_engine();
        let fast = match gpu::of(device, strict)? {
            _ if !on_engine => None,
            None if !device.is_cpu() => None,
            gpu => Some(Arc::new(Fast::new(gpu.map(|_| device.clone())))),
        };
        let dtype = if backend == Backend::Reference { DType::F64 } else { DType::F32 };
        let run = fast::Runnable { graph: Arc::new(graph), params, strict };
        Ok(Network { run, device: device.clone(), fast, dtype, seed })
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.run.graph
    }

    /// Another graph over the same parameters.
    pub fn set_graph(&mut self, graph: Graph) {
        self.run.graph = Arc::new(graph);
    }

    /// Weights and buffers.
    pub fn params(&self) -> &Params {
        &self.run.params
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Seconds of each launch of the last engine's passes, where it is on a GPU: kernel, blocks.
    pub fn times(&self) -> Result<Vec<(&'static str, u32, f64)>> {
        self.fast.as_ref().map_or(Ok(vec![]), |fast| fast.times())
    }

    /// Whether the GPU engine runs it.
    pub fn is_on_gpu(&self) -> bool {
        self.fast.as_ref().is_some_and(|fast| fast.is_on_gpu())
    }

    /// Whether an engine runs it.
    #[cfg(test)]
    pub fn is_fast(&self) -> bool {
        self.fast.is_some()
    }

    /// Logits of `x`, which is checked; `graph`: another one over the same parameters; `mix`: `[n_mix]`, none where nothing is
    /// mixed.
    pub fn forward(
        &self,
        graph: Option<&Arc<Graph>>,
        x: &Tensor,
        mix: Option<&Tensor>,
        pass: Pass,
        drops: Drops,
        auxiliary: bool,
    ) -> Result<Logits> {
        let run = &self.of(graph);
        let none = Tensor::zeros(0, DType::F32, &self.device)?;
        let mix = mix.unwrap_or(&none);
        let how = self.how(pass, drops, auxiliary);
        let (logits, auxiliary) = match self.engine_for(drops) {
            None => definition::forward(&run.graph, &run.params, x, mix, how, None)?,
            Some(fast) => {
                let (logits, tapped) = fast.forward(run, x, mix, pass, drops, auxiliary)?;
                let head = |pooled| definition::auxiliary_head(&run.graph, &run.params, pooled, how);
                (logits, tapped.map(head).transpose()?)
            }
        };
        let single = |logits: Tensor| logits.to_dtype(DType::F32);
        Ok(Logits { logits: single(logits)?, auxiliary: auxiliary.map(single).transpose()? })
    }

    /// A pass of the definition that remembers what the logits are made of.
    fn how<'a>(&self, pass: Pass, drops: Drops<'a>, auxiliary: bool) -> How<'a> {
        How { pass, drops, auxiliary, track: true, dtype: self.dtype, seed: self.seed }
    }

    /// The engine, if it can make such a pass: no kernel of a GPU leaves out single values.
    fn engine_for(&self, drops: Drops) -> Option<&Arc<Fast>> {
        self.fast.as_ref().filter(|fast| !fast.is_on_gpu() || drops.values.is_none())
    }

    /// The gradients of the weights in a pass of training, of the loss that `loss` makes of its logits; that of the mixing weights is
    /// not made. On an engine no graph of tensors is kept but that of the loss. What `loss` gives beside the loss comes back.
    pub fn learn<T>(
        &self,
        graph: Option<&Arc<Graph>>,
        x: &Tensor,
        mix: Option<&Tensor>,
        drops: Drops,
        auxiliary: bool,
        loss: impl FnOnce(Logits) -> Result<(Tensor, T)>,
    ) -> Result<(Gradients, T)> {
        let pass = Pass { mode: Mode::Train, paths: Paths::Drawn };
        let Some(fast) = self.engine_for(drops) else {
            let (loss, found) = loss(self.forward(graph, x, mix, pass, drops, auxiliary)?)?;
            return Ok((self.backward(&loss)?, found));
        };
        let run = &self.of(graph);
        let mix = mix.map_or(Ok(vec![]), |mix| mix.to_vec1::<f32>())?;
        let how = self.how(pass, drops, auxiliary);
        let mut found = None;
        let (left, graph) = fast.learn(run, x, &mix, drops, auxiliary, |logits, tapped| {
            let head = |pooled| definition::auxiliary_head(&run.graph, &run.params, pooled, how);
            let (loss, beside) = loss(Logits { logits, auxiliary: tapped.map(head).transpose()? })?;
            found = Some(beside);
            Ok(loss)
        })?;
        let Some(found) = found else { unreachable!("the loss was made") };
        Ok((self.gradients(left, graph)?, found))
    }

    /// A whole step of training on the mean cross-entropy of the labels, where a GPU makes it without coming back; none where there
    /// is no such GPU, and where something is not finite: then nothing has moved. `momentum`: where it stands.
    pub fn train(
        &self,
        graph: Option<&Arc<Graph>>,
        x: (&[f32], [usize; 4]),
        mix: Option<&Tensor>,
        drop: Option<&DropPath>,
        target: (&[u32], f64),
        how: (&Step, f64),
        momentum: &Table<ParamId, u64>,
    ) -> Result<Option<Trained>> {
        let Some(fast) = self.fast.as_ref().filter(|_| self.is_on_gpu()) else { return Ok(None) };
        let mix = mix.map_or(Ok(vec![]), |mix| mix.to_vec1::<f32>())?;
        fast.train(&self.of(graph), x, &mix, drop, target, how, momentum)
    }

    /// What an engine runs: the network's own graph, or another one.
    fn of(&self, graph: Option<&Arc<Graph>>) -> fast::Runnable {
        let graph = graph.unwrap_or(&self.run.graph).clone();
        fast::Runnable { graph, params: self.run.params.clone(), strict: self.run.strict }
    }

    /// What `f` sees of a batch on the CPU engine; none where that does not run the network.
    pub fn look<R>(
        &self,
        x: &Tensor,
        mix: Option<&Tensor>,
        f: impl FnOnce(Look<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        let mix = mix.map_or(Ok(vec![]), |mix| mix.to_vec1::<f32>())?;
        self.fast.as_ref().map_or(Ok(None), |fast| fast.look(&self.run, x, &mix, f))
    }

    /// A pass of the definition that keeps no graph, for what `probe` sees.
    pub fn probe(&self, x: &Tensor, mix: &Tensor, pass: Pass, probe: Probe) -> Result<()> {
        let how =
            How { pass, drops: Drops::default(), auxiliary: false, track: false, dtype: self.dtype, seed: self.seed };
        definition::forward(&self.run.graph, &self.run.params, &x.detach(), &mix.detach(), how, Some(probe))?;
        Ok(())
    }

    /// Logits of the definition in `dtype`, which remember what is `given` (not the weights of the network), for measures that see
    /// more than the engine keeps. No running statistics move unless `mode` is that of training.
    pub fn measured(&self, x: &Tensor, mix: Option<&Tensor>, mode: Mode, dtype: DType, given: Given) -> Result<Tensor> {
        let none = Tensor::zeros(0, dtype, &self.device)?;
        let how =
            How { pass: mode.into(), drops: Drops::default(), auxiliary: false, track: false, dtype, seed: self.seed };
        let (graph, params) = (&self.run.graph, &self.run.params);
        Ok(definition::forward_given(graph, params, x, mix.unwrap_or(&none), how, None, given)?.0)
    }

    /// Sums over the images, and over the cells of a type, of each live candidate's IIM score; none without the engine.
    pub fn scores(&self, x: &Tensor, mix: &Tensor) -> Option<Result<Table<MixId, f64>>> {
        self.fast.as_ref().map(|fast| fast.score(&self.run, x, mix))
    }

    /// The gradients of a scalar made of logits of this network. An error for more than one number, and for one that remembers
    /// nothing.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        if loss.elem_count() != 1 || !loss.track_op() {
            let got = match loss.elem_count() {
                1 => "a number that does not remember what it is made of".into(),
                _ => format!("numbers of shape {:?}", loss.dims()),
            };
            return Err(Error::invalid("backward, loss", got, "one number made of logits: net.loss(batch)"));
        }
        let take = || self.fast.as_ref().map_or(Ok(Table::default()), |fast| fast.take_gradients());
        take()?;
        let graph = watched::backward(loss)?;
        self.gradients(take()?, graph)
    }

    /// Those of the weights are the engine's, or (the auxiliary head, the definition) the graph's.
    fn gradients(&self, left: Table<ParamId, Option<Vec<f32>>>, mut graph: GradStore) -> Result<Gradients> {
        let mut left = left.into_iter();
        let tensor = |p: &Param| match left.next().flatten() {
            Some(gradient) => Tensor::from_vec(gradient, p.var.shape(), &self.device).map(Some),
            None => Ok(graph.remove(p.var.as_tensor())),
        };
        let params = self.params().iter().map(tensor).collect::<candle_core::Result<_>>()?;
        Ok(Gradients { params, graph })
    }
}

/// A network that is trained: a supernet, or an evaluation network.
pub trait Learns {
    /// What its passes are made by.
    fn network(&self) -> &Network;

    /// The gradients of the weights in a pass of training, of the loss that `loss` makes of its logits, and what `loss` gives beside
    /// it. `mixing`: as [`super::Supernet::forward`] takes it, but no gradient flows there; nothing for an evaluation network.
    fn learn<T>(
        &self,
        x: &Tensor,
        mixing: &[Tensor],
        drops: Drops,
        loss: impl FnOnce(Logits) -> Result<(Tensor, T)>,
    ) -> Result<(Gradients, T)>;
}

/// The number of images of `x: [b, 3, h, w]`, and their size; an error in words for anything else.
pub(crate) fn image_sizes(what: &str, x: (DType, &[usize])) -> Result<(usize, usize, usize)> {
    match *x.1 {
        [b, 3, h, w] if b * h * w > 0 && x.0 == DType::F32 => Ok((b, h, w)),
        _ => {
            let got = format!("{:?} {:?}", x.0, x.1);
            Err(Error::invalid(what, got, "f32 images [b, 3, h, w], b, h, w >= 1"))
        }
    }
}
