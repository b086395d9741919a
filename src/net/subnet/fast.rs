//! The CPU engine behind candle's graph: one custom op to the logits and to what the auxiliary head reads.
//!
//! As in [`crate::net::fast`], its backward leaves the gradients of the weights in a slot.

use super::graph::Graph;
use super::{DropPath, lower::lower};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::net::engine::{Engine, Forward, Input};
use crate::net::fast::{add, lock, with_slices, with_values};
use crate::net::{Mode, Params};
use crate::ops::buffer::Pool;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, Var};
use std::sync::{Arc, Mutex};

/// The engine of one network, its memory, and the gradients it left.
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

#[derive(PartialEq)]
struct Key {
    shape: Vec<usize>,
    auxiliary: bool,
}

impl Fast {
    /// Logits `[b, classes]`; with `auxiliary`, the pooled image that the auxiliary head goes on from, `[b, c, h, w]`.
    pub fn forward(
        self: &Arc<Self>,
        (graph, params): (&Arc<Graph>, &Arc<Params>),
        x: &Tensor,
        mode: Mode,
        drop: Option<&DropPath>,
        auxiliary: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let b = x.dim(0)?;
        let running = Arc::default();
        let pass = Pass {
            fast: self.clone(),
            graph: graph.clone(),
            params: params.clone(),
            x: x.contiguous()?,
            mode,
            auxiliary,
            scales: scales(graph.drop_paths, b, drop.filter(|_| mode == Mode::Train)),
            number: Mutex::new(0),
            running: Arc::clone(&running),
        };
        // Only what depends on a variable is visited by backward, and the weights' gradients wait there.
        let ticket = Tensor::zeros(1, DType::F32, &Device::Cpu)?;
        let ticket = if mode == Mode::Train { Var::from_tensor(&ticket)?.into_inner() } else { ticket };
        let out = ticket.apply_op1(pass).map_err(interrupt::or)?;
        for (position, values) in lock(&running)?.iter() {
            let var = &params.at(*position).var;
            var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
        }
        let classes = graph.steps[graph.logits].channels;
        let logits = out.narrow(0, 0, b * classes)?.reshape((b, classes))?;
        let rest = out.elem_count() - b * classes;
        if rest == 0 {
            return Ok((logits, None));
        }
        let (value, window) = super::lower::tap_of(graph, graph.auxiliary.unwrap_or_default())?;
        let (h, w) = graph.sizes(x.dim(2)?, x.dim(3)?)[value];
        let image = (b, window.outputs(h), window.outputs(w), graph.steps[value].channels);
        let pooled = out.narrow(0, b * classes, rest)?.reshape(image)?.permute((0, 3, 1, 2))?.contiguous()?;
        Ok((logits, Some(pooled)))
    }

    /// Gradients that backward passes left since the last call, by position in [`Params`].
    pub fn take_gradients(&self) -> Result<Vec<Option<Vec<f32>>>> {
        Ok(std::mem::take(&mut lock(&self.state)?.gradients))
    }
}

/// `[drop path][image]`: 0 or 1 / keep; 1 where nothing is dropped.
fn scales(n: usize, batch: usize, drop: Option<&DropPath>) -> Vec<f32> {
    match drop {
        None => vec![1.0; n * batch],
        Some(drop) => drop.masks.iter().flatten().map(|m| (f64::from(*m) / drop.keep) as f32).collect(),
    }
}

/// One forward pass in candle's graph.
struct Pass {
    fast: Arc<Fast>,
    graph: Arc<Graph>,
    params: Arc<Params>,
    x: Tensor,
    mode: Mode,
    auxiliary: bool,
    scales: Vec<f32>,
    number: Mutex<u64>,
    /// Running statistics that the pass moved, for [`Fast::forward`] to write.
    running: Arc<Mutex<Vec<(usize, Vec<f32>)>>>,
}

impl CustomOp1 for Pass {
    fn name(&self) -> &'static str {
        "evaluation network"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let out = self.run().map_err(candle_core::Error::wrap)?;
        *lock(&self.running).map_err(candle_core::Error::wrap)? = out.running;
        let all = [out.logits, out.tapped].concat();
        let shape = Shape::from(all.len());
        Ok((CpuStorage::F32(all), shape))
    }

    fn bwd(&self, ticket: &Tensor, out: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        self.backward(out, gradient).map_err(candle_core::Error::wrap)?;
        Ok(Some(ticket.zeros_like()?))
    }
}

impl Pass {
    fn run(&self) -> Result<Forward> {
        let mut state = lock(&self.fast.state)?;
        let key = Key { shape: self.x.dims().to_vec(), auxiliary: self.auxiliary };
        if state.engine.as_ref().is_none_or(|(k, _)| *k != key) {
            let pool = state.engine.take().map_or_else(Pool::default, |(_, engine)| engine.into_pool());
            let (batch, _, h, w) = self.x.dims4()?;
            let program = lower(&self.graph, (h, w), self.auxiliary)?;
            state.engine = Some((key, Engine::new(program, batch, false, false, pool)?));
        }
        state.pass += 1;
        *lock(&self.number)? = state.pass;
        let Some((_, engine)) = &mut state.engine else { unreachable!("made above") };
        with_slices(&[&self.x], |x| {
            with_values(&self.params, |values| {
                let input = Input { x: x[0], batch: engine.batch(), mix: &[], scales: &self.scales, mode: self.mode };
                engine.forward(values, input, false)
            })
        })
    }

    fn backward(&self, out: &Tensor, gradient: &Tensor) -> Result<()> {
        let number = *lock(&self.number)?;
        if number != lock(&self.fast.state)?.pass {
            // Another pass used the engine since: run this one again. The same weights give the same bits.
            let again = self.run()?;
            let first = out.to_vec1::<f32>()?;
            let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
            if !again.logits.iter().chain(&again.tapped).zip(&first).all(same) {
                return Err(Error::invalid(
                    "backward",
                    "weights that changed since the forward pass",
                    "the same weights",
                ));
            }
        }
        let gradient = gradient.to_vec1::<f32>()?;
        let mut state = lock(&self.fast.state)?;
        let State { engine: Some((_, engine)), gradients, .. } = &mut *state else {
            return Err(Error::invalid("backward", "no forward pass", "a forward pass before it"));
        };
        let back = with_values(&self.params, |values| engine.backward(values, &gradient, false))?;
        if gradients.is_empty() {
            *gradients = back.params;
        } else {
            add(gradients, back.params);
        }
        Ok(())
    }
}
