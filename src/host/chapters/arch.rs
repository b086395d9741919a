//! The chapter on architecture parameters.

use super::tiny::tiny;
use crate::host::handles::arch::Alpha;
use crate::host::handles::genotype::Genotype;
use crate::host::handles::importance::importance;
use crate::host::handles::net::{Grads, Net};
use crate::host::handles::space::Space;
use crate::host::handles::tensor::{T, tables_of};
use crate::host::run::Host;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::show::{Look, tables};
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// Register the functions of architecture parameters.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("architecture parameters");
    api.value::<Alpha>("ArchitectureParameters", |a| match a.importance() {
        Ok(importance) => {
            format!(
                "architecture parameters; softmax\n{}",
                tables::importance(&importance.space, &importance.table, false, &Look::PLAIN)
            )
        }
        Err(error) => error.to_string(),
    });
    let h = host.clone();
    api.def(
        [
            "architecture_parameters",
            "architecture_parameters(net, cfg) -> ArchitectureParameters",
            "One [edges, ops] variable per cell type, drawn as cfg.arch_mean (0) + cfg.arch_init (1e-3) * N(0, 1), with an \
             optimiser of its own: arch_optimiser (\"adam\", or \"sgd\"), arch_lr (3e-4), arch_beta1 (0.5) and arch_beta2 (0.999) \
             of Adam, arch_momentum (0) of SGD, arch_weight_decay (1e-3, added to the gradient), arch_clip (0: no clipping; \
             else the largest norm of the gradients of all cell types together).",
            tiny!(
                "let alpha = architecture_parameters(net, #{});\n",
                "assert(alpha.softmax()[0].shape == [6, 5]);\n",
                "let own = architecture_parameters(net, #{ arch_optimiser: \"sgd\", arch_mean: 1.0, arch_clip: 10.0 });\n",
                "assert(own.values[0].mean().to_float() > 0.5);"
            ),
        ],
        move |net: Net, cfg: Map| Alpha::new(&h, &net, &cfg),
    );
    api.also("softmax", |a: &mut Alpha| a.softmax().map_err(raise));
    api.also("genotype", |a: &mut Alpha| -> Fallible<Genotype> {
        let learner = a.net.learner.borrow();
        let found = a.params.borrow().genotype(&a.net.space(), learner.net.mask()).map_err(raise)?;
        learner.trace.genotype(&found).map_err(raise)?;
        Ok(Genotype(found))
    });
    api.also("step", |a: &mut Alpha, loss: T| -> Fallible<()> {
        if loss.0.elem_count() != 1 {
            return Err(wrong("alpha.step", format!("a tensor of shape {:?}", loss.0.dims()), "a loss: one number"));
        }
        a.params.borrow_mut().step_on(loss.0, &a.net.learner.borrow()).map_err(raise)
    });
    api.also("step", |a: &mut Alpha, gradients: Grads| {
        let place = || format!("epoch {}, an architecture step", a.net.learner.borrow().epoch());
        a.params.borrow_mut().step(&gradients.0, place).map_err(raise)
    });
    api.get(
        [
            "values",
            "alpha.values -> [Tensor]",
            "The raw parameters, [edges, ops] per cell type; gradients flow to them.",
            tiny!(
                "let alpha = architecture_parameters(net, #{ arch_init: 0.0 });\n",
                "assert(alpha.values[0].sum().to_float() == 0.0);"
            ),
        ],
        |a: &mut Alpha| {
            let params = a.params.borrow();
            Ok(params.vars.iter().map(|v| Dynamic::from(T::new(v.as_tensor().clone()))).collect::<Array>())
        },
    );
    api.def(
        [
            "set",
            "alpha.set([tensor])",
            "Give the raw parameters other values: one [edges, ops] tensor per cell type (their values are copied). What the \
             optimiser remembers stays. `alpha.values` are the parameters themselves; a copy that stays as it is, to be set \
             again later, is `alpha.values.map(|v| v.detach())`.",
            tiny!(
                "let alpha = architecture_parameters(net, #{});\n",
                "let before = alpha.values.map(|v| v.detach());\n",
                "alpha.set([before[0] * 0.0 + 2.0]);\n",
                "assert(alpha.values[0].at(3, 1).to_float() == 2.0);\n",
                "alpha.set(before);\n",
                "assert(alpha.values[0].at(3, 1).to_float() == before[0].at(3, 1).to_float());"
            ),
        ],
        |a: &mut Alpha, values: Dynamic| -> Fallible<()> {
            let values = tables_of("architecture parameters, values", &values, &a.net.space())?;
            a.params.borrow().set(&values).map_err(raise)
        },
    );
    api.def(
        [
            "importance",
            "alpha.importance() -> Importance\nimportance(space, mix) -> Importance",
            "Numbers that `subset.least_important` compares: the softmax over live candidates; or a script's own, one \
             [edges, ops] tensor per cell type.",
            tiny!(
                "let alpha = architecture_parameters(net, #{});\n",
                "let own = importance(net.space, alpha.values);\n",
                "assert(net.comparison_subsets()[0].least_important(own, 2).len == 2);"
            ),
        ],
        |a: &mut Alpha| a.importance().map_err(raise),
    );
    api.also("importance", |space: Space, tables: Dynamic| importance(&space, &tables));
}
