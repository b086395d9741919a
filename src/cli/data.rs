//! `data info`, `data check`, `data get`.

use super::args::Data;
use super::{interrupts, print};
use isdarts_host::data::{DataOptions, Dataset, Splits, download, first_root};
use isdarts_host::{Error, Result, streams};
use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::io::{IsTerminal, Write};

/// Do what was asked.
pub fn run(command: &Data) -> Result<()> {
    interrupts::install(None);
    match command {
        Data::Info { data, split } => print(&info(&open(data, *split)?)),
        Data::Check { data, split } => check(&open(data, *split)?),
        Data::Get { name, dir, from } => {
            let root = dir.clone().unwrap_or_else(first_root);
            let shown = Cell::new(u64::MAX);
            let watch = |file: &str, done: u64, all: Option<u64>| show(&shown, file, done, all);
            let folder = download::get(name, &root, from.as_deref(), &watch);
            if shown.get() != u64::MAX {
                streams::say("");
            }
            print(&folder?.display().to_string())
        }
    }
}

/// A line on a terminal that moves on with every megabyte.
fn show(shown: &Cell<u64>, file: &str, done: u64, all: Option<u64>) {
    if !std::io::stderr().is_terminal() || shown.replace(done >> 20) == done >> 20 {
        return;
    }
    let of = all.map(|n| format!(" of {}", n >> 20)).unwrap_or_default();
    // A closed stderr is no reason to stop working.
    let mut err = std::io::stderr().lock();
    write!(err, "\r{}: {}{of} MB ", streams::plain(file), done >> 20).and_then(|()| err.flush()).ok();
}

fn open(data: &str, split: Option<f64>) -> Result<Splits> {
    Splits::open(data, &DataOptions { split, ..DataOptions::default() })
}

fn info(splits: &Splits) -> String {
    let Dataset { mean, std, augment, classes, .. } = &splits.train;
    let numbers = |v: &[f32]| v.iter().map(|x| format!("{x:.4}")).collect::<Vec<_>>().join(" ");
    let counts = |data: &Dataset| {
        let counts = data.class_counts();
        let (least, most) = (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        if least == most { format!("{least} a class") } else { format!("{least} to {most} a class") }
    };
    let shown: Vec<&str> = classes.iter().take(12).map(String::as_str).collect();
    let more = if classes.len() > 12 { ", ..." } else { "" };
    let left_out = splits.inventory.left_out();
    let mut lines = vec![
        format!("training     {}, {}", splits.train.describe(), counts(&splits.train)),
        format!("testing      {} images, {}", splits.test.len(), counts(&splits.test)),
        format!("classes      {}{more}", shown.join(", ")),
        format!("mean         {}", numbers(mean)),
        format!("deviation    {}", numbers(std)),
        format!(
            "augmentation crops padded by {}, {}",
            augment.crop_pad,
            if augment.flip { "flips" } else { "no flips" }
        ),
        format!("fingerprint  {}", splits.fingerprint),
    ];
    if splits.inventory.read > 0 {
        lines.push("pictures     of another size: the shorter side scaled to 8/7 of the side, then the middle".into());
        lines.push(format!("files        {} read", splits.inventory.read));
    }
    lines.extend(left_out.iter().map(|line| format!("left out     {line}")));
    lines.join("\n")
}

/// Pairs of images that a check names.
const NAMED: usize = 10;

/// Read everything; say what looks wrong. An error if a class has no images, or where test images are training images.
fn check(splits: &Splits) -> Result<()> {
    let mut lines = vec![info(splits), String::new()];
    for (what, set) in [("training", &splits.train), ("testing", &splits.test)] {
        let image = |i| set.image(i);
        let mut seen = HashSet::new();
        let same = (0..set.len()).filter(|&i| !seen.insert(image(i))).count();
        let flat = (0..set.len()).filter(|&i| image(i).iter().all(|p| *p == image(i)[0])).count();
        lines.push(format!("{what}: {same} images that are there before, {flat} of one value"));
    }
    let train: HashMap<&[u8], usize> = (0..splits.train.len()).rev().map(|i| (splits.train.image(i), i)).collect();
    let both: Vec<(usize, usize)> =
        (0..splits.test.len()).filter_map(|i| Some((i, *train.get(splits.test.image(i))?))).collect();
    lines.push(match both.len() {
        1 => "1 test image is a training image too".into(),
        n => format!("{n} test images are training images too"),
    });
    // Counted from 0, class by class as they lie there.
    let name = |data: &Dataset, i: usize| format!("{} ({})", i, data.classes[data.label(i) as usize]);
    let pair = |(test, train): &(usize, usize)| {
        format!("  test image {} is training image {}", name(&splits.test, *test), name(&splits.train, *train))
    };
    lines.extend(both.iter().take(NAMED).map(pair));
    if both.len() > NAMED {
        lines.push(format!("  ... {} more", both.len() - NAMED));
    }
    print(&lines.join("\n"))?;
    for (what, set) in [("training", &splits.train), ("testing", &splits.test)] {
        if let Some(class) = set.class_counts().iter().position(|n| *n == 0) {
            let got = format!("no {what} image of class `{}`", set.classes[class]);
            return Err(Error::invalid(format!("data set `{}`", set.name), got, "at least one of each class"));
        }
    }
    match both.len() {
        0 => Ok(()),
        n => {
            let (what, got) =
                (format!("data set `{}`", splits.train.name), format!("{n} of them among the training images"));
            Err(Error::invalid(format!("{what}, test images"), got, "none"))
        }
    }
}
