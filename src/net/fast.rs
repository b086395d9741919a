//! An engine, on the CPU or on a GPU, behind candle's graph: one custom op from the mixing weights to the logits and to what the auxiliary head
//! reads.
//!
//! The backward pass of that op returns the gradient of the mixing weights, so that any loss made of logits in tensor algebra
//! reaches them. A custom op returns one gradient and no more: those of the weights wait in a slot ([`Fast::take_gradients`]).

use super::engine::{Engine, Forward, Input};
use super::gpu::{self, GpuEngine, Trained};
use super::graph::Graph;
use super::ids::{MixId, ParamId, Table};
use super::look::Look;
use super::lower::{Wanted, lower, tap_of};
use super::slot::{Machine, Slot, check_again, lock, with_slices, write_running};
use super::{DropPath, Dropout, Drops, Mode, Params, Paths, pass, watched};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ops;
use crate::ops::sgd::Step;
use candle_core::backprop::GradStore;
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
pub struct Fast {
    slot: Mutex<Slot<Key>>,
    /// The device whose GPU runs it; on the CPU without.
    gpu: Option<Device>,
}

struct Key {
    graph: Arc<Graph>,
    shape: [usize; 4],
    /// Whether nodes are computed that the logits do not depend on.
    all: bool,
    wanted: Wanted,
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let rest = |key: &Key| (key.all, key.wanted);
        Arc::ptr_eq(&self.graph, &other.graph) && self.shape == other.shape && rest(self) == rest(other)
    }
}

impl Fast {
    /// On this GPU, or on the CPU.
    pub fn new(gpu: Option<Device>) -> Self {
        Fast { slot: Mutex::default(), gpu }
    }

    /// Whether a GPU runs it.
    pub fn is_on_gpu(&self) -> bool {
        self.gpu.is_some()
    }

    /// Logits `[b, classes]`, differentiable in the mixing weights `mix: [n_mix]`; with `auxiliary`, the pooled image that the
    /// auxiliary head goes on from, `[b, c, h, w]`.
    pub fn forward(
        self: &Arc<Self>,
        net: &Runnable,
        x: &Tensor,
        mix: &Tensor,
        how: pass::Pass,
        drops: Drops,
        auxiliary: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let want_mix = mix.track_op();
        let mix = match want_mix {
            true => mix.clone(),
            // Candle's backward pass visits only what depends on a variable. Here it has to call `bwd`, which makes the
            // gradients of the weights and leaves them in the slot; so the constants become a variable.
            false if net.graph.n_mix > 0 => Var::from_tensor(mix)?.into_inner(),
            false => Var::zeros(1, DType::F32, x.device())?.into_inner(),
        };
        let running = Arc::default();
        let pass = NetworkOp {
            fast: self.clone(),
            net: net.clone(),
            x: x.contiguous()?,
            how,
            scales: drops.paths.map(DropPath::all_factors),
            dropout: drops.values,
            auxiliary,
            want_mix,
            number: Mutex::new(0),
            running: Arc::clone(&running),
        };
        let out = mix.apply_op1(pass).map_err(interrupt::or)?;
        write_running(&net.params, &lock(&running)?)?;
        parts(net, x, &out)
    }

