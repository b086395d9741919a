//! The chapter on gradients: as vectors, of any tensor; copies, snapshots and moves of the weights.

use crate::error::Result;
use crate::host::handles::batch::BatchHandle;
use crate::host::handles::gradients::{GradientsHandle, gradient};
use crate::host::handles::snapshot::Snapshot;
use crate::host::handles::space::CandidateHandle;
use crate::host::handles::supernet::SupernetHandle;
use crate::host::handles::tensor::TensorHandle;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise};
use crate::host::script::functions::functions;
use crate::host::script::types::Number;
use crate::net::gradients::Both;
use candle_core::Tensor;
use rhai::{Dynamic, INT, Map};
use std::rc::Rc;

/// Register the functions of gradients.
pub fn register(api: &mut Api) {
    api.chapter("gradients");
    of_tensors(api);
    vectors(api);
    arithmetic(api);
    moves(api);
}

fn of_tensors(api: &mut Api) {
    functions! { api, [];
        /// Gradient of a scalar with respect to a tensor that it was computed of, or to each of an array of them:
        /// variables, architecture parameters, mixing weights, whatever a script holds. The very tensor counts:
        /// alpha.softmax() called twice gives two. Weights of supernets: `net.backward(loss)`. A loss may be a sum of
        /// losses of several supernets and batches; each gets its part.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     let mix = alpha.softmax();
        ///     let of = gradient(net.loss(batch, mix), [mix[0], alpha.values[0]]);
        ///     assert(of[0].shape == [6, 5] && of[1].shape == [6, 5]);
        /// }
        /// let x = variable(3.0).value;
        /// assert(gradient(x * x, x).to_float() == 6.0);
        /// ```
        fn gradient(loss: TensorHandle, of: Dynamic) -> Fallible<Dynamic> { gradient(&loss, &of) }

        /// What flowed to a tensor, as `gradient` gives it; or the gradients of a candidate's weights alone: in all
        /// cells of its type, or in block number `block` (from 0 behind the stem; reductions of NAS-Bench-201
        /// count). Of an importance: the number of a candidate.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let conv = net.space.candidate(0, "nor_conv_3x3");
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     let g = net.backward(net.loss(batch));
        ///     assert(g.of(conv).norm() > g.of(conv, 0).norm());
        ///     assert(g.of(conv).cosine(g) < 1.0);
        /// }
        /// ```
        fn of(&gradients: GradientsHandle, tensor: TensorHandle) -> Fallible<TensorHandle> {
            gradients.of_tensor(&tensor)
        }
        fn of(&gradients: GradientsHandle, candidate: CandidateHandle) -> Result<GradientsHandle> {
            gradients.of_candidate(&candidate, None)
        }
        fn of(&gradients: GradientsHandle, candidate: CandidateHandle, block: usize) -> Result<GradientsHandle> {
            gradients.of_candidate(&candidate, Some(block))
        }
    }
}

fn vectors(api: &mut Api) {
    functions! { api, [];
        /// The L2 norm of the gradients of the weights, all together, in double precision.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert((net.weights * 2).norm() > net.weights.norm());
        /// ```
        fn norm(&gradients: GradientsHandle) -> Result<f64> { gradients.norm() }

        /// The sum of the products of two gradients of the weights, in double precision.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let w = net.weights;
        /// assert((w.dot(w) / w.norm() / w.norm() - 1.0).abs() < 1e-9);
        /// ```
        fn dot(&gradients: GradientsHandle, other: GradientsHandle) -> Fallible<f64> { gradients.dot(&other) }

        /// The cosine of the angle between two gradients of the weights; NaN where one is zero.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert((net.weights.cosine(-net.weights) + 1.0).abs() < 1e-9);
        /// ```
        fn cosine(&gradients: GradientsHandle, other: GradientsHandle) -> Fallible<f64> { gradients.cosine(&other) }

        fn abs(&gradients: GradientsHandle) -> Result<GradientsHandle> { gradients.map(Tensor::abs) }
        fn sum(&gradients: GradientsHandle) -> Result<f64> { gradients.gradients.sum() }
    }
}

fn arithmetic(api: &mut Api) {
    functions! { api, [];
        /// Of gradients, number by number, as are g - h, g * h, g / 2 and -g; one side of * may be a number. Where
        /// nothing flowed counts as zero. What flowed to tensors (to architecture parameters) goes along. Gradients of
        /// a supernet and of its copies go together. The sum of |g * w| over a candidate, as SNIP has it:
        /// `(g * net.weights).of(candidate).abs().sum()`.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let w = net.weights;
        /// assert((w + w - w * 2).norm() == 0.0 && ((w * w).sum() - w.dot(w)).abs() < 1e-3);
        /// ```
        fn "+"(g: GradientsHandle, h: GradientsHandle) -> Fallible<GradientsHandle> { g.zip(&h, Tensor::add) }
        fn "-"(g: GradientsHandle, h: GradientsHandle) -> Fallible<GradientsHandle> { g.zip(&h, Tensor::sub) }
        fn "*"(g: GradientsHandle, h: GradientsHandle) -> Fallible<GradientsHandle> { g.zip(&h, Tensor::mul as Both) }
        fn "-"(g: GradientsHandle) -> Result<GradientsHandle> { g.map(Tensor::neg) }
    }
    let times = |g: &GradientsHandle, x: f64| g.map(|t| t * x).map_err(raise);
    api.operator("*", move |g: &mut GradientsHandle, x: f64| times(g, x));
    api.operator("*", move |g: &mut GradientsHandle, x: INT| times(g, x as f64));
    api.operator("*", move |x: f64, g: GradientsHandle| times(&g, x));
    api.operator("*", move |x: INT, g: GradientsHandle| times(&g, x as f64));
    api.operator("/", move |g: &mut GradientsHandle, x: f64| times(g, 1.0 / x));
    api.operator("/", move |g: &mut GradientsHandle, x: INT| times(g, 1.0 / x as f64));
}

