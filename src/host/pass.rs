//! Passes of a supernet that change nothing in it: `net.loss`, `net.logits`, `net.evaluate`, and how scripts ask for them.

use super::api::Api;
use super::batches::Batch;
use super::data::Data;
use super::errors::{Fallible, raise};
use super::net::{Net, stats_map};
use super::net_api::tiny;
use super::settings::typed;
use super::tensor::T;
use crate::error::{Error, Result};
use crate::net::{Mode, Pass, Paths};
use crate::search::TrainConfig;
use crate::search::learner::in_order;
use crate::search::settings::known_keys;
use rhai::{Dynamic, Map, Variant};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How `net.evaluate` is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// `train` or `eval`; empty: `eval`.
    pub mode: String,
}

/// How `net.loss` and `net.logits` are asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PassConfig {
    /// `train` or `eval`; empty: `train`.
    pub mode: String,
    /// `all` or `drawn`; empty: `all`.
    pub paths: String,
    /// Whether what is not drawn has the gradient of a bare number.
    pub ghost: bool,
    /// Probability that an edge is left out for an image, in train mode.
    pub drop_path: f64,
}

impl PassConfig {
    fn pass(&self) -> Result<Pass> {
        let paths = match (self.paths.as_str(), self.ghost) {
            ("" | "all", false) => Paths::All,
            ("" | "all", true) => {
                return Err(Error::invalid("ghost", "true, of all paths", "paths: \"drawn\" beside it"));
            }
            ("drawn", false) => Paths::Drawn,
            ("drawn", true) => Paths::DrawnWithGhosts,
            (other, _) => return Err(Error::unknown_name("paths", other, ["all", "drawn"])),
        };
        Ok(Pass { mode: mode(&self.mode, Mode::Train, Mode::Train)?, paths })
    }

    /// The pass, and the probability that an edge is left out.
    fn of(map: &Map) -> Result<(Pass, f64)> {
        let cfg: PassConfig = options(map)?;
        TrainConfig { drop_path: cfg.drop_path, ..TrainConfig::default() }.check()?;
        Ok((cfg.pass()?, cfg.drop_path))
    }
}

/// The mode asked for, or `usual`; what `train` means is for the function to say.
fn mode(name: &str, usual: Mode, train: Mode) -> Result<Mode> {
    match name {
        "" => Ok(usual),
        "train" => Ok(train),
        "eval" => Ok(Mode::Eval),
        other => Err(Error::unknown_name("mode", other, ["train", "eval"])),
    }
}

/// The options of one pass, which has no others: an unknown key is an error.
fn options<T: Serialize + Default + DeserializeOwned + 'static>(map: &Map) -> Result<T> {
    let known = known_keys::<T>();
    match map.keys().find(|key| !known.iter().any(|k| k == key.as_str())) {
        Some(key) => Err(Error::unknown_name("option of a pass", key, known.iter().map(String::as_str))),
        None => typed(map),
    }
}

/// What `net.evaluate` runs over.
pub trait Images: Variant + Clone {
    /// Loss and accuracy.
    fn evaluate(&self, net: &Net, mix: Option<&Dynamic>, mode: Mode) -> Fallible<Map>;
}

impl Images for Data {
    fn evaluate(&self, net: &Net, mix: Option<&Dynamic>, mode: Mode) -> Fallible<Map> {
        let mix = mix.map(|m| net.mixing(m)).transpose()?;
        net.learner.borrow().check_last(&self.0, net.batch_size).map_err(raise)?;
        let batches = in_order(&self.0, net.batch_size).map_err(raise)?;
        let stats = net.learner.borrow().evaluate(batches, mix.as_deref(), mode, &*net.host.progress);
        stats.map(|s| stats_map(&s)).map_err(raise)
    }
}

impl Images for Batch {
    fn evaluate(&self, net: &Net, mix: Option<&Dynamic>, mode: Mode) -> Fallible<Map> {
        let mix = mix.map(|m| net.mixing(m)).transpose()?;
        let stats = net.learner.borrow().evaluate([&*self.0], mix.as_deref(), mode, &*net.host.progress);
        stats.map(|s| stats_map(&s)).map_err(raise)
    }
}

fn evaluate<I: Images>(net: &Net, images: &I, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<Map> {
    let cfg: EvaluationConfig = options(cfg).map_err(raise)?;
    images.evaluate(net, mix, mode(&cfg.mode, Mode::Eval, Mode::Batch).map_err(raise)?)
}

fn loss(net: &Net, batch: &Batch, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<T> {
    let (pass, drop_path) = PassConfig::of(cfg).map_err(raise)?;
    let tensors = mix.map(|m| net.mixing(m)).transpose()?;
    let loss = net.learner.borrow().loss(&batch.0, tensors.as_deref(), pass, drop_path).map_err(raise)?;
    Ok(T::behind(loss, mix))
}

fn logits(net: &Net, batch: &Batch, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<T> {
    let (pass, drop_path) = PassConfig::of(cfg).map_err(raise)?;
    let tensors = mix.map(|m| net.mixing(m)).transpose()?;
    let logits = net.learner.borrow().logits(&batch.0, tensors.as_deref(), pass, drop_path).map_err(raise)?;
    Ok(T::behind(logits, mix))
}

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
