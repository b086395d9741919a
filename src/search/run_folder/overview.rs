//! What others see of a run at a glance: manifest, result and state, and of these the values by plain names.

use super::{MANIFEST, RunFolder, RunState};
use crate::error::{Error, Result};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// A run, as its folder tells it.
pub struct Overview {
    /// The folder.
    pub path: PathBuf,
    /// How it stands.
    pub state: RunState,
    /// manifest.json.
    pub manifest: Value,
    /// result.json; of a run that is not finished, `null`.
    pub result: Value,
}

impl Overview {
    /// Reads what stands in `folder`; nothing is touched there.
    ///
    /// # Errors
    /// No manifest; manifest or result damaged.
    pub fn read(folder: &Path) -> Result<Self> {
        let manifest = RunFolder::read_manifest(folder, false)?;
        let state = RunFolder::state(folder, &manifest);
        let result = match state {
            RunState::Finished => RunFolder::read_result(folder)?.unwrap_or_default(),
            _ => Value::Null,
        };
        Ok(Overview { path: folder.to_path_buf(), state, manifest, result })
    }

    /// The run folders in `folder`, at any depth, in order of their names. Links are not followed.
    pub fn find(folder: &Path) -> Result<Vec<PathBuf>> {
        let (mut found, mut folders) = (vec![], vec![folder.to_path_buf()]);
        while let Some(folder) = folders.pop() {
            let read = std::fs::read_dir(&folder).map_err(Error::io("read", &folder))?;
            let mut inside = vec![];
            let mut is_run = false;
            for entry in read {
                let entry = entry.map_err(Error::io("read", &folder))?;
                is_run |= entry.file_name() == MANIFEST;
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    inside.push(entry.path());
                }
            }
            if is_run { found.push(folder) } else { folders.extend(inside) }
        }
        found.sort();
        Ok(found)
    }

    /// The method: the setting of that name, or else the name of the script.
    pub fn method(&self) -> String {
        let named = self.manifest["settings"]["method"].as_str().or(self.manifest["run"]["set"]["method"].as_str());
        let script = || Path::new(self.manifest["run"]["script"].as_str()?).file_stem()?.to_str();
        named.or_else(script).unwrap_or_default().to_string()
    }

    /// What was asked: state, method, data, seed, device, settings, ... A setting has its own name.
    pub fn asked(&self) -> Map<String, Value> {
        let (manifest, run) = (&self.manifest, &self.manifest["run"]);
        let mut all = Map::new();
        for (key, value) in [&run["set"], &manifest["settings"]].into_iter().filter_map(Value::as_object).flatten() {
            all.insert(key.clone(), value.clone());
        }
        all.insert("state".into(), self.state.to_string().into());
        all.insert("method".into(), self.method().into());
        for (key, value) in [
            ("script", &run["script"]),
            ("data", &run["data"]),
            ("seed", &run["seed"]),
            ("device", &run["device"]),
            ("threads", &run["threads"]),
            ("version", &manifest["version"]),
            ("host", &manifest["host"]),
            ("instructions", &manifest["instructions"]),
            ("started", &manifest["started"]),
            ("error", &manifest["error"]),
        ] {
            all.insert(key.into(), value.clone());
        }
        all
    }

    /// A row of results for each search: what was found, the table's numbers, metrics, the last training, the script's own
    /// values. Of a run that is not finished, one row with what is logged so far.
    pub fn results(&self) -> Vec<Map<String, Value>> {
        if self.result.is_null() {
            let last = RunFolder::read_metrics(&self.path).ok().and_then(|rows| rows.last().cloned());
            let mut row = Map::new();
            row.insert("seconds".into(), self.manifest["seconds"].clone());
            if let Some(last) = last {
                row.insert("search".into(), last.search.clone().into());
                row.extend([("epoch".into(), last.epoch.into()), ("loss".into(), last.loss.into())]);
                row.insert("accuracy".into(), last.accuracy.into());
            }
            return vec![row];
        }
        let searches = self.result["searches"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut rows: Vec<Map<String, Value>> = searches.iter().map(row).collect();
        if rows.is_empty() {
            rows.push(Map::new());
        }
        for row in &mut rows {
            for key in ["seconds", "cpu_seconds"] {
                row.insert(key.into(), self.result[key].clone());
            }
        }
        rows
    }
}

/// The values of a search by plain names.
fn row(search: &Value) -> Map<String, Value> {
    let mut row = Map::new();
    let mut put = |from: &Value, keys: &[(&str, &str)]| {
        for (key, name) in keys.iter().filter(|(key, _)| !from[*key].is_null()) {
            row.insert(name.to_string(), from[*key].clone());
        }
    };
    let same = ["search", "genotype", "space", "parameters", "multiply_adds"].map(|key| (key, key));
    put(search, &same);
    let metrics = &search["metrics"][0];
    put(&metrics["last"], &[("epoch", "epoch"), ("loss", "loss"), ("accuracy", "accuracy")]);
    put(&metrics["best"], &[("accuracy", "best_accuracy"), ("epoch", "best_epoch")]);
    if let Some(training) = search["trainings"].as_array().and_then(|all| all.last()) {
        let tests = [("accuracy", "test_accuracy"), ("top5", "test_top5"), ("best_accuracy", "test_best")];
        put(training, &tests);
        put(training, &[("genotype", "genotype"), ("parameters", "parameters")]);
    }
    for values in [&search["nas_bench_201"], &search["values"]].into_iter().filter_map(Value::as_object) {
        row.extend(values.clone());
    }
    row
}
