//! The chapter on supernets.

use super::passes;
use crate::error::Result;
use crate::host::handles::batch::BatchHandle;
use crate::host::handles::batches::{BatchesHandle, Pairs};
use crate::host::handles::data::Data;
use crate::host::handles::genotype::GenotypeHandle;
use crate::host::handles::gradients::GradientsHandle;
use crate::host::handles::importance::Importance;
use crate::host::handles::space::{CandidateHandle, MaskHandle, SpaceHandle};
use crate::host::handles::subset::Subset;
use crate::host::handles::supernet::SupernetHandle;
use crate::host::handles::tensor::{TensorHandle, mask_tensors};
use crate::host::run::settings::MeasureConfig;
use crate::host::run::{Run, files};
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use crate::host::script::types::Options;
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// Register the functions of supernets.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("supernet");
    functions! { api, [host];
        /// A supernet with fresh weights (seeded by the run's random stream) and every candidate alive. cfg.channels:
        /// C (default 16); cfg.cells: cells a stage, N (default 5; DARTS space 2, which gives 8 cells);
        /// cfg.batch_size: also of measurements and evaluations; cfg.pool_norm (false): batch norm without affine
        /// part behind the pools of candidates, as quark0/darts and the code of the DARTS family have it;
        /// cfg.node_norm (false): the same between a node and the candidates that read it, as in iDARTS;
        /// cfg.head_norm (true): batch norm and ReLU before the head, as the authors of IS-DARTS have them and
        /// quark0/darts has not; cfg.classes (0: those of the data opened last). cfg.partial (1): K, of which candidates get
        /// 1/K of the channels, the others go past them (2x2 maximum where the edge halves), and both are shuffled, as in
        /// PC-DARTS; cfg.auxiliary_skip (false): a skip connection beside the candidates of every edge, with a
        /// factorised reduction of its own where the edge halves, as in DARTS-. Each of these has a mixing weight an
        /// edge: a mix may have it as a column behind those of the ops (first that of the skip, then that of the channels
        /// that go past; where one column stands for both, it is the latter); without, it is 1. An edge none of whose
        /// candidates is alive has neither. Spaces of DARTS-Bench-Suite (`space`) have a size and options of their own,
        /// which hold where cfg has no others; there, cfg.cells are all cells.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// print(net);
        /// ```
        fn supernet(space: Dynamic, cfg: Map) -> Fallible<SupernetHandle> {
            SupernetHandle::new(&host, &SpaceHandle::of(&space)?, &cfg)
        }
    }
    growth(api);
    training(api);
    measuring(api);
    shrinking(api);
    weights(api, host);
}

fn growth(api: &mut Api) {
    functions! { api, [];
        /// A larger supernet that goes on from the weights, momentum, mask and epoch of this one, which stays as it is: with
        /// cfg.channels, cfg.cells, cfg.partial (fewer: candidates get more channels) or cfg.auxiliary_skip, or of a space
        /// with more ops or nodes. Cells behind the last one of a stage begin as that one; a candidate begins as the
        /// one of its op on its edge, and what was not there is fresh. Wider, channel j of n is a copy of channel
        /// floor(j m / n), and weights that read copies share them (Net2Wider), so that the network computes what it
        /// did; but cfg.noise (0.01): widened weights move by up to so much of themselves, for equal copies would learn
        /// the same. Where partial changes, candidates get channels that they had not seen.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 4, cells: 1, partial: 4 });
        /// let wider = net.grown(#{ channels: 8, partial: 2 });
        /// let few = search_space(#{ ops: ["none", "skip_connect"], nodes: 3 });
        /// let more = supernet(few, #{ channels: 2, cells: 1 }).grown(space("nas-bench-201"), #{});
        /// print(`${wider} ${more}`);
        /// ```
        fn grown(&net: SupernetHandle, cfg: Map) -> Fallible<SupernetHandle> { net.grown(None, &cfg) }
        fn grown(&net: SupernetHandle, space: Dynamic, cfg: Map) -> Fallible<SupernetHandle> {
            net.grown(Some(&SpaceHandle::of(&space)?), &cfg)
        }

        /// The cell type of each cell, in order: 0 normal, 1 reduction. A mix may have a tensor for each cell in place of
        /// one per cell type.
        ///
        /// ```rhai
        /// let net = supernet("darts", #{ channels: 2, cells: 1 });
        /// assert(net.cells == [0, 1, 0, 1, 0]);
        /// let alpha = architecture_parameters(net, #{});
        /// let own = net.cells.map(|t| alpha.softmax()[t]);
        /// ```
        get cells(&net: SupernetHandle) -> Array {
            net.learner.borrow().net.cells().into_iter().map(|t| Dynamic::from(t as rhai::INT)).collect()
        }
    }
}

