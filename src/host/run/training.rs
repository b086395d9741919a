//! A found network trained from scratch, with all that a run leaves of it.

use super::epochs::Epochs;
use super::shared::Run;
use crate::data::Splits;
use crate::error::{Error, Result};
use crate::files;
use crate::host::script::errors::{Fallible, raise};
use crate::host::show::figure;
use crate::net::Subnet;
use crate::net::subnet::Plan;
use crate::search::run_folder::TRAINING;
use crate::search::settings::Givens;
use crate::search::trainer::{CurveRow, Evaluation};
use crate::search::weights_file::{self, About};
use crate::search::{EpochStats, EvalConfig, RunFolder, Trainer};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Make the trainer, or say what is wrong, before any work.
pub fn make(host: &Run, plan: Plan, data: &Splits, settings: &Givens) -> Result<Trainer> {
    let (_, h, w) = data.train.shape;
    let config = host.settings.seen(EvalConfig::of_map(settings, plan.topology, h.min(w)))?;
    config.told(settings).iter().for_each(|line| host.note(line));
    let seed = host.stream.borrow_mut().next_seed();
    let net = Subnet::new(plan, config.subnet(data.train.n_classes(), seed)?, &host.options.device)?;
    net.check_size(h, w, crate::net::Mode::Train)?;
    Ok(Trainer::new(net, config, seed))
}

/// Train to the end; the last evaluation and the files.
pub fn train(host: &Rc<Run>, trainer: &Rc<RefCell<Trainer>>, data: &Splits) -> Fallible<(Evaluation, Option<PathBuf>)> {
    let folder = folder(host).map_err(raise)?;
    if let Some(folder) = &folder {
        record_settings(host, folder, &trainer.borrow().config).map_err(raise)?;
    }
    let about = About::new(&trainer.borrow().net, &data.train);
    let epochs = Epochs { host: host.clone(), n: trainer.borrow().config.epochs };
    let mut last = None;
    for epoch in epochs {
        epoch?;
        let mut trainer = trainer.borrow_mut();
        let found = trainer.epoch(&data.train, &data.test, &*host.progress).map_err(raise)?;
        if let Some(row) = trainer.curve().last() {
            host.note(&progress(row, trainer.config.epochs));
            let CurveRow { epoch, lr, seconds, .. } = *row;
            let (loss, accuracy, images) = (row.train_loss, row.train_top1, data.train.len());
            let stats = EpochStats { loss, accuracy, images, seconds, lr };
            host.log_settings().map_err(raise)?;
            host.logs(|folder, label| folder.log_epoch(label, epoch, 0, &stats)).map_err(raise)?;
            let test = [("accuracy", row.test_top1), ("top5", row.test_top5), ("loss", found.loss)];
            let test = test.map(|(name, value)| (format!("test/{name}"), value));
            host.logs(|folder, label| folder.log_points(label, epoch, test.into())).map_err(raise)?;
        }
        if let Some(folder) = &folder {
            write(folder, &trainer, &about, &data.test.classes, &found).map_err(raise)?;
        }
        last = Some(found);
    }
    let found = match last {
        Some(found) => found,
        // A resumed run finds the loop finished. What it left may have been damaged since.
        None => {
            let trainer = trainer.borrow();
            let found = trainer.evaluate(&data.test, &*host.progress).map_err(raise)?;
            if let Some(folder) = &folder {
                write(folder, &trainer, &about, &data.test.classes, &found).map_err(raise)?;
            }
            found
        }
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
fn folder(host: &Run) -> Result<Option<PathBuf>> {
    let number = host.loops.borrow().started();
    let make = |f: &RunFolder| files::folder_below(f.path(), format!("{TRAINING}{number:03}"));
    host.folder.borrow().as_ref().map(make).transpose()
}

/// All settings of a training, those of the recipe too: in its folder, and in the run's manifest.
fn record_settings(host: &Run, folder: &Path, config: &EvalConfig) -> Result<()> {
    let wrong = |e: serde_json::Error| Error::invalid("settings of training", e, "plain data");
    let text = serde_json::to_string_pretty(config).map_err(wrong)?;
    files::replace(&folder.join("settings.json"), format!("{text}\n").as_bytes())?;
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    host.settings.effective.borrow_mut().insert(name, serde_json::to_value(config).map_err(wrong)?);
    Ok(())
}

/// Everything that is known after an epoch; each file whole or not at all.
fn write(folder: &Path, trainer: &Trainer, about: &About, classes: &[String], found: &Evaluation) -> Result<()> {
    let curve = trainer.curve();
    let epoch = curve.last().map(|row| row.epoch);
    let about = &About { epoch, ..about.clone() };
    weights_file::save(&folder.join("last.safetensors"), &trainer.net, about)?;
    let (path, best) = (folder.join("best.safetensors"), trainer.best().map(|row| row.epoch));
    match best == epoch {
        true => weights_file::save(&path, &trainer.net, about)?,
        false => check_best(&path, best)?,
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

/// The best weights are in their file alone: what is damaged or exchanged must not stay there as a result.
fn check_best(path: &Path, epoch: Option<usize>) -> Result<()> {
    let found = weights_file::about(path)?.epoch;
    if found.is_none() || found == epoch {
        return Ok(());
    }
    let of = |epoch: Option<usize>| format!("the weights of epoch {}", epoch.unwrap_or(0));
    Err(Error::file(path, of(found), format!("{}, the best; put them back, or train anew", of(epoch))))
}

fn csv_of(curve: &[CurveRow]) -> Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(vec![]);
    curve.iter().try_for_each(|row| csv.serialize(row)).map_err(|e| Error::invalid("curve.csv", e, "rows"))?;
    csv.into_inner().map_err(|e| Error::invalid("curve.csv", e, "rows"))
}
