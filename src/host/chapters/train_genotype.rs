//! `train_genotype`: a found network trained from scratch.

use crate::data::nas_bench;
use crate::error::Result;
use crate::host::handles::data::DataSource;
use crate::host::handles::genotype::GenotypeHandle;
use crate::host::run::{Run, settings, training};
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use crate::host::script::types::cast;
use crate::net::subnet::Plan;
use crate::search::trainer::Evaluation;
use crate::search::{Stateful, Trainer, run_folder};
use rhai::{Dynamic, INT, Map};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// The cells of a genotype handle, of its text (whose order of ops is kept) or name in the literature, of an index of
/// NAS-Bench-201, or of the genotype.txt of a search's run folder: `DIR`, or `DIR#LABEL` where several searches left theirs.
pub(super) fn plan_of(value: &Dynamic) -> Fallible<Plan> {
    if let Some(genotype) = value.read_lock::<GenotypeHandle>() {
        return Ok(Plan::from(&genotype.0));
    }
    match value.as_immutable_string_ref() {
        Ok(text) => Ok(plan_of_text(&text)?),
        Err(_) => GenotypeHandle::of(value).map(|g| Plan::from(&g.0)),
    }
}

fn plan_of_text(text: &str) -> Result<Plan> {
    match (run_folder::found(text), text.parse()) {
        (Some(found), _) => Plan::parse(&found?),
        (None, Ok(index)) => Plan::parse(&nas_bench::query_index(index)?.arch),
        (None, Err(_)) => Plan::read(text),
    }
}

/// What the script gets.
fn result(trainer: &Trainer, found: &Evaluation, folder: Option<&Path>) -> Map {
    let mut map = Map::new();
    let mut put = |key: &str, value: Dynamic| drop(map.insert(key.into(), value));
    put("genotype", trainer.net.plan().to_string().into());
    put("parameters", (trainer.net.n_weights() as INT).into());
    put("epochs", (trainer.curve().len() as INT).into());
    put("accuracy", (100.0 * found.top1).into());
    put("top5", (100.0 * found.top5).into());
    put("loss", found.loss.into());
    if let Some(best) = trainer.best() {
        put("best_accuracy", (100.0 * best.test_top1).into());
        put("best_epoch", (best.epoch as INT).into());
    }
    put("train_accuracy", trainer.curve().last().map_or(0.0, |r| 100.0 * r.train_top1).into());
    put("seconds", trainer.curve().iter().map(|r| r.seconds).sum::<f64>().into());
    put("curve", trainer.curve().iter().map(|r| Dynamic::from(100.0 * r.test_top1)).collect::<rhai::Array>().into());
    let rows = found.confusion.iter().map(|row| row.iter().map(|&n| Dynamic::from(n as INT)).collect::<rhai::Array>());
    put("confusion", rows.map(Dynamic::from).collect::<rhai::Array>().into());
    put("folder", folder.map_or(Dynamic::UNIT, |f| f.to_string_lossy().into_owned().into()));
    map
}

/// What result.json gets.
fn record(trainer: &Trainer, found: &Evaluation, folder: Option<&Path>) -> Value {
    let percent = |x: f64| 100.0 * x;
    json!({
        "folder": folder.and_then(Path::file_name).map(|name| name.to_string_lossy()),
        "genotype": trainer.net.plan().to_string(),
        "parameters": trainer.net.n_weights(),
        "epochs": trainer.curve().len(),
        "seconds": trainer.curve().iter().map(|r| r.seconds).sum::<f64>(),
        "accuracy": percent(found.top1),
        "top5": percent(found.top5),
        "loss": found.loss,
        "best_accuracy": trainer.best().map(|row| percent(row.test_top1)),
        "best_epoch": trainer.best().map(|row| row.epoch),
        "train_accuracy": trainer.curve().last().map(|row| percent(row.train_top1)),
    })
}

/// Register `train_genotype`.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("evaluation");
    functions! { api, [host];
        /// Train the network of a found cell from scratch on data.train and test it on data.test after every epoch.
        /// `genotype`: a genotype, its text or published name (DARTS_V2), an index of NAS-Bench-201, or the run
        /// folder of a search (`DIR`, or `DIR#LABEL` where it holds several). cfg.network: `cifar` (20 cells, C=36,
        /// auxiliary head), `imagenet` (14 cells, C=48), `nas-bench-201` (C=16, N=5); by default what suits cell and
        /// images. cfg.recipe says whose settings are taken where none is given: `paper` (IS-DARTS: Nesterov, 5
        /// epochs of warm-up; the default for DARTS cells), `quark0` (DARTS: plain momentum, no warm-up),
        /// `nas-bench-201` (batch 256, lr 0.1, 200 epochs; the default for its cells). Settings: channels, cells,
        /// epochs, batch_size (each 0: the recipe's), warmup (epochs; the rate rises step by step), lr, lr_min,
        /// schedule (of the rate after the warm-up: `step` and `epoch`, a cosine by steps or by epochs,
        /// `exponential`, 0.97 an epoch), momentum, nesterov, weight_decay, clip (0 = none), augment, photo (in place
        /// of the padded crop, a random part, of the whole picture where the data is a folder of pictures; colour
        /// jitter and light), cutout (pixels), drop_path (probability at the end), auxiliary (weight; 0 = no such
        /// head), auxiliary_skip and pool_norm (DARTS-Bench-Suite: `space.network`), label_smoothing. What the recipe
        /// sets is said at the beginning; all of it is in the manifest and in settings.json. It is an epochs loop:
        /// saved after every epoch, and goes on under --resume. Gives accuracy and top5 (percent of the test images,
        /// after the last epoch), loss, best_accuracy and best_epoch (chosen on the test images: not a fair figure),
        /// train_accuracy, curve (test accuracy by epoch), confusion (rows: true class), parameters, seconds, genotype,
        /// folder. In the run folder, train-NNN holds settings.json, curve.csv, curve.svg, confusion.csv, genotype.txt,
        /// last.safetensors and best.safetensors (PyTorch names).
        ///
        /// ```rhai
        /// let r = train_genotype(9930, data("digits", #{ limit: 4 }), #{ channels: 2, cells: 1, epochs: 2, batch_size: 16 });
        /// assert(r.epochs == 2 && r.accuracy >= 0.0 && r.top5 <= 100.0);
        /// ```
        fn train_genotype(genotype: Dynamic, data: Dynamic, cfg: Map) -> Fallible<Map> {
            let expected = "a data source, as data() gives: it has train and test";
            let source: DataSource = cast(&data, "train_genotype, data", expected)?;
            let plan = plan_of(&genotype)?;
            settings::check(&host.settings, &cfg, settings::Taker::Training)?;
            let cfg = settings::givens(&cfg);
            let trainer = Rc::new(RefCell::new(training::make(&host, plan, &source.0, &cfg)?));
            host.live.add(&(trainer.clone() as Rc<RefCell<dyn Stateful>>));
            let (found, folder) = training::train(&host, &trainer, &source.0)?;
            let trainer = trainer.borrow();
            host.results.trained(&host.label.borrow(), record(&trainer, &found, folder.as_deref()));
            Ok(result(&trainer, &found, folder.as_deref()))
        }
    }
}
