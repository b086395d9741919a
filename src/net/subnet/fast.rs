//! The CPU engine behind candle's graph: one custom op to the logits and to what the auxiliary head reads.
//!
//! As in [`crate::net::fast`], its backward leaves the gradients of the weights in a slot.

use super::graph::Graph;
use super::{DropPath, lower::lower};
use crate::error::Result;
use crate::interrupt;
use crate::net::engine::{Engine, Forward, Input};
use crate::net::slot::{Slot, check_again, lock, with_slices, with_values, write_running};
use crate::net::{Mode, Params, Paths};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, Var};
use std::sync::{Arc, Mutex};

/// The engine of one network, its memory, and the gradients it left.
#[derive(Default)]
pub struct Fast {
    slot: Mutex<Slot<Key>>,
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
        write_running(params, &lock(&running)?)?;
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
        Ok(lock(&self.slot)?.take_gradients())
    }
}

/// `[drop path][image]`: 0 or 1 / keep; 1 where nothing is dropped.
fn scales(n: usize, batch: usize, drop: Option<&DropPath>) -> Vec<f32> {
    match drop {
        None => vec![1.0; n * batch],
        Some(drop) => drop.all_factors(),
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
        let (batch, _, h, w) = self.x.dims4()?;
        let key = Key { shape: self.x.dims().to_vec(), auxiliary: self.auxiliary };
        let make = |pool| Engine::new(lower(&self.graph, (h, w), self.auxiliary)?, batch, false, false, pool);
        let mut slot = lock(&self.fast.slot)?;
        let out = slot.forward(key, make, |engine| {
            with_slices(&[&self.x], |x| {
                let input = Input { x: x[0], mix: &[], scales: &self.scales, mode: self.mode, paths: Paths::All };
                with_values(&self.params, |values| engine.forward(values, input, false))
            })
        })?;
        *lock(&self.number)? = slot.pass();
        Ok(out)
    }

    fn backward(&self, out: &Tensor, gradient: &Tensor) -> Result<()> {
        if *lock(&self.number)? != lock(&self.fast.slot)?.pass() {
            // Another pass used the engine since: run this one again.
            let again = self.run()?;
            check_again(again.logits.iter().chain(&again.tapped), &out.to_vec1::<f32>()?)?;
        }
        lock(&self.fast.slot)?.backward(&self.params, &gradient.to_vec1::<f32>()?, false)?;
        Ok(())
    }
}
