//! Batches in scripts: what `for batch in net.batches(...)` and `net.pair_batches(...)` run over.

use super::batch::BatchHandle;
use super::data::Data;
use super::handle::Handle;
use super::supernet::SupernetHandle;
use crate::data::{Batches, Dataset};
use crate::error::Result;
use crate::host::script::errors::{Fallible, raise};
use crate::interrupt;
use crate::search::{TrainConfig, progress::Tick};
use rhai::Map;
use std::rc::Rc;
use std::time::Instant;

/// A batch for the weights beside one for the architecture.
#[derive(Clone)]
pub struct Pair {
    /// The batch that the weights are trained on.
    pub train: BatchHandle,
    /// The batch that the architecture is trained on.
    pub valid: BatchHandle,
}

/// The batches of an epoch, not yet begun.
#[derive(Clone)]
pub struct BatchesHandle {
    net: SupernetHandle,
    /// The images.
    pub data: Rc<Dataset>,
    cfg: TrainConfig,
    /// How many, beginning anew where the data runs out; None: those of the epoch.
    count: Option<usize>,
}

/// The pairs of an epoch, not yet begun.
#[derive(Clone)]
pub struct Pairs {
    /// The batches that the weights are trained on.
    pub train: BatchesHandle,
    valid: Rc<Dataset>,
}

impl BatchesHandle {
    /// Makes the batches of `data`, by the settings `cfg`; or `count` of them, over and over.
    pub fn new(net: &SupernetHandle, data: &Data, cfg: &Map, count: Option<usize>) -> Fallible<Self> {
        Ok(BatchesHandle { net: net.clone(), data: data.0.clone(), cfg: net.train_config(cfg)?, count })
    }
}

impl Pairs {
    /// Makes the pairs of `train` beside `valid`.
    pub fn new(net: &SupernetHandle, train: &Data, valid: &Data, cfg: &Map) -> Fallible<Self> {
        Ok(Pairs { train: BatchesHandle::new(net, train, cfg, None)?, valid: valid.0.clone() })
    }
}

/// Batches under way.
pub struct Running {
    list: BatchesHandle,
    batches: Option<Batches>,
    /// Times that the data began anew; the first counts where a count is given: nothing else in the epoch is shuffled like it.
    rounds: u64,
    begun: Instant,
    done: usize,
    /// Images of the batches given.
    images: usize,
}

impl Running {
    fn step(&mut self) -> Result<Option<BatchHandle>> {
        interrupt::check()?;
        let count = self.list.count;
        let mut batches = match self.batches.take() {
            Some(batches) => batches,
            None => {
                let net = &self.list.net;
                if !net.host.loops.borrow().running() {
                    let epoch = net.learner.borrow().epoch() + 1;
                    net.learner.borrow_mut().begin_epoch(epoch);
                }
                self.rounds = count.is_some().into();
                self.round()?
            }
        };
        let mut batch = None;
        if count.is_none_or(|count| self.done < count) {
            batch = batches.next();
            if batch.is_none() && count.is_some() {
                self.rounds += 1;
                batches = self.round()?;
                batch = batches.next();
            }
        }
        if self.done > 0 {
            self.tick(count.unwrap_or_else(|| batches.total()));
        }
        self.batches = Some(batches);
        self.done += 1;
        self.images += batch.as_ref().map_or(0, |b| b.y.len());
        Ok(batch.map(|b| BatchHandle(Rc::new(b))))
    }

    /// The batches of all images once.
    fn round(&self) -> Result<Batches> {
        self.list.net.learner.borrow().batches(&self.list.data, &self.list.cfg, self.rounds)
    }

    /// Report the step that the script has just taken. What it does with so many batches need not be training.
    fn tick(&self, total: usize) {
        let (step, seconds) = ((self.done, total), self.begun.elapsed().as_secs_f64());
        if self.list.count.is_some() {
            let (images, loss, accuracy) = (self.images, None, None);
            let tick = Tick { task: "batches", epoch: (0, 0), step, loss, accuracy, images, seconds };
            return self.list.net.host.progress.tick(&tick);
        }
        let learner = self.list.net.learner.borrow();
        let stats = learner.stats();
        let known = stats.images > 0;
        self.list.net.host.progress.tick(&Tick {
            task: "train",
            epoch: (learner.epoch(), self.list.cfg.epochs),
            step,
            loss: known.then_some(stats.loss as f32),
            accuracy: known.then_some(stats.accuracy as f32),
            images: stats.images,
            seconds,
        });
    }
}

impl Iterator for Running {
    type Item = Fallible<BatchHandle>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().map_err(raise).transpose()
    }
}

impl IntoIterator for BatchesHandle {
    type Item = Fallible<BatchHandle>;
    type IntoIter = Running;

    fn into_iter(self) -> Running {
        Running { list: self, batches: None, rounds: 0, begun: Instant::now(), done: 0, images: 0 }
    }
}

/// Pairs under way.
pub struct RunningPairs {
    train: Running,
    valid: Rc<Dataset>,
    batches: Option<Batches>,
    rounds: u64,
}

impl RunningPairs {
    fn step(&mut self) -> Result<Option<Pair>> {
        let Some(train) = self.train.step()? else { return Ok(None) };
        loop {
            if let Some(batch) = self.batches.as_mut().and_then(Iterator::next) {
                return Ok(Some(Pair { train, valid: BatchHandle(Rc::new(batch)) }));
            }
            self.rounds += 1;
            let list = &self.train.list;
            self.batches = Some(list.net.learner.borrow().batches(&self.valid, &list.cfg, self.rounds)?);
        }
    }
}

impl Iterator for RunningPairs {
    type Item = Fallible<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().map_err(raise).transpose()
    }
}

impl IntoIterator for Pairs {
    type Item = Fallible<Pair>;
    type IntoIter = RunningPairs;

    fn into_iter(self) -> RunningPairs {
        RunningPairs { train: self.train.into_iter(), valid: self.valid, batches: None, rounds: 0 }
    }
}

impl Handle for Pair {
    fn text(&self) -> String {
        format!("pair {} of {}", self.train.0.index + 1, self.train.0.total)
    }
}

impl Handle for BatchesHandle {
    fn text(&self) -> String {
        format!("batches of {}", self.data.describe())
    }
}

impl Handle for Pairs {
    fn text(&self) -> String {
        format!("pairs of batches of {}", self.train.data.describe())
    }
}
