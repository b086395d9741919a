//! The supernet: every candidate of every edge, mixed.

use super::definition::Definition;
use super::fast::{Fast, Network};
use super::{DropPath, Gradients, Param, Params, layers, lower, size};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ops::iim;
use crate::space::{Candidate, Genotype, Iim, Mask, PerCandidate, Primitive, SearchSpace, Topology};
use candle_core::{DType, Device, Tensor};
use std::cell::Cell;
use std::sync::Arc;

/// Size of a supernet, and what its authors have otherwise. What a checkpoint of an earlier version does not say is the default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct SupernetConfig {
    /// Channels of the first stage, C.
    pub channels: usize,
    /// Cells a stage, N (NAS-Bench-201: 3 N + 2 blocks; DARTS: N = 2 gives the usual 8 cells).
    pub cells: usize,
    /// Classes.
    pub classes: usize,
    /// Seed of the initial weights.
    pub seed: u64,
    /// Direct convolutions only (no Winograd).
    pub strict: bool,
    /// Batch norm without affine part behind the pools of candidates, as in quark0/darts; the authors of IS-DARTS have none.
    pub pool_norm: bool,
    /// Batch norm and ReLU before the head, as the authors of IS-DARTS have; quark0/darts has neither.
    pub head_norm: bool,
}

impl Default for SupernetConfig {
    fn default() -> Self {
        SupernetConfig {
            channels: 16,
            cells: 5,
            classes: 10,
            seed: 0,
            strict: false,
            pool_norm: false,
            head_norm: true,
        }
    }
}

/// Which statistics the affine batch norms (stem, reductions, head) use; those of candidates always use the batch's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Batch statistics, and the running ones move.
    Train,
    /// Batch statistics; the running ones stay as they are.
    Batch,
    /// Running statistics.
    Eval,
}

/// Which candidates of a mix are computed.
///
/// A candidate whose mixing weight is exactly 0 changes nothing, and its weights get no gradient: all that it is computed for
/// is the gradient of the mixing weight. So where nothing asks for that, of a constant mix, it never is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paths {
    /// Every live one, if gradients flow to the mix.
    #[default]
    All,
    /// Those whose mixing weight is not 0; the gradient of a weight of 0 is 0.
    Drawn,
    /// The same, and each of the other live ones stands as its bare mixing weight, one number, in the sum of the node, as in
    /// GDAS' code: the gradient of that weight is what arrives at the node, summed over images, channels and pixels.
    DrawnWithGhosts,
}

/// How a forward pass is made; a [`Mode`] alone will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Statistics of the affine norms.
    pub mode: Mode,
    /// Which candidates are computed.
    pub paths: Paths,
}

impl From<Mode> for Pass {
    fn from(mode: Mode) -> Self {
        Pass { mode, paths: Paths::All }
    }
}

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
    network: Network,
    device: Device,
    mask_mixing: Vec<Tensor>,
    /// The CPU engine; without it, every pass is the [`Definition`].
    fast: Option<Arc<Fast>>,
    /// What the definition computes in.
    dtype: DType,
}

impl Supernet {
    /// Fresh weights, every candidate alive. An error for sizes of 0, and for those that the memory does not hold.
    pub fn new(space: SearchSpace, config: SupernetConfig, device: &Device) -> Result<Self> {
        let mut net = Self::new_reference(space, config, device)?;
        net.dtype = DType::F32;
        if device.is_cpu() && lower::supports(net.space()) {
            net.fast = Some(Arc::default());
        }
        Ok(net)
    }

    /// As [`Supernet::new`], but every pass is the readable [`Definition`] in candle tensor algebra, in f64: the oracle.
    pub fn new_reference(space: SearchSpace, config: SupernetConfig, device: &Device) -> Result<Self> {
        size::check_supernet(&space, &config)?;
        let params = Arc::new(Params::init(&space, &config, device)?);
        let mask = Arc::new(space.full_mask());
        let mask_mixing = mask_mixing(&space, &mask, device)?;
        let network = Network { space, config, params, mask };
        Ok(Supernet { network, device: device.clone(), mask_mixing, fast: None, dtype: DType::F64 })
    }

