//! Supernets as scripts hold them: train, measure, drop, read off.

use super::batch::BatchHandle;
use super::data::Data;
use super::genotype::GenotypeHandle;
use super::gradients::{Family, GradientsHandle};
use super::handle::Handle;
use super::importance::Importance;
use super::space::{CandidateHandle, SpaceHandle, candidate_name};
use super::tensor::{TensorHandle, mix_of};
use crate::error::{Error, Result};
use crate::host::run::settings::{GrowthConfig, MeasureConfig, SizeConfig, Taker, config, same, typed};
use crate::host::run::{Run, device_name};
use crate::host::script::errors::Fallible;
use crate::host::script::types::Options;
use crate::host::show::{Look, found};
use crate::net::{Role, Supernet, SupernetConfig};
use crate::search::learner::{DropRates, Growth, Measurement};
use crate::search::settings::Settings;
use crate::search::{EpochStats, Learner, State, Stateful, TrainConfig};
use crate::space::{Mask, SearchSpace, Topology};
use rhai::{Dynamic, INT, Map};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A supernet with its optimiser; clones are the same one.
#[derive(Clone)]
pub struct SupernetHandle {
    /// The learner; never borrowed while script code runs.
    pub learner: Rc<RefCell<Learner>>,
    /// The run.
    pub host: Rc<Run>,
    space: Rc<SearchSpace>,
    /// What it shares with its copies.
    pub family: Rc<Family>,
    /// Images a batch in measurements and evaluations.
    pub batch_size: usize,
    /// The settings that training was last asked for with: a loop hands over the same ones at every step.
    recent: Rc<RefCell<Option<(Map, TrainConfig)>>>,
    /// Whether it was said that a GPU leaves out values slowly.
    said: Rc<Cell<bool>>,
}

impl SupernetHandle {
    pub(crate) fn new(host: &Rc<Run>, space: &SpaceHandle, cfg: &Map) -> Fallible<Self> {
        let size: SizeConfig = config(&host.settings, cfg, Taker::Search)?;
        let train = typed(cfg).and_then(|train: TrainConfig| train.check().map(|()| train));
        let train = host.settings.seen(train)?;
        host.settings.end_of_probe()?;
        let or = |given: usize, usual: usize| if given == 0 { usual } else { given };
        let seed = host.stream.borrow_mut().next_seed();
        let skeleton = space.0.skeleton();
        let usual = if space.0.topology() == Topology::Darts { 2 } else { 5 };
        let own = |given: bool, key: &str, usual: bool| {
            if cfg.contains_key(key) || skeleton.is_none() { given } else { usual }
        };
        let config = SupernetConfig {
            channels: or(size.channels, skeleton.map_or(16, |s| s.channels)),
            cells: or(size.cells, skeleton.map_or(usual, |s| s.cells)),
            in_all: skeleton.is_some(),
            classes: or(size.classes, host.current_data()?.train.n_classes()),
            seed,
            strict: size.strict,
            // Those of ConfigurableOptimizer in a space of DARTS-Bench-Suite.
            pool_norm: own(size.pool_norm, "pool_norm", true),
            node_norm: size.node_norm,
            head_norm: own(size.head_norm, "head_norm", false),
            auxiliary_skip: own(size.auxiliary_skip, "auxiliary_skip", skeleton.is_some_and(|s| s.auxiliary_skip)),
            partial: size.partial,
        };
        Ok(SupernetHandle::of(host, (*space.0).clone(), config, train.batch_size)?)
    }

    /// Makes a supernet with fresh weights.
    pub(crate) fn of(host: &Rc<Run>, space: SearchSpace, config: SupernetConfig, batch_size: usize) -> Result<Self> {
        let net = Supernet::new(space.clone(), config, &host.options.device)?;
        let family = Family::of(&net);
        Self::around(host, Learner::new(net, config.seed), family, batch_size)
    }

    fn around(host: &Rc<Run>, learner: Learner, family: Rc<Family>, batch_size: usize) -> Result<Self> {
        let space = Rc::new(learner.net.space().clone());
        let learner = Rc::new(RefCell::new(learner));
        let trace = host.trace.of(host.live.add_learner(&learner));
        trace.supernet(&learner.borrow().net)?;
        learner.borrow_mut().trace = trace;
        Ok(SupernetHandle {
            learner,
            host: host.clone(),
            space,
            family,
            batch_size,
            recent: Rc::default(),
            said: Rc::default(),
        })
    }

    /// Another one as this is now, which goes its own way.
    pub(crate) fn copy(&self) -> Result<Self> {
        let (state, learner) = (self.learner.borrow().state()?, self.learner.borrow());
        let config = *learner.net.config();
        let net = Supernet::new((*self.space).clone(), config, &self.host.options.device)?;
        let mut copy = Learner::new(net, config.seed);
        copy.restore(state)?;
        Self::around(&self.host, copy, self.family.clone(), self.batch_size)
    }

