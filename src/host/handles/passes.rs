//! Passes of a supernet that change nothing in it, and how scripts ask for them.

use super::batch::Batch;
use super::data::Data;
use super::net::{Net, stats_map};
use super::tensor::T;
use crate::error::{Error, Result};
use crate::host::run::settings::{EvaluationConfig, PassConfig, typed};
use crate::host::script::errors::{Fallible, raise};
use crate::net::{Mode, Pass, Paths};
use crate::search::TrainConfig;
use crate::search::learner::in_order;
use crate::search::settings::known_keys;
use rhai::{Dynamic, Map, Variant};
use serde::Serialize;
use serde::de::DeserializeOwned;

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

pub(crate) fn evaluate<I: Images>(net: &Net, images: &I, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<Map> {
    let cfg: EvaluationConfig = options(cfg).map_err(raise)?;
    images.evaluate(net, mix, mode(&cfg.mode, Mode::Eval, Mode::Batch).map_err(raise)?)
}

pub(crate) fn loss(net: &Net, batch: &Batch, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<T> {
    let (pass, drop_path) = PassConfig::of(cfg).map_err(raise)?;
    let tensors = mix.map(|m| net.mixing(m)).transpose()?;
    let loss = net.learner.borrow().loss(&batch.0, tensors.as_deref(), pass, drop_path).map_err(raise)?;
    Ok(T::behind(loss, mix))
}

pub(crate) fn logits(net: &Net, batch: &Batch, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<T> {
    let (pass, drop_path) = PassConfig::of(cfg).map_err(raise)?;
    let tensors = mix.map(|m| net.mixing(m)).transpose()?;
    let logits = net.learner.borrow().logits(&batch.0, tensors.as_deref(), pass, drop_path).map_err(raise)?;
    Ok(T::behind(logits, mix))
}