    /// The space.
    pub fn space(&self) -> &SearchSpace {
        &self.network.space
    }

    /// The size.
    pub fn config(&self) -> &SupernetConfig {
        &self.network.config
    }

    /// Where it lives.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Weights and buffers.
    pub fn params(&self) -> &Params {
        &self.network.params
    }

    /// Which candidates are alive.
    pub fn mask(&self) -> &Mask {
        &self.network.mask
    }

    /// Pixels of the smallest image on its way, of images of `h x w`: it reduces twice.
    pub fn least_pixels(&self, h: usize, w: usize) -> usize {
        h.div_ceil(4) * w.div_ceil(4)
    }

    /// Replace the mask (same shape).
    pub fn set_mask(&mut self, mask: Mask) -> Result<()> {
        let shape = |m: &Mask| -> Vec<Vec<usize>> {
            m.table().0.iter().map(|edges| edges.iter().map(Vec::len).collect()).collect()
        };
        let (got, expected) = (shape(&mask), shape(&self.space().full_mask()));
        if got != expected {
            return Err(Error::invalid(
                "mask, ops per edge and cell type",
                format!("{got:?}"),
                format!("{expected:?}"),
            ));
        }
        mask.check_shape(self.space())?;
        self.mask_mixing = mask_mixing(self.space(), &mask, &self.device)?;
        self.network.mask = Arc::new(mask);
        Ok(())
    }

    /// Drop one candidate: it is no longer computed.
    pub fn drop(&mut self, candidate: Candidate) -> Result<()> {
        self.space().check(candidate)?;
        let mut mask = self.mask().clone();
        mask.drop(candidate)?;
        self.set_mask(mask)
    }

    /// `mask / |O|`, one `[edges, ops]` tensor per cell type; `|O|` is the number of ops in the list of the edge.
    pub fn mask_mixing(&self) -> Result<Vec<Tensor>> {
        Ok(self.mask_mixing.clone())
    }

    /// Logits `[b, classes]` of `x: [b, 3, h, w]` (f32, NCHW), differentiable in `mixing` (one `[edges, ops]` tensor per
    /// cell type; entries of dead candidates are not read). Gradients of the weights come out of [`Supernet::backward`].
    pub fn forward(&self, x: &Tensor, mixing: &[Tensor], pass: impl Into<Pass>) -> Result<Tensor> {
        self.forward_dropped(x, mixing, pass, None)
    }

    /// [`Supernet::forward`] with drop path: of each image, in each block, the sum over the candidates of an edge times a factor.
    pub fn forward_dropped(
        &self,
        x: &Tensor,
        mixing: &[Tensor],
        pass: impl Into<Pass>,
        drop: Option<&DropPath>,
    ) -> Result<Tensor> {
        self.check_input(x, mixing)?;
        let mut pass = pass.into();
        drop.map_or(Ok(()), |drop| drop.check(self.drop_paths(), x.dim(0)?))?;
        if drop.is_some() && pass.paths == Paths::DrawnWithGhosts {
            return Err(Error::invalid("drop path", "ghosts beside it", "one of them: nobody has both"));
        }
        if !mixing.iter().any(Tensor::track_op) {
            pass.paths = Paths::Drawn;
        }
        match &self.fast {
            Some(fast) => fast.forward(&self.network, x, mixing, pass, drop),
            None => Ok(self.definition(pass, drop, true).forward(x, mixing, None)?.to_dtype(DType::F32)?),
        }
    }

    /// Number of drop paths: an edge of a block each, block by block (blocks without edges are counted, too).
    pub fn drop_paths(&self) -> usize {
        layers::blocks(self.space(), self.config()).len() * self.space().n_edges()
    }

