//! Are all points what the script takes? A mistake is found before anything is submitted: it must not cost three hundred jobs.
//!
//! The script is run as far as its settings, once for each value of each key: a value that was in order in one point is so in all
//! points with the same choices (the method, the space), whatever their other settings are.

use super::folder::Folder;
use super::plan::Row;
use super::task::Task;
use super::value;
use crate::data;
use crate::error::{Error, Result};
use crate::host::{self, RunOptions};
use crate::interrupt;
use serde_json::Value;
use std::collections::{BTreeSet, HashSet};

/// Check these points.
///
/// # Errors
/// The first that the script would refuse, with its number and settings; data that is not there.
pub fn check(folder: &Folder, rows: &[Row]) -> Result<()> {
    let (mut choices, mut found, mut seen) = (BTreeSet::new(), HashSet::new(), HashSet::new());
    let text = folder.script()?;
    for row in rows {
        interrupt::check()?;
        let task = Task::of(folder, row);
        let place = |error: Error| error.at(place(folder, row));
        if let Some(name) = task.data.as_ref().filter(|name| found.insert(name.to_string())) {
            data::find(name).map_err(place)?;
        }
        let choice = choices_of(&task, &choices);
        if task.sets.iter().all(|(key, value)| seen.contains(&(choice.clone(), key.clone(), value.to_string())))
            && seen.contains(&(choice.clone(), String::new(), String::new()))
        {
            continue;
        }
        let options = RunOptions {
            script: Some(task.script.clone()),
            args: task.args.clone(),
            sets: task.sets.clone(),
            data: task.data.clone().unwrap_or_else(|| "digits".into()),
            seed: task.seed.unwrap_or(0),
            ..RunOptions::default()
        };
        choices.extend(host::probe(&options, &text).map_err(place)?);
        let choice = choices_of(&task, &choices);
        let known = task.sets.iter().map(|(key, value)| (choice.clone(), key.clone(), value.to_string()));
        seen.extend(known.chain([(choice.clone(), String::new(), String::new())]));
    }
    Ok(())
}

/// What of a point other settings depend on. Words for the script may be anything.
fn choices_of(task: &Task, choices: &BTreeSet<String>) -> String {
    let sets = task.sets.iter().filter(|(key, _)| choices.contains(key));
    sets.map(|(key, value)| format!("{key}={value}\n")).chain([task.args.join("\0")]).collect()
}

/// `point 12 (method=gdas seed=3)`.
pub fn place(folder: &Folder, row: &Row) -> String {
    let varying = folder.sweep.varying();
    let shown = row.point.shown(&varying);
    if shown.is_empty() { format!("point {}", row.index) } else { format!("point {} ({shown})", row.index) }
}

/// The nearest of the keys that points have, for keys that people ask tables by.
///
/// # Errors
/// It is none of them.
pub fn known_key(folder: &Folder, key: &str, more: &[String]) -> Result<()> {
    let keys: BTreeSet<&str> =
        folder.plan.wanted().flat_map(|row| row.point.0.keys()).chain(more).map(String::as_str).collect();
    match keys.contains(key) {
        true => Ok(()),
        false => Err(Error::unknown_name("setting or result", key, keys)),
    }
}

/// The value of a setting of a point, as text.
pub fn text_of(row: &Row, key: &str) -> String {
    row.point.0.get(key).map_or_else(String::new, |v: &Value| value::shown(v))
}