    /// A larger one that goes on from its weights: of another space, or with other sizes and options, or both.
    pub(crate) fn grown(&self, space: Option<&SpaceHandle>, cfg: &Map) -> Fallible<Self> {
        let grow: GrowthConfig = match cfg.keys().find(|key| !GrowthConfig::NAMES.contains(&key.as_str())) {
            Some(key) => return Err(Error::unknown_name("growth", key, GrowthConfig::NAMES.iter().copied()).into()),
            None => typed(cfg)?,
        };
        let old = *self.learner.borrow().net.config();
        let has = |key: &str| cfg.contains_key(key);
        let config = SupernetConfig {
            channels: if grow.channels == 0 { old.channels } else { grow.channels },
            cells: if grow.cells == 0 { old.cells } else { grow.cells },
            partial: if grow.partial == 0 { old.partial } else { grow.partial },
            auxiliary_skip: if has("auxiliary_skip") { grow.auxiliary_skip } else { old.auxiliary_skip },
            seed: self.host.stream.borrow_mut().next_seed(),
            ..old
        };
        let space = space.map_or_else(|| (*self.space).clone(), |space| (*space.0).clone());
        let (learner, growth) = self.learner.borrow().grown(space, config, grow.noise)?;
        let Growth { kept, widened, fresh } = growth;
        self.host.note(&format!("grown: {kept} tensors taken over, {widened} widened, {fresh} fresh"));
        let family = Family::of(&learner.net);
        Ok(Self::around(&self.host, learner, family, self.batch_size)?)
    }

    /// Its space.
    pub fn space(&self) -> Rc<SearchSpace> {
        self.space.clone()
    }

    /// Its mask now.
    pub fn mask(&self) -> Mask {
        self.learner.borrow().net.mask().clone()
    }

    /// Settings of training from a script's map.
    pub fn train_config(&self, cfg: &Map) -> Fallible<TrainConfig> {
        if let Some((_, config)) = self.recent.borrow().as_ref().filter(|(map, _)| same(map, cfg)) {
            return Ok(config.clone());
        }
        let config: TrainConfig = config(&self.host.settings, cfg, Taker::Search)?;
        *self.recent.borrow_mut() = Some((cfg.clone(), config.clone()));
        self.note_slow(&config);
        Ok(config)
    }

    /// Says once that passes with dropout go by the definition on a GPU.
    pub(super) fn note_slow(&self, rates: impl Into<DropRates>) {
        let DropRates { skip, pool, .. } = rates.into();
        if skip.max(pool) > 0.0 && self.learner.borrow().net.trains_on_gpu() && !self.said.replace(true) {
            self.host.note("dropout has no kernel for a GPU: passes with it go by the definition, many times as slow");
        }
    }

    /// A script's mixing weights, checked against this space.
    pub fn mixing(&self, mix: &Dynamic) -> Fallible<Vec<candle_core::Tensor>> {
        let learner = self.learner.borrow();
        let more = (learner.net.config().edge_weights(), learner.net.cells().len());
        mix_of(mix, &self.space, Some(more))
    }

