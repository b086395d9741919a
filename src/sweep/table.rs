//! Results of finished runs as a table: a row for each combination of settings, mean and standard deviation over the runs of it;
//! or a row for each run.

mod format;
mod results;

pub use format::Format;

use super::check::{known_key, text_of};
use super::file::Map;
use super::folder::Folder;
use super::status::{Standing, State};
use super::value;
use crate::error::Result;
use crate::host::{mean, std};
use results::Results;
use serde_json::Value;
use std::collections::BTreeSet;

/// A table: what stands in its head, and its rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub header: Vec<String>,
    /// As many cells each.
    pub rows: Vec<Vec<Cell>>,
}

/// A cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A number of one run, or of somebody else's table.
    Number(f64),
    /// Mean and sample standard deviation of several.
    Spread(f64, f64),
}

/// What a table is asked for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Settings that make a row; none: all that vary but the seed.
    pub by: Vec<String>,
    /// Results; none: what the script recorded, and the usual ones, as far as there are; `all`: all there are.
    pub columns: Vec<String>,
    /// A row for each run.
    pub runs: bool,
}

/// What people look at first.
const USUAL: [&str; 7] =
    ["cifar10_test", "cifar100_test", "imagenet16_test", "trained_accuracy", "test_error", "params_mb", "seconds"];

impl Table {
    /// The table of a sweep.
    ///
    /// # Errors
    /// A setting or a result that there is not; a run folder that is damaged.
    pub fn of(folder: &Folder, all: &[Standing], asked: &Asked) -> Result<Self> {
        let finished: Vec<&Standing> = all.iter().filter(|standing| standing.state == State::Finished).collect();
        let results: Vec<Results> =
            finished.iter().map(|s| Results::read(&folder.run(&s.row))).collect::<Result<_>>()?;
        let beside = folder.sweep.beside.iter().flat_map(|row| row.keys().cloned());
        let mut there: Vec<String> = Vec::new();
        let mut seen = BTreeSet::new();
        for name in results.iter().flat_map(|results| results.numbers.keys()) {
            if seen.insert(name.clone()) {
                there.push(name.clone());
            }
        }
        let known: Vec<String> = there.iter().cloned().chain(beside).collect();
        let recorded =
            |name: &&String| results.iter().any(|r| r.numbers.keys().take(r.recorded).any(|own| own == *name));
        let columns: Vec<String> = match &asked.columns[..] {
            [] => {
                let own = there.iter().filter(|name| !USUAL.contains(&name.as_str())).filter(recorded).cloned();
                own.chain(USUAL.iter().map(ToString::to_string).filter(|name| there.contains(name))).collect()
            }
            [all] if all == "all" => there,
            named => named.to_vec(),
        };
        let varying = folder.sweep.varying();
        let by: Vec<String> = match &asked.by[..] {
            [] => varying.iter().filter(|key| asked.runs || *key != "seed").cloned().collect(),
            named => named.to_vec(),
        };
        asked.by.iter().try_for_each(|key| known_key(folder, key, &[]))?;
        if !(asked.columns.is_empty() || asked.columns == ["all"]) {
            columns.iter().try_for_each(|name| known_key(folder, name, &known))?;
        }
        let pairs: Vec<(&Standing, &Results)> = finished.into_iter().zip(&results).collect();
        Ok(if asked.runs { runs(&pairs, &by, &columns) } else { spreads(folder, all, &pairs, &by, &columns) })
    }
}

/// A row for each run.
fn runs(pairs: &[(&Standing, &Results)], by: &[String], columns: &[String]) -> Table {
    let header =
        ["index".to_string()].iter().chain(by).chain(columns).chain(&["genotype".to_string()]).cloned().collect();
    let row = |(standing, results): &(&Standing, &Results)| {
        let settings = by.iter().map(|key| Cell::Text(text_of(&standing.row, key)));
        let numbers = columns.iter().map(|name| number(results.numbers.get(name)));
        let first = Cell::Text(standing.row.index.to_string());
        [first].into_iter().chain(settings).chain(numbers).chain([Cell::Text(results.genotype.clone())]).collect()
    };
    Table { header, rows: pairs.iter().map(row).collect() }
}

fn number(value: Option<&f64>) -> Cell {
    value.map_or(Cell::Text(String::new()), |value| Cell::Number(*value))
}

/// A row for each combination of the settings `by`, in the order of the plan; below it what others have of the same.
fn spreads(
    folder: &Folder,
    all: &[Standing],
    pairs: &[(&Standing, &Results)],
    by: &[String],
    columns: &[String],
) -> Table {
    let group = |standing: &Standing| by.iter().map(|key| text_of(&standing.row, key)).collect::<Vec<_>>();
    let mut groups: Vec<Vec<String>> = Vec::new();
    for standing in all {
        let own = group(standing);
        if !groups.contains(&own) {
            groups.push(own);
        }
    }
    let mut others: Vec<&Map> = folder.sweep.beside.iter().collect();
    let mut rows = Vec::new();
    for own in groups {
        let runs: Vec<&Results> = pairs.iter().filter(|(s, _)| group(s) == own).map(|(_, results)| *results).collect();
        let wanted = all.iter().filter(|standing| group(standing) == own).count();
        let cell = |name: &String| {
            let values: Vec<f64> = runs.iter().filter_map(|results| results.numbers.get(name).copied()).collect();
            match values[..] {
                [] => Cell::Text(String::new()),
                [only] => Cell::Number(only),
                _ => Cell::Spread(mean(&values), std(&values)),
            }
        };
        let count =
            Cell::Text(if runs.len() == wanted { wanted.to_string() } else { format!("{}/{wanted}", runs.len()) });
        rows.push(own.iter().cloned().map(Cell::Text).chain([count]).chain(columns.iter().map(cell)).collect());
        others.retain(|other| {
            let same = by.iter().zip(&own).all(|(key, text)| other.get(key).is_none_or(|v| value::shown(v) == *text));
            if same {
                rows.push(row_beside(other, by, columns));
            }
            !same
        });
    }
    rows.extend(others.iter().map(|other| row_beside(other, by, columns)));
    let header = by.iter().cloned().chain(["runs".to_string()]).chain(columns.iter().cloned()).collect();
    Table { header, rows }
}

/// A row of somebody else's, with the settings that it says.
fn row_beside(other: &Map, by: &[String], columns: &[String]) -> Vec<Cell> {
    let setting = |key: &String| Cell::Text(other.get(key).map_or("-".into(), value::shown));
    let source = other.get("source").map_or("beside".into(), value::shown);
    let cell = |name: &String| match other.get(name) {
        None => Cell::Text("-".into()),
        Some(Value::Number(n)) => n.as_f64().map_or(Cell::Text(n.to_string()), Cell::Number),
        Some(text) => Cell::Text(value::shown(text)),
    };
    by.iter().map(setting).chain([Cell::Text(source)]).chain(columns.iter().map(cell)).collect()
}
