//! The CPU engine behind candle's graph: one custom op from mixing weights to logits.
//!
//! Its backward leaves the gradients of the weights in a slot ([`Fast::take_gradients`]) and returns that of the mixing
//! weights, so any loss made of logits in tensor algebra reaches both.

use super::engine::{Engine, Forward, Input};
use super::lower::lower;
use super::slot::{Slot, check_again, lock, with_slices, with_values, write_running};
use super::{DropPath, Mode, Params, SupernetConfig, supernet};
use crate::error::Result;
use crate::interrupt;
use crate::space::{Mask, SearchSpace};
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, Var};
use std::sync::{Arc, Mutex};

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
    slot: Mutex<Slot<Key>>,
}

#[derive(Clone, PartialEq)]
struct Key {
    mask: Arc<Mask>,
    shape: Vec<usize>,
    all: bool,
    drop_path: bool,
}

impl Fast {
    /// Logits `[b, classes]`, differentiable in `mixing`.
    pub fn forward(
        self: &Arc<Self>,
        net: &Network,
        x: &Tensor,
        mixing: &[Tensor],
        how: supernet::Pass,
        drop: Option<&DropPath>,
    ) -> Result<Tensor> {
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
            how,
            scales: drop.map(DropPath::all_factors),
            want_mix,
            number: Mutex::new(0),
            running: Arc::clone(&running),
        };
        let logits = mix.apply_op1(pass).map_err(interrupt::or)?;
        write_running(&net.params, &lock(&running)?)?;
        Ok(logits)
    }

    /// Gradients that backward passes left since the last call, by position in [`Params`].
    pub fn take_gradients(&self) -> Result<Vec<Option<Vec<f32>>>> {
        Ok(lock(&self.slot)?.take_gradients())
    }

    /// Sums over the images of a batch, and over the cells of a type, of each live candidate's score, by mixing index.
    pub fn score(&self, net: &Network, x: &Tensor, mixing: &[Tensor]) -> Result<Vec<f64>> {
        let mix = mixing.iter().map(|m| Ok(m.flatten_all()?.to_vec1::<f32>()?)).collect::<Result<Vec<_>>>()?.concat();
        let x = x.contiguous()?;
        let mut slot = lock(&self.slot)?;
        Ok(run(&mut slot, net, &x, &mix, Mode::Eval.into(), None, true)?.scores)
    }
}

fn run(
    slot: &mut Slot<Key>,
    net: &Network,
    x: &Tensor,
    mix: &[f32],
    how: supernet::Pass,
    scales: Option<&[f32]>,
    score: bool,
) -> Result<Forward> {
    let (batch, _, h, w) = x.dims4()?;
    let drop_path = scales.is_some();
    let key = Key { mask: net.mask.clone(), shape: x.dims().to_vec(), all: score, drop_path };
    let make = |pool| {
        let program = lower(&net.space, &net.config, &net.mask, &net.params, (h, w), drop_path)?;
        Engine::new(program, batch, net.config.strict, score, pool)
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
struct Pass {
    fast: Arc<Fast>,
    net: Network,
    x: Tensor,
    how: supernet::Pass,
    /// Of drop path.
    scales: Option<Vec<f32>>,
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
        let mut slot = lock(&self.fast.slot)?;
        let out = run(&mut slot, &self.net, &self.x, mix, self.how, self.scales.as_deref(), false)?;
        *lock(&self.number)? = slot.pass();
        Ok(out)
    }

    fn backward(&self, mix: &Tensor, logits: &Tensor, dlogits: &Tensor) -> Result<Vec<f32>> {
        if *lock(&self.number)? != lock(&self.fast.slot)?.pass() {
            // Another pass used the engine since: run this one again.
            let again = self.run(&mix.to_vec1::<f32>()?)?;
            check_again(again.logits.iter(), &logits.flatten_all()?.to_vec1::<f32>()?)?;
        }
        let dlogits = dlogits.flatten_all()?.to_vec1::<f32>()?;
        lock(&self.fast.slot)?.backward(&self.net.params, &dlogits, self.want_mix)
    }
}
