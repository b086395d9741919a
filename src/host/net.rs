//! Supernets in scripts: train, measure, drop, read off.

use super::api::Api;
use super::batches::{Batch, BatchList, PairList};
use super::context::Host;
use super::data::Data;
use super::errors::{Fallible, raise, raise_tensor, wrong};
use super::genotype::Genotype;
use super::settings::{SizeConfig, config, typed};
use super::space::{Candidate, Importance, Mask, Space, Subset, candidate_name, space_of};
use super::tensor::{T, mix_of};
use crate::error::{Error, Result};
use crate::net::{Gradients, Mode, Role, Supernet, SupernetConfig};
use crate::search::{EpochStats, Learner, TrainConfig};
use crate::space::{Mask as Alive, SearchSpace, Topology};
use rhai::{Array, Dynamic, INT, Map};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// A supernet with its optimiser; clones are the same one.
#[derive(Clone)]
pub struct Net {
    /// The learner; never borrowed while script code runs.
    pub learner: Rc<RefCell<Learner>>,
    /// The run.
    pub host: Rc<Host>,
    space: Rc<SearchSpace>,
    batch_size: usize,
}

/// What a backward pass left.
#[derive(Clone)]
pub struct Grads(pub Rc<Gradients>);

impl Net {
    fn new(host: &Rc<Host>, space: &Space, cfg: &Map) -> Fallible<Self> {
        let size: SizeConfig = config(host, cfg)?;
        let train: TrainConfig = typed(cfg).map_err(raise)?;
        let build = || -> Result<Learner> {
            let or = |given: usize, usual: usize| if given == 0 { usual } else { given };
            let seed = host.stream.borrow_mut().next_seed();
            let config = SupernetConfig {
                channels: or(size.channels, 16),
                cells: or(size.cells, if space.0.topology() == Topology::Darts { 2 } else { 5 }),
                classes: host.current_data()?.train.n_classes(),
                seed,
                strict: size.strict,
            };
            Ok(Learner::new(Supernet::new((*space.0).clone(), config, &host.options.device)?, seed))
        };
        let learner = Rc::new(RefCell::new(build().map_err(raise)?));
        host.register_learner(&learner);
        Ok(Net { learner, host: host.clone(), space: space.0.clone(), batch_size: train.batch_size })
    }

    /// Its space.
    pub fn space(&self) -> Rc<SearchSpace> {
        self.space.clone()
    }

    /// Its mask now.
    pub fn mask(&self) -> Alive {
        self.learner.borrow().net.mask().clone()
    }

    /// Settings of training from a script's map.
    pub fn train_config(&self, cfg: &Map) -> Fallible<TrainConfig> {
        config(&self.host, cfg)
    }

    /// A script's mixing weights, checked against this space.
    pub fn mixing(&self, mix: &Dynamic) -> Fallible<Vec<candle_core::Tensor>> {
        mix_of(mix, &self.space)
    }

