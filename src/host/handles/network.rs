//! Networks of found cells as scripts hold them: looked at, not trained.

use super::batch::BatchHandle;
use super::data::Data;
use super::handle::Handle;
use super::importance::Importance;
use super::supernet::{SupernetHandle, stats_map};
use super::tensor::TensorHandle;
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::host::run::Run;
use crate::host::run::settings::{EvaluationConfig, givens};
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::value::shown;
use crate::net::subnet::Plan;
use crate::net::{Cost, Mode, Subnet};
use crate::search::in_order;
use crate::search::{EvalConfig, Proxy, Trainer, proxy};
use crate::space::{PerCandidate, Topology};
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// A network with its weights; clones are the same one.
#[derive(Clone)]
pub struct NetworkHandle {
    trainer: Rc<Trainer>,
    host: Rc<Run>,
    /// Height and width of the images that its multiply-adds are counted for.
    size: usize,
}

/// Proxies that need no images.
const COUNTS: [&str; 2] = ["params", "multiply_adds"];

/// A proxy, or one of [`COUNTS`].
fn proxy_of(name: &str) -> Result<Option<Proxy>> {
    if COUNTS.contains(&name) {
        return Ok(None);
    }
    let found = Proxy::ALL.iter().find(|(known, _)| *known == name);
    let known = || Proxy::ALL.iter().map(|(known, _)| *known).chain(COUNTS);
    found.map(|(_, proxy)| Some(*proxy)).ok_or_else(|| Error::unknown_name("proxy", name, known()))
}

/// A batch, or an array of them.
pub fn batches_of(value: &Dynamic) -> Fallible<Vec<BatchHandle>> {
    let one = |value: &Dynamic| {
        let batch = value.read_lock::<BatchHandle>().map(|batch| batch.clone());
        batch.ok_or_else(|| wrong("images of a proxy", shown(value), "a batch, or an array of batches"))
    };
    match value.read_lock::<Array>() {
        Some(values) => values.iter().map(one).collect(),
        None => Ok(vec![one(value)?]),
    }
}

fn plain(batches: &[BatchHandle]) -> Vec<&Batch> {
    batches.iter().map(|batch| &*batch.0).collect()
}

impl NetworkHandle {
    /// With fresh weights. Without a size: that of a supernet, C = 16 and 3 N + 2 = 17 blocks or 8 cells.
    pub(crate) fn new(host: &Rc<Run>, plan: Plan, cfg: &Map) -> Result<Self> {
        let splits = host.current_data()?;
        let (_, h, w) = splits.train.shape;
        let given = |key: &str| cfg.get(key).is_some_and(|value| value.as_int() != Ok(0));
        let mut config = EvalConfig::of_map(&givens(cfg), plan.topology, h.min(w))?;
        let usual = [("channels", &mut config.channels, 16), ("batch_size", &mut config.batch_size, 64)];
        let cells = if plan.topology == Topology::Darts { 8 } else { 5 };
        for (key, setting, value) in usual.into_iter().chain([("cells", &mut config.cells, cells)]) {
            if !given(key) {
                *setting = value;
            }
        }
        config.auxiliary = 0.0;
        let classes = cfg.get("classes").and_then(|n| n.as_int().ok()).and_then(|n| usize::try_from(n).ok());
        let classes = classes.filter(|n| *n > 0).unwrap_or(splits.train.n_classes());
        let seed = host.stream.borrow_mut().next_seed();
        let net = Subnet::new(plan, config.subnet(classes, seed)?, &host.options.device)?;
        net.check_size(h, w, Mode::Train)?;
        Ok(NetworkHandle { trainer: Rc::new(Trainer::new(net, config, seed)), host: host.clone(), size: h.min(w) })
    }

    /// The network.
    pub fn net(&self) -> &Subnet {
        &self.trainer.net
    }

    /// A proxy by its name, of a batch or several.
    pub(crate) fn proxy(&self, name: &str, images: &Dynamic) -> Fallible<f64> {
        let batches = batches_of(images)?;
        let Some(proxy) = proxy_of(name)? else { return Ok(self.count(name)?) };
        Ok(proxy::score(self.net(), proxy, &plain(&batches), self.seed(&[proxy]))?)
    }

