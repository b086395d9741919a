//! An engine behind candle's graph, and the gradients of the weights that backward passes leave there, for the custom op of
//! [`super::fast`].

use super::Params;
use super::engine::{Backward, Engine, Forward, Input, Values, Want};
use super::gpu::GpuEngine;
use super::ids::{ParamId, Table};
use crate::error::{Error, Result};
use crate::ops::buffer::BufferPool;
use crate::ops::finite::all_finite;
use candle_core::{Layout, Storage, Tensor};
use std::sync::{Mutex, MutexGuard};

/// What runs a program.
#[allow(clippy::large_enum_variant, reason = "one a network")]
pub enum Machine {
    /// On the CPU.
    Cpu(Engine),
    /// On a GPU.
    Gpu(GpuEngine),
}

impl Machine {
    /// Run the network; `score` measures every candidate on the way.
    pub fn forward(&mut self, params: &Params, input: Input<'_>, score: bool) -> Result<Forward> {
        match self {
            Machine::Cpu(engine) => with_values(params, |values| engine.forward(values, input, score)),
            Machine::Gpu(engine) => engine.forward(input, score),
        }
    }

    /// Back from the gradient of what the last forward pass gave.
    fn backward(&mut self, params: &Params, gradient: &[f32], want_mix: bool) -> Result<Backward> {
        let want = Want { mix: want_mix, ..Want::default() };
        match self {
            Machine::Cpu(engine) => with_values(params, |values| engine.backward(values, gradient, want)),
            Machine::Gpu(engine) => engine.backward(gradient, want_mix),
        }
    }

    /// Its memory, for the next one.
    fn into_pool(self) -> BufferPool {
        match self {
            Machine::Cpu(engine) => engine.into_pool(),
            Machine::Gpu(_) => BufferPool::default(),
        }
    }
}

/// An engine for what `K` says, made anew when that changes.
pub struct Slot<K> {
    engine: Option<(K, Machine)>,
    /// Counts forward passes: tells whether the engine still holds the one that a backward pass wants.
    pass: u64,
    gradients: Table<ParamId, Option<Vec<f32>>>,
}

impl<K> Default for Slot<K> {
    fn default() -> Self {
        Slot { engine: None, pass: 0, gradients: Table::default() }
    }
}

impl<K: PartialEq> Slot<K> {
    /// The engine of `key`, for a pass that overwrites the last one; `make` makes one of the memory of the last.
    pub fn machine(&mut self, key: K, make: impl FnOnce(BufferPool) -> Result<Machine>) -> Result<&mut Machine> {
        if self.engine.as_ref().is_none_or(|(k, _)| *k != key) {
            let pool = self.engine.take().map_or_else(BufferPool::default, |(_, engine)| engine.into_pool());
            self.engine = Some((key, make(pool)?));
        }
        self.pass += 1;
        let Some((_, engine)) = &mut self.engine else { unreachable!("made above") };
        Ok(engine)
    }

    /// The engine that is there.
    pub fn current(&self) -> Option<&Machine> {
        self.engine.as_ref().map(|(_, machine)| machine)
    }

    /// The number of the last forward pass.
    pub fn pass(&self) -> u64 {
        self.pass
    }

    /// Goes back from the gradient of what the last forward pass gave, and gives the gradient of the mixing weights. Those of the
    /// weights stay here until [`Slot::take_gradients`].
    pub fn backward(&mut self, params: &Params, gradient: &[f32], want_mix: bool) -> Result<Vec<f32>> {
        let Slot { engine: Some((_, engine)), gradients, pass } = self else {
            return Err(Error::invalid("backward", "no forward pass", "a forward pass before it"));
        };
        let back = engine.backward(params, gradient, want_mix)?;
        if let Machine::Gpu(_) = engine {
            // Its images are overwritten on the way back: for another backward pass, forward runs again.
            *pass += 1;
        }
        if gradients.is_empty() {
            *gradients = back.params;
        } else {
            add(gradients.items_mut(), back.params);
        }
        Ok(back.mix.into_items())
    }

    /// Gradients that backward passes left since the last call.
    pub fn take_gradients(&mut self) -> Table<ParamId, Option<Vec<f32>>> {
        std::mem::take(&mut self.gradients)
    }
}

/// An error unless a pass that was run again came to the same bits: with the same weights it does.
pub fn check_again<'a>(again: impl Iterator<Item = &'a f32>, first: &[f32]) -> Result<()> {
    if again.zip(first).all(|(a, b)| a.to_bits() == b.to_bits()) {
        return Ok(());
    }
    Err(Error::invalid("backward", "weights that changed since the forward pass", "the same weights"))
}

/// Running statistics that a pass moved. Where some are not finite, the last good ones all stay.
pub fn write_running(params: &Params, running: &[(ParamId, Vec<f32>)]) -> Result<()> {
    if !running.iter().all(|(_, values)| all_finite(values)) {
        return Ok(());
    }
    for (id, values) in running {
        let var = &params.at(*id).var;
        var.set(&Tensor::from_slice(values, var.shape(), var.device())?)?;
    }
    Ok(())
}

fn add(to: &mut [Option<Vec<f32>>], from: Table<ParamId, Option<Vec<f32>>>) {
    for (to, from) in to.iter_mut().zip(from) {
        match (to.as_mut(), from) {
            (Some(to), Some(from)) => to.iter_mut().zip(from).for_each(|(t, f)| *t += f),
            (None, from) => *to = from,
            (_, None) => {}
        }
    }
}

/// The values of all parameters, for as long as `f` runs.
pub fn with_values<R>(params: &Params, f: impl FnOnce(Values<'_>) -> Result<R>) -> Result<R> {
    let tensors: Vec<&Tensor> = params.iter().map(|p| p.var.as_tensor()).collect();
    with_slices(&tensors, |slices| f(&slices.iter().copied().collect()))
}

/// The values of contiguous tensors, for as long as `f` runs.
pub fn with_slices<R>(tensors: &[&Tensor], f: impl FnOnce(&[&[f32]]) -> Result<R>) -> Result<R> {
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

/// The lock of a network's engine.
pub fn lock<T>(mutex: &Mutex<T>) -> Result<MutexGuard<'_, T>> {
    mutex.lock().map_err(|_| Error::invalid("network", "a pass that panicked", "a fresh network"))
}
