//! `train_genotype`: a found network trained from scratch, with all that a run leaves of it.

use super::api::Api;
use super::context::Host;
use super::convert::to_json;
use super::data::Source;
use super::epochs::Epochs;
use super::errors::{Fallible, raise, wrong};
use super::genotype::Genotype;
use super::{convert, figure, settings};
use crate::data::nas_bench;
use crate::error::{Error, Result};
use crate::files;
use crate::net::Subnet;
use crate::net::subnet::Plan;
use crate::search::run_folder::TRAINING;
use crate::search::trainer::{CurveRow, Evaluation};
use crate::search::weights_file::{self, About};
use crate::search::{EpochStats, EvalConfig, RunFolder, Stateful, Trainer};
use rhai::{Dynamic, INT, Map};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The cells of a genotype handle, of its text (whose order of ops is kept) or name in the literature, of an index of
/// NAS-Bench-201, or of the genotype.txt of a search's run folder: `DIR`, or `DIR#LABEL` where several searches left theirs.
fn plan_of(value: &Dynamic) -> Fallible<Plan> {
    if let Some(genotype) = value.read_lock::<Genotype>() {
        return Ok(Plan::from(&genotype.0));
    }
    match value.as_immutable_string_ref() {
        Ok(text) => plan_of_text(&text).map_err(raise),
        Err(_) => super::genotype::genotype_of(value).map(|g| Plan::from(&g)),
    }
}

fn plan_of_text(text: &str) -> Result<Plan> {
    let (folder, label) = text.split_once('#').map_or((text, None), |(folder, label)| (folder, Some(label)));
    if !Path::new(folder).is_dir() {
        return match text.parse() {
            Ok(index) => Plan::parse(&nas_bench::query_index(index)?.arch),
            Err(_) => Plan::read(text),
        };
    }
    let path = Path::new(folder).join("genotype.txt");
    let found = files::read_plain_text(&path).map_err(Error::io("read", &path))?;
    let lines: Vec<(&str, &str)> = found.lines().map(|l| l.split_once('\t').unwrap_or(("", l))).collect();
    match (label, &lines[..]) {
        (None, [(_, only)]) => Plan::parse(only),
        (None, _) => {
            let names: Vec<&str> = lines.iter().map(|(label, _)| *label).collect();
            let expected = format!("one of them, as {folder}#LABEL: {}", names.join(", "));
            Err(Error::file(&path, format!("{} genotypes", lines.len()), expected))
        }
        (Some(label), _) => match lines.iter().find(|(known, _)| *known == label) {
            Some((_, text)) => Plan::parse(text),
            None => Err(Error::unknown_name("search in genotype.txt", label, lines.iter().map(|(l, _)| *l))),
        },
    }
}

/// Make the trainer, or say what is wrong, before any work.
fn make(host: &Host, plan: Plan, data: &Source, cfg: &Map) -> Result<Trainer> {
    settings::check(host, cfg, settings::Taker::Training)?;
    let map = to_json(&Dynamic::from(cfg.clone()), "settings")?;
    let (_, h, w) = data.0.train.shape;
    let config = EvalConfig::of_map(&map, plan.topology, h.min(w))?;
    config.told(&map).iter().for_each(|line| host.note(line));
    let seed = host.stream.borrow_mut().next_seed();
    let net = Subnet::new(plan, config.subnet(data.0.train.n_classes(), seed)?, &host.options.device)?;
    net.check_size(h, w, crate::net::Mode::Train)?;
    Ok(Trainer::new(net, config, seed))
}

