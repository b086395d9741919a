//! `net.loss`, `net.logits` and `net.evaluate`, in the chapter on supernets.

use super::tiny::tiny;
use crate::host::handles::batch::Batch;
use crate::host::handles::data::Data;
use crate::host::handles::net::Net;
use crate::host::handles::passes::{Images, evaluate, logits, loss};
use crate::host::script::api::Api;
use rhai::{Dynamic, Map};

/// Register `loss` and `logits`, in the chapter on supernets.
pub fn losses(api: &mut Api) {
    api.def(
        [
            "loss",
            "net.loss(batch) -> Tensor\nnet.loss(batch, mix) -> Tensor\nnet.loss(batch, cfg) -> Tensor\n\
             net.loss(batch, mix, cfg) -> Tensor",
            "Mean cross-entropy of a batch: a scalar that remembers its computation, for `alpha.step` and \
             `net.backward`. cfg.mode: \"train\" (the default: batch norm by the batch, running statistics of stem, \
             reductions and head move) or \"eval\" (by the running statistics, nothing moves; batch norm in candidates goes \
             by the batch in every mode). cfg.paths: \"all\" (the default) or \"drawn\": candidates whose mixing weight is \
             exactly 0, as in a one-hot sample, are not computed, so that a drawn path costs what a path costs. The value is \
             the same; their weights get no gradient, which counts as zero (decay and momentum still move them), and the \
             gradient of their mixing weights is 0, or with cfg.ghost: true that of a bare number in the sum of the node: \
             what arrives there, summed over images, channels and pixels (GDAS). A constant mix is computed in this way \
             whatever is asked for. cfg.drop_path, in train mode: see `net.train_epoch`; not together with cfg.ghost.",
            tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {\n",
                "    let train = net.loss(batch);\n",
                "    let running = net.loss(batch, #{ mode: \"eval\" });\n",
                "    assert(train.to_float() != running.to_float());\n",
                "    let alpha = architecture_parameters(net, #{});\n",
                "    let p = alpha.softmax()[0];\n",
                "    let z = (p.one_hot() - p).detach() + p;\n",
                "    alpha.step(net.loss(batch, z, #{ paths: \"drawn\", ghost: true }));\n",
                "}"
            ),
        ],
        |net: &mut Net, batch: Batch| loss(net, &batch, None, &Map::new()),
    );
    api.also("loss", |net: &mut Net, batch: Batch, cfg: Map| loss(net, &batch, None, &cfg));
    api.also("loss", |net: &mut Net, batch: Batch, mix: Dynamic| loss(net, &batch, Some(&mix), &Map::new()));
    api.also("loss", |net: &mut Net, batch: Batch, mix: Dynamic, cfg: Map| loss(net, &batch, Some(&mix), &cfg));
    api.def(
        [
            "logits",
            "net.logits(batch) -> Tensor\nnet.logits(batch, mix) -> Tensor\nnet.logits(batch, cfg) -> Tensor\n\
             net.logits(batch, mix, cfg) -> Tensor",
            "Logits [images, classes] of a batch, for a loss of one's own; cfg as in `net.loss`.",
            tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {\n",
                "    assert(net.logits(batch, #{ mode: \"eval\" }).shape == [8, 10]);\n",
                "}"
            ),
        ],
        |net: &mut Net, batch: Batch| logits(net, &batch, None, &Map::new()),
    );
    api.also("logits", |net: &mut Net, batch: Batch, cfg: Map| logits(net, &batch, None, &cfg));
    api.also("logits", |net: &mut Net, batch: Batch, mix: Dynamic| logits(net, &batch, Some(&mix), &Map::new()));
    api.also("logits", |net: &mut Net, batch: Batch, mix: Dynamic, cfg: Map| logits(net, &batch, Some(&mix), &cfg));
}

/// Register `evaluate`, in the chapter on supernets.
pub fn evaluations(api: &mut Api) {
    api.def(
        [
            "evaluate",
            "net.evaluate(data) -> map\nnet.evaluate(data, mix) -> map\nnet.evaluate(data, cfg) -> map\n\
             net.evaluate(data, mix, cfg) -> map",
            "Loss and accuracy (a fraction) over a data set, no augmentation, or over one batch: #{ loss, accuracy, images, \
             seconds, lr: 0 }. cfg.mode: \"eval\" (the default) or \"train\": batch norm of stem, reductions and head by each \
             batch, too. Either way the network stays as it is. In \"train\" this differs from PyTorch's model.train(), under \
             which DARTS-PT's authors evaluate: there each batch also moves the running statistics (what this mode gives \
             does not depend on them). Batch norm in candidates uses batch statistics in every mode.",
            tiny!(
                "let test = data().test.take(32);\n",
                "assert(net.evaluate(test).accuracy <= 1.0);\n",
                "let a = net.evaluate(test, #{ mode: \"train\" });\n",
                "assert(net.evaluate(test, #{ mode: \"train\" }).loss == a.loss);"
            ),
        ],
        |net: &mut Net, data: Data| evaluate(net, &data, None, &Map::new()),
    );
    api.also("evaluate", |net: &mut Net, batch: Batch| evaluate(net, &batch, None, &Map::new()));
    more_evaluations::<Data>(api);
    more_evaluations::<Batch>(api);
}

fn more_evaluations<I: Images>(api: &mut Api) {
    api.also("evaluate", |net: &mut Net, images: I, cfg: Map| evaluate(net, &images, None, &cfg));
    api.also("evaluate", |net: &mut Net, images: I, mix: Dynamic| evaluate(net, &images, Some(&mix), &Map::new()));
    api.also("evaluate", |net: &mut Net, images: I, mix: Dynamic, cfg: Map| evaluate(net, &images, Some(&mix), &cfg));
}
