//! Batches in scripts: what `for batch in net.batches(...)` and `net.pair_batches(...)` run over.

use super::api::Api;
use super::data::Data;
use super::errors::{Fallible, raise, raise_tensor};
use super::net::Net;
use super::tensor::T;
use crate::data::{self, Batches, Dataset};
use crate::error::Result;
use crate::interrupt;
use crate::search::{TrainConfig, progress::Tick};
use rhai::{INT, Map};
use std::rc::Rc;
use std::time::Instant;

/// A batch.
#[derive(Clone)]
pub struct Batch(pub Rc<data::Batch>);

/// A batch for the weights beside one for the architecture.
#[derive(Clone)]
pub struct Pair {
    train: Batch,
    valid: Batch,
}

/// The batches of an epoch, not yet begun.
#[derive(Clone)]
pub struct BatchList {
    net: Net,
    data: Rc<Dataset>,
    cfg: TrainConfig,
}

/// The pairs of an epoch, not yet begun.
#[derive(Clone)]
pub struct PairList {
    train: BatchList,
    valid: Rc<Dataset>,
}

impl BatchList {
    /// Of `data`, by the settings `cfg`.
    pub fn new(net: &Net, data: &Data, cfg: &Map) -> Fallible<Self> {
        Ok(BatchList { net: net.clone(), data: data.0.clone(), cfg: net.train_config(cfg)? })
    }
}

impl PairList {
    /// Of `train` beside `valid`.
    pub fn new(net: &Net, train: &Data, valid: &Data, cfg: &Map) -> Fallible<Self> {
        Ok(PairList { train: BatchList::new(net, train, cfg)?, valid: valid.0.clone() })
    }
}

/// Batches under way.
pub struct Running {
    list: BatchList,
    batches: Option<Batches>,
    begun: Instant,
    done: usize,
}

impl Running {
    fn step(&mut self) -> Result<Option<Batch>> {
        interrupt::check()?;
        let batches = match &mut self.batches {
            Some(batches) => batches,
            None => {
                let net = &self.list.net;
                if !net.host.loops.borrow().running() {
                    let epoch = net.learner.borrow().epoch() + 1;
                    net.learner.borrow_mut().begin_epoch(epoch);
                }
                let batches = net.learner.borrow().batches(&self.list.data, &self.list.cfg, 0)?;
                self.batches.insert(batches)
            }
        };
        let total = batches.total();
        let batch = batches.next();
        if self.done > 0 {
            self.tick(total);
        }
        self.done += 1;
        Ok(batch.map(|b| Batch(Rc::new(b))))
    }

    /// Report the step that the script has just taken.
    fn tick(&self, total: usize) {
        let learner = self.list.net.learner.borrow();
        let stats = learner.stats();
        let known = stats.images > 0;
        self.list.net.host.progress.tick(&Tick {
            task: "train",
            epoch: (learner.epoch(), self.list.cfg.epochs),
            step: (self.done, total),
            loss: known.then_some(stats.loss as f32),
            accuracy: known.then_some(stats.accuracy as f32),
            images: stats.images,
            seconds: self.begun.elapsed().as_secs_f64(),
        });
    }
}

impl Iterator for Running {
    type Item = Fallible<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().map_err(raise).transpose()
    }
}

impl IntoIterator for BatchList {
    type Item = Fallible<Batch>;
    type IntoIter = Running;

    fn into_iter(self) -> Running {
        Running { list: self, batches: None, begun: Instant::now(), done: 0 }
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
                return Ok(Some(Pair { train, valid: Batch(Rc::new(batch)) }));
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

impl IntoIterator for PairList {
    type Item = Fallible<Pair>;
    type IntoIter = RunningPairs;

    fn into_iter(self) -> RunningPairs {
        RunningPairs { train: self.train.into_iter(), valid: self.valid, batches: None, rounds: 0 }
    }
}

/// Register the types of batches.
pub fn register(api: &mut Api) {
    api.chapter("batches");
    api.value::<Batch>("Batch", |b| format!("batch {} of {}: {} images", b.0.index + 1, b.0.total, b.0.shape.0));
    api.value::<Pair>("Pair", |p| format!("pair {} of {}", p.train.0.index + 1, p.train.0.total));
    api.value::<BatchList>("Batches", |b| format!("batches of {}", b.data.describe()));
    api.value::<PairList>("Pairs", |b| format!("pairs of batches of {}", b.train.data.describe()));
    api.iterable::<BatchList, Batch>();
    api.iterable::<PairList, Pair>();
    api.also_get("len", |b: &mut Batch| Ok(b.0.shape.0 as INT));
    api.also_get("train", |p: &mut Pair| Ok(p.train.clone()));
    api.get(
        [
            "valid",
            "pair.valid -> Batch",
            "The batch for the architecture.",
            super::net_api::tiny!(
                "let d = data().train.take(16);\n",
                "for pair in net.pair_batches(d, d, #{ batch_size: 8 }) { print(pair.valid); }"
            ),
        ],
        |p: &mut Pair| Ok(p.valid.clone()),
    );
    api.get(
        [
            "index",
            "batch.index -> integer",
            "Its position in the epoch, from 0.",
            super::net_api::tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) { assert(batch.index == 0); }"
            ),
        ],
        |b: &mut Batch| Ok(b.0.index as INT),
    );
    api.get(
        [
            "labels",
            "batch.labels -> Tensor",
            "Classes of its images, [images], as numbers; for a loss of one's own.",
            super::net_api::tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) { assert(batch.labels.shape == \
                 [8]); }"
            ),
        ],
        |b: &mut Batch| {
            let labels: Vec<f32> = b.0.y.iter().map(|y| *y as f32).collect();
            candle_core::Tensor::from_vec(labels, b.0.y.len(), &candle_core::Device::Cpu)
                .map(T::new)
                .map_err(raise_tensor)
        },
    );
}