/// Train to the end; the last evaluation and the files.
fn train(host: &Rc<Host>, trainer: &Rc<RefCell<Trainer>>, data: &Source) -> Fallible<(Evaluation, Option<PathBuf>)> {
    let folder = folder(host).map_err(raise)?;
    if let Some(folder) = &folder {
        record_settings(host, folder, &trainer.borrow().config).map_err(raise)?;
    }
    let about = About::new(&trainer.borrow().net, &data.0.train);
    let epochs = Epochs { host: host.clone(), n: trainer.borrow().config.epochs };
    let mut last = None;
    for epoch in epochs {
        epoch?;
        let mut trainer = trainer.borrow_mut();
        let found = trainer.epoch(&data.0.train, &data.0.test, &*host.progress).map_err(raise)?;
        if let Some(row) = trainer.curve().last() {
            host.note(&progress(row, trainer.config.epochs));
            let CurveRow { epoch, lr, seconds, .. } = *row;
            let (loss, accuracy, images) = (row.train_loss, row.train_top1, data.0.train.len());
            let stats = EpochStats { loss, accuracy, images, seconds, lr };
            host.logs(|folder, label| folder.log_epoch(label, epoch, 0, &stats)).map_err(raise)?;
        }
        if let Some(folder) = &folder {
            write(folder, &trainer, &about, &data.0.test.classes, &found).map_err(raise)?;
        }
        last = Some(found);
    }
    // A resumed run may find the loop finished.
    let found = match last {
        Some(found) => found,
        None => trainer.borrow().evaluate(&data.0.test, &*host.progress).map_err(raise)?,
    };
    Ok((found, folder))
}

fn progress(row: &CurveRow, epochs: usize) -> String {
    let percent = |x: f64| format!("{:.2}", 100.0 * x);
    format!(
        "epoch {} of {epochs}: loss {:.4}, training {} %, test {} % (top-5 {} %), {:.1} s",
        row.epoch,
        row.train_loss,
        percent(row.train_top1),
        percent(row.test_top1),
        percent(row.test_top5),
        row.seconds
    )
}

/// `train-NNN` in the run folder, numbered by the epochs loop that the training is: the same when the run is resumed.
fn folder(host: &Host) -> Result<Option<PathBuf>> {
    let number = host.loops.borrow().started();
    let make = |f: &RunFolder| files::folder_below(f.path(), format!("{TRAINING}{number:03}"));
    host.folder.borrow().as_ref().map(make).transpose()
}

/// All settings of a training, those of the recipe too: in its folder, and in the run's manifest.
fn record_settings(host: &Host, folder: &Path, config: &EvalConfig) -> Result<()> {
    let wrong = |e: serde_json::Error| Error::invalid("settings of training", e, "plain data");
    let text = serde_json::to_string_pretty(config).map_err(wrong)?;
    files::replace(&folder.join("settings.json"), format!("{text}\n").as_bytes())?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    host.settings.borrow_mut().insert(name, serde_json::to_value(config).map_err(wrong)?);
    Ok(())
}

/// Everything that is known after an epoch; each file whole or not at all.
fn write(folder: &Path, trainer: &Trainer, about: &About, classes: &[String], found: &Evaluation) -> Result<()> {
    let curve = trainer.curve();
    let is_best = trainer.best().map(|b| b.epoch) == curve.last().map(|r| r.epoch);
    weights_file::save(&folder.join("last.safetensors"), &trainer.net, about)?;
    if is_best {
        weights_file::save(&folder.join("best.safetensors"), &trainer.net, about)?;
    }
    files::replace(&folder.join("genotype.txt"), format!("{}\n", about.genotype).as_bytes())?;
    files::replace(&folder.join("curve.csv"), &csv_of(curve)?)?;
    let points = |y: fn(&CurveRow) -> f64| curve.iter().map(|r| (r.epoch as f64, 100.0 * y(r))).collect();
    let series = vec![
        ("training (augmented)", points(|r| r.train_top1)),
        ("test", points(|r| r.test_top1)),
        ("test, top-5", points(|r| r.test_top5)),
    ];
    let svg = figure::lines(["learning curve", "epoch", "accuracy, %"], series)?;
    files::replace(&folder.join("curve.svg"), svg.as_bytes())?;
    let header = std::iter::once("true class \\ found".to_string()).chain(classes.iter().cloned()).collect();
    let row = |(class, counts): (&String, &Vec<u32>)| -> Vec<String> {
        std::iter::once(class.clone()).chain(counts.iter().map(u32::to_string)).collect()
    };
    let table: Vec<Vec<String>> =
        std::iter::once(header).chain(classes.iter().zip(&found.confusion).map(row)).collect();
    let mut csv = csv::Writer::from_writer(vec![]);
    let bad = |e: csv::Error| Error::invalid("confusion.csv", e, "rows");
    table.iter().try_for_each(|row| csv.write_record(row)).map_err(bad)?;
    let bytes = csv.into_inner().map_err(|e| Error::invalid("confusion.csv", e, "rows"))?;
    files::replace(&folder.join("confusion.csv"), &bytes)
}

