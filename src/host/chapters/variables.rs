//! Free variables, in the chapter on gradients.

use crate::error::Result;
use crate::host::handles::gradients::GradientsHandle;
use crate::host::handles::snapshot::Snapshot;
use crate::host::handles::tensor::TensorHandle;
use crate::host::handles::variables::{Variable, VariableConfig};
use crate::host::run::Run;
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use crate::host::script::types::Options;
use rhai::Dynamic;
use std::rc::Rc;

/// Register the functions of variables.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    functions! { api, [host];
        /// A tensor that gradients flow to, with an optimiser, saved with every checkpoint; or an array of tensors with
        /// one optimiser for all (a controller's). Values are copied. cfg.optimiser ("adam", or "sgd"), lr (1e-3),
        /// beta1 (0.9), beta2 (0.999) and epsilon (1e-8) of Adam, momentum (0) of SGD, weight_decay (0, added to the
        /// gradient), clip (0: no clipping; else the largest norm of all gradients together). `v.value` computes,
        /// `v.values` those of an array; `v.step(loss)` moves, `v.set(tensor)` puts other values in.
        ///
        /// ```rhai
        /// let x = variable(5.0, #{ optimiser: "sgd", lr: 0.25 });
        /// for i in 0..20 { x.step((x.value - 2.0) * (x.value - 2.0)); }
        /// assert(x.value > 1.99 && x.value < 2.01);
        /// let layer = variable([normal_like(tensor([[0, 0], [0, 0]])), tensor([0, 0])]);
        /// layer.step((layer.values[0].sum() + layer.values[1].sum()).pow(2));
        /// ```
        fn variable(values: Dynamic) -> Fallible<Variable> { Variable::new(&host, &values, &Options::none()) }
        fn variable(values: Dynamic, cfg: Options<VariableConfig>) -> Fallible<Variable> {
            Variable::new(&host, &values, &cfg)
        }
    }
    functions! { api, [];
        /// The tensor of a variable, to compute with: gradients flow to it. A copy that stays as it is now:
        /// `v.value.detach()`.
        ///
        /// ```rhai
        /// assert(variable(tensor([1, 2])).value.shape == [2]);
        /// ```
        get value(&variable: Variable) -> Fallible<TensorHandle> { variable.value() }

        /// The tensors of a variable of several, to compute with: gradients flow to them.
        ///
        /// ```rhai
        /// assert(variable([tensor([1, 2]), tensor([3])]).values.len == 2);
        /// ```
        get values(&variable: Variable) -> Vec<TensorHandle> { variable.values() }

        /// Other values in the place of a variable's own (copied); what its optimiser remembers stays.
        ///
        /// ```rhai
        /// let x = variable(5.0);
        /// x.set(tensor(2.0));
        /// assert(x.value.to_float() == 2.0);
        /// ```
        fn set(&variable: Variable, values: Dynamic) -> Fallible<()> { variable.set(&values) }

        /// The values and what the optimiser remembers as they are now, for `variable.restore`. A run_state keeps it.
        ///
        /// ```rhai
        /// let x = variable(5.0);
        /// let best = run_state(#{ x: x.snapshot() });
        /// x.restore(best.x);
        /// ```
        fn snapshot(&variable: Variable) -> Result<Snapshot> { variable.snapshot() }

        /// Takes back a snapshot of this variable, to the bit.
        ///
        /// ```rhai
        /// let x = variable(5.0);
        /// let before = x.snapshot();
        /// x.step(x.value * x.value);
        /// x.restore(before);
        /// assert(x.value.to_float() == 5.0);
        /// ```
        fn restore(&variable: Variable, snapshot: Snapshot) -> Result<()> { variable.restore(&snapshot) }

        /// One step of its optimiser, on a loss made of it or with gradients of `net.backward`.
        ///
        /// ```rhai
        /// let x = variable(5.0, #{ optimiser: "sgd", lr: 0.25 });
        /// x.step(x.value * x.value);
        /// assert(x.value.to_float() == 2.5);
        /// ```
        fn step(&variable: Variable, loss: TensorHandle) -> Fallible<()> { variable.step_on(&loss) }
        fn step(&variable: Variable, gradients: GradientsHandle) -> Result<()> { variable.step(&gradients) }
    }
}