    /// The gradients of the weights in a pass of training of the loss that `loss` makes of what [`Fast::forward`]
    /// gives, and the gradients of everything else that the loss is made of; that of the mixing weights is not made.
    pub fn learn(
        &self,
        net: &Runnable,
        x: &Tensor,
        mix: &[f32],
        drops: Drops,
        auxiliary: bool,
        loss: impl FnOnce(Tensor, Option<Tensor>) -> Result<Tensor>,
    ) -> Result<(Table<ParamId, Option<Vec<f32>>>, GradStore)> {
        let how = pass::Pass { mode: Mode::Train, paths: Paths::Drawn };
        let scales = drops.paths.map(DropPath::all_factors);
        let left_out = (scales.as_deref(), drops.values);
        let mut slot = lock(&self.slot)?;
        let out = run((&mut slot, &self.gpu), net, &x.contiguous()?, mix, how, left_out, auxiliary, false)?;
        write_running(&net.params, &out.running)?;
        let n = out.logits.len() + out.tapped.len();
        let all = Var::from_vec([out.logits, out.tapped].concat(), n, x.device())?;
        let (logits, tapped) = parts(net, x, &all)?;
        let mut graph = watched::backward(&loss(logits, tapped)?)?;
        let gradient = graph.remove(&all).map_or(Ok(vec![0.0; all.elem_count()]), |gradient| gradient.to_vec1())?;
        slot.take_gradients();
        slot.backward(&net.params, &gradient, false)?;
        Ok((slot.take_gradients(), graph))
    }

    /// A whole step of training on the mean cross-entropy, where a GPU makes it without coming back; none where there is no GPU,
    /// and where something is not finite: then nothing has moved. `momentum`: [`crate::ops::sgd::Sgd::addresses`], 0 for what is not trained.
    pub fn train(
        &self,
        net: &Runnable,
        (x, shape): (&[f32], [usize; 4]),
        mix: &[f32],
        drop: Option<&DropPath>,
        target: (&[u32], f64),
        how: (&Step, f64),
        momentum: &Table<ParamId, u64>,
    ) -> Result<Option<Trained>> {
        let mut slot = lock(&self.slot)?;
        let scales = drop.map(DropPath::all_factors);
        let wanted = Wanted { scaled: scales.is_some(), ..Wanted::default() };
        let scales = scales.as_deref().unwrap_or_default();
        let input = Input { x, mix, scales, dropout: None, mode: Mode::Train, paths: Paths::Drawn };
        match machine((&mut slot, &self.gpu), net, shape, wanted, false)? {
            Machine::Gpu(engine) => engine.train(input, target, how, momentum),
            Machine::Cpu(_) => Ok(None),
        }
    }

