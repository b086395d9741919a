//! Passes of a supernet that change nothing in it, and how scripts ask for them.

use super::batch::BatchHandle;
use super::data::Data;
use super::handle::Handle;
use super::supernet::{SupernetHandle, stats_map};
use super::tensor::TensorHandle;
use crate::error::{Error, Result};
use crate::host::run::settings::{EvaluationConfig, PassConfig, typed};
use crate::host::script::errors::Fallible;
use crate::net::{Mode, Pass, Paths};
use crate::search::in_order;
use crate::search::learner::DropRates;
use crate::search::settings::Settings;
use rhai::{Dynamic, Map};

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

    /// The pass, and what is left out in it.
    fn of(map: &Map) -> Result<(Pass, DropRates)> {
        let cfg: PassConfig = options(map)?;
        cfg.check()?;
        Ok((cfg.pass()?, DropRates { path: cfg.drop_path, skip: cfg.dropout, pool: cfg.pool_dropout }))
    }
}

/// The mode asked for, or `usual`; what `train` means is for the function to say.
pub(super) fn mode(name: &str, usual: Mode, train: Mode) -> Result<Mode> {
    match name {
        "" => Ok(usual),
        "train" => Ok(train),
        "eval" => Ok(Mode::Eval),
        other => Err(Error::unknown_name("mode", other, ["train", "eval"])),
    }
}

/// The options of one pass, which has no others: an unknown key is an error.
pub(super) fn options<T: Settings + Default>(map: &Map) -> Result<T> {
    match map.keys().find(|key| !T::NAMES.contains(&key.as_str())) {
        Some(key) => Err(Error::unknown_name("option of a pass", key, T::NAMES.iter().copied())),
        None => typed(map),
    }
}

/// What `net.evaluate` runs over.
pub trait Evaluated: Handle {
    /// Loss and accuracy.
    fn evaluate(&self, net: &SupernetHandle, mix: Option<&Dynamic>, mode: Mode) -> Fallible<Map>;
}

impl Evaluated for Data {
    fn evaluate(&self, net: &SupernetHandle, mix: Option<&Dynamic>, mode: Mode) -> Fallible<Map> {
        let mix = mix.map(|m| net.mixing(m)).transpose()?;
        net.learner.borrow().check_data(&self.0, net.batch_size)?;
        let batches = in_order(&self.0, net.batch_size)?;
        Ok(stats_map(&net.learner.borrow().evaluate(batches, mix.as_deref(), mode, &*net.host.progress)?))
    }
}

impl Evaluated for BatchHandle {
    fn evaluate(&self, net: &SupernetHandle, mix: Option<&Dynamic>, mode: Mode) -> Fallible<Map> {
        let mix = mix.map(|m| net.mixing(m)).transpose()?;
        Ok(stats_map(&net.learner.borrow().evaluate([&*self.0], mix.as_deref(), mode, &*net.host.progress)?))
    }
}

/// `net.evaluate`.
pub(crate) fn evaluate<I: Evaluated>(
    net: &SupernetHandle,
    images: &I,
    mix: Option<&Dynamic>,
    cfg: &Map,
) -> Fallible<Map> {
    let cfg: EvaluationConfig = options(cfg)?;
    images.evaluate(net, mix, mode(&cfg.mode, Mode::Eval, Mode::Batch)?)
}

/// `net.loss`.
pub(crate) fn loss(
    net: &SupernetHandle,
    batch: &BatchHandle,
    mix: Option<&Dynamic>,
    cfg: &Map,
) -> Fallible<TensorHandle> {
    let (pass, drop) = PassConfig::of(cfg)?;
    net.note_slow(drop);
    let tensors = mix.map(|m| net.mixing(m)).transpose()?;
    let loss = net.learner.borrow().loss(&batch.0, tensors.as_deref(), pass, drop)?;
    TensorHandle::behind(&loss, mix)
}

/// `net.logits`.
pub(crate) fn logits(
    net: &SupernetHandle,
    batch: &BatchHandle,
    mix: Option<&Dynamic>,
    cfg: &Map,
) -> Fallible<TensorHandle> {
    let (pass, drop) = PassConfig::of(cfg)?;
    net.note_slow(drop);
    let tensors = mix.map(|m| net.mixing(m)).transpose()?;
    let logits = net.learner.borrow().logits(&batch.0, tensors.as_deref(), pass, drop)?;
    TensorHandle::behind(&logits, mix)
}