fn training(api: &mut Api) {
    functions! { api, [];
        /// One epoch of SGD on the weights: shuffled, augmented batches; y = sum_o mix[e, o] * o(x), mix being mask /
        /// |O| by default, or one [edges, ops] tensor per cell type, or per cell. cfg: epochs (of the cosine), batch_size, lr,
        /// lr_min, momentum, nesterov (true; false: plain momentum, as in quark0/darts), weight_decay, decay_unused
        /// (true; false: weights that no gradient reached, as those of candidates that were not drawn, do not decay, as
        /// in DropNAS), clip, shuffle (true; false: the images come in the order of the store), augment, cutout,
        /// drop_path (0; the probability that the sum of an edge is left out for an image, in which case the others
        /// count 1 / (1 - drop_path); drawn anew in every pass: as the authors of SNAS and of RobustDARTS do it in
        /// search), dropout (0; the probability that a value behind a skip connection of stride 1 is left out, as in
        /// P-DARTS), pool_dropout (0; the same behind pools). Gives #{ loss, accuracy, images, seconds, lr }. A loss
        /// that is not finite is an error.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let stats = net.train_epoch(data().train.take(64), #{ epochs: 2 });
        /// assert(stats.images == 64);
        /// ```
        fn train_epoch(&net: SupernetHandle, data: Data, cfg: Map) -> Fallible<Map> {
            net.train_epoch(&data, None, &cfg)
        }
        fn train_epoch(&net: SupernetHandle, data: Data, mix: Dynamic, cfg: Map) -> Fallible<Map> {
            net.train_epoch(&data, Some(&mix), &cfg)
        }
    }
    passes::losses(api);
    functions! { api, [];
        /// Gradients of a scalar made of this supernet's logits, with respect to the weights and to whatever the mix
        /// was made of; for `net.step(gradients, batch, cfg)` and `alpha.step(gradients)`. A loss may add losses of
        /// several supernets: each one's `backward` takes its own part.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {
        ///     let gradients = net.backward(net.loss(batch) * 2.0);
        ///     net.step(gradients, batch, #{ lr: 0.01 });
        /// }
        /// ```
        fn backward(&net: SupernetHandle, loss: TensorHandle) -> Result<GradientsHandle> { net.backward(&loss) }

        /// One step of SGD on the weights, on the loss of a batch (which it gives) or with given gradients (metrics.csv
        /// then counts the last pass over that batch); the learning rate is that of the batch's place in the epoch.
        /// Candidates whose mixing weight is 0 are not computed: a step with genotype.mix() costs what one path costs;
        /// weight decay and momentum still move their weights.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// for batch in net.batches(data().train.take(16), #{ batch_size: 8 }) {
        ///     let loss = net.step(batch, #{ epochs: 1, batch_size: 8 });
        ///     assert(loss > 0.0);
        /// }
        /// ```
        fn step(&net: SupernetHandle, batch: BatchHandle, cfg: Map) -> Fallible<f64> { net.step(&batch, None, &cfg) }
        fn step(&net: SupernetHandle, batch: BatchHandle, mix: Dynamic, cfg: Map) -> Fallible<f64> {
            net.step(&batch, Some(&mix), &cfg)
        }
        fn step(&net: SupernetHandle, gradients: GradientsHandle, batch: BatchHandle, cfg: Map) -> Fallible<()> {
            net.step_with(&gradients, &batch, &cfg)
        }

        /// The batches of this epoch, shuffled and augmented, prepared ahead; for `for`. Outside an epochs loop it
        /// begins the next epoch. With a count: so many batches of `data`, which begins anew, shuffled and augmented
        /// anew, when it runs out; for what goes along with training (a controller's rewards).
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let n = 0;
        /// for batch in net.batches(data().train.take(20), #{ batch_size: 8 }) { n += batch.len; }
        /// assert(n >= 16);
        /// let labels = [];
        /// for batch in net.batches(data().train.take(20), #{ batch_size: 16 }, 5) { labels.push(batch.labels); }
        /// assert(labels.map(|own| own.shape[0]) == [16, 4, 16, 4, 16] && (labels[0] - labels[2]).abs().max() > 0);
        /// ```
        fn batches(&net: SupernetHandle, data: Data, cfg: Map) -> Fallible<BatchesHandle> {
            BatchesHandle::new(net, &data, &cfg, None)
        }
        fn batches(&net: SupernetHandle, data: Data, cfg: Map, count: usize) -> Fallible<BatchesHandle> {
            BatchesHandle::new(net, &data, &cfg, Some(count))
        }

        /// The batches of this epoch of `train`, each as `pair.train` beside one of `valid` as `pair.valid` (which
        /// begins anew when it runs out): what bi-level methods run over.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let halves = data().train.take(32).split(0.5);
        /// for pair in net.pair_batches(halves[0], halves[1], #{ batch_size: 8 }) {
        ///     assert(pair.train.len == 8 && pair.valid.len == 8);
        /// }
        /// ```
        fn pair_batches(&net: SupernetHandle, train: Data, valid: Data, cfg: Map) -> Fallible<Pairs> {
            Pairs::new(net, &train, &valid, &cfg)
        }
    }
}

