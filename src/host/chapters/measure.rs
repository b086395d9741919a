//! Statistics of candidates, freezing, and arithmetic of importances, in the chapter on supernets.

use crate::error::Result;
use crate::host::handles::batch::BatchHandle;
use crate::host::handles::importance::Importance;
use crate::host::handles::measure::{measure, outputs};
use crate::host::handles::space::{CandidateHandle, candidates};
use crate::host::handles::supernet::SupernetHandle;
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use crate::space::Candidate;
use rhai::{Array, Dynamic, INT};
use std::collections::BTreeSet;

/// Register them.
pub fn register(api: &mut Api) {
    functions! { api, [];
        /// An importance: the mean over cells and images of a statistic of each live candidate's output [images, c, h, w]
        /// in eval mode, of data (in batches of the supernet's batch_size) or of a batch, mixed by the mask, or by `mix`.
        /// "variance" of all numbers of a batch; "norm", of an image; "mean_abs"; "iim" of these very images; "similarity":
        /// the cosine of an image's output with the mixed sum of its node. Or a closure of one's own: |output| or
        /// |output, node| gives a number. By the readable definition on every device, not by the engine.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1, batch_size: 8 });
        /// let d = data().train.take(16);
        /// let skip = net.space.candidate(1, "skip_connect");
        /// assert(net.measure(d, "norm").of(skip) > 0.0);
        /// let own = net.measure(d, |output, node| (output * node).mean());
        /// print(own.genotype());
        /// ```
        fn measure(#context, net: SupernetHandle, images: Dynamic, what: Dynamic) -> Fallible<Importance> {
            measure(&context, &net, &images, &what, None)
        }
        fn measure(#context, net: SupernetHandle, images: Dynamic, what: Dynamic, mix: Dynamic) -> Fallible<Importance> {
            measure(&context, &net, &images, &what, Some(&mix))
        }

        /// What each live candidate gives for a batch in eval mode, in each cell: an array, node by node, of maps of `candidate`,
        /// `cell` (which of its type, from 0), `output` and `node`, the mixed sum that it goes into (by the mask, or by `mix`), both
        /// [images, c, h, w]. For numbers that relate candidates to each other, where `net.measure` sees one at a time. By the
        /// readable definition on every device; all of them are in memory at once.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let all = net.outputs(data().train.take(4).batches(4)[0]);
        /// assert(all.len == net.cells.len * net.space.candidates.len);
        /// let first = all.filter(|o| o.cell == 0 && o.candidate.edge == 0);
        /// print((first[2].output * first[3].output).mean());
        /// ```
        fn outputs(&net: SupernetHandle, batch: BatchHandle) -> Fallible<Array> { outputs(net, &batch, None) }
        fn outputs(&net: SupernetHandle, batch: BatchHandle, mix: Dynamic) -> Fallible<Array> {
            outputs(net, &batch, Some(&mix))
        }

        /// The weights of a candidate stay as they are in steps from now on: no gradient, decay nor momentum moves them,
        /// and they do not count in the norm that is clipped, as in PyTorch without requires_grad. It is computed and mixed
        /// as before. In every block of its cell type, or in block number `block` (from 0 behind the stem). Saved with every
        /// checkpoint. OLES: freeze where the mean of `train.of(c, k).cosine(valid.of(c, k))` falls below 0.4.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let conv = net.space.candidate(0, "nor_conv_3x3");
        /// net.freeze(conv);
        /// let before = net.weights.of(conv);
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) { net.step(batch, #{ lr: 0.1 }); }
        /// assert((net.weights.of(conv) - before).norm() == 0.0);
        /// ```
        fn freeze(&net: SupernetHandle, candidate: CandidateHandle) -> Result<()> {
            net.set_frozen(&candidate, None, true)
        }

        fn freeze(&net: SupernetHandle, candidate: CandidateHandle, block: usize) -> Result<()> {
            net.set_frozen(&candidate, Some(block), true)
        }

        /// The weights of a candidate are trained again.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// net.freeze(net.space.candidates[3]);
        /// net.unfreeze(net.space.candidates[3]);
        /// assert(net.frozen.len == 0);
        /// ```
        fn unfreeze(&net: SupernetHandle, candidate: CandidateHandle) -> Result<()> {
            net.set_frozen(&candidate, None, false)
        }

        /// The candidates that `net.freeze` holds, in some block or in all.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.frozen == []);
        /// ```
        get frozen(&net: SupernetHandle) -> Vec<CandidateHandle> {
            let frozen: BTreeSet<Candidate> = net.learner.borrow().frozen().iter().map(|(c, _)| *c).collect();
            candidates(&net.space(), frozen)
        }
    }
    arithmetic(api);
}

fn arithmetic(api: &mut Api) {
    functions! { api, [];
        /// Of importances, candidate by candidate, as are a - b, a * b, a / b and -a; one side may be a number.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// let sum = alpha.importance() * 2 + net.measure_iim(data().train, 8) * 1e-9;
        /// print(sum.genotype());
        /// ```
        fn "+"(a: Importance, b: Importance) -> Result<Importance> { a.with(&b, |a, b| a + b) }
    }
    let all: [(&str, fn(f64, f64) -> f64); 4] =
        [("+", |a, b| a + b), ("-", |a, b| a - b), ("*", |a, b| a * b), ("/", |a, b| a / b)];
    for (name, op) in all {
        api.operator(name, move |a: &mut Importance, b: Importance| {
            a.with(&b, op).map_err(crate::host::script::errors::raise)
        });
        api.operator(name, move |a: &mut Importance, b: f64| Ok(a.map(|x| op(x, b))) as Fallible<Importance>);
        api.operator(name, move |a: &mut Importance, b: INT| Ok(a.map(|x| op(x, b as f64))) as Fallible<Importance>);
        api.operator(name, move |a: f64, b: Importance| Ok(b.map(|x| op(a, x))) as Fallible<Importance>);
        api.operator(name, move |a: INT, b: Importance| Ok(b.map(|x| op(a as f64, x))) as Fallible<Importance>);
    }
    api.operator("-", |a: &mut Importance| Ok(a.map(|x| -x)) as Fallible<Importance>);
}
