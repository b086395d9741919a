//! Free variables as scripts hold them.

use super::gradients::GradientsHandle;
use super::handle::Handle;
use super::snapshot::Snapshot;
use super::tensor::TensorHandle;
use crate::error::Result;
use crate::host::run::Run;
use crate::host::run::settings::typed;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::types::{Keys, Options};
use crate::net::watched;
use crate::search::settings::{Settings, settings};
use crate::search::{ArchConfig, Stateful, Trace, Variables};
use candle_core::Tensor;
use candle_core::backprop::GradStore;
use rhai::{Array, Dynamic};
use std::cell::RefCell;
use std::rc::Rc;

settings! {
    /// The optimiser of variables.
    pub struct VariableConfig {
        /// `adam` or `sgd`.
        optimiser: crate::search::arch::ArchOptimiser = crate::search::arch::ArchOptimiser::Adam, Any;
        /// Learning rate.
        lr: f64 = 1e-3, NotNegative;
        /// First beta of Adam.
        beta1: f64 = 0.9, BelowOne;
        /// Second beta of Adam.
        beta2: f64 = 0.999, BelowOne;
        /// What Adam adds to the root of its second moment.
        epsilon: f64 = 1e-8, NotNegative;
        /// Momentum of SGD.
        momentum: f64 = 0.0, BelowOne;
        /// L2 added to the gradient.
        weight_decay: f64 = 0.0, NotNegative;
        /// Largest norm of all gradients together; 0: no clipping.
        clip: f64 = 0.0, NotNegative;
    }
}

impl Keys for VariableConfig {
    const WHAT: &'static str = "setting of a variable";
    const KEYS: &'static [&'static str] = Self::NAMES;
}

/// One tensor or several, with an optimiser; clones are the same.
#[derive(Clone)]
pub struct Variable {
    variables: Rc<RefCell<Variables>>,
    trace: Trace,
    /// Whether they were made of an array.
    many: bool,
}

/// A tensor, or an array of them, and which it is.
fn tensors_of(value: &Dynamic) -> Fallible<(Vec<Tensor>, bool)> {
    if let Some(items) = value.read_lock::<Array>() {
        let each = items.iter().map(|item| TensorHandle::of_value(item, "variable").map(|t| t.0));
        return Ok((each.collect::<Fallible<_>>()?, true));
    }
    Ok((vec![TensorHandle::of_value(value, "variable")?.0], false))
}

impl Variable {
    /// Makes one that is saved with the run of `host`.
    pub fn new(host: &Run, values: &Dynamic, options: &Options<VariableConfig>) -> Fallible<Self> {
        let (values, many) = tensors_of(values)?;
        let cfg: VariableConfig = typed(&options.map)?;
        let config = ArchConfig {
            arch_optimiser: cfg.optimiser,
            arch_lr: cfg.lr,
            arch_beta1: cfg.beta1,
            arch_beta2: cfg.beta2,
            arch_epsilon: cfg.epsilon,
            arch_momentum: cfg.momentum,
            arch_weight_decay: cfg.weight_decay,
            arch_clip: cfg.clip,
            ..ArchConfig::default()
        };
        cfg.check()?;
        let variables = Rc::new(RefCell::new(Variables::of(&values, config)?));
        host.live.add(&(variables.clone() as Rc<RefCell<dyn Stateful>>));
        Ok(Variable { variables, trace: host.trace.clone(), many })
    }

    /// The tensors, to compute with.
    pub fn values(&self) -> Vec<TensorHandle> {
        self.variables.borrow().vars.iter().map(|v| TensorHandle::new(v.as_tensor().clone())).collect()
    }

    /// The one tensor; an error for an array of them.
    pub fn value(&self) -> Fallible<TensorHandle> {
        match (self.values().pop(), self.many) {
            (Some(value), false) => Ok(value),
            _ => Err(wrong("variable.value", "variables made of an array", "variable.values, or one made of a tensor")),
        }
    }

    /// Gives them other values, in the form that they were made of.
    pub fn set(&self, values: &Dynamic) -> Fallible<()> {
        let (values, many) = tensors_of(values)?;
        if many != self.many {
            let words = |many| if many { "an array of tensors" } else { "a tensor" };
            return Err(wrong("variable.set", words(many), words(self.many)));
        }
        Ok(self.variables.borrow().set(&values)?)
    }

    /// Their values and what the optimiser remembers.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot(Rc::new(self.variables.borrow().state()?)))
    }

    /// Takes a snapshot back.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<()> {
        self.variables.borrow_mut().restore((*snapshot.0).clone())
    }

    /// One step of the optimiser on a loss.
    pub fn step_on(&self, loss: &TensorHandle) -> Fallible<()> {
        if loss.0.elem_count() != 1 {
            return Err(wrong("variable.step", format!("a tensor of shape {:?}", loss.0.dims()), "a loss: one number"));
        }
        let store = watched::backward(&loss.0)?;
        Ok(self.move_by(&store)?)
    }

    /// One step of the optimiser with given gradients.
    pub fn step(&self, gradients: &GradientsHandle) -> Result<()> {
        self.move_by(&gradients.gradients.graph)
    }

    fn move_by(&self, gradients: &GradStore) -> Result<()> {
        let mut variables = self.variables.borrow_mut();
        variables.step(gradients, || "a step of variables".into())?;
        self.trace.variable(&variables.vars)
    }
}

impl Handle for Variable {
    fn text(&self) -> String {
        self.values().iter().map(Handle::text).collect::<Vec<_>>().join("\n")
    }

    fn summary(&self) -> String {
        let shapes: Vec<String> = self.values().iter().map(Handle::summary).collect();
        format!("variable {}", shapes.join(" "))
    }
}