fn measuring(api: &mut Api) {
    passes::evaluations(api);
    functions! { api, [];
        /// The IIM of every live candidate on the first `samples` images (0: all) of a seeded shuffle, in eval mode,
        /// under the mask or a mix; larger is more important. In batches as equal as can be, of at most the supernet's
        /// batch_size (200 images by 64: 4 of 50): batch norm in candidates goes by the batch. Kept in iim.csv. The
        /// images are taken as they are; with augment: true as in training, drawn anew each epoch (IS-DARTS' authors).
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let iim = net.measure_iim(data().train, 32);
        /// assert(iim.of(net.space.candidates[0]) == 0.0);  // `none`
        /// let moved = net.measure_iim(data().train, 32, #{ augment: true });
        /// assert(moved.of(net.space.candidates[3]) != iim.of(net.space.candidates[3]));
        /// let alpha = architecture_parameters(net, #{ arch_init: 1.0 });
        /// print(net.measure_iim(data().train, 32, alpha.softmax()));
        /// ```
        fn measure_iim(&net: SupernetHandle, data: Data, samples: usize) -> Fallible<Importance> {
            net.measure_iim(&data, samples, None, &Options::none())
        }
        fn measure_iim(
            &net: SupernetHandle, data: Data, samples: usize, how: Options<MeasureConfig>
        ) -> Fallible<Importance> {
            net.measure_iim(&data, samples, None, &how)
        }
        fn measure_iim(&net: SupernetHandle, data: Data, samples: usize, mix: Dynamic) -> Fallible<Importance> {
            net.measure_iim(&data, samples, Some(&mix), &Options::none())
        }
        fn measure_iim(
            &net: SupernetHandle, data: Data, samples: usize, mix: Dynamic, how: Options<MeasureConfig>
        ) -> Fallible<Importance> {
            net.measure_iim(&data, samples, Some(&mix), &how)
        }

        /// Its search space.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.space.name == "nas-bench-201");
        /// ```
        get space(&net: SupernetHandle) -> SpaceHandle { SpaceHandle(net.space()) }

        /// Which candidates are alive now.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// print(net.mask);
        /// ```
        get mask(&net: SupernetHandle) -> MaskHandle { MaskHandle { alive: net.mask(), space: net.space() } }

        /// The mask as one [edges, ops] tensor of 0 and 1 per cell type.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.mask_tensors[0].sum().to_float() == 30.0);
        /// ```
        get mask_tensors(&net: SupernetHandle) -> Fallible<Vec<TensorHandle>> {
            let learner = net.learner.borrow();
            mask_tensors(learner.net.mask(), &net.space(), learner.net.device())
        }

        /// Its current epoch; 0 before the first.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.epoch == 0);
        /// ```
        get epoch(&net: SupernetHandle) -> usize { net.learner.borrow().epoch() }
    }
}

fn shrinking(api: &mut Api) {
    functions! { api, [];
        /// The candidates that compete for the same slots: NAS-Bench-201, the ops of an edge (1 survives); DARTS, all
        /// ops of all edges into a node (2 survive).
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.comparison_subsets().len == 6);
        /// ```
        fn comparison_subsets(&net: SupernetHandle) -> Vec<Subset> { Subset::all(net) }

        /// Drop candidates: they are no longer computed nor trained. An error if one is dropped already, or if fewer
        /// would be left than survive.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// net.drop(net.space.candidate(0, "none"));
        /// assert(net.mask.n_alive == 29);
        /// ```
        fn drop(&net: SupernetHandle, candidate: CandidateHandle) -> Result<()> { net.drop_all(&[candidate]) }
        fn drop(&net: SupernetHandle, candidates: Vec<CandidateHandle>) -> Result<()> { net.drop_all(&candidates) }

        /// The candidates that survive: one an edge (DARTS: two a node, or one an edge); an error while others are alive.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let iim = net.measure_iim(data().train, 16);
        /// for subset in net.comparison_subsets() { net.drop(subset.least_important(iim, 4)); }
        /// print(net.genotype());
        /// ```
        fn genotype(&net: SupernetHandle) -> Result<GenotypeHandle> { net.genotype() }
    }
}

fn weights(api: &mut Api, host: &Rc<Run>) {
    functions! { api, [host];
        /// Write weights and running statistics into the run folder (without one: a temporary folder of the process)
        /// as safetensors, under the names of the authors' PyTorch state dict.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// net.save("w.safetensors");
        /// net.load("w.safetensors");
        /// ```
        fn save(&net: SupernetHandle, name: String) -> Result<()> {
            let path = files::run_file(&host, &name)?;
            net.learner.borrow().net.params().save(&path)
        }

        /// Read weights and running statistics from safetensors: a file in the run folder, one beside the script, or
        /// one that stands behind `--` on the command line, as `args()` has it. A missing, extra or misshaped tensor
        /// is an error.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// net.save("v.safetensors");
        /// net.load(run_file("v.safetensors"));
        /// ```
        fn load(&net: SupernetHandle, name: String) -> Result<()> {
            let path = files::readable(&host, &name)?;
            net.learner.borrow().net.params().load(&path)
        }

        /// One line: space, size, weights, candidates alive.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.describe.contains("30 of 30"));
        /// ```
        get describe(&net: SupernetHandle) -> String { net.describe() }
    }
}
