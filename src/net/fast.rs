//! The CPU engine behind candle's graph: one custom op from the mixing weights to the logits and to what the auxiliary head
//! reads.
//!
//! The backward pass of that op returns the gradient of the mixing weights, so that any loss made of logits in tensor algebra
//! reaches them. A custom op returns one gradient and no more: those of the weights wait in a slot ([`Fast::take_gradients`]).

use super::engine::{Engine, Forward, Input};
use super::graph::Graph;
use super::lower::{lower, tap_of};
use super::slot::{Slot, check_again, lock, with_slices, with_values, write_running};
use super::{DropPath, Mode, Params, pass};
use crate::error::Result;
use crate::interrupt;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, Var};
use std::sync::{Arc, Mutex};

/// What the engine runs.
#[derive(Clone)]
pub struct Runnable {
    /// The network.
    pub graph: Arc<Graph>,
    /// Weights and buffers.
    pub params: Arc<Params>,
    /// Direct convolutions only.
    pub strict: bool,
}

/// The engine of one network, its memory, and the gradients it left.
#[derive(Default)]
pub struct Fast {
    slot: Mutex<Slot<Key>>,
}

struct Key {
    graph: Arc<Graph>,
    shape: Vec<usize>,
    /// Whether nodes are computed that the logits do not depend on.
    all: bool,
    auxiliary: bool,
    scaled: bool,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let rest = |key: &Key| (key.all, key.auxiliary, key.scaled);
        Arc::ptr_eq(&self.graph, &other.graph) && self.shape == other.shape && rest(self) == rest(other)
    }
}

impl Fast {
    /// Logits `[b, classes]`, differentiable in the mixing weights `mix: [n_mix]`; with `auxiliary`, the pooled image that the
    /// auxiliary head goes on from, `[b, c, h, w]`.
    pub fn forward(
        self: &Arc<Self>,
        net: &Runnable,
        x: &Tensor,
        mix: &Tensor,
        how: pass::Pass,
        drop: Option<&DropPath>,
        auxiliary: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let want_mix = mix.track_op();
        let mix = match want_mix {
            true => mix.clone(),
            // Candle's backward pass visits only what depends on a variable. Here it has to call `bwd`, which makes the
            // gradients of the weights and leaves them in the slot; so the constants become a variable.
            false if net.graph.n_mix > 0 => Var::from_tensor(mix)?.into_inner(),
            false => Var::zeros(1, DType::F32, &Device::Cpu)?.into_inner(),
        };
        let running = Arc::default();
        let pass = NetworkOp {
            fast: self.clone(),
            net: net.clone(),
            x: x.contiguous()?,
            how,
            scales: drop.map(DropPath::all_factors),
            auxiliary,
            want_mix,
            number: Mutex::new(0),
            running: Arc::clone(&running),
        };
        let out = mix.apply_op1(pass).map_err(interrupt::or)?;
        write_running(&net.params, &lock(&running)?)?;
        let (b, _, h, w) = x.dims4()?;
        let classes = net.graph.steps[net.graph.logits.0].channels;
        let logits = out.narrow(0, 0, b * classes)?.reshape((b, classes))?;
        let rest = out.elem_count() - b * classes;
        let Some(head) = net.graph.auxiliary.filter(|_| rest > 0) else { return Ok((logits, None)) };
        let (read, window) = tap_of(&net.graph, head)?;
        let (h, w) = net.graph.sizes(h, w)[read.0];
        let image = (b, window.outputs(h), window.outputs(w), net.graph.steps[read.0].channels);
        let pooled = out.narrow(0, b * classes, rest)?.reshape(image)?.permute((0, 3, 1, 2))?.contiguous()?;
        Ok((logits, Some(pooled)))
    }

    /// Gradients that backward passes left since the last call, by position in [`Params`].
    pub fn take_gradients(&self) -> Result<Vec<Option<Vec<f32>>>> {
        Ok(lock(&self.slot)?.take_gradients())
    }

    /// Sums over the images of a batch, and over the cells of a type, of each live candidate's score, by mixing index.
    pub fn score(&self, net: &Runnable, x: &Tensor, mix: &Tensor) -> Result<Vec<f64>> {
        let (mix, x) = (mix.to_vec1::<f32>()?, x.contiguous()?);
        let mut slot = lock(&self.slot)?;
        Ok(run(&mut slot, net, &x, &mix, Mode::Eval.into(), None, false, true)?.scores)
    }
}

fn run(
    slot: &mut Slot<Key>,
    net: &Runnable,
    x: &Tensor,
    mix: &[f32],
    how: pass::Pass,
    scales: Option<&[f32]>,
    auxiliary: bool,
    score: bool,
) -> Result<Forward> {
    let (batch, _, h, w) = x.dims4()?;
    let scaled = scales.is_some();
    let key = Key { graph: net.graph.clone(), shape: x.dims().to_vec(), all: score, auxiliary, scaled };
    let make = |pool| {
        let program = lower(&net.graph, (h, w), auxiliary, scaled)?;
        Engine::new(program, batch, net.strict, score, pool)
    };
    slot.forward(key, make, |engine| {
        with_slices(&[x], |x| {
            let scales = scales.unwrap_or_default();
            let input = Input { x: x[0], mix, scales, mode: how.mode, paths: how.paths };
            with_values(&net.params, |values| engine.forward(values, input, score))
        })
    })
}

/// One forward pass in candle's graph.
struct NetworkOp {
    fast: Arc<Fast>,
    net: Runnable,
    x: Tensor,
    how: pass::Pass,
    /// The factors of drop path, if any.
    scales: Option<Vec<f32>>,
    auxiliary: bool,
    want_mix: bool,
    number: Mutex<u64>,
    /// Running statistics that the pass moved, for [`Fast::forward`] to write.
    running: Arc<Mutex<Vec<(usize, Vec<f32>)>>>,
}

impl CustomOp1 for NetworkOp {
    fn name(&self) -> &'static str {
        "network"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mix = &storage.as_slice::<f32>()?[layout.start_offset()..][..self.net.graph.n_mix];
        let out = self.run(mix).map_err(candle_core::Error::wrap)?;
        *lock(&self.running).map_err(candle_core::Error::wrap)? = out.running;
        let all = [out.logits, out.tapped].concat();
        let shape = Shape::from(all.len());
        Ok((CpuStorage::F32(all), shape))
    }

    fn bwd(&self, mix: &Tensor, out: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let dmix = self.backward(mix, out, gradient).map_err(candle_core::Error::wrap)?;
        Ok(Some(match self.want_mix {
            true => Tensor::from_vec(dmix, mix.shape(), mix.device())?,
            false => mix.zeros_like()?,
        }))
    }
}

impl NetworkOp {
    fn run(&self, mix: &[f32]) -> Result<Forward> {
        let mut slot = lock(&self.fast.slot)?;
        let scales = self.scales.as_deref();
        let out = run(&mut slot, &self.net, &self.x, mix, self.how, scales, self.auxiliary, false)?;
        *lock(&self.number)? = slot.pass();
        Ok(out)
    }

    fn backward(&self, mix: &Tensor, out: &Tensor, gradient: &Tensor) -> Result<Vec<f32>> {
        if *lock(&self.number)? != lock(&self.fast.slot)?.pass() {
            // Another pass used the engine since: run this one again.
            let again = self.run(&mix.to_vec1::<f32>()?[..self.net.graph.n_mix])?;
            check_again(again.logits.iter().chain(&again.tapped), &out.to_vec1::<f32>()?)?;
        }
        let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
        lock(&self.fast.slot)?.backward(&self.net.params, &gradient, self.want_mix)
    }
}
