//! `plot` and `sparkline` in scripts.

use crate::host::handles::importance::Importance;
use crate::host::handles::values::{numbers, numeric_keys};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use crate::host::script::value::shown;
use crate::host::show::plot::{Plot, Series, sparkline};
use crate::space::{Candidate, Primitive, SearchSpace};
use rhai::{Array, Map};

/// What `plot` takes, in words.
const HISTORY: &str =
    "numbers, maps with the same numeric keys, or importances of one space; or a map of arrays of numbers";

/// Curves of a history.
fn plot(history: &Array) -> Fallible<Plot> {
    if let Some(values) = numbers(history.iter()).filter(|v| !v.is_empty()) {
        return Ok(Plot { series: vec![Series { name: String::new(), values }] });
    }
    let maps: Option<Vec<Map>> = history.iter().map(|v| v.read_lock::<Map>().map(|m| m.clone())).collect();
    if let Some(maps) = maps.filter(|m| !m.is_empty()) {
        // Of what train_epoch gives, the loss and the accuracy: seconds and images have another scale.
        let mut columns = numeric_keys(&maps);
        let known = |key: &str| ["loss", "accuracy"].contains(&key);
        if columns.iter().any(|(key, _)| known(key)) {
            columns.retain(|(key, _)| known(key));
        }
        let series: Vec<Series> = columns.into_iter().map(|(name, values)| Series { name, values }).collect();
        return if series.is_empty() {
            Err(wrong("plot", "maps without a number", HISTORY))
        } else {
            Ok(Plot { series })
        };
    }
    let importances: Option<Vec<Importance>> =
        history.iter().map(|v| v.read_lock::<Importance>().map(|i| i.clone())).collect();
    match importances {
        Some(all) if !all.is_empty() && all.iter().all(|i| *i.space == *all[0].space) => {
            Ok(Plot { series: by_op(&all[0].space, &all) })
        }
        _ => Err(wrong("plot", format!("an array of {}", history.first().map_or("nothing".into(), shown)), HISTORY)),
    }
}

/// One curve an op: the mean over its live candidates.
fn by_op(space: &SearchSpace, history: &[Importance]) -> Vec<Series> {
    let of = |op: usize, importance: &Importance| {
        let own = space.candidates().into_iter().filter(|c: &Candidate| c.op == op);
        let alive: Vec<f64> = own.map(|c| *importance.table.get(c)).filter(|x| x.is_finite()).collect();
        if alive.is_empty() { f64::NAN } else { alive.iter().sum::<f64>() / alive.len() as f64 }
    };
    let series = |(op, primitive): (usize, &Primitive)| Series {
        name: primitive.name().to_string(),
        values: history.iter().map(|i| of(op, i)).collect(),
    };
    space.ops().iter().enumerate().map(series).collect()
}

/// One curve a key.
fn curves(map: &Map) -> Fallible<Plot> {
    let series = map.iter().map(|(name, values)| {
        let array = values.read_lock::<Array>();
        let values = array
            .and_then(|a| numbers(a.iter()))
            .ok_or_else(|| wrong(format!("plot, {name}"), shown(values), "an array of numbers"))?;
        Ok(Series { name: name.to_string(), values })
    });
    let series = series.collect::<Fallible<Vec<_>>>()?;
    if series.is_empty() { Err(wrong("plot", "an empty map", HISTORY)) } else { Ok(Plot { series }) }
}

/// The curve of one key of a history of maps.
fn curve(history: &Array, key: &str) -> Fallible<Plot> {
    let maps: Option<Vec<Map>> = history.iter().map(|v| v.read_lock::<Map>().map(|m| m.clone())).collect();
    let columns = numeric_keys(&maps.ok_or_else(|| wrong("plot with a key", "an array of other things", "maps"))?);
    match columns.iter().find(|(name, _)| name == key) {
        Some((name, values)) => Ok(Plot { series: vec![Series { name: name.clone(), values: values.clone() }] }),
        None => {
            let known: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            Err(wrong("plot, key", format!("\"{key}\""), format!("one of {}", known.join(", "))))
        }
    }
}

/// Register `plot` and `sparkline`.
pub fn register(api: &mut Api) {
    api.chapter("reports");
    functions! { api, [];
        /// Curves for the terminal, in braille dots. A history is an array: of numbers; of maps such as train_epoch
        /// gives (its loss and accuracy, or the values of `key`); of importances (the mean of each op over its live
        /// candidates). A map has one array of numbers a curve. What is not finite is a gap.
        ///
        /// ```rhai
        /// print(plot([1.0, 0.5, 0.25, 0.125]));
        /// print(plot([#{ loss: 2.0 }, #{ loss: 1.0 }], "loss"));
        /// print(plot(#{ train: [3, 2, 1], test: [3, 3, 2] }));
        /// ```
        fn plot(history: Array) -> Fallible<Plot> { plot(&history) }
        fn plot(history: Array, key: String) -> Fallible<Plot> { curve(&history, &key) }
        fn plot(map: Map) -> Fallible<Plot> { curves(&map) }

        /// Numbers as a line of bars, from the least to the largest; a gap for what is not finite.
        ///
        /// ```rhai
        /// assert(sparkline([1, 2, 8]) == "▁▂█");
        /// ```
        fn sparkline(numbers: Vec<f64>) -> String { sparkline(&numbers, 60) }
    }
}
