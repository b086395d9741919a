//! The supernet: every candidate of every edge, mixed.

use super::gpu::Trained;
use super::graph::Graph;
use super::graph::supernet::{self, candidate_of, mix_of};
use super::ids::{MixId, ParamId, Table};
use super::network::{Backend, Learns, Network, image_sizes};
use super::{DropPath, Drops, Gradients, Logits, Mode, Params, Pass, Paths, SupernetConfig, size};
use crate::error::{Error, Result};
use crate::ops::iim;
use crate::ops::sgd::Step;
use crate::space::{Candidate, Genotype, Iim, Mask, PerCandidate, Primitive, SearchSpace, Topology};
use candle_core::{DType, Device, Tensor};
use std::sync::{Arc, OnceLock};

/// Scores of one batch, summed over its images (divide by the images measured), averaged over the cells of a type.
#[derive(Clone, Debug)]
pub struct ScoreSums {
    /// Sum over images of the per-image mean score; NaN where the candidate is dead.
    pub sum: PerCandidate<f64>,
    /// Images in the batch.
    pub images: usize,
}

/// A supernet with its weights and its mask. Methods take `&self`; state is inside shared tensors.
pub struct Supernet {
    space: SearchSpace,
    config: SupernetConfig,
    mask: Mask,
    network: Network,
    mask_mixing: Vec<Tensor>,
    /// With a table of mixing weights for each cell; made when it is asked for.
    by_cell: OnceLock<Arc<Graph>>,
}

impl Supernet {
    /// Fresh weights, every candidate alive. An error for sizes of 0, and for those that the memory does not hold.
    pub fn new(space: SearchSpace, config: SupernetConfig, device: &Device) -> Result<Self> {
        Self::on(space, config, device, Backend::Fastest)
    }

    /// As [`Supernet::new`], but every pass is the readable [`super::definition`] in candle tensor algebra, in f64: the oracle.
    pub fn new_reference(space: SearchSpace, config: SupernetConfig, device: &Device) -> Result<Self> {
        Self::on(space, config, device, Backend::Reference)
    }

    fn on(space: SearchSpace, config: SupernetConfig, device: &Device, backend: Backend) -> Result<Self> {
        size::check_supernet(&space, &config)?;
        let mask = space.full_mask();
        let graph = supernet::graph(&space, &config, &mask);
        let network = Network::new(graph, (config.seed, config.strict), device, backend)?;
        let mask_mixing = mask_mixing(&space, &mask, device)?;
        Ok(Supernet { space, config, mask, network, mask_mixing, by_cell: OnceLock::new() })
    }

    /// The space.
    pub fn space(&self) -> &SearchSpace {
        &self.space
    }

    /// The size.
    pub fn config(&self) -> &SupernetConfig {
        &self.config
    }

    /// What it computes, under the mask.
    pub fn graph(&self) -> &Graph {
        self.network.graph()
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        self.network.device()
    }

    /// Weights and buffers.
    pub fn params(&self) -> &Params {
        self.network.params()
    }

    /// Which candidates are alive.
    pub fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Pixels of the smallest image on its way, of images of `h x w`.
    pub fn least_pixels(&self, h: usize, w: usize) -> usize {
        let by = 1 << supernet::reductions(&self.config).len();
        h.div_ceil(by) * w.div_ceil(by)
    }

    /// Replaces the mask. An error for one that is not of this space; the old one stays.
    pub fn set_mask(&mut self, mask: Mask) -> Result<()> {
        mask.check_shape(self.space())?;
        if mask != self.mask {
            self.mask_mixing = mask_mixing(&self.space, &mask, self.device())?;
            self.network.set_graph(supernet::graph(&self.space, &self.config, &mask));
            self.mask = mask;
            self.by_cell = OnceLock::new();
        }
        Ok(())
    }

    /// Drop one candidate: it is no longer computed.
    pub fn drop(&mut self, candidate: Candidate) -> Result<()> {
        self.space().check(candidate)?;
        let mut mask = self.mask().clone();
        mask.drop(candidate)?;
        self.set_mask(mask)
    }

    /// `mask / |O|`, one `[edges, ops]` tensor per cell type; `|O|` is the number of ops in the list of the edge. Weights of edges
    /// ([`SupernetConfig::edge_weights`]) are 1 then.
    pub fn mask_mixing(&self) -> Result<Vec<Tensor>> {
        Ok(self.mask_mixing.clone())
    }

    /// [`Supernet::mask_mixing`] of all cell types one behind the other.
    pub(crate) fn flat_mixing(&self) -> Result<Tensor> {
        self.flat(&self.mask_mixing)
    }

