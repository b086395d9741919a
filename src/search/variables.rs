//! Small tensors that a search optimises beside the weights: architecture parameters, a controller's, whatever a script makes.

use super::arch::ArchConfig;
use super::arch::optimiser::Moments;
use super::{State, Stateful, finite};
use crate::error::{Error, Result};
use crate::ops::sgd;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Tensor, Var};

/// Variables and the state of their optimiser.
pub struct Variables {
    /// The variables.
    pub vars: Vec<Var>,
    moments: Vec<Moments>,
    config: ArchConfig,
    /// What they are, in messages.
    what: &'static str,
    /// What one of them is.
    name: fn(usize) -> String,
}

impl Variables {
    /// With an optimiser that has made no step; the settings are checked.
    pub(super) fn new(vars: Vec<Var>, config: ArchConfig, what: &'static str, name: fn(usize) -> String) -> Self {
        let moments = vars.iter().map(|v| Moments::new(v.elem_count())).collect();
        Variables { vars, moments, config, what, name }
    }

    /// Variables of these values. An error for a setting out of range, and for a value that is not finite.
    pub fn of(values: &[Tensor], config: ArchConfig) -> Result<Self> {
        config.check()?;
        let mut vars = vec![];
        for (i, value) in values.iter().enumerate() {
            check_finite(&format!("variable {i}"), value)?;
            vars.push(Var::from_tensor(&value.detach().to_dtype(DType::F32)?.copy()?)?);
        }
        Ok(Variables::new(vars, config, "variables", |i| format!("variable {i}")))
    }

    /// The settings of the optimiser.
    pub fn config(&self) -> &ArchConfig {
        &self.config
    }

    /// Other values, one tensor of each variable's shape; what the optimiser remembers stays.
    pub fn set(&self, values: &[Tensor]) -> Result<()> {
        let shapes = |tensors: &[&Tensor]| format!("{:?}", tensors.iter().map(|t| t.dims()).collect::<Vec<_>>());
        let (got, want): (Vec<&Tensor>, Vec<&Tensor>) =
            (values.iter().collect(), self.vars.iter().map(|v| v.as_tensor()).collect());
        let what = format!("{}, values", self.what);
        if shapes(&got) != shapes(&want) {
            return Err(Error::invalid(what, shapes(&got), shapes(&want)));
        }
        values.iter().try_for_each(|value| check_finite(&what, value))?;
        for (var, value) in self.vars.iter().zip(values) {
            var.set(&value.detach().to_dtype(DType::F32)?.to_device(var.device())?.copy()?)?;
        }
        Ok(())
    }

    /// One step from a backward pass, its gradients clipped if `arch_clip` says so. A variable that no gradient reached stays as
    /// it is, as in PyTorch.
    ///
    /// # Errors
    /// No gradient at all: the loss does not depend on these. [`Error::Diverged`]: a gradient, or a value to be, that is not
    /// finite; all values are then as they were. `place` says where that was.
    pub fn step(&mut self, gradients: &GradStore, place: impl Fn() -> String) -> Result<()> {
        let found: Vec<_> = self.vars.iter().map(|v| gradients.get(v)).collect();
        if found.iter().all(Option::is_none) {
            let expected = "a loss computed with them, as with alpha.softmax() for mixing weights";
            let what = format!("step of {}", self.what);
            return Err(Error::invalid(what, "a loss that does not depend on them", expected));
        }
        for (i, g) in found.iter().enumerate() {
            let what = || format!("the gradient of {}", (self.name)(i));
            if let Some(g) = g {
                finite::check(what, g, &place, String::new)?;
            }
        }
        let mut scale = 1.0;
        if self.config.arch_clip > 0.0 {
            scale = sgd::clip_scale(sgd::norm(found.iter().copied().flatten())?, self.config.arch_clip);
        }
        let mut moved = vec![];
        for (i, ((var, moments), gradient)) in self.vars.iter().zip(&self.moments).zip(found).enumerate() {
            let Some(g) = gradient else { continue };
            let mut moments = moments.clone();
            let value = moments.step(var, g, &self.config, scale)?;
            finite::check(|| format!("the value of {}", (self.name)(i)), &value, &place, String::new)?;
            moved.push((i, moments, value));
        }
        for (i, moments, value) in moved {
            self.vars[i].set(&value)?;
            self.moments[i] = moments;
        }
        Ok(())
    }
}

fn check_finite(what: &str, value: &Tensor) -> Result<()> {
    let sum = value.abs()?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()?;
    if sum.is_finite() { Ok(()) } else { Err(Error::invalid(what, sum, "finite numbers")) }
}

impl Stateful for Variables {
    fn kind(&self) -> &'static str {
        "variables"
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
        let what = format!("{} of the checkpoint", self.what);
        let steps: Vec<i32> = serde_json::from_value(state.json["steps"].clone())
            .map_err(|e| Error::invalid(&what, e, "a count of steps for each"))?;
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
            return Err(Error::invalid(what, format!("{} of them", steps.len()), self.vars.len()));
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
