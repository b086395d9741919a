//! `net.loss`, `net.logits` and `net.evaluate`, in the chapter on supernets.

use crate::host::handles::batch::BatchHandle;
use crate::host::handles::data::Data;
use crate::host::handles::passes::{Evaluated, evaluate, logits, loss};
use crate::host::handles::supernet::SupernetHandle;
use crate::host::handles::tensor::TensorHandle;
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use rhai::{Dynamic, Map};

/// Register `loss` and `logits`.
pub fn losses(api: &mut Api) {
    functions! { api, [];
        /// Mean cross-entropy of a batch: a scalar that remembers its computation, for `alpha.step` and
        /// `net.backward`. cfg.mode: "train" (the default: batch norm by the batch, running statistics of stem,
        /// reductions and head move) or "eval" (by the running statistics, nothing moves; batch norm in candidates
        /// goes by the batch in every mode). cfg.paths: "all" (the default) or "drawn": candidates whose mixing
        /// weight is exactly 0, as in a one-hot sample, are not computed, so that a drawn path costs what a path
        /// costs. The value is the same; their weights get no gradient, which counts as zero (decay and momentum
        /// still move them), and the gradient of their mixing weights is 0, or with cfg.ghost: true that of a bare
        /// number in the sum of the node: what arrives there, summed over images, channels and pixels (GDAS). A
        /// constant mix is computed in this way whatever is asked for. cfg.drop_path, in train mode: see
        /// `net.train_epoch`; not together with cfg.ghost.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     let train = net.loss(batch);
        ///     let running = net.loss(batch, #{ mode: "eval" });
        ///     assert(train.to_float() != running.to_float());
        ///     let alpha = architecture_parameters(net, #{});
        ///     let p = alpha.softmax()[0];
        ///     let z = (p.one_hot() - p).detach() + p;
        ///     alpha.step(net.loss(batch, z, #{ paths: "drawn", ghost: true }));
        /// }
        /// ```
        fn loss(&net: SupernetHandle, batch: BatchHandle) -> Fallible<TensorHandle> {
            loss(net, &batch, None, &Map::new())
        }
        fn loss(&net: SupernetHandle, batch: BatchHandle, mix: Dynamic) -> Fallible<TensorHandle> {
            loss(net, &batch, Some(&mix), &Map::new())
        }
        fn loss(&net: SupernetHandle, batch: BatchHandle, cfg: Map) -> Fallible<TensorHandle> {
            loss(net, &batch, None, &cfg)
        }
        fn loss(&net: SupernetHandle, batch: BatchHandle, mix: Dynamic, cfg: Map) -> Fallible<TensorHandle> {
            loss(net, &batch, Some(&mix), &cfg)
        }

        /// Logits [images, classes] of a batch, for a loss of one's own; cfg as in `net.loss`.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     assert(net.logits(batch, #{ mode: "eval" }).shape == [8, 10]);
        /// }
        /// ```
        fn logits(&net: SupernetHandle, batch: BatchHandle) -> Fallible<TensorHandle> {
            logits(net, &batch, None, &Map::new())
        }
        fn logits(&net: SupernetHandle, batch: BatchHandle, mix: Dynamic) -> Fallible<TensorHandle> {
            logits(net, &batch, Some(&mix), &Map::new())
        }
        fn logits(&net: SupernetHandle, batch: BatchHandle, cfg: Map) -> Fallible<TensorHandle> {
            logits(net, &batch, None, &cfg)
        }
        fn logits(&net: SupernetHandle, batch: BatchHandle, mix: Dynamic, cfg: Map) -> Fallible<TensorHandle> {
            logits(net, &batch, Some(&mix), &cfg)
        }
    }
}

/// Register `evaluate`.
pub fn evaluations(api: &mut Api) {
    functions! { api, [];
        /// Loss and accuracy (a fraction) over a data set, no augmentation, or over one batch: #{ loss, accuracy,
        /// images, seconds, lr: 0 }. cfg.mode: "eval" (the default) or "train": batch norm of stem, reductions and
        /// head by each batch, too. Either way the network stays as it is. In "train" this differs from PyTorch's
        /// model.train(), under which DARTS-PT's authors evaluate: there each batch also moves the running statistics
        /// (what this mode gives does not depend on them). Batch norm in candidates uses batch statistics in every
        /// mode.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let test = data().test.take(32);
        /// assert(net.evaluate(test).accuracy <= 1.0);
        /// let a = net.evaluate(test, #{ mode: "train" });
        /// assert(net.evaluate(test, #{ mode: "train" }).loss == a.loss);
        /// ```
        fn evaluate(&net: SupernetHandle, images: Data) -> Fallible<Map> { evaluate(net, &images, None, &Map::new()) }
        fn evaluate(&net: SupernetHandle, images: BatchHandle) -> Fallible<Map> {
            evaluate(net, &images, None, &Map::new())
        }
    }
    more_evaluations::<Data>(api);
    more_evaluations::<BatchHandle>(api);
}

fn more_evaluations<I: Evaluated>(api: &mut Api) {
    functions! { api, [];
        fn evaluate(&net: SupernetHandle, images: I, mix: Dynamic) -> Fallible<Map> {
            evaluate(net, &images, Some(&mix), &Map::new())
        }
        fn evaluate(&net: SupernetHandle, images: I, cfg: Map) -> Fallible<Map> { evaluate(net, &images, None, &cfg) }
        fn evaluate(&net: SupernetHandle, images: I, mix: Dynamic, cfg: Map) -> Fallible<Map> {
            evaluate(net, &images, Some(&mix), &cfg)
        }
    }
}