    /// Of a number for each parameter, the sum over those of each candidate, over all cells of its type; NaN where
    /// it is dead.
    pub(crate) fn per_candidate(&self, numbers: &Table<ParamId, f64>) -> PerCandidate<f64> {
        let mut sums = PerCandidate::filled(&self.space, f64::NAN);
        for candidate in self.mask.alive() {
            let edge = self.space.edges()[candidate.edge];
            let of_type = |k: &usize| supernet::cell_type(&self.space, &self.config, *k) == Some(candidate.cell_type);
            let names = (0..supernet::blocks(&self.config)).filter(of_type);
            let names: Vec<String> =
                names.map(|k| supernet::name_of(&self.space, k, edge, candidate.op) + ".").collect();
            let own = |name: &str| names.iter().any(|own| name.starts_with(own.as_str()));
            let own = self.params().iter().zip(numbers).filter(|(param, _)| own(&param.name));
            *sums.get_mut(candidate) = own.map(|(_, number)| number).sum();
        }
        sums
    }

    /// Logits `[b, classes]` of `x: [b, 3, h, w]` (f32, NCHW), differentiable in `mixing` (one `[edges, ops]` tensor per
    /// cell type, or per cell, and behind its ops the last of [`SupernetConfig::edge_weights`], those before them being 1; entries of dead
    /// candidates are not read). Gradients of the weights come out of [`Supernet::backward`].
    pub fn forward(&self, x: &Tensor, mixing: &[Tensor], pass: impl Into<Pass>) -> Result<Tensor> {
        self.forward_dropped(x, mixing, pass, Drops::default())
    }

