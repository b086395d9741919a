//! The chapter on supernets.

use super::passes;
use super::tiny::tiny;
use crate::host::handles::batch::Batch;
use crate::host::handles::batches::{BatchList, PairList};
use crate::host::handles::data::Data;
use crate::host::handles::net::{Grads, Net};
use crate::host::handles::space::{Candidate, Mask, Space, space_of};
use crate::host::handles::subset::subsets;
use crate::host::handles::tensor::{T, mask_tensors};
use crate::host::run::{Host, files};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::{count, shown};
use rhai::{Array, Dynamic, INT, Map};
use std::rc::Rc;

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
            "A supernet with fresh weights (seeded by the run's random stream) and every candidate alive. \
             cfg.channels: C (default 16); cfg.cells: cells a stage, N (default 5; DARTS space 2, which gives 8 \
             cells); cfg.batch_size: also of measurements and evaluations; cfg.pool_norm (false): batch norm without affine \
             part behind the pools of candidates, as quark0/darts and the code of the DARTS family have it; cfg.head_norm \
             (true): batch norm and ReLU before the head, as the authors of IS-DARTS have them and quark0/darts has \
             not. Classes are those of the data opened last.",
            tiny!("print(net);"),
        ],
        move |space: Dynamic, cfg: Map| Net::new(&h, &space_of(&space)?, &cfg),
    );
    training(api);
    measuring(api);
    shrinking(api);
    weights(api, host);
}

fn training(api: &mut Api) {
    api.def(
        [
            "train_epoch",
            "net.train_epoch(data, cfg) -> map\nnet.train_epoch(data, mix, cfg) -> map",
            "One epoch of SGD on the weights: augmented, shuffled batches; y = sum_o mix[e, o] * o(x), mix being mask \
             / |O| by default, or one [edges, ops] tensor per cell type. cfg: epochs (of the cosine), batch_size, lr, \
             lr_min, momentum, nesterov (true; false: plain momentum, as in quark0/darts), weight_decay, clip, augment, cutout, \
             drop_path (0; the probability that the sum of an edge is left out for an image, in which case the others count \
             1 / (1 - drop_path); drawn anew in every pass: as the authors of SNAS and of RobustDARTS do it in search). Gives #{ loss, accuracy, images, seconds, lr }. A \
             loss that is not finite is an error.",
            tiny!("let stats = net.train_epoch(data().train.take(64), #{ epochs: 2 });\nassert(stats.images == 64);"),
        ],
        |net: &mut Net, data: Data, cfg: Map| net.train_epoch(&data, None, &cfg),
    );
    api.also("train_epoch", |net: &mut Net, data: Data, mix: Dynamic, cfg: Map| {
        net.train_epoch(&data, Some(&mix), &cfg)
    });
    passes::losses(api);
    api.def(
        [
            "backward",
            "net.backward(loss) -> Gradients",
            "Gradients of a scalar made of this supernet's logits, with respect to the weights and to whatever the mix \
             was made of; for `net.step(gradients, batch, cfg)` and `alpha.step(gradients)`.",
            tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) {\n",
                "    let gradients = net.backward(net.loss(batch) * 2.0);\n",
                "    net.step(gradients, batch, #{ lr: 0.01 });\n",
                "}"
            ),
        ],
        |net: &mut Net, loss: T| net.learner.borrow().backward(&loss.0).map(|g| Grads(Rc::new(g))).map_err(raise),
    );
    api.def(
        [
            "step",
            "net.step(batch, cfg) -> float\nnet.step(batch, mix, cfg) -> float\nnet.step(gradients, batch, cfg)\n\
             alpha.step(loss)\nalpha.step(gradients)",
            "A supernet: one step of SGD on the weights, on the loss of a batch (which it gives) or with given \
             gradients; the learning rate is that of the batch's place in the epoch. Candidates whose mixing weight is 0 are \
             not computed: a step with genotype.mix() costs what one path costs; weight decay and momentum still move their \
             weights. Architecture parameters: one step \
             of their optimiser on them alone.",
            tiny!(
                "for batch in net.batches(data().train.take(16), #{ batch_size: 8 }) {\n",
                "    let loss = net.step(batch, #{ epochs: 1, batch_size: 8 });\n",
                "    assert(loss > 0.0);\n",
                "}"
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
            "The batches of this epoch, shuffled and augmented, prepared ahead; for `for`. Outside an epochs loop it \
             begins the next epoch.",
            tiny!(
                "let n = 0;\n",
                "for batch in net.batches(data().train.take(20), #{ batch_size: 8 }) { n += batch.len; }\n",
                "assert(n >= 16);"
            ),
        ],
        |net: &mut Net, data: Data, cfg: Map| BatchList::new(net, &data, &cfg),
    );
    api.def(
        [
            "pair_batches",
            "net.pair_batches(train, valid, cfg) -> Pairs",
            "The batches of this epoch of `train`, each as `pair.train` beside one of `valid` as `pair.valid` (which \
             begins anew when it runs out): what bi-level methods run over.",
            tiny!(
                "let halves = data().train.take(32).split(0.5);\n",
                "for pair in net.pair_batches(halves[0], halves[1], #{ batch_size: 8 }) {\n",
                "    assert(pair.train.len == 8 && pair.valid.len == 8);\n",
                "}"
            ),
        ],
        |net: &mut Net, train: Data, valid: Data, cfg: Map| PairList::new(net, &train, &valid, &cfg),
    );
}

