//! What the searches of a run found so far: kept in each checkpoint, and in the end a part of result.json.

use crate::data::nas_bench;
use crate::error::{Error, Result};
use crate::net::Cost;
use crate::space::{Genotype, NetworkShape, Plan};
use serde_json::{Map, Value, json};
use std::cell::RefCell;

/// What the searches of a run found, in the order in which they said so.
#[derive(Default)]
pub struct Results(RefCell<Vec<Map<String, Value>>>);

impl Results {
    /// A search found a cell.
    pub fn found(&self, search: &str, genotype: &Genotype) {
        self.with(search, Some("genotype"), |entry| entry.extend(found(genotype)));
    }

    /// A network was trained in a search (or outside of one).
    pub fn trained(&self, search: &str, what: Value) {
        self.with(search, None, |entry| match entry.entry("trainings").or_insert(json!([])) {
            Value::Array(all) => all.push(what),
            other => *other = json!([what]),
        });
    }

    /// A script's own results of a search, over those of the same names.
    pub fn values(&self, search: &str, values: Map<String, Value>) {
        self.with(search, None, |entry| match entry.entry("values").or_insert(json!({})) {
            Value::Object(all) => all.extend(values),
            other => *other = values.into(),
        });
    }

    /// All of it, for the checkpoint.
    pub fn state(&self) -> Value {
        json!(*self.0.borrow())
    }

    /// What it was at a checkpoint.
    ///
    /// # Errors
    /// A state that is none.
    pub fn restore(&self, state: &Value) -> Result<()> {
        let bad = |e| Error::invalid("results in the checkpoint", e, "a list of objects");
        *self.0.borrow_mut() = serde_json::from_value(state.clone()).map_err(bad)?;
        Ok(())
    }

    /// The last entry of `search`, or a new one where there is none or it has `new` already.
    pub(super) fn with(&self, search: &str, new: Option<&str>, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut all = self.0.borrow_mut();
        let own = all.iter().rposition(|entry| entry["search"] == search);
        let at = own.filter(|at| new.is_none_or(|key| !all[*at].contains_key(key)));
        let at = at.unwrap_or_else(|| {
            all.push(Map::from_iter([("search".to_string(), search.into())]));
            all.len() - 1
        });
        change(&mut all[at]);
    }
}

/// A cell: its network as the literature has it for CIFAR-10, what that costs, and what the benchmark says.
fn found(genotype: &Genotype) -> Map<String, Value> {
    let shape = NetworkShape::cifar10(genotype.space.topology());
    let mut map = Map::new();
    map.insert("genotype".into(), genotype.to_string().into());
    map.insert("space".into(), genotype.space.name().into());
    if let Ok(cost) = Cost::of_plan(&Plan::from(genotype), shape) {
        let network =
            json!({"channels": shape.channels, "cells": shape.cells, "classes": shape.classes, "size": shape.size});
        map.insert("network".into(), network);
        map.insert("parameters".into(), cost.parameters.into());
        map.insert("multiply_adds".into(), cost.multiply_adds.into());
    }
    if let Ok(row) = nas_bench::query(genotype)
        && let Ok(Value::Object(mut row)) = nas_bench::rank(&row).map(|rank| {
            let mut all = json!(row);
            all["rank"] = rank.into();
            all
        })
    {
        row.shift_remove("arch");
        map.insert("nas_bench_201".into(), row.into());
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_finds_two_cells_has_an_entry_for_each_and_a_checkpoint_keeps_them() {
        let results = Results::default();
        let cell = nas_bench::query_index(9930).and_then(|row| Genotype::parse(&row.arch)).unwrap();
        results.values("a", Map::from_iter([("tau".into(), json!(0.5))]));
        for search in ["a", "a", "b"] {
            results.found(search, &cell);
        }
        results.trained("b", json!({"folder": "train-000"}));
        results.trained("b", json!({"folder": "train-001"}));
        let state = results.state();
        let searches: Vec<&Value> = state.as_array().unwrap().iter().map(|entry| &entry["search"]).collect();
        assert_eq!(searches, ["a", "a", "b"]);
        assert_eq!(state[0]["values"]["tau"], 0.5);
        assert_eq!(state[2]["trainings"].as_array().unwrap().len(), 2);
        assert_eq!(state[1]["nas_bench_201"]["index"], 9930);
        assert_eq!(state[1]["parameters"].as_f64().unwrap() / 1e6, state[1]["nas_bench_201"]["params_mb"]);
        let again = Results::default();
        again.restore(&state).unwrap();
        assert_eq!(again.state(), state);
        assert!(again.restore(&json!({"a": 1})).is_err());
    }
}