    /// [`Supernet::forward`] with drop path (of each image, in each block, the sum over the candidates of an edge times a factor) and
    /// dropout.
    pub fn forward_dropped<'a>(
        &self,
        x: &Tensor,
        mixing: &[Tensor],
        pass: impl Into<Pass>,
        drops: impl Into<Drops<'a>>,
    ) -> Result<Tensor> {
        let (mut pass, drops) = (pass.into(), drops.into());
        self.check_pass((x.dtype(), x.dims()), mixing, drops)?;
        if drops.paths.is_some() && pass.paths == Paths::DrawnWithGhosts {
            return Err(Error::invalid("drop path", "ghosts beside it", "one of them: nobody has both"));
        }
        if !mixing.iter().any(Tensor::track_op) {
            pass.paths = Paths::Drawn;
        }
        Ok(self.network.forward(self.graph_of(mixing), x, Some(&self.flat(mixing)?), pass, drops, false)?.logits)
    }

    /// A whole step of training on the mean cross-entropy of the labels, where a GPU makes it without coming back; none where there
    /// is no such GPU, and where something is not finite: then nothing has moved. `momentum`: where it stands on the GPU, 0 for
    /// what is not trained.
    pub(crate) fn train(
        &self,
        x: (&[f32], [usize; 4]),
        mixing: Option<&[Tensor]>,
        drop: Option<&DropPath>,
        y: &[u32],
        how: (&Step, f64),
        momentum: &Table<ParamId, u64>,
    ) -> Result<Option<Trained>> {
        let mixing = mixing.map_or_else(|| mask_mixing(&self.space, &self.mask, &Device::Cpu), on_host)?;
        self.check_pass((DType::F32, &x.1), &mixing, drop.into())?;
        self.network.train(self.graph_of(&mixing), x, Some(&self.flat(&mixing)?), drop, (y, 0.0), how, momentum)
    }

    /// The graph for tables of each cell, if that is what these are.
    fn graph_of(&self, mixing: &[Tensor]) -> Option<&Arc<Graph>> {
        let by_cell = || Arc::new(supernet::graph_by_cell(&self.space, &self.config, &self.mask));
        (mixing.len() != self.space.cell_types().len()).then(|| self.by_cell.get_or_init(by_cell))
    }

    /// The type of each cell, in order.
    pub fn cells(&self) -> Vec<usize> {
        supernet::cells(&self.space, &self.config)
    }

    /// Seconds of each kernel of a forward and of a backward pass by itself, where it is on a GPU: name, blocks.
    pub fn kernel_times(&self) -> Result<Vec<(&'static str, u32, f64)>> {
        self.network.times()
    }

    /// Whether a step of training is made on a GPU without coming back.
    pub(crate) fn trains_on_gpu(&self) -> bool {
        self.network.is_on_gpu()
    }

    /// Number of drop paths: an edge of a block each, block by block (blocks without edges are counted, too).
    pub fn drop_paths(&self) -> usize {
        self.graph().drop_paths
    }

    /// Backward from a scalar made of logits of this supernet.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        self.network.backward(loss)
    }

    /// Measure the IIM scores of all live candidates on one batch, in eval mode.
    pub fn score(&self, x: &Tensor, mixing: &[Tensor]) -> Result<ScoreSums> {
        self.check_input((x.dtype(), x.dims()), mixing)?;
        self.check_one_per_type(mixing)?;
        let mut sum = PerCandidate::filled(self.space(), f64::NAN);
        for candidate in self.mask().alive() {
            *sum.get_mut(candidate) = 0.;
        }
        let types = (0..supernet::blocks(&self.config)).map(|k| supernet::cell_type(&self.space, &self.config, k));
        let types: Vec<Option<usize>> = types.collect();
        // A single cell reduces: of the other type there is none.
        let cells = |cell_type| types.iter().filter(|t| **t == Some(cell_type)).count().max(1) as f64;
        let mix = match self.trains_on_gpu() {
            true => self.flat(&on_host(mixing)?)?,
            false => self.flat(mixing)?,
        };
        let scores = match self.network.scores(x, &mix) {
            Some(scores) => scores?,
            None => {
                let mut scores = Table::filled(mix.elem_count(), 0.0);
                let mut probe = |mix: MixId, output: Option<&Tensor>| {
                    scores[mix] += output.map_or(Ok(f64::INFINITY), iim::tensor::score_sum)?;
                    Ok(())
                };
                self.network.probe(x, &mix, Mode::Eval.into(), &mut probe)?;
                scores
            }
        };
        for candidate in self.space.candidates() {
            let none = self.space.ops()[candidate.op] == Primitive::None;
            let score = scores[mix_of(&self.space, candidate)] / cells(candidate.cell_type);
            *sum.get_mut(candidate) += if none { f64::INFINITY } else { score };
        }
        Ok(ScoreSums { sum, images: x.dim(0)? })
    }

    /// The output of each live candidate in each cell, in eval mode, beside the mixed sum of the node that it goes into; in the order in
    /// which they are computed. By the [`super::definition`] on every device: no kernel gives them out.
    pub fn outputs(&self, x: &Tensor, mixing: &[Tensor]) -> Result<Vec<(Candidate, Tensor, Tensor)>> {
        self.check_input((x.dtype(), x.dims()), mixing)?;
        self.check_one_per_type(mixing)?;
        let mix = self.flat(mixing)?;
        let weights = mix.to_vec1::<f32>()?;
        let mut nodes: Vec<((usize, usize), Vec<(Candidate, Option<Tensor>)>)> = vec![];
        let mut probe = |mix: MixId, output: Option<&Tensor>| {
            let candidate = candidate_of(&self.space, mix);
            let node = (candidate.cell_type, self.space.edges()[candidate.edge].to);
            // What a node sums up comes at once; a candidate comes again in the next cell.
            match nodes.last_mut() {
                Some((last, found)) if *last == node && found.iter().all(|(c, _)| *c != candidate) => {
                    found.push((candidate, output.cloned()));
                }
                _ => nodes.push((node, vec![(candidate, output.cloned())])),
            }
            Ok(())
        };
        self.network.probe(x, &mix, Mode::Eval.into(), &mut probe)?;
        let mut all = vec![];
        for (_, found) in nodes {
            let mut sum: Option<Tensor> = None;
            for (candidate, output) in &found {
                let Some(output) = output else { continue };
                let part = (output * f64::from(weights[mix_of(&self.space, *candidate).0]))?;
                sum = Some(sum.map_or(Ok(part.clone()), |sum| sum + &part)?);
            }
            let Some(sum) = sum else { continue };
            for (candidate, output) in found {
                all.push((candidate, output.map_or_else(|| sum.zeros_like(), Ok)?, sum.clone()));
            }
        }
        Ok(all)
    }

    /// The genotype that the mask leaves; an error while more is alive.
    pub fn genotype(&self) -> Result<Genotype> {
        Genotype::from_mask(self.space(), self.mask())
    }

    /// An error for a table of each cell, where what is measured is that of cell types.
    fn check_one_per_type(&self, mixing: &[Tensor]) -> Result<()> {
        if self.graph_of(mixing).is_none() {
            return Ok(());
        }
        let got = format!("{} tensors", mixing.len());
        Err(Error::invalid("mixing weights of a measurement", got, "one tensor per cell type"))
    }

    fn check_pass(&self, x: (DType, &[usize]), mixing: &[Tensor], drops: Drops) -> Result<()> {
        self.check_input(x, mixing)?;
        drops.paths.map_or(Ok(()), |drop| drop.check(self.drop_paths(), x.1[0]))?;
        drops.values.map_or(Ok(()), |values| values.check())
    }

    /// Shapes that the network cannot take are errors in words, before any work.
    fn check_input(&self, x: (DType, &[usize]), mixing: &[Tensor]) -> Result<()> {
        let (_, h, w) = image_sizes("supernet input", x)?;
        // Two reductions halve by convolution (rounding up) and by a 2x2 pool (down): both must agree.
        let halved_by_pool = self.space().topology() == Topology::NasBench201 || self.config.partial > 1;
        if halved_by_pool && (h % 4, w % 4) != (0, 0) {
            let partial = if self.config.partial > 1 { ", partial channels" } else { "" };
            let expected = format!("a height and a width divisible by 4 ({}{partial})", self.space().name());
            return Err(Error::invalid("supernet input, image size", format!("{h} x {w}"), expected));
        }
        let (edges, ops, more) = (self.space().n_edges(), self.space().ops().len(), self.config.edge_weights());
        let fits = |t: &Tensor| t.dtype() == DType::F32 && (0..=more).any(|m| t.dims() == [edges, ops + m]);
        let lengths = [self.space().cell_types().len(), self.cells().len()];
        if !lengths.contains(&mixing.len()) || !mixing.iter().all(fits) {
            let got: Vec<&[usize]> = mixing.iter().map(Tensor::dims).collect();
            let more = if more > 0 { format!(", or [{edges}, {}]", ops + more) } else { String::new() };
            let expected = format!("f32 tensors [{edges}, {ops}]{more}: [edges, ops] per cell type, or per cell");
            return Err(Error::invalid("mixing weights", format!("{got:?}"), expected));
        }
        Ok(())
    }

    /// The mixing weights of all tables one after the other: those of candidates, then those of edges, the last of which the
    /// tables have; the others are 1.
    fn flat(&self, mixing: &[Tensor]) -> Result<Tensor> {
        let (edges, ops, more) = (self.space.n_edges(), self.space.ops().len(), self.config.edge_weights());
        let candidates = mixing.iter().map(|t| t.narrow(1, 0, ops)?.flatten_all());
        let of_edges = mixing.iter().filter(|_| more > 0).map(|t| {
            let given = t.dim(1)? - ops;
            // CUDA makes no tensor without numbers.
            let ones = (given < more).then(|| Tensor::ones((edges, more - given), DType::F32, t.device()));
            let last = (given > 0).then(|| t.narrow(1, ops, given));
            let parts: Vec<Tensor> = ones.into_iter().chain(last).collect::<candle_core::Result<_>>()?;
            Tensor::cat(&parts, 1)?.flatten_all()
        });
        let flat: Vec<Tensor> = candidates.chain(of_edges).collect::<candle_core::Result<_>>()?;
        Ok(Tensor::cat(&flat, 0)?)
    }
}