fn measuring(api: &mut Api) {
    passes::evaluations(api);
    api.def(
        [
            "measure_iim",
            "net.measure_iim(data, samples) -> Importance",
            "The IIM of every live candidate on the first `samples` images (0: all) of a seeded shuffle, in eval mode, \
             under the mask; larger is more important. In batches as equal as can be, of at most the supernet's batch_size \
             (200 images by 64: 4 of 50): batch norm in candidates goes by the batch. Kept in iim.csv.",
            tiny!(
                "let iim = net.measure_iim(data().train, 32);\n",
                "assert(iim.of(net.space.candidates[0]) == 0.0);  // `none`"
            ),
        ],
        |net: &mut Net, data: Data, samples: INT| {
            net.measure_iim(&data, count(samples, "samples")?).map_err(raise)
        },
    );
    api.get(
        [
            "space",
            "net.space -> Space\ngenotype.space -> Space",
            "Its search space.",
            tiny!("assert(net.space.name == \"nas-bench-201\");"),
        ],
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
            mask_tensors(learner.net.mask(), &net.space(), learner.net.device())
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
            "The candidates that compete for the same slots: NAS-Bench-201, the ops of an edge (1 survives); DARTS, \
             all ops of all edges into a node (2 survive).",
            tiny!("assert(net.comparison_subsets().len == 6);"),
        ],
        |net: &mut Net| subsets(net),
    );
    api.def(
        [
            "drop",
            "net.drop(candidate)\nnet.drop([candidate])",
            "Drop candidates: they are no longer computed nor trained. An error if one is dropped already, or if fewer \
             would be left than survive.",
            tiny!("net.drop(net.space.candidate(0, \"none\"));\nassert(net.mask.n_alive == 29);"),
        ],
        |net: &mut Net, candidate: Candidate| net.drop_all(&[candidate]).map_err(raise),
    );
    api.also("drop", |net: &mut Net, candidates: Array| -> Fallible<()> {
        let candidate = |c: &Dynamic| {
            c.read_lock::<Candidate>().map(|c| c.clone()).ok_or_else(|| wrong("drop", shown(c), "a Candidate"))
        };
        let candidates = candidates.iter().map(candidate).collect::<Fallible<Vec<_>>>()?;
        net.drop_all(&candidates).map_err(raise)
    });
    api.def(
        [
            "genotype",
            "net.genotype() -> Genotype\nalpha.genotype() -> Genotype\nimportance.genotype() -> Genotype\n\
             importance.genotype(#{ threshold, edges }) -> Genotype",
            "What is left: of a supernet, its surviving candidates (an error while more are alive); of architecture \
             parameters or an importance, the largest (NAS-Bench-201: of every edge; DARTS: the two best edges into a node, \
             each by its best op but `none`, an edge once; where the importance is NaN, a candidate is dead). threshold: what \
             is less important than that gives its place to `none`, as the authors of FairDARTS leave it out (0.85). \
             edges: \"all\" keeps the largest of every edge, `none` included, as the authors of SNAS do (a DARTS cell then has \
             an op on each of its 14 edges); \"best\" is the default.",
            tiny!(
                "let iim = net.measure_iim(data().train, 16);\n",
                "for subset in net.comparison_subsets() { net.drop(subset.least_important(iim, 4)); }\n",
                "print(net.genotype());\n",
                "let alpha = architecture_parameters(net, #{ arch_init: 1.0 });\n",
                "let own = importance(net.space, alpha.softmax());\n",
                "assert(own.genotype() == alpha.genotype());\n",
                "print(own.genotype(#{ threshold: 0.85 }));"
            ),
        ],
        |net: &mut Net| net.genotype().map_err(raise),
    );
}

fn weights(api: &mut Api, host: &Rc<Host>) {
    let h = host.clone();
    api.def(
        [
            "save",
            "net.save(name)",
            "Write weights and running statistics into the run folder (without one: a temporary folder of the process) as \
             safetensors, under the names of the authors' PyTorch state dict.",
            tiny!("net.save(\"w.safetensors\");\nnet.load(\"w.safetensors\");"),
        ],
        move |net: &mut Net, name: &str| {
            let path = files::run_file(&h, name).map_err(raise)?;
            net.learner.borrow().net.params().save(&path).map_err(raise)
        },
    );
    let h = host.clone();
    api.def(
        [
            "load",
            "net.load(name)",
            "Read weights and running statistics from safetensors: a file in the run folder, one beside the script, or one \
             that stands behind `--` on the command line, as `args()` has it. A missing, extra or misshaped tensor is an error.",
            tiny!("net.save(\"v.safetensors\");\nnet.load(run_file(\"v.safetensors\"));"),
        ],
        move |net: &mut Net, name: &str| {
            let path = files::readable(&h, name).map_err(raise)?;
            net.learner.borrow().net.params().load(&path).map_err(raise)
        },
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
