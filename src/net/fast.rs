//! The CPU engine behind candle's graph: one custom op from mixing weights to logits.
//!
//! Its backward leaves the gradients of the weights in a slot ([`Fast::take_gradients`]) and returns that of the mixing
//! weights, so any loss made of logits in tensor algebra reaches both.

use super::engine::{Engine, Forward, Input};
use super::lower::lower;
use super::{Mode, Params, SupernetConfig};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ops::buffer::Pool;
use crate::space::{Mask, SearchSpace};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Storage, Tensor, Var};
use std::sync::{Arc, Mutex, MutexGuard};

/// Everything a pass depends on besides its input.
#[derive(Clone)]
pub struct Network {
    /// The space.
    pub space: SearchSpace,
    /// The size.
    pub config: SupernetConfig,
    /// Weights and buffers.
    pub params: Arc<Params>,
    /// The candidates alive.
    pub mask: Arc<Mask>,
}

/// The engine of one supernet, its memory, and the gradients it left.
#[derive(Default)]
pub struct Fast {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    engine: Option<(Key, Engine)>,
    /// Counts forward passes: tells whether the engine still holds the one that a backward pass wants.
    pass: u64,
    gradients: Vec<Option<Vec<f32>>>,
}

#[derive(Clone, PartialEq)]
struct Key {
    mask: Arc<Mask>,
    shape: Vec<usize>,
    all: bool,
}

impl Fast {
    /// Logits `[b, classes]`, differentiable in `mixing`.
    pub fn forward(self: &Arc<Self>, net: &Network, x: &Tensor, mixing: &[Tensor], mode: Mode) -> Result<Tensor> {
        let flat: Vec<Tensor> = mixing.iter().map(Tensor::flatten_all).collect::<candle_core::Result<_>>()?;
        let mut mix = Tensor::cat(&flat, 0)?;
        let want_mix = mix.track_op();
        if !want_mix {
            // Only what depends on a variable is visited by backward, and the weights' gradients wait there.
            mix = Var::from_tensor(&mix)?.into_inner();
        }
        let running = Arc::default();
        let pass = Pass {
            fast: self.clone(),
            net: net.clone(),
            x: x.contiguous()?,
            mode,
            want_mix,
            number: Mutex::new(0),
            running: Arc::clone(&running),
        };
        let logits = mix.apply_op1(pass).map_err(interrupt::or)?;
        let running = lock(&running)?;
        for (position, values) in running.iter() {
            let var = &net.params.at(*position).var;
            var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
        }
        Ok(logits)
    }

    /// Gradients that backward passes left since the last call, by position in [`Params`].
    pub fn take_gradients(&self) -> Result<Vec<Option<Vec<f32>>>> {
        Ok(std::mem::take(&mut lock(&self.state)?.gradients))
    }

    /// Sums over the images of a batch, and over the cells of a type, of each live candidate's score, by mixing index.
    pub fn score(&self, net: &Network, x: &Tensor, mixing: &[Tensor]) -> Result<Vec<f64>> {
        let mix = mixing.iter().map(|m| Ok(m.flatten_all()?.to_vec1::<f32>()?)).collect::<Result<Vec<_>>>()?.concat();
        let x = x.contiguous()?;
        Ok(lock(&self.state)?.run(net, &x, &mix, Mode::Eval, true)?.scores)
    }
}

impl State {
    fn run(&mut self, net: &Network, x: &Tensor, mix: &[f32], mode: Mode, score: bool) -> Result<Forward> {
        let key = Key { mask: net.mask.clone(), shape: x.dims().to_vec(), all: score };
        if self.engine.as_ref().is_none_or(|(k, _)| *k != key) {
            let pool = self.engine.take().map_or_else(Pool::default, |(_, engine)| engine.into_pool());
            let (batch, _, h, w) = x.dims4()?;
            let program = lower(&net.space, &net.config, &net.mask, &net.params, (h, w))?;
            self.engine = Some((key, Engine::new(program, batch, net.config.strict, score, pool)?));
        }
        self.pass += 1;
        let Some((_, engine)) = &mut self.engine else { unreachable!("made above") };
        with_slices(&[x], |x| {
            with_values(&net.params, |values| {
                engine.forward(values, Input { x: x[0], batch: engine.batch(), mix, scales: &[], mode }, score)
            })
        })
    }
}

