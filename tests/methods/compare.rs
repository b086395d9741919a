//! What came out of a traced search beside what PyTorch came to, event by event: the twin of `tests/peer/compare.py`.

use super::sketch::sketch;
use candle_core::{Device, Tensor, safetensors};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Of each bound the worst deviation, as a share of the bound, and how far apart that is.
pub type Worst = BTreeMap<String, (f64, f64)>;

/// Outcomes of a search: steps in order, and the weights after each epoch.
pub struct Outcome {
    pub steps: Vec<Value>,
    pub weights: Vec<BTreeMap<String, [f64; 3]>>,
}

impl Outcome {
    /// Of a folder that `--trace` wrote, and the genotype that was printed.
    pub fn of_trace(folder: &Path, found: &str) -> Self {
        let text = std::fs::read_to_string(folder.join("trace.jsonl")).unwrap();
        let mut steps = vec![];
        let mut weights = vec![];
        for event in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let keys: &[&str] = match event["event"].as_str().unwrap() {
                "train" | "loss" => &["event", "loss"],
                "adam" => &["event", "values"],
                "iim" => &["event", "scores"],
                "evaluation" => &["event", "loss", "accuracy"],
                "drop" => &["event", "candidates"],
                "sgd" => {
                    let mut step = event["settings"].clone();
                    step["event"] = "sgd".into();
                    steps.push(step);
                    continue;
                }
                "variable" => {
                    let tensors =
                        safetensors::load(folder.join(event["file"].as_str().unwrap()), &Device::Cpu).unwrap();
                    let values: Vec<Vec<f32>> = (0..tensors.len())
                        .map(|i| tensors[&i.to_string()].flatten_all().unwrap().to_vec1().unwrap())
                        .collect();
                    steps.push(json!({ "event": "variable", "values": values }));
                    continue;
                }
                "weights" => {
                    let tensors =
                        safetensors::load(folder.join(event["file"].as_str().unwrap()), &Device::Cpu).unwrap();
                    weights.push(tensors.iter().map(|(name, t)| (name.clone(), sketch_of(t))).collect());
                    continue;
                }
                _ => continue,
            };
            steps.push(Value::Object(keys.iter().map(|k| (k.to_string(), event[*k].clone())).collect()));
        }
        steps.push(json!({ "event": "genotype", "text": found }));
        Outcome { steps: together(steps), weights }
    }

    /// As `tests/peer/record.py` wrote it.
    pub fn of_case(events: &[Value]) -> Self {
        let is_weights = |e: &&Value| e["event"] == "weights";
        let sketches = |e: &Value| {
            let one = |line: &Value| {
                let words: Vec<&str> = line.as_str().unwrap().split(' ').collect();
                (words[0].to_string(), [1, 2, 3].map(|i| words[i].parse().unwrap()))
            };
            e["sketches"].as_array().unwrap().iter().map(one).collect()
        };
        Outcome {
            steps: together(events.iter().filter(|e| !is_weights(e)).cloned().collect()),
            weights: events.iter().filter(is_weights).map(sketches).collect(),
        }
    }

    /// How many losses and steps of an optimiser are compared.
    pub fn n_steps(&self) -> usize {
        self.steps.iter().filter(|e| ["sgd", "adam", "variable"].iter().any(|kind| e["event"] == *kind)).count()
    }
}

/// Drops that follow each other count as one, in the order of the candidates.
fn together(events: Vec<Value>) -> Vec<Value> {
    let mut list: Vec<Value> = vec![];
    for mut event in events {
        if event["event"] == "drop" {
            let mut all = event["candidates"].as_array().unwrap().clone();
            if let Some(before) = list.pop_if(|last| last["event"] == "drop") {
                all.extend(before["candidates"].as_array().unwrap().iter().cloned());
            }
            all.sort_by_key(|c| c.to_string());
            event["candidates"] = all.into();
            if event["candidates"] == json!([]) {
                continue;
            }
        }
        list.push(event);
    }
    list
}

fn sketch_of(t: &Tensor) -> [f64; 3] {
    let values: Vec<f64> = t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect();
    sketch(&values)
}