    /// Backward from a scalar made of logits of this supernet.
    pub fn backward(&self, loss: &Tensor) -> Result<Gradients> {
        let Some(fast) = &self.fast else {
            let mut graph = loss.backward().map_err(interrupt::or)?;
            let params = self.params().iter().map(|p| graph.remove(p.var.as_tensor())).collect();
            return Ok(Gradients { params, graph });
        };
        fast.take_gradients()?;
        let graph = loss.backward().map_err(interrupt::or)?;
        let mut left = fast.take_gradients()?.into_iter();
        let tensor = |p: &Param| {
            let gradient = left.next().flatten();
            gradient.map(|g| Tensor::from_vec(g, p.var.shape(), &self.device)).transpose()
        };
        let params = self.params().iter().map(tensor).collect::<candle_core::Result<_>>()?;
        Ok(Gradients { params, graph })
    }

    /// Measure the IIM scores of all live candidates on one batch, in eval mode.
    pub fn score(&self, x: &Tensor, mixing: &[Tensor]) -> Result<ScoreSums> {
        self.check_input(x, mixing)?;
        let mut sum = PerCandidate::filled(self.space(), f64::NAN);
        for candidate in self.mask().alive() {
            *sum.get_mut(candidate) = 0.;
        }
        let blocks = layers::blocks(self.space(), self.config());
        let cells = |cell_type| blocks.iter().filter(|b| b.cell_type() == Some(cell_type)).count() as f64;
        if let Some(fast) = &self.fast {
            let scores = fast.score(&self.network, x, mixing)?;
            let ops = self.space().ops().len();
            let edges = self.space().n_edges();
            for candidate in self.space().candidates() {
                let score = scores[(candidate.cell_type * edges + candidate.edge) * ops + candidate.op];
                let none = self.space().ops()[candidate.op] == Primitive::None;
                *sum.get_mut(candidate) += if none { f64::INFINITY } else { score / cells(candidate.cell_type) };
            }
            return Ok(ScoreSums { sum, images: x.dim(0)? });
        }
        let mut probe = |_: usize, candidate: Candidate, output: Option<&Tensor>| {
            let score = output.map_or(Ok(f64::INFINITY), iim::tensor::score_sum)?;
            *sum.get_mut(candidate) += score / cells(candidate.cell_type);
            Ok(())
        };
        let detached: Vec<Tensor> = mixing.iter().map(Tensor::detach).collect();
        self.definition(Mode::Eval.into(), None, false).forward(&x.detach(), &detached, Some(&mut probe))?;
        Ok(ScoreSums { sum, images: x.dim(0)? })
    }

    /// The genotype that the mask leaves; an error while more is alive.
    pub fn genotype(&self) -> Result<Genotype> {
        Genotype::from_mask(self.space(), self.mask())
    }

    fn definition<'a>(&'a self, pass: Pass, drop: Option<&'a DropPath>, track: bool) -> Definition<'a> {
        let (Network { space, config, params, mask }, Pass { mode, paths }) = (&self.network, pass);
        Definition { space, config, params, mask, mode, paths, drop, track, dtype: self.dtype, draws: Cell::new(0) }
    }

    /// Shapes that the network cannot take are errors in words, before any work.
    fn check_input(&self, x: &Tensor, mixing: &[Tensor]) -> Result<()> {
        let image = "f32 images [b, 3, h, w], b, h, w >= 1";
        match x.dims() {
            [b, 3, h, w] if b * h * w > 0 && x.dtype() == DType::F32 => {
                // Its two reductions halve by convolution (rounding up) and by 2x2 average (down): both must agree.
                if self.space().topology() == Topology::NasBench201 && (h % 4, w % 4) != (0, 0) {
                    let expected = format!("a height and a width divisible by 4 ({})", self.space().name());
                    return Err(Error::invalid("supernet input, image size", format!("{h} x {w}"), expected));
                }
            }
            _ => return Err(Error::invalid("supernet input", format!("{:?} {:?}", x.dtype(), x.dims()), image)),
        }
        let expected = vec![vec![self.space().n_edges(), self.space().ops().len()]; self.space().cell_types().len()];
        let got: Vec<Vec<usize>> = mixing.iter().map(|t| t.dims().to_vec()).collect();
        if got != expected || mixing.iter().any(|t| t.dtype() != DType::F32) {
            let expected = format!("f32 tensors {expected:?}: [edges, ops] per cell type");
            return Err(Error::invalid("mixing weights", format!("{got:?}"), expected));
        }
        Ok(())
    }
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