/// One forward pass in candle's graph.
struct Pass {
    fast: Arc<Fast>,
    net: Network,
    x: Tensor,
    mode: Mode,
    want_mix: bool,
    number: Mutex<u64>,
    /// Running statistics that the pass moved, for [`Fast::forward`] to write.
    running: Arc<Mutex<Vec<(usize, Vec<f32>)>>>,
}

impl CustomOp1 for Pass {
    fn name(&self) -> &'static str {
        "supernet"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let mix = &storage.as_slice::<f32>()?[layout.start_offset()..][..layout.shape().elem_count()];
        let out = self.run(mix).map_err(candle_core::Error::wrap)?;
        *lock(&self.running).map_err(candle_core::Error::wrap)? = out.running;
        Ok((CpuStorage::F32(out.logits), Shape::from((self.x.dim(0)?, self.net.config.classes))))
    }

    fn bwd(&self, mix: &Tensor, logits: &Tensor, dlogits: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let gradient = self.backward(mix, logits, dlogits).map_err(candle_core::Error::wrap)?;
        Ok(Some(Tensor::from_vec(gradient, mix.shape(), mix.device())?))
    }
}

impl Pass {
    fn run(&self, mix: &[f32]) -> Result<Forward> {
        let mut state = lock(&self.fast.state)?;
        let out = state.run(&self.net, &self.x, mix, self.mode, false)?;
        *lock(&self.number)? = state.pass;
        Ok(out)
    }

    fn backward(&self, mix: &Tensor, logits: &Tensor, dlogits: &Tensor) -> Result<Vec<f32>> {
        if *lock(&self.number)? != lock(&self.fast.state)?.pass {
            // Another pass used the engine since: run this one again. The same weights give the same bits.
            let again = self.run(&mix.to_vec1::<f32>()?)?;
            let first = logits.flatten_all()?.to_vec1::<f32>()?;
            if again.logits.iter().zip(&first).any(|(a, b)| a.to_bits() != b.to_bits()) {
                return Err(Error::invalid(
                    "backward",
                    "weights that changed since the forward pass",
                    "the same weights",
                ));
            }
        }
        let dlogits = dlogits.flatten_all()?.to_vec1::<f32>()?;
        let mut state = lock(&self.fast.state)?;
        let State { engine: Some((_, engine)), gradients, .. } = &mut *state else {
            return Err(Error::invalid("backward", "no forward pass", "a forward pass before it"));
        };
        let back = with_values(&self.net.params, |values| engine.backward(values, &dlogits, self.want_mix))?;
        if gradients.is_empty() {
            *gradients = back.params;
        } else {
            add(gradients, back.params);
        }
        Ok(back.mix)
    }
}

pub(super) fn add(to: &mut [Option<Vec<f32>>], from: Vec<Option<Vec<f32>>>) {
    for (to, from) in to.iter_mut().zip(from) {
        match (to.as_mut(), from) {
            (Some(to), Some(from)) => to.iter_mut().zip(from).for_each(|(t, f)| *t += f),
            (None, from) => *to = from,
            (_, None) => {}
        }
    }
}

/// The values of all parameters, for as long as `f` runs.
pub(super) fn with_values<R>(params: &Params, f: impl FnOnce(&[&[f32]]) -> Result<R>) -> Result<R> {
    let tensors: Vec<&Tensor> = params.iter().map(|p| p.var.as_tensor()).collect();
    with_slices(&tensors, f)
}

pub(super) fn with_slices<R>(tensors: &[&Tensor], f: impl FnOnce(&[&[f32]]) -> Result<R>) -> Result<R> {
    let guards: Vec<_> = tensors.iter().map(|t| t.storage_and_layout()).collect();
    let slices: Vec<&[f32]> = guards.iter().map(|(s, l)| slice_of(s, l)).collect::<Result<_>>()?;
    f(&slices)
}

fn slice_of<'a>(storage: &'a Storage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (Storage::Cpu(storage), Some((start, end))) => Ok(&storage.as_slice::<f32>()?[start..end]),
        _ => Err(Error::invalid("tensor of the CPU engine", "another device or strides", "contiguous, on the CPU")),
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| Error::invalid("supernet", "a pass that panicked", "a fresh supernet"))
}