    fn train_epoch(&self, data: &Data, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<Map> {
        let cfg = self.train_config(cfg)?;
        let mix = mix.map(|m| self.mixing(m)).transpose()?;
        let progress = self.host.progress.clone();
        let stats = self.learner.borrow_mut().train_epoch(&data.0, mix.as_deref(), &cfg, &*progress).map_err(raise)?;
        Ok(stats_map(&stats))
    }

    fn loss(&self, batch: &Batch, mix: Option<&Dynamic>) -> Fallible<T> {
        let mix = mix.map(|m| self.mixing(m)).transpose()?;
        self.learner.borrow().loss(&batch.0, mix.as_deref()).map(T).map_err(raise)
    }

    fn logits(&self, batch: &Batch, mix: Option<&Dynamic>) -> Fallible<T> {
        let learner = self.learner.borrow();
        let mix = match mix {
            Some(mix) => self.mixing(mix)?,
            None => learner.net.mask_mixing().map_err(raise)?,
        };
        let x =
            candle_core::Tensor::from_slice(&batch.0.x, batch.0.shape, learner.net.device()).map_err(raise_tensor)?;
        learner.net.forward(&x, &mix, Mode::Train).map(T).map_err(raise)
    }

    fn step(&self, batch: &Batch, mix: Option<&Dynamic>, cfg: &Map) -> Fallible<f64> {
        let cfg = self.train_config(cfg)?;
        let mix = mix.map(|m| self.mixing(m)).transpose()?;
        let mut learner = self.learner.borrow_mut();
        learner.train_step(&batch.0, mix.as_deref(), &cfg).map(f64::from).map_err(raise)
    }

    fn evaluate(&self, data: &Data, mix: Option<&Dynamic>) -> Fallible<Map> {
        let mix = mix.map(|m| self.mixing(m)).transpose()?;
        let learner = self.learner.borrow();
        let stats = learner.evaluate(&data.0, mix.as_deref(), self.batch_size, &*self.host.progress).map_err(raise)?;
        Ok(stats_map(&stats))
    }

    fn measure_iim(&self, data: &Data, samples: usize) -> Result<Importance> {
        let learner = self.learner.borrow();
        let iim = learner.measure_iim(&data.0, samples, self.batch_size, &*self.host.progress)?;
        self.host.log_iim(learner.epoch(), &self.space, &iim, learner.net.mask())?;
        Ok(Importance::from_iim(&iim, &self.space))
    }

    fn subsets(&self) -> Array {
        let handle = |s| Dynamic::from(Subset { subset: Rc::new(s), net: self.clone() });
        self.space.comparison_subsets().into_iter().map(handle).collect()
    }

    /// Drop candidates; an error, and nothing dropped, if that would leave fewer in a subset than survive.
    fn drop_all(&self, candidates: &[Candidate]) -> Result<()> {
        let mut after = self.mask();
        candidates.iter().try_for_each(|c| after.drop(c.place))?;
        for subset in self.space.comparison_subsets() {
            let left = subset.alive(&after).len();
            if left < subset.keep && left < subset.alive(&self.mask()).len() {
                let what = format!("drop, {}", subset.name);
                return Err(Error::invalid(what, format!("{left} left alive"), format!("at least {}", subset.keep)));
            }
        }
        let mut learner = self.learner.borrow_mut();
        for c in candidates {
            learner.net.drop(c.place)?;
            self.host.note(&format!("epoch {}: dropped {}", learner.epoch(), candidate_name(&self.space, c.place)));
        }
        Ok(())
    }

    fn describe(&self) -> String {
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

fn stats_map(stats: &EpochStats) -> Map {
    let numbers = [("loss", stats.loss), ("accuracy", stats.accuracy), ("seconds", stats.seconds), ("lr", stats.lr)];
    let mut map: Map = numbers.into_iter().map(|(key, value)| (key.into(), Dynamic::from(value))).collect();
    map.insert("images".into(), Dynamic::from(stats.images as INT));
    map
}

/// Joins the lines of an example that begins with a tiny supernet.
macro_rules! tiny {
    ($($line:expr),*) => {
        concat!("let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n", $($line),*)
    };
}
pub(crate) use tiny;

/// Register the functions of supernets.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("supernet");
    api.value::<Net>("Supernet", Net::describe);
    api.value::<Grads>("Gradients", |_| "gradients".into());
    let h = host.clone();
    api.def(
        [
            "supernet",
            "supernet(space, cfg) -> Supernet",
            "A supernet with fresh weights (seeded by the run's random stream) and every candidate alive. cfg.channels: C (default 16); cfg.cells: cells a \
             stage, N (default 5; DARTS space 2, which gives 8 cells); cfg.batch_size: also of measurements and evaluations. Classes are those of the data opened last.",
            tiny!("print(net);"),
        ],
        move |space: Dynamic, cfg: Map| Net::new(&h, &space_of(&space)?, &cfg),
    );
    training(api);
    measuring(api);
    shrinking(api);
    files(api);
}

fn training(api: &mut Api) {
    api.def(
        [
            "train_epoch",
            "net.train_epoch(data, cfg) -> map\nnet.train_epoch(data, mix, cfg) -> map",
            "One epoch of SGD on the weights: augmented, shuffled batches; y = sum_o mix[e, o] * o(x), mix being mask / |O| by default, or one [edges, ops] \
             tensor per cell type. cfg: epochs (of the cosine), batch_size, lr, lr_min, momentum, weight_decay, clip, augment, cutout. Gives #{ loss, accuracy, images, seconds, lr }. \
             A loss that is not finite is an error.",
            tiny!("let stats = net.train_epoch(data().train.take(64), #{ epochs: 2 });\nassert(stats.images == 64);"),
        ],
        |net: &mut Net, data: Data, cfg: Map| net.train_epoch(&data, None, &cfg),
    );
    api.also("train_epoch", |net: &mut Net, data: Data, mix: Dynamic, cfg: Map| {
        net.train_epoch(&data, Some(&mix), &cfg)
    });
    api.def(
        [
            "loss",
            "net.loss(batch) -> Tensor\nnet.loss(batch, mix) -> Tensor",
            "Mean cross-entropy of a batch in training mode: a scalar that remembers its computation, for `alpha.step` and `net.backward`.",
            tiny!("for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {\n    print(net.loss(batch).to_float());\n}"),
        ],
        |net: &mut Net, batch: Batch| net.loss(&batch, None),
    );
    api.also("loss", |net: &mut Net, batch: Batch, mix: Dynamic| net.loss(&batch, Some(&mix)));
    api.def(
        [
            "logits",
            "net.logits(batch) -> Tensor\nnet.logits(batch, mix) -> Tensor",
            "Logits [images, classes] of a batch in training mode, for a loss of one's own.",
            tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {\n    assert(net.logits(batch).shape == [8, 10]);\n}"
            ),
        ],
        |net: &mut Net, batch: Batch| net.logits(&batch, None),
    );
    api.also("logits", |net: &mut Net, batch: Batch, mix: Dynamic| net.logits(&batch, Some(&mix)));
    api.def(
        [
            "backward",
            "net.backward(loss) -> Gradients",
            "Gradients of a scalar made of this supernet's logits, with respect to the weights and to whatever the mix was made of; for `net.step(gradients, batch, cfg)` and `alpha.step(gradients)`.",
            tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {\n    let gradients = net.backward(net.loss(batch) * 2.0);\n    net.step(gradients, batch, #{ lr: 0.01 });\n}"
            ),
        ],
        |net: &mut Net, loss: T| net.learner.borrow().backward(&loss.0).map(|g| Grads(Rc::new(g))).map_err(raise),
    );
    api.def(
        [
            "step",
            "net.step(batch, cfg) -> float\nnet.step(batch, mix, cfg) -> float\nnet.step(gradients, batch, cfg)\nalpha.step(loss)\nalpha.step(gradients)",
            "A supernet: one step of SGD on the weights, on the loss of a batch (which it gives) or with given gradients; the learning rate is that of the batch's place in the epoch. \
             Architecture parameters: one step of Adam on them alone.",
            tiny!(
                "for batch in net.batches(data().train.take(16), #{ batch_size: 8 }) {\n    let loss = net.step(batch, #{ epochs: 1, batch_size: 8 });\n    assert(loss > 0.0);\n}"
            ),
        ],
        |net: &mut Net, batch: Batch, cfg: Map| net.step(&batch, None, &cfg),
    );
    api.also("step", |net: &mut Net, batch: Batch, mix: Dynamic, cfg: Map| net.step(&batch, Some(&mix), &cfg));
    api.also("step", |net: &mut Net, gradients: Grads, batch: Batch, cfg: Map| -> Fallible<()> {
        let cfg = net.train_config(&cfg)?;
        net.learner.borrow_mut().sgd_step(&gradients.0, &batch.0, &cfg).map_err(raise)
    });
    api.def(
        [
            "batches",
            "net.batches(data, cfg) -> Batches",
            "The batches of this epoch, shuffled and augmented, prepared ahead; for `for`. Outside an epochs loop it begins the next epoch.",
            tiny!("let n = 0;\nfor batch in net.batches(data().train.take(20), #{ batch_size: 8 }) { n += batch.len; }\nassert(n >= 16);"),
        ],
        |net: &mut Net, data: Data, cfg: Map| BatchList::new(net, &data, &cfg),
    );
    api.def(
        [
            "pair_batches",
            "net.pair_batches(train, valid, cfg) -> Pairs",
            "The batches of this epoch of `train`, each as `pair.train` beside one of `valid` as `pair.valid` (which begins anew when it runs out): what bi-level methods run over.",
            tiny!(
                "let halves = data().train.take(32).split(0.5);\nfor pair in net.pair_batches(halves[0], halves[1], #{ batch_size: 8 }) {\n    assert(pair.train.len == 8 && pair.valid.len == 8);\n}"
            ),
        ],
        |net: &mut Net, train: Data, valid: Data, cfg: Map| PairList::new(net, &train, &valid, &cfg),
    );
}

fn measuring(api: &mut Api) {
    api.def(
        [
            "evaluate",
            "net.evaluate(data) -> map\nnet.evaluate(data, mix) -> map",
            "Loss and accuracy (a fraction) over a data set, in eval mode, no augmentation: #{ loss, accuracy, images, seconds, lr: 0 }. Batch norm in candidates uses batch statistics, as always.",
            tiny!("assert(net.evaluate(data().test.take(32)).accuracy <= 1.0);"),
        ],
        |net: &mut Net, data: Data| net.evaluate(&data, None),
    );
    api.also("evaluate", |net: &mut Net, data: Data, mix: Dynamic| net.evaluate(&data, Some(&mix)));
    api.def(
        [
            "measure_iim",
            "net.measure_iim(data, samples) -> Importance",
            "The IIM of every live candidate on the first `samples` images (0: all) of a seeded shuffle, in eval mode, under the mask; larger is more important. Kept in iim.csv.",
            tiny!("let iim = net.measure_iim(data().train, 32);\nassert(iim.of(net.space.candidates[0]) == 0.0);  // `none`"),
        ],
        |net: &mut Net, data: Data, samples: INT| {
            net.measure_iim(&data, super::convert::count(samples, "samples")?).map_err(raise)
        },
    );
    api.get(
        ["space", "net.space -> Space", "Its search space.", tiny!("assert(net.space.name == \"nas-bench-201\");")],
        |net: &mut Net| Ok(Space(net.space())),
    );
    api.get(
        ["mask", "net.mask -> Mask", "Which candidates are alive now.", tiny!("print(net.mask);")],
        |net: &mut Net| Ok(Mask { alive: net.mask(), space: net.space() }),
    );
    api.get(
        [
            "mask_tensors",
            "net.mask_tensors -> [Tensor]",
            "The mask as one [edges, ops] tensor of 0 and 1 per cell type.",
            tiny!("assert(net.mask_tensors[0].sum().to_float() == 30.0);"),
        ],
        |net: &mut Net| {
            let learner = net.learner.borrow();
            let tensors = learner.net.mask_mixing().map_err(raise)?;
            let ops = net.space.ops().len() as f64;
            tensors
                .iter()
                .map(|t| t.affine(ops, 0.0).and_then(|t| t.round()).map(|t| Dynamic::from(T(t))).map_err(raise_tensor))
                .collect::<Fallible<Array>>()
        },
    );
    api.get(
        ["epoch", "net.epoch -> integer", "Its current epoch; 0 before the first.", tiny!("assert(net.epoch == 0);")],
        |net: &mut Net| Ok(net.learner.borrow().epoch() as INT),
    );
}

fn shrinking(api: &mut Api) {
    api.def(
        [
            "comparison_subsets",
            "net.comparison_subsets() -> [Subset]",
            "The candidates that compete for the same slots: NAS-Bench-201, the ops of an edge (1 survives); DARTS, all ops of all edges into a node (2 survive).",
            tiny!("assert(net.comparison_subsets().len == 6);"),
        ],
        |net: &mut Net| net.subsets(),
    );
    api.def(
        [
            "drop",
            "net.drop(candidate)\nnet.drop([candidate])",
            "Drop candidates: they are no longer computed nor trained. An error if one is dropped already, or if fewer would be left than survive.",
            tiny!("net.drop(net.space.candidate(0, \"none\"));\nassert(net.mask.n_alive == 29);"),
        ],
        |net: &mut Net, candidate: Candidate| net.drop_all(&[candidate]).map_err(raise),
    );
    api.also("drop", |net: &mut Net, candidates: Array| -> Fallible<()> {
        let candidate = |c: &Dynamic| {
            c.read_lock::<Candidate>()
                .map(|c| c.clone())
                .ok_or_else(|| wrong("drop", super::convert::shown(c), "a Candidate"))
        };
        let candidates = candidates.iter().map(candidate).collect::<Fallible<Vec<_>>>()?;
        net.drop_all(&candidates).map_err(raise)
    });
    api.def(
        [
            "genotype",
            "net.genotype() -> Genotype\nalpha.genotype() -> Genotype",
            "What is left: of a supernet, its surviving candidates (an error while more are alive); of architecture parameters, the largest softmax (NAS-Bench-201: per edge; DARTS: the two best edges into a node, each by its best op but `none`).",
            tiny!(
                "let iim = net.measure_iim(data().train, 16);\nfor subset in net.comparison_subsets() { net.drop(subset.least_important(iim, 4)); }\nprint(net.genotype());"
            ),
        ],
        |net: &mut Net| net.learner.borrow().net.genotype().map(Genotype).map_err(raise),
    );
}

fn files(api: &mut Api) {
    api.def(
        [
            "save",
            "net.save(path)",
            "Write weights and running statistics as safetensors, under the names of the authors' PyTorch state dict.",
            tiny!("net.save(run_file(\"w.safetensors\"));\nnet.load(run_file(\"w.safetensors\"));"),
        ],
        |net: &mut Net, path: &str| net.learner.borrow().net.params().save(Path::new(path)).map_err(raise),
    );
    api.def(
        [
            "load",
            "net.load(path)",
            "Read weights and running statistics from safetensors; a missing, extra or misshaped tensor is an error.",
            tiny!("net.save(run_file(\"v.safetensors\"));\nnet.load(run_file(\"v.safetensors\"));"),
        ],
        |net: &mut Net, path: &str| net.learner.borrow().net.params().load(Path::new(path)).map_err(raise),
    );
    api.get(
        [
            "describe",
            "net.describe -> string",
            "One line: space, size, weights, candidates alive.",
            tiny!("assert(net.describe.contains(\"30 of 30\"));"),
        ],
        |net: &mut Net| Ok(net.describe()),
    );
}
