//! Architecture parameters: a small differentiable tensor per cell type, with an optimiser of their own.

mod optimiser;

use super::settings::settings;
use super::{Learner, State, Stateful, Trace, derive, finite};
use crate::error::{Error, Result};
use crate::net::Gradients;
use crate::ops::sgd;
use crate::space::{Candidate, Genotype, Mask, PerCandidate, SearchSpace};
use candle_core::{D, DType, Device, Tensor, Var};
use optimiser::Moments;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

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
    /// The variables.
    pub vars: Vec<Var>,
    moments: Vec<Moments>,
    config: ArchConfig,
    trace: Trace,
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
        let moments = vars.iter().map(|v| Moments::new(v.elem_count())).collect();
        Ok(ArchParams { vars, moments, config, trace: Trace::default() })
    }

    /// Write what they are and each of their steps to `trace`.
    pub fn traced(mut self, trace: Trace) -> Result<Self> {
        trace.architecture(&self.config, &self.vars)?;
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

    /// Other values, one tensor of the variable's shape per cell type; what the optimiser remembers stays.
    pub fn set(&self, values: &[Tensor]) -> Result<()> {
        let shapes = |tensors: &[&Tensor]| format!("{:?}", tensors.iter().map(|t| t.dims()).collect::<Vec<_>>());
        let (got, want): (Vec<&Tensor>, Vec<&Tensor>) =
            (values.iter().collect(), self.vars.iter().map(|v| v.as_tensor()).collect());
        if shapes(&got) != shapes(&want) {
            return Err(Error::invalid("architecture parameters, values", shapes(&got), shapes(&want)));
        }
        for value in values {
            let sum = value.abs()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?;
            if !sum.is_finite() {
                return Err(Error::invalid("architecture parameters, values", sum, "finite numbers"));
            }
        }
        for (var, value) in self.vars.iter().zip(values) {
            var.set(&value.detach().to_dtype(DType::F32)?.to_device(var.device())?.copy()?)?;
        }
        Ok(())
    }

    /// One step from a backward pass, its gradients clipped if `arch_clip` says so. A cell type that no gradient reached stays as it is, as in PyTorch.
    ///
    /// # Errors
    /// No gradient at all: the loss does not depend on these parameters. [`Error::Diverged`]: a gradient, or a value to be, that
    /// is not finite; all values are then as they were. `place` says where that was.
    pub fn step(&mut self, gradients: &Gradients, place: impl Fn() -> String) -> Result<()> {
        let found: Vec<_> = self.vars.iter().map(|v| gradients.graph.get(v)).collect();
        if found.iter().all(Option::is_none) {
            let expected = "a loss computed with their softmax as mixing weights";
            return Err(Error::invalid("architecture step", "a loss that does not depend on them", expected));
        }
        for (cell_type, g) in found.iter().enumerate() {
            let what = || format!("the gradient of the architecture parameters of cell type {cell_type}");
            if let Some(g) = g {
                finite::check(what, g, &place, String::new)?;
            }
        }
        let mut scale = 1.0;
        if self.config.arch_clip > 0.0 {
            scale = sgd::clip_scale(sgd::norm(found.iter().copied().flatten())?, self.config.arch_clip);
        }
        let mut moved = vec![];
        for (cell_type, ((var, moments), gradient)) in self.vars.iter().zip(&self.moments).zip(found).enumerate() {
            let Some(g) = gradient else { continue };
            let mut moments = moments.clone();
            let value = moments.step(var, g, &self.config, scale)?;
            let what = || format!("the value of the architecture parameters of cell type {cell_type}");
            finite::check(what, &value, &place, String::new)?;
            moved.push((cell_type, moments, value));
        }
        for (cell_type, moments, value) in moved {
            self.vars[cell_type].set(&value)?;
            self.moments[cell_type] = moments;
        }
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
        let mut state = State::default();
        for (i, (var, moments)) in self.vars.iter().zip(&self.moments).enumerate() {
            let saved = |values: &[f32]| Tensor::from_slice(values, var.shape(), &Device::Cpu);
            state.tensors.insert(format!("{i}/value"), var.copy()?.detach());
            state.tensors.insert(format!("{i}/m"), saved(&moments.m)?);
            state.tensors.insert(format!("{i}/v"), saved(&moments.v)?);
        }
        state.json = serde_json::json!({ "steps": self.moments.iter().map(|a| a.t).collect::<Vec<_>>() });
        Ok(state)
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let what = "architecture parameters of the checkpoint";
        let steps: Vec<i32> = serde_json::from_value(state.json["steps"].clone())
            .map_err(|e| Error::invalid(what, e, "a count of steps per cell type"))?;
        let mut found = vec![];
        for (i, var) in self.vars.iter().enumerate() {
            for part in ["value", "m", "v"] {
                match state.tensors.get(&format!("{i}/{part}")) {
                    Some(t) if t.shape() == var.shape() => found.push(t),
                    other => {
                        let got = other.map_or("none".into(), |t| format!("{:?}", t.dims()));
                        return Err(Error::invalid(format!("{what}, `{i}/{part}`"), got, format!("{:?}", var.dims())));
                    }
                }
            }
        }
        if steps.len() != self.vars.len() {
            return Err(Error::invalid(what, format!("{} cell types", steps.len()), self.vars.len()));
        }
        for (i, (var, moments)) in self.vars.iter().zip(&mut self.moments).enumerate() {
            var.set(&found[3 * i].to_device(var.device())?)?;
            moments.m = found[3 * i + 1].flatten_all()?.to_vec1()?;
            moments.v = found[3 * i + 2].flatten_all()?.to_vec1()?;
            moments.t = steps[i];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