fn csv_of(curve: &[CurveRow]) -> Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(vec![]);
    curve.iter().try_for_each(|row| csv.serialize(row)).map_err(|e| Error::invalid("curve.csv", e, "rows"))?;
    csv.into_inner().map_err(|e| Error::invalid("curve.csv", e, "rows"))
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

/// Register `train_genotype`.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("evaluation");
    let h = host.clone();
    api.def(
        [
            "train_genotype",
            "train_genotype(genotype, data, cfg) -> map",
            "Train the network of a found cell from scratch on data.train and test it on data.test after every epoch. \
             `genotype`: a genotype, its text or published name (DARTS_V2), an index of NAS-Bench-201, or the run folder of a search (`DIR`, or \
             `DIR#LABEL` where it holds several). cfg.network: `cifar` (20 cells, C=36, auxiliary head), `imagenet` (14 \
             cells, C=48), `nas-bench-201` (C=16, N=5); by default what suits cell and images. cfg.recipe says whose settings \
             are taken where none is given: `paper` (IS-DARTS: Nesterov, 5 epochs of warm-up; the default for DARTS cells), \
             `quark0` (DARTS: plain momentum, no warm-up), `nas-bench-201` (batch 256, lr 0.1, 200 epochs; the default for \
             its cells). Settings: channels, cells, epochs, batch_size (each 0: the recipe's), warmup (epochs; the rate \
             rises step by step), lr, lr_min, schedule (of the rate after the warm-up: `step` and `epoch`, a cosine by \
             steps or by epochs, `exponential`, 0.97 an epoch), momentum, nesterov, weight_decay, clip (0 = none), \
             augment, photo (in place of the padded crop, a random part, of the whole picture where the data is a folder of \
             pictures; colour jitter and light), cutout (pixels), \
             drop_path (probability at the end), auxiliary (weight; 0 = no such head), label_smoothing. What the recipe \
             sets is said at the beginning; all of it is in the manifest and in settings.json. It is an epochs loop: saved \
             after every epoch, and goes on under --resume. Gives accuracy and top5 (percent of the test images, after the last epoch), loss, \
             best_accuracy and best_epoch (chosen on the test images: not a fair figure), train_accuracy, curve (test \
             accuracy by epoch), confusion (rows: true class), parameters, seconds, genotype, folder. In the run folder, \
             train-NNN holds settings.json, curve.csv, curve.svg, confusion.csv, genotype.txt, last.safetensors and best.safetensors \
             (PyTorch names).",
            "let r = train_genotype(9930, data(\"digits\", #{ limit: 4 }), #{ channels: 2, cells: 1, epochs: 2, \
             batch_size: 16 });\nassert(r.epochs == 2 && r.accuracy >= 0.0 && r.top5 <= 100.0);",
        ],
        move |genotype: Dynamic, data: Dynamic, cfg: Map| -> Fallible<Map> {
            let source = data.read_lock::<Source>().map(|s| s.clone());
            let source = source.ok_or_else(|| {
                wrong("train_genotype, data", convert::shown(&data), "a data source, as data() gives: it has train and test")
            })?;
            let trainer = make(&h, plan_of(&genotype)?, &source, &cfg).map_err(raise)?;
            let trainer = Rc::new(RefCell::new(trainer));
            h.register_state(&(trainer.clone() as Rc<RefCell<dyn Stateful>>));
            let (found, folder) = train(&h, &trainer, &source)?;
            let trainer = trainer.borrow();
            Ok(result(&trainer, &found, folder.as_deref()))
        },
    );
}