impl Learns for Supernet {
    fn network(&self) -> &Network {
        &self.network
    }

    fn learn<T>(
        &self,
        x: &Tensor,
        mixing: &[Tensor],
        drops: Drops,
        loss: impl FnOnce(Logits) -> Result<(Tensor, T)>,
    ) -> Result<(Gradients, T)> {
        self.check_pass((x.dtype(), x.dims()), mixing, drops)?;
        self.network.learn(self.graph_of(mixing), x, Some(&self.flat(mixing)?.detach()), drops, false, loss)
    }
}

/// Mixing weights that the host reads, for a GPU's engine: they come over as they are, not by kernels that put them one after the other.
fn on_host(mixing: &[Tensor]) -> Result<Vec<Tensor>> {
    Ok(mixing.iter().map(|t| t.to_device(&Device::Cpu)).collect::<candle_core::Result<_>>()?)
}

fn mask_mixing(space: &SearchSpace, mask: &Mask, device: &Device) -> Result<Vec<Tensor>> {
    let weight = |c: Candidate| {
        if mask.is_alive(c) { 1. / space.n_ops_of(c.cell_type, c.edge) as f32 } else { 0. }
    };
    let (edges, ops) = (space.n_edges(), space.ops().len());
    let table = |cell_type: usize| {
        let places = (0..edges).flat_map(|edge| (0..ops).map(move |op| Candidate { cell_type, edge, op }));
        Ok(Tensor::from_vec(places.map(weight).collect(), (edges, ops), device)?)
    };
    (0..space.cell_types().len()).map(table).collect()
}

/// Mean of several batches' scores: sums added, divided by the images of all.
pub fn mean_scores(batches: &[ScoreSums]) -> Result<Iim> {
    let images: usize = batches.iter().map(|b| b.images).sum();
    let Some(first) = batches.first().filter(|_| images > 0) else {
        return Err(Error::invalid("IIM measurement", "no images", "at least one"));
    };
    let mut score = first.sum.clone();
    for (cell_type, edges) in score.0.iter_mut().enumerate() {
        for (edge, ops) in edges.iter_mut().enumerate() {
            for (op, value) in ops.iter_mut().enumerate() {
                let sum: f64 = batches.iter().map(|b| b.sum.get(Candidate { cell_type, edge, op })).sum();
                *value = sum / images as f64;
            }
        }
    }
    Ok(Iim { score })
}