    /// What `f` sees of a batch on the CPU engine, of what the logits do not depend on, too; none on a GPU.
    pub fn look<R>(
        &self,
        net: &Runnable,
        x: &Tensor,
        mix: &[f32],
        f: impl FnOnce(Look<'_>) -> Result<R>,
    ) -> Result<Option<R>> {
        let (at, x) = ((&mut *lock(&self.slot)?, &self.gpu), x.contiguous()?);
        if self.is_on_gpu() {
            return Ok(None);
        }
        with_machine(at, net, &x, mix, Mode::Batch.into(), (None, None), false, true, |machine, input| match machine {
            Machine::Cpu(engine) => f(Look::new(engine, input)).map(Some),
            Machine::Gpu(_) => Ok(None),
        })
    }

    /// Seconds of each launch of the last engine's passes, where it is on a GPU.
    pub fn times(&self) -> Result<Vec<(&'static str, u32, f64)>> {
        match lock(&self.slot)?.current() {
            Some(Machine::Gpu(engine)) => engine.times(),
            _ => Ok(vec![]),
        }
    }

    /// Gradients that backward passes left since the last call.
    pub fn take_gradients(&self) -> Result<Table<ParamId, Option<Vec<f32>>>> {
        Ok(lock(&self.slot)?.take_gradients())
    }

    /// Sums over the images of a batch, and over the cells of a type, of each live candidate's score.
    pub fn score(&self, net: &Runnable, x: &Tensor, mix: &Tensor) -> Result<Table<MixId, f64>> {
        let (mix, x) = (mix.to_vec1::<f32>()?, x.contiguous()?);
        let mut slot = lock(&self.slot)?;
        Ok(run((&mut slot, &self.gpu), net, &x, &mix, Mode::Eval.into(), (None, None), false, true)?.scores)
    }
}

/// Logits `[b, classes]`, and the pooled image that the auxiliary head goes on from, if it is there, of all that a pass gave, one
/// behind the other.
fn parts(net: &Runnable, x: &Tensor, out: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
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

fn run(
    at: (&mut Slot<Key>, &Option<Device>),
    net: &Runnable,
    x: &Tensor,
    mix: &[f32],
    how: pass::Pass,
    left_out: (Option<&[f32]>, Option<Dropout>),
    auxiliary: bool,
    score: bool,
) -> Result<Forward> {
    with_machine(at, net, x, mix, how, left_out, auxiliary, score, |machine, input| {
        machine.forward(&net.params, input, score)
    })
}

/// Calls `f` with the engine for this, and with what a pass reads.
fn with_machine<R>(
    (slot, device): (&mut Slot<Key>, &Option<Device>),
    net: &Runnable,
    x: &Tensor,
    mix: &[f32],
    how: pass::Pass,
    (scales, dropout): (Option<&[f32]>, Option<Dropout>),
    auxiliary: bool,
    all: bool,
    f: impl FnOnce(&mut Machine, Input<'_>) -> Result<R>,
) -> Result<R> {
    let (b, c, h, w) = x.dims4()?;
    let dropout_at = dropout.map_or([false; 2], |dropout| dropout.is_there());
    let wanted = Wanted { auxiliary, scaled: scales.is_some(), dropout: dropout_at };
    let machine = machine((slot, device), net, [b, c, h, w], wanted, all)?;
    let scales = scales.unwrap_or_default();
    let pass = |x: &[f32]| {
        let input = Input { x, mix, scales, dropout, mode: how.mode, paths: how.paths };
        f(machine, input)
    };
    match x.device().is_cpu() {
        true => with_slices(&[x], |x| pass(x[0])),
        false => pass(&x.flatten_all()?.to_vec1()?),
    }
}

/// The engine for images `[b, c, h, w]`.
fn machine<'s>(
    (slot, device): (&'s mut Slot<Key>, &Option<Device>),
    net: &Runnable,
    shape: [usize; 4],
    wanted: Wanted,
    all: bool,
) -> Result<&'s mut Machine> {
    let [batch, _, h, w] = shape;
    let key = Key { graph: net.graph.clone(), shape, all, wanted };
    let make = |pool| {
        let program = lower(&net.graph, (h, w), wanted)?;
        Ok(match device {
            None => Machine::Cpu(Engine::new(program, batch, net.strict, all, pool)?),
            Some(device) => {
                // What a rounding error turns, a small network shows: it is computed as in strict mode, as on the CPU.
                let exact = net.strict || gpu::is_small(&program, batch);
                let gpu = ops::gpu::of(device, exact)?;
                let gpu = gpu.ok_or_else(|| Error::invalid("device", format!("{:?}", device.location()), "a GPU"))?;
                Machine::Gpu(GpuEngine::new(program, batch, all, net.graph.drop_paths, &net.params, gpu)?)
            }
        })
    };
    slot.machine(key, make)
}

/// One forward pass in candle's graph.
struct NetworkOp {
    fast: Arc<Fast>,
    net: Runnable,
    x: Tensor,
    how: pass::Pass,
    /// The factors of drop path, if any.
    scales: Option<Vec<f32>>,
    dropout: Option<Dropout>,
    auxiliary: bool,
    want_mix: bool,
    number: Mutex<u64>,
    /// Running statistics that the pass moved, for [`Fast::forward`] to write.
    running: Arc<Mutex<Vec<(ParamId, Vec<f32>)>>>,
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

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::{BackendDevice, BackendStorage};
        let (all, shape) = self.cpu_fwd(&storage.to_cpu_storage()?, layout)?;
        Ok((storage.device().storage_from_cpu_storage(&all)?, shape))
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
        let left_out = (self.scales.as_deref(), self.dropout);
        let out = run((&mut slot, &self.fast.gpu), &self.net, &self.x, mix, self.how, left_out, self.auxiliary, false)?;
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
