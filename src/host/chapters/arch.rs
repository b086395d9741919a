//! The chapter on architecture parameters.

use crate::error::Result;
use crate::host::handles::arch::ArchitectureParameters;
use crate::host::handles::genotype::GenotypeHandle;
use crate::host::handles::gradients::GradientsHandle;
use crate::host::handles::importance::Importance;
use crate::host::handles::snapshot::Snapshot;
use crate::host::handles::space::SpaceHandle;
use crate::host::handles::supernet::SupernetHandle;
use crate::host::handles::tensor::{TensorHandle, tables_of};
use crate::host::run::Run;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use crate::search::Stateful;
use rhai::{Dynamic, Map};
use std::rc::Rc;

/// Register the functions of architecture parameters.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("architecture parameters");
    functions! { api, [host];
        /// One [edges, ops] variable per cell type, drawn as cfg.arch_mean (0) + cfg.arch_init (1e-3) * N(0, 1), with
        /// an optimiser of its own: arch_optimiser ("adam", or "sgd"), arch_lr (3e-4), arch_beta1 (0.5), arch_beta2
        /// (0.999) and arch_epsilon (1e-8) of Adam, arch_momentum (0) of SGD, arch_weight_decay (1e-3, added to the
        /// gradient), arch_clip (0: no clipping; else the largest norm of the gradients of all cell types together).
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// assert(alpha.softmax()[0].shape == [6, 5]);
        /// let own = architecture_parameters(net, #{ arch_optimiser: "sgd", arch_mean: 1.0, arch_clip: 10.0 });
        /// assert(own.values[0].mean().to_float() > 0.5);
        /// ```
        fn architecture_parameters(net: SupernetHandle, cfg: Map) -> Fallible<ArchitectureParameters> {
            ArchitectureParameters::new(&host, &net, &cfg)
        }

        /// A mix: the softmax of the parameters over the live candidates of every edge, 0 for dead ones; one [edges,
        /// ops] tensor per cell type.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let mix = architecture_parameters(net, #{}).softmax();
        /// assert(mix[0].shape == [6, 5]);
        /// ```
        fn softmax(&alpha: ArchitectureParameters) -> Fallible<Vec<TensorHandle>> { alpha.softmax() }

        /// The cell of the largest parameters, as `importance.genotype()` has it of their softmax.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// print(architecture_parameters(net, #{}).genotype());
        /// ```
        fn genotype(&alpha: ArchitectureParameters) -> Result<GenotypeHandle> { alpha.genotype() }

        /// One step of their optimiser on the parameters alone, on a loss made of them or with gradients of
        /// `net.backward`; the weights stay.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     let before = alpha.softmax()[0].detach();
        ///     alpha.step(net.loss(batch, alpha.softmax()));
        ///     assert((alpha.softmax()[0] - before).abs().max() > 0.0);
        /// }
        /// ```
        fn step(&alpha: ArchitectureParameters, loss: TensorHandle) -> Fallible<()> {
            if loss.0.elem_count() != 1 {
                return Err(wrong("alpha.step", format!("a tensor of shape {:?}", loss.0.dims()), "a loss: one number"));
            }
            Ok(alpha.params.borrow_mut().step_on(loss.0, &alpha.net.learner.borrow())?)
        }
        fn step(&alpha: ArchitectureParameters, gradients: GradientsHandle) -> Result<()> {
            let place = || format!("epoch {}, an architecture step", alpha.net.learner.borrow().epoch());
            alpha.params.borrow_mut().step(&gradients.gradients, place)
        }

        /// The raw parameters, [edges, ops] per cell type; gradients flow to them.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{ arch_init: 0.0 });
        /// assert(alpha.values[0].sum().to_float() == 0.0);
        /// ```
        get values(&alpha: ArchitectureParameters) -> Vec<TensorHandle> {
            alpha.params.borrow().vars.iter().map(|v| TensorHandle::new(v.as_tensor().clone())).collect()
        }

        /// Give the raw parameters other values: one [edges, ops] tensor per cell type (their values are copied).
        /// What the optimiser remembers stays. `alpha.values` are the parameters themselves; a copy that stays as it
        /// is, to be set again later, is `alpha.values.map(|v| v.detach())`.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// let before = alpha.values.map(|v| v.detach());
        /// alpha.set([before[0] * 0.0 + 2.0]);
        /// assert(alpha.values[0].at(3, 1).to_float() == 2.0);
        /// alpha.set(before);
        /// assert(alpha.values[0].at(3, 1).to_float() == before[0].at(3, 1).to_float());
        /// ```
        fn set(&alpha: ArchitectureParameters, tensors: Dynamic) -> Fallible<()> {
            let values = tables_of("architecture parameters, values", &tensors, &alpha.net.space())?;
            Ok(alpha.params.borrow().set(&values)?)
        }

        /// The parameters and what their optimiser remembers as they are now, for `alpha.restore`. A run_state keeps it.
        ///
        /// ```rhai
        /// let alpha = architecture_parameters(supernet("nas-bench-201", #{ channels: 2, cells: 1 }), #{});
        /// let best = run_state(#{ alpha: alpha.snapshot() });
        /// alpha.restore(best.alpha);
        /// ```
        fn snapshot(&alpha: ArchitectureParameters) -> Result<Snapshot> {
            Ok(Snapshot(Rc::new(alpha.params.borrow().state()?)))
        }

        /// Takes back a snapshot of these parameters, to the bit.
        ///
        /// ```rhai
        /// let alpha = architecture_parameters(supernet("nas-bench-201", #{ channels: 2, cells: 1 }), #{});
        /// let before = alpha.snapshot();
        /// alpha.set([alpha.values[0] * 0.0]);
        /// alpha.restore(before);
        /// assert(alpha.values[0].abs().max() > 0.0);
        /// ```
        fn restore(&alpha: ArchitectureParameters, snapshot: Snapshot) -> Result<()> {
            alpha.params.borrow_mut().restore((*snapshot.0).clone())
        }

        /// Numbers that `subset.least_important` compares: the softmax over live candidates; or a script's own, one
        /// [edges, ops] tensor per cell type.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// let own = importance(net.space, alpha.values);
        /// assert(net.comparison_subsets()[0].least_important(own, 2).len == 2);
        /// ```
        fn importance(&alpha: ArchitectureParameters) -> Result<Importance> { alpha.importance() }
        fn importance(space: SpaceHandle, mix: Dynamic) -> Fallible<Importance> { Importance::of_tables(&space, &mix) }
    }
}