    pub(crate) fn train_epoch(&self, data: &Data, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<Map> {
        let cfg = self.train_config(cfg)?;
        let mix = mix.map(|m| self.mixing(m)).transpose()?;
        self.host.settle();
        let progress = self.host.progress.clone();
        let stats = self.learner.borrow_mut().train_epoch(&data.0, mix.as_deref(), &cfg, &*progress)?;
        Ok(stats_map(&stats))
    }

    pub(crate) fn backward(&self, loss: &TensorHandle) -> Result<GradientsHandle> {
        let gradients = self.learner.borrow().backward(&loss.0)?;
        Ok(GradientsHandle::new(gradients, &self.family))
    }

    pub(crate) fn add(&self, gradients: &GradientsHandle, factor: f64) -> Fallible<()> {
        gradients.check(&self.family, "add")?;
        Ok(self.learner.borrow_mut().add(&gradients.gradients, factor)?)
    }

    pub(crate) fn step_with(&self, gradients: &GradientsHandle, batch: &BatchHandle, cfg: &Map) -> Fallible<()> {
        gradients.check(&self.family, "step")?;
        let cfg = self.train_config(cfg)?;
        Ok(self.learner.borrow_mut().step_with(&gradients.gradients, &batch.0, &cfg)?)
    }

    pub(crate) fn step(&self, batch: &BatchHandle, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<f64> {
        let cfg = self.train_config(cfg)?;
        let mix = mix.map(|m| self.mixing(m)).transpose()?;
        let mut learner = self.learner.borrow_mut();
        Ok(f64::from(learner.train_step(&batch.0, mix.as_deref(), &cfg)?))
    }

    pub(crate) fn measure_iim(
        &self,
        data: &Data,
        samples: usize,
        mix: Option<&Dynamic>,
        how: &Options<MeasureConfig>,
    ) -> Fallible<Importance> {
        let MeasureConfig { augment } = typed(&how.map)?;
        let mix = mix.map(|m| self.mixing(m)).transpose()?;
        self.host.settle();
        let learner = self.learner.borrow();
        let how = Measurement { samples, batch_size: self.batch_size, augment, mixing: mix.as_deref() };
        let iim = learner.measure_iim(&data.0, &how, &*self.host.progress)?;
        self.host.log_iim(learner.epoch(), &self.space, &iim, learner.net.mask())?;
        Ok(Importance::from_iim(&iim, &self.space))
    }

    /// Drop candidates; an error, and nothing dropped, if that would leave fewer in a subset than survive.
    pub(crate) fn drop_all(&self, candidates: &[CandidateHandle]) -> Result<()> {
        let mut after = self.mask();
        for c in candidates {
            let place = c.place_in(&self.space)?;
            if !after.is_alive(place) {
                let got = format!("{}, which was dropped before", candidate_name(&self.space, place));
                return Err(Error::invalid("drop", got, "a candidate that is alive"));
            }
            after.drop(place)?;
        }
        for subset in self.space.comparison_subsets() {
            let left = subset.alive(&after).len();
            if left < subset.keep && left < subset.alive(&self.mask()).len() {
                let what = format!("drop, {}", subset.name);
                return Err(Error::invalid(what, format!("{left} left alive"), format!("at least {}", subset.keep)));
            }
        }
        let mut learner = self.learner.borrow_mut();
        learner.trace.drop(candidates.iter().map(|c| c.place))?;
        let alive = (after.n_alive(), self.space.candidates().len());
        learner.net.set_mask(after)?;
        for c in candidates {
            let name = candidate_name(&self.space, c.place);
            let name = name.split_once(" on ").unwrap_or((&name, ""));
            self.host.dropped((Rc::as_ptr(&self.learner).addr(), learner.epoch()), name, alive);
        }
        Ok(())
    }

    /// Freeze the weights of a candidate, in all blocks that have it or in one, or train them again.
    pub(crate) fn set_frozen(&self, candidate: &CandidateHandle, block: Option<usize>, frozen: bool) -> Result<()> {
        let place = candidate.place_in(&self.space)?;
        let mut learner = self.learner.borrow_mut();
        let mut all = learner.frozen().clone();
        for k in learner.blocks_of(place, block)? {
            if frozen {
                all.insert((place, k))
            } else {
                all.remove(&(place, k))
            };
        }
        learner.freeze(all)
    }

    pub(crate) fn genotype(&self) -> Result<GenotypeHandle> {
        let learner = self.learner.borrow();
        let found = learner.net.genotype()?;
        learner.trace.genotype(&found)?;
        Ok(GenotypeHandle(found))
    }

    pub(crate) fn describe(&self) -> String {
        let learner = self.learner.borrow();
        let (net, config) = (&learner.net, learner.net.config());
        let weights: usize = net.params().iter().filter(|p| p.role == Role::Weight).map(|p| p.var.elem_count()).sum();
        let all = self.space.candidates().len();
        let alive = net.mask().n_alive();
        format!(
            "{} supernet: C={}, N={}, {} classes, {weights} weights, {alive} of {all} candidates alive, epoch {}",
            self.space.name(),
            config.channels,
            config.cells,
            config.classes,
            learner.epoch()
        )
    }
}

impl SupernetHandle {
    /// A supernet as `:save` saved it.
    pub(crate) fn restored(host: &Rc<Run>, space: SearchSpace, state: State, batch_size: usize) -> Result<Self> {
        let bad = |e: serde_json::Error| Error::invalid("saved supernet", e, "its size");
        let config: SupernetConfig = serde_json::from_value(state.json["config"].clone()).map_err(bad)?;
        let net = SupernetHandle::of(host, space, config, batch_size)?;
        net.learner.borrow_mut().restore(state)?;
        Ok(net)
    }
}

impl Handle for SupernetHandle {
    fn text(&self) -> String {
        self.describe()
    }

    fn look(&self, look: &Look) -> Result<String> {
        let learner = self.learner.borrow();
        let (size, device) = (self.host.current_data()?.train.shape.1, device_name(learner.net.device()));
        found::supernet(&learner.net, learner.epoch(), size, device, look)
    }

    fn summary(&self) -> String {
        let learner = self.learner.borrow();
        let (net, config, all) = (&learner.net, learner.net.config(), self.space.candidates().len());
        let size = format!("C={}, N={}", config.channels, config.cells);
        format!("{} of {all} alive, epoch {}, {}, {size}", net.mask().n_alive(), learner.epoch(), self.space.name())
    }
}

/// As scripts see them.
pub(crate) fn stats_map(stats: &EpochStats) -> Map {
    let numbers = [("loss", stats.loss), ("accuracy", stats.accuracy), ("seconds", stats.seconds), ("lr", stats.lr)];
    let mut map: Map = numbers.into_iter().map(|(key, value)| (key.into(), Dynamic::from(value))).collect();
    map.insert("images".into(), Dynamic::from(stats.images as INT));
    map
}