    /// Proxies by their names, of a batch or several: passes that several look at are made once.
    pub(crate) fn proxies(&self, names: &[String], images: &Dynamic) -> Fallible<Map> {
        let batches = batches_of(images)?;
        let known: Vec<Option<Proxy>> = names.iter().map(|name| proxy_of(name)).collect::<Result<_>>()?;
        let seen: Vec<Proxy> = known.iter().flatten().copied().collect();
        let mut values = vec![].into_iter();
        if !seen.is_empty() {
            values = proxy::scores(self.net(), &seen, &plain(&batches), self.seed(&seen))?.into_iter();
        }
        let mut map = Map::new();
        for (name, proxy) in names.iter().zip(known) {
            let value = proxy.and_then(|_| values.next()).map_or_else(|| self.count(name), Ok)?;
            map.insert(name.into(), value.into());
        }
        Ok(map)
    }

    /// Of what is drawn for these proxies: of the run's stream, where something is.
    fn seed(&self, proxies: &[Proxy]) -> u64 {
        if proxies.contains(&Proxy::Zen) { self.host.stream.borrow_mut().next_seed() } else { 0 }
    }

    /// One of [`COUNTS`].
    pub(crate) fn count(&self, name: &str) -> Result<f64> {
        if proxy_of(name)?.is_some() {
            return Err(Error::invalid(format!("proxy {name}"), "no images", "a batch, or an array of batches"));
        }
        let cost = Cost::of(self.net().graph(), (self.size, self.size), false);
        Ok(if name == "params" { cost.parameters } else { cost.multiply_adds } as f64)
    }

    fn mode(cfg: &Map, usual: Mode) -> Result<Mode> {
        let cfg: EvaluationConfig = super::passes::options(cfg)?;
        super::passes::mode(&cfg.mode, usual, Mode::Batch)
    }

    /// `network.loss` and `network.logits`.
    pub(crate) fn pass(&self, batch: &BatchHandle, cfg: &Map) -> Result<(TensorHandle, TensorHandle)> {
        let (loss, logits) = self.trainer.pass(&batch.0, Self::mode(cfg, Mode::Batch)?)?;
        Ok((TensorHandle::new(loss), TensorHandle::new(logits)))
    }

    /// What the classifier takes the mean of.
    pub(crate) fn features(&self, batch: &BatchHandle, cfg: &Map) -> Result<TensorHandle> {
        Ok(TensorHandle::new(self.trainer.features(&batch.0, Self::mode(cfg, Mode::Eval)?)?))
    }

    /// Loss and accuracy of a data set, or of a batch.
    pub(crate) fn evaluate(&self, images: &Dynamic, cfg: &Map) -> Fallible<Map> {
        let mode = Self::mode(cfg, Mode::Eval)?;
        let stats = if let Some(batch) = images.read_lock::<BatchHandle>() {
            self.trainer.look([&*batch.0], mode)?
        } else if let Some(data) = images.read_lock::<Data>() {
            self.trainer.look(in_order(&data.0, self.trainer.config.batch_size)?, mode)?
        } else {
            return Err(wrong("evaluate", shown(images), "images: data, or a batch"));
        };
        Ok(stats_map(&stats))
    }
}

/// `supernet.proxies`: an importance made of saliencies.
pub(crate) fn proxies(net: &SupernetHandle, name: &str, images: &Dynamic) -> Fallible<Importance> {
    let batches = batches_of(images)?;
    let learner = net.learner.borrow();
    let table: PerCandidate<f64> = match (proxy_of(name)?, name) {
        (Some(proxy), _) => proxy::per_candidate(&learner.net, proxy, &plain(&batches))?,
        (None, "params") => proxy::weights_per_candidate(&learner.net),
        (None, _) => {
            return Err(wrong("proxy of candidates", name, "grad_norm, snip, grasp, fisher, synflow or params"));
        }
    };
    Ok(Importance { table: Rc::new(table), score: None, space: net.space() })
}

impl Handle for NetworkHandle {
    fn text(&self) -> String {
        let (net, config) = (self.net(), self.net().config());
        let (family, channels, cells) = (config.family.name(), config.channels, config.cells);
        format!(
            "{family} network: C={channels}, N={cells}, {} classes, {} weights, {}",
            config.classes,
            net.n_weights(),
            net.plan()
        )
    }

    fn summary(&self) -> String {
        let config = self.net().config();
        format!("{} network, C={}, N={}", config.family.name(), config.channels, config.cells)
    }
}
