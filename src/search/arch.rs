//! Architecture parameters: a small differentiable tensor per cell type, with Adam.

use super::{Learner, State, Stateful, derive};
use crate::error::{Error, Result};
use crate::net::Gradients;
use crate::space::{Candidate, Genotype, Mask, PerCandidate, SearchSpace};
use candle_core::{D, Device, Tensor, Var};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Settings of the architecture optimiser: Adam with coupled weight decay (DARTS: lr 3e-4, betas 0.5/0.999, decay 1e-3).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArchConfig {
    /// Learning rate.
    pub arch_lr: f64,
    /// First beta.
    pub arch_beta1: f64,
    /// Second beta.
    pub arch_beta2: f64,
    /// L2 added to the gradient.
    pub arch_weight_decay: f64,
    /// Standard deviation of the initial values.
    pub arch_init: f64,
}

impl Default for ArchConfig {
    fn default() -> Self {
        ArchConfig { arch_lr: 3e-4, arch_beta1: 0.5, arch_beta2: 0.999, arch_weight_decay: 1e-3, arch_init: 1e-3 }
    }
}

/// One `[edges, ops]` variable per cell type and the state of its Adam.
pub struct ArchParams {
    /// The variables.
    pub vars: Vec<Var>,
    adam: Vec<Adam>,
    config: ArchConfig,
}

impl ArchParams {
    /// `arch_init * N(0, 1)` by seed.
    pub fn new(space: &SearchSpace, config: ArchConfig, seed: u64, device: &Device) -> Result<Self> {
        let shape = (space.n_edges(), space.ops().len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut vars = vec![];
        for _ in space.cell_types() {
            let values = (0..shape.0 * shape.1).map(|_| (config.arch_init * normal(&mut rng)) as f32).collect();
            vars.push(Var::from_vec(values, shape, device)?);
        }
        let adam = vars.iter().map(|v| Adam::new(v.elem_count())).collect();
        Ok(ArchParams { vars, adam, config })
    }

    /// Softmax over the live candidates of every edge (dead ones 0), differentiable; one tensor per cell type.
    pub fn softmax(&self, mask: &Mask) -> Result<Vec<Tensor>> {
        self.vars.iter().zip(&mask.table().0).map(|(var, alive)| masked_softmax(var, alive)).collect()
    }

    /// [`Self::step`] on a loss of `learner`'s network; its computation is freed.
    pub fn step_on(&mut self, loss: Tensor, learner: &Learner) -> Result<()> {
        self.step(&learner.backward(&loss)?)
    }

    /// One Adam step from a backward pass. A cell type that no gradient reached stays as it is, as in PyTorch.
    ///
    /// # Errors
    /// No gradient at all: the loss does not depend on these parameters.
    pub fn step(&mut self, gradients: &Gradients) -> Result<()> {
        let found: Vec<_> = self.vars.iter().map(|v| gradients.graph.get(v)).collect();
        if found.iter().all(Option::is_none) {
            let expected = "a loss computed with their softmax as mixing weights";
            return Err(Error::invalid("architecture step", "a loss that does not depend on them", expected));
        }
        for ((var, adam), gradient) in self.vars.iter().zip(&mut self.adam).zip(found) {
            if let Some(g) = gradient {
                adam.step(var, g, &self.config)?;
            }
        }
        Ok(())
    }

    /// Values of [`ArchParams::softmax`] as plain numbers (NaN where dead).
    pub fn importance(&self, mask: &Mask) -> Result<PerCandidate<f64>> {
        let mut table = PerCandidate(vec![]);
        for (cell_type, values) in self.softmax(mask)?.iter().enumerate() {
            let mut rows: Vec<Vec<f64>> = vec![];
            for (edge, row) in values.to_vec2::<f32>()?.into_iter().enumerate() {
                let alive = |op| mask.is_alive(Candidate { cell_type, edge, op });
                let value = |(op, v): (usize, f32)| if alive(op) { f64::from(v) } else { f64::NAN };
                rows.push(row.into_iter().enumerate().map(value).collect());
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
    Ok((p * alive.to_dtype(candle_core::DType::F32)?)?)
}

/// A normal draw (Box and Muller).
fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Adam (Kingma and Ba, 2015) with the decay added to the gradient, in f32 as `torch.optim.Adam`:
/// `g += decay w; m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + 1e-8)`.
/// A few hundred numbers, so plain loops, on the host.
struct Adam {
    m: Vec<f32>,
    v: Vec<f32>,
    t: i32,
}

impl Adam {
    fn new(n: usize) -> Self {
        Adam { m: vec![0.0; n], v: vec![0.0; n], t: 0 }
    }

    fn step(&mut self, w: &Var, g: &Tensor, cfg: &ArchConfig) -> Result<()> {
        self.t += 1;
        let (b1, b2) = (cfg.arch_beta1 as f32, cfg.arch_beta2 as f32);
        let rate = (cfg.arch_lr / (1.0 - cfg.arch_beta1.powi(self.t))) as f32;
        let root = (1.0 - cfg.arch_beta2.powi(self.t)).sqrt() as f32;
        let decay = cfg.arch_weight_decay as f32;
        let mut values: Vec<f32> = w.flatten_all()?.to_vec1()?;
        let gradient: Vec<f32> = g.flatten_all()?.to_vec1()?;
        for (((w, m), v), g) in values.iter_mut().zip(&mut self.m).zip(&mut self.v).zip(gradient) {
            let g = g + decay * *w;
            *m += (1.0 - b1) * (g - *m);
            *v = b2 * *v + (1.0 - b2) * g * g;
            *w -= rate * *m / (v.sqrt() / root + 1e-8);
        }
        Ok(w.set(&Tensor::from_vec(values, w.shape(), w.device())?)?)
    }
}

impl Stateful for ArchParams {
    fn kind(&self) -> &'static str {
        "arch"
    }

    fn state(&self) -> Result<State> {
        let mut state = State::default();
        for (i, (var, adam)) in self.vars.iter().zip(&self.adam).enumerate() {
            let saved = |values: &[f32]| Tensor::from_slice(values, var.shape(), &Device::Cpu);
            state.tensors.insert(format!("{i}/value"), var.copy()?.detach());
            state.tensors.insert(format!("{i}/m"), saved(&adam.m)?);
            state.tensors.insert(format!("{i}/v"), saved(&adam.v)?);
        }
        state.json = serde_json::json!({ "steps": self.adam.iter().map(|a| a.t).collect::<Vec<_>>() });
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
        for (i, (var, adam)) in self.vars.iter().zip(&mut self.adam).enumerate() {
            var.set(&found[3 * i].to_device(var.device())?)?;
            adam.m = found[3 * i + 1].flatten_all()?.to_vec1()?;
            adam.v = found[3 * i + 2].flatten_all()?.to_vec1()?;
            adam.t = steps[i];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