/// The first deviation beyond its bound, or the worst of each kind.
pub fn compare(got: &Outcome, want: &Outcome, bounds: &Value) -> Result<Worst, String> {
    let kinds = |o: &Outcome| -> Vec<String> { o.steps.iter().map(|e| e["event"].as_str().unwrap().into()).collect() };
    let (ours, theirs) = (kinds(got), kinds(want));
    let apart = ours.iter().zip(&theirs).position(|(a, b)| a != b);
    let mut worst = Worst::new();
    for (i, (got, want)) in got.steps.iter().zip(&want.steps).enumerate() {
        if apart == Some(i) {
            return Err(format!("event {i} is `{}`, PyTorch's `{}`", ours[i], theirs[i]));
        }
        let place = format!("event {i}, {}", theirs[i]);
        judge(&deviations(&theirs[i], got, want), &place, bounds, &mut worst)?;
    }
    if ours.len() != theirs.len() || got.weights.len() != want.weights.len() {
        let count = |o: &Outcome| format!("{} events and weights {} times", o.steps.len(), o.weights.len());
        return Err(format!("{}, PyTorch {}", count(got), count(want)));
    }
    for (i, (got, want)) in got.weights.iter().zip(&want.weights).enumerate() {
        for (name, want) in want {
            let Some(got) = got.get(name) else { return Err(format!("no weights {name}")) };
            let off = (0..3).map(|k| (got[k] - want[k]).abs()).fold(0.0, f64::max) / want[0].max(1e-3);
            judge(&[("weights", off)], &format!("weights {i}, {name}"), bounds, &mut worst)?;
        }
    }
    Ok(worst)
}

fn judge(found: &[(&str, f64)], place: &str, bounds: &Value, worst: &mut Worst) -> Result<(), String> {
    for &(kind, off) in found {
        let bound = bounds[kind].as_f64().unwrap_or(0.0);
        if off.is_nan() || off > bound {
            return Err(format!("{place}: {kind} is off by {off:.1e}, allowed {bound:.0e}"));
        }
        if bound > 0.0 {
            let share = off / bound;
            let known = worst.entry(kind.to_string()).or_default();
            if share >= known.0 {
                *known = (share, off);
            }
        }
    }
    Ok(())
}

/// What two events of a kind are compared by, and how far apart they are.
fn deviations(kind: &str, got: &Value, want: &Value) -> Vec<(&'static str, f64)> {
    let same = |key: &str| ("same", if got[key] == want[key] { 0.0 } else { 1.0 });
    let pairs = |key: &str| -> Vec<(f64, f64)> {
        let (got, want) = (flat(&got[key]), flat(&want[key]));
        if got.len() == want.len() { got.into_iter().zip(want).collect() } else { vec![(f64::NAN, 0.0)] }
    };
    let relatives = |kind: &'static str, key: &str| pairs(key).into_iter().map(move |(a, b)| (kind, relative(a, b)));
    match kind {
        "train" | "loss" => relatives("loss", "loss").collect(),
        "evaluation" => relatives("loss", "loss").chain(relatives("settings", "accuracy")).collect(),
        "sgd" => {
            let keys = want.as_object().unwrap().keys().filter(|k| *k != "event");
            keys.flat_map(|k| relatives("settings", k)).collect()
        }
        "adam" => by_the_largest(&pairs("values")),
        "variable" => {
            let each = |v: &Value| v["values"].as_array().unwrap().iter().map(flat).collect::<Vec<_>>();
            let (got, want) = (each(got), each(want));
            if got.iter().map(Vec::len).ne(want.iter().map(Vec::len)) {
                return vec![("alpha", f64::NAN)];
            }
            let pairs = got.into_iter().zip(want).map(|(a, b)| a.into_iter().zip(b).collect::<Vec<_>>());
            pairs.flat_map(|pairs| by_the_largest(&pairs)).collect()
        }
        "iim" => relatives("iim", "scores").collect(),
        "drop" => vec![same("candidates")],
        _ => vec![same("text")],
    }
}

/// How far apart values of a tensor are, beside the largest of them.
fn by_the_largest(pairs: &[(f64, f64)]) -> Vec<(&'static str, f64)> {
    let largest = pairs.iter().map(|(_, b)| b.abs()).fold(0.0, f64::max);
    pairs.iter().map(|(a, b)| ("alpha", (a - b).abs() / largest)).collect()
}

fn relative(got: f64, want: f64) -> f64 {
    if got == want || (got.is_nan() && want.is_nan()) { 0.0 } else { (got - want).abs() / want.abs() }
}

/// The numbers of a nested list; texts are those that JSON has not, truth counts as 1.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::String(text) => vec![text.parse().unwrap_or(f64::NAN)],
        Value::Bool(is) => vec![f64::from(u8::from(*is))],
        other => vec![other.as_f64().unwrap_or(f64::NAN)],
    }
}