fn moves(api: &mut Api) {
    functions! { api, [];
        /// w += factor * g for every weight: no decay, no momentum, no clipping; with gradients of this supernet or of
        /// a copy. The example is the second-order step of DARTS, as its authors' code has it.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{});
        /// let cfg = #{ epochs: 1, batch_size: 8, momentum: 0.9, nesterov: false, weight_decay: 3e-4 };
        /// let halves = data().train.take(16).split(0.5);
        /// for pair in net.pair_batches(halves[0], halves[1], cfg) {
        ///     let lr = net.lr(pair.train, cfg);
        ///     let before = net.snapshot();
        ///     let g = net.backward(net.loss(pair.train, alpha.softmax()));
        ///     net.add(net.momentum * cfg.momentum + g + net.weights * cfg.weight_decay, -lr);
        ///     let ahead = net.backward(net.loss(pair.valid, alpha.softmax()));
        ///     net.restore(before);
        ///     let e = 0.01 / ahead.norm();
        ///     net.add(ahead, e);
        ///     let up = net.backward(net.loss(pair.train, alpha.softmax()));
        ///     net.add(ahead, -2.0 * e);
        ///     let down = net.backward(net.loss(pair.train, alpha.softmax()));
        ///     net.restore(before);
        ///     alpha.step(ahead - (up - down) * (lr / (2.0 * e)));
        ///     net.step(pair.train, alpha.softmax(), cfg);
        /// }
        /// ```
        fn add(&net: SupernetHandle, gradients: GradientsHandle, factor: Number) -> Fallible<()> {
            net.add(&gradients, factor.0)
        }

        /// Another supernet with the same weights, running statistics, momentum, mask and epoch, which then goes its
        /// own way; saved with every checkpoint, as every supernet is. To try a step and come back,
        /// `net.snapshot()` and `net.restore(s)` cost less. A copy takes on the present state of its original by
        /// `copy.restore(net.snapshot())`.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let other = net.copy();
        /// other.add(other.weights, -1.0);
        /// assert(other.weights.norm() == 0.0 && net.weights.norm() > 0.0);
        /// ```
        fn copy(&net: SupernetHandle) -> Result<SupernetHandle> { net.copy() }

        /// Weights, running statistics, momentum and mask as they are now, for `net.restore`. A run_state keeps it.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let best = run_state(#{ net: net.snapshot() });
        /// net.add(net.weights, 0.5);
        /// net.restore(best.net);
        /// ```
        fn snapshot(&net: SupernetHandle) -> Result<Snapshot> {
            Ok(Snapshot(Rc::new(net.learner.borrow().snapshot()?)))
        }

        /// Takes back a snapshot of this supernet or of a copy, to the bit; what was dropped since lives again. Epoch
        /// and statistics of the epoch go on.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let before = net.snapshot();
        /// net.drop(net.space.candidate(0, "none"));
        /// net.restore(before);
        /// assert(net.mask.n_alive == 30);
        /// ```
        fn restore(&net: SupernetHandle, snapshot: Snapshot) -> Result<()> {
            net.learner.borrow_mut().take_back(&snapshot.0)
        }

        /// The learning rate of a step on this batch: where the cosine of cfg stands at the batch's place in the epoch.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let cfg = #{ epochs: 2, batch_size: 8, lr: 0.1 };
        /// for batch in net.batches(data().train.take(8), cfg) { assert(net.lr(batch, cfg) == 0.1); }
        /// ```
        fn lr(&net: SupernetHandle, batch: BatchHandle, cfg: Map) -> Fallible<f64> {
            let cfg = net.train_config(&cfg)?;
            Ok(net.learner.borrow().learning_rate(&batch.0, &cfg)?)
        }

        /// The weights as they are now, in the form of gradients: for decay, for |g * w|.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.weights.norm() > 0.0);
        /// ```
        get weights(&net: SupernetHandle) -> Result<GradientsHandle> {
            let weights = net.learner.borrow().weights()?;
            Ok(GradientsHandle::new(weights, &net.family))
        }

        /// The momentum of the weights as it is now, in the form of gradients; zero before the first step.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.momentum.norm() == 0.0);
        /// ```
        get momentum(&net: SupernetHandle) -> Result<GradientsHandle> {
            let momentum = net.learner.borrow().momentum()?;
            Ok(GradientsHandle::new(momentum, &net.family))
        }
    }
}
