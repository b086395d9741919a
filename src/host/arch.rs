//! Architecture parameters in scripts.

use super::api::Api;
use super::context::Host;
use super::errors::{Fallible, raise, wrong};
use super::genotype::Genotype;
use super::net::{Grads, Net};
use super::net_api::tiny;
use super::settings::config;
use super::show::{Look, tables};
use super::shrink::Importance;
use super::space::Space;
use super::tensor::{T, mix_of};
use crate::error::Result;
use crate::search::{ArchParams, Stateful, arch::ArchConfig};
use crate::space::PerCandidate;
use rhai::{Array, Dynamic, Map};
use std::cell::RefCell;
use std::rc::Rc;

/// Architecture parameters of a supernet, with their Adam; clones are the same.
#[derive(Clone)]
pub struct Alpha {
    params: Rc<RefCell<ArchParams>>,
    net: Net,
}

impl Alpha {
    fn new(host: &Host, net: &Net, cfg: &Map) -> Fallible<Self> {
        let config: ArchConfig = config(host, cfg)?;
        let seed = host.stream.borrow_mut().next_seed();
        let learner = net.learner.borrow();
        let params = ArchParams::new(&net.space(), config, seed, learner.net.device()).map_err(raise)?;
        let params = Rc::new(RefCell::new(params));
        host.register_state(&(params.clone() as Rc<RefCell<dyn Stateful>>));
        Ok(Alpha { params, net: net.clone() })
    }

    fn softmax(&self) -> Result<Array> {
        let tensors = self.params.borrow().softmax(self.net.learner.borrow().net.mask())?;
        Ok(tensors.into_iter().map(|t| Dynamic::from(T(t))).collect())
    }

    /// The softmax over live candidates.
    pub fn importance(&self) -> Result<Importance> {
        let table = self.params.borrow().importance(self.net.learner.borrow().net.mask())?;
        Ok(Importance { table: Rc::new(table), score: None, space: self.net.space() })
    }
}

/// An importance from a script's own numbers: one `[edges, ops]` tensor per cell type.
fn importance(space: &Space, tables: &Dynamic) -> Fallible<Importance> {
    let mut table = PerCandidate::filled(&space.0, f64::NAN);
    for (cell_type, tensor) in mix_of(tables, &space.0)?.iter().enumerate() {
        let rows = tensor.to_vec2::<f32>().map_err(super::errors::raise_tensor)?;
        for c in space.0.candidates().into_iter().filter(|c| c.cell_type == cell_type) {
            *table.get_mut(c) = f64::from(rows[c.edge][c.op]);
        }
    }
    Ok(Importance { table: Rc::new(table), score: None, space: space.0.clone() })
}

/// Register the functions of architecture parameters.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("architecture parameters");
    api.value::<Alpha>("ArchitectureParameters", |a| match a.importance() {
        Ok(importance) => {
            format!("architecture parameters; softmax\n{}", tables::importance(&importance, &Look::PLAIN))
        }
        Err(error) => error.to_string(),
    });
    let h = host.clone();
    api.def(
        [
            "architecture_parameters",
            "architecture_parameters(net, cfg) -> ArchitectureParameters",
            "One [edges, ops] variable per cell type, drawn as cfg.arch_init (1e-3) * N(0, 1), with Adam: arch_lr \
             (3e-4), arch_beta1 (0.5), arch_beta2 (0.999), arch_weight_decay (1e-3, added to the gradient).",
            tiny!("let alpha = architecture_parameters(net, #{});\nassert(alpha.softmax()[0].shape == [6, 5]);"),
        ],
        move |net: Net, cfg: Map| Alpha::new(&h, &net, &cfg),
    );
    api.also("softmax", |a: &mut Alpha| a.softmax().map_err(raise));
    api.also("genotype", |a: &mut Alpha| {
        a.params.borrow().genotype(&a.net.space(), a.net.learner.borrow().net.mask()).map(Genotype).map_err(raise)
    });
    api.also("step", |a: &mut Alpha, loss: T| -> Fallible<()> {
        if loss.0.elem_count() != 1 {
            return Err(wrong("alpha.step", format!("a tensor of shape {:?}", loss.0.dims()), "a loss: one number"));
        }
        a.params.borrow_mut().step_on(loss.0, &a.net.learner.borrow()).map_err(raise)
    });
    api.also("step", |a: &mut Alpha, gradients: Grads| a.params.borrow_mut().step(&gradients.0).map_err(raise));
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
            Ok(params.vars.iter().map(|v| Dynamic::from(T(v.as_tensor().clone()))).collect::<Array>())
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
