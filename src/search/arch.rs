//! Architecture parameters: a small differentiable tensor per cell type, with an optimiser of their own.

pub(super) mod optimiser;

use super::settings::settings;
use super::{Learner, State, Stateful, Trace, Variables, derive, finite};
use crate::error::{Error, Result};
use crate::net::Gradients;
use crate::space::{Candidate, Genotype, Mask, PerCandidate, SearchSpace};
use candle_core::{D, DType, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Deref;

pub use optimiser::ArchOptimiser;

settings! {
    /// Settings of architecture parameters. The defaults are those of DARTS: Adam with coupled weight decay.
    pub struct ArchConfig {
        /// The optimiser: `adam` or `sgd`.
        arch_optimiser: ArchOptimiser = ArchOptimiser::Adam, Any;
        /// Learning rate.
        arch_lr: f64 = 3e-4, NotNegative;
        /// First beta of Adam.
        arch_beta1: f64 = 0.5, BelowOne;
        /// Second beta of Adam.
        arch_beta2: f64 = 0.999, BelowOne;
        /// What Adam adds to the root of its second moment, so that it divides by no zero.
        arch_epsilon: f64 = 1e-8, NotNegative;
        /// Momentum of SGD.
        arch_momentum: f64 = 0.0, BelowOne;
        /// L2 added to the gradient.
        arch_weight_decay: f64 = 1e-3, NotNegative;
        /// Largest norm of the gradients of all cell types together; 0: no clipping.
        arch_clip: f64 = 0.0, NotNegative;
        /// Mean of the initial values.
        arch_mean: f64 = 0.0, Finite;
        /// Standard deviation of the initial values.
        arch_init: f64 = 1e-3, NotNegative;
    }
}

/// One `[edges, ops]` variable per cell type and the state of its optimiser.
pub struct ArchParams {
    variables: Variables,
    trace: Trace,
}

impl Deref for ArchParams {
    type Target = Variables;

    fn deref(&self) -> &Variables {
        &self.variables
    }
}

impl ArchParams {
    /// `arch_mean + arch_init * N(0, 1)` by seed. An error for a setting out of range.
    pub fn new(space: &SearchSpace, config: ArchConfig, seed: u64, device: &Device) -> Result<Self> {
        config.check()?;
        let shape = (space.n_edges(), space.ops().len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut vars = vec![];
        for _ in space.cell_types() {
            let values = (0..shape.0 * shape.1)
                .map(|_| (config.arch_mean + config.arch_init * normal(&mut rng)) as f32)
                .collect();
            vars.push(Var::from_vec(values, shape, device)?);
        }
        let name = |i| format!("the architecture parameters of cell type {i}");
        Ok(ArchParams {
            variables: Variables::new(vars, config, "architecture parameters", name),
            trace: Trace::default(),
        })
    }

    /// Write what they are and each of their steps to `trace`.
    pub fn traced(mut self, trace: Trace) -> Result<Self> {
        trace.architecture(self.config(), &self.vars)?;
        self.trace = trace;
        Ok(self)
    }

    /// Softmax over the live candidates of every edge (dead ones 0), differentiable; one tensor per cell type.
    pub fn softmax(&self, mask: &Mask) -> Result<Vec<Tensor>> {
        self.vars.iter().zip(&mask.table().0).map(|(var, alive)| masked_softmax(var, alive)).collect()
    }

    /// [`Self::step`] on a loss of `learner`'s network; its computation is freed. [`Error::Diverged`] where it is not finite.
    pub fn step_on(&mut self, loss: Tensor, learner: &Learner) -> Result<()> {
        let place = || format!("epoch {}, an architecture step", learner.epoch());
        finite::check(|| "the loss".into(), &loss, place, String::new)?;
        self.step(&learner.backward(&loss)?, place)
    }

    /// [`Variables::step`], written to the trace.
    pub fn step(&mut self, gradients: &Gradients, place: impl Fn() -> String) -> Result<()> {
        self.variables.step(&gradients.graph, place)?;
        self.trace.adam(&self.vars)
    }

    /// Values of [`ArchParams::softmax`] as plain numbers (NaN where dead); an error where a live one is not finite.
    pub fn importance(&self, mask: &Mask) -> Result<PerCandidate<f64>> {
        let mut table = PerCandidate(vec![]);
        for (cell_type, values) in self.softmax(mask)?.iter().enumerate() {
            let mut rows: Vec<Vec<f64>> = vec![];
            for (edge, row) in values.to_vec2::<f32>()?.into_iter().enumerate() {
                let alive = |op| mask.is_alive(Candidate { cell_type, edge, op });
                let value = |(op, v): (usize, f32)| match (alive(op), v.is_finite()) {
                    (true, true) => Ok(f64::from(v)),
                    (true, false) => {
                        let what = format!("softmax of cell type {cell_type}, edge {edge}, op {op}");
                        Err(Error::invalid(what, v, "a finite number"))
                    }
                    (false, _) => Ok(f64::NAN),
                };
                rows.push(row.into_iter().enumerate().map(value).collect::<Result<_>>()?);
            }
            table.0.push(rows);
        }
        Ok(table)
    }

    /// The genotype of largest softmax (NAS-Bench-201: argmax per edge, `none` allowed; DARTS: the two best edges into a
    /// node by their best op that is not `none`).
    pub fn genotype(&self, space: &SearchSpace, mask: &Mask) -> Result<Genotype> {
        derive::genotype(space, &self.importance(mask)?, mask)
    }
}

/// `[edges, ops]`: softmax of each row over `alive`; 0 elsewhere, also in a row with nothing alive.
fn masked_softmax(values: &Tensor, alive: &[Vec<bool>]) -> Result<Tensor> {
    let flags: Vec<u8> = alive.iter().flatten().map(|&a| a.into()).collect();
    let alive = Tensor::from_vec(flags, values.shape(), values.device())?;
    // exp(-1e4) is 0 in f32; unlike -inf it leaves no NaN in a row with nothing alive.
    let low = Tensor::full(-1e4f32, values.shape(), values.device())?;
    let p = candle_nn::ops::softmax(&alive.where_cond(values, &low)?, D::Minus1)?;
    Ok((p * alive.to_dtype(DType::F32)?)?)
}

/// A normal draw (Box and Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

impl Stateful for ArchParams {
    fn kind(&self) -> &'static str {
        "arch"
    }

    fn state(&self) -> Result<State> {
        self.variables.state()
    }

    fn restore(&mut self, state: State) -> Result<()> {
        self.variables.restore(state)
    }
}

#[cfg(test)]
mod tests;
