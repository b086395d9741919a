//! Settings: what `--set` overrides, and the typed configs that host functions take from a script's map.

use super::host::Host;
use crate::data::DataOptions;
use crate::error::{Error, Result};
use crate::host::script::errors::{Fallible, raise};
use crate::host::script::value::{from_json, to_json};
use crate::search::settings::{known_keys, pick};
use crate::search::{EvalConfig, TrainConfig, arch::ArchConfig};
use rhai::{Dynamic, Map};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::sync::OnceLock;

/// The size and the options of a supernet, from a script's settings; 0 = as the space's paper has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SizeConfig {
    /// C; 0: 16.
    pub channels: usize,
    /// Cells a stage, N; 0: 5 (NAS-Bench-201), 2 (DARTS, 8 cells).
    pub cells: usize,
    /// Direct convolutions only.
    pub strict: bool,
    /// Batch norm behind the pools of candidates.
    pub pool_norm: bool,
    /// Batch norm and ReLU before the head.
    pub head_norm: bool,
}

impl Default for SizeConfig {
    fn default() -> Self {
        SizeConfig { channels: 0, cells: 0, strict: false, pool_norm: false, head_norm: true }
    }
}

/// Options of `data()`, from a map or `--set`; 0 = off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PictureConfig {
    /// Shrink images to this side.
    pub resize: usize,
    /// At most this many training images a class.
    pub limit: usize,
    /// Share of each class that is for training, of a folder of pictures without test pictures.
    pub split: f64,
}

/// How `net.evaluate` is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// `train` or `eval`; empty: `eval`.
    pub mode: String,
}

/// How `net.loss` and `net.logits` are asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PassConfig {
    /// `train` or `eval`; empty: `train`.
    pub mode: String,
    /// `all` or `drawn`; empty: `all`.
    pub paths: String,
    /// Whether what is not drawn has the gradient of a bare number.
    pub ghost: bool,
    /// Probability that an edge is left out for an image, in train mode.
    pub drop_path: f64,
}

/// Who takes settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// What changes a supernet or architecture parameters: a strategy's map holds the settings of them all.
    Search,
    /// `train_genotype`; what was found is often trained with the map of the search.
    Training,
}

/// The keys that host functions know: made once, for they are asked for at every step of a script's loop.
pub fn host_keys() -> &'static [String] {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| without_doubles(&[search_keys(), &known_keys::<EvalConfig>()]))
}

/// The keys that something in the search of a supernet takes.
pub(crate) fn search_keys() -> &'static [String] {
    static KEYS: OnceLock<Vec<String>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let (size, picture) = (known_keys::<SizeConfig>(), known_keys::<PictureConfig>());
        without_doubles(&[&known_keys::<TrainConfig>(), &known_keys::<ArchConfig>(), &size, &picture])
    })
}

/// Training a supernet and training what was found have keys in common.
fn without_doubles(lists: &[&[String]]) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for key in lists.concat() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// What is wrong with a key that `taker` has no use for, though papers or other functions have: it would do nothing.
fn misplaced(key: &str, taker: Taker) -> Option<String> {
    let is_in = |keys: &[String]| keys.iter().any(|k| k == key);
    let pass = known_keys::<PassConfig>();
    match taker {
        _ if key == "dropout" => Some("which no function takes: no network here has dropout".into()),
        Taker::Training => None,
        _ if is_in(search_keys()) => None,
        _ if is_in(&pass) => Some("which is an option of net.loss and net.logits".into()),
        _ if is_in(host_keys()) => Some("which is a setting of train_genotype; supernet training has none".into()),
        _ => None,
    }
}

/// The part of a settings map that `T` knows, over `T`'s defaults.
pub fn typed<T: Serialize + Default + DeserializeOwned + 'static>(map: &Map) -> Result<T> {
    let known = known_keys::<T>();
    let own = map.iter().filter(|(key, _)| known.iter().any(|k| k == key.as_str()));
    let json = own.map(|(key, value)| Ok((key.to_string(), to_json(value, key)?)));
    pick("settings", &Value::Object(json.collect::<Result<_>>()?))
}

/// Check a map that a host function takes settings from. Unless a script declares it as its own, a key of another function,
/// which would do nothing here, is an error; so is one near to a known one: it is misspelt.
pub fn check(host: &Host, map: &Map, taker: Taker) -> Result<()> {
    let pass = known_keys::<PassConfig>();
    let known = || host_keys().iter().chain(pass.iter().filter(|key| !host_keys().contains(key)));
    let declared = host.declared.borrow();
    for key in map.keys() {
        if taker == Taker::Training {
            host.read.borrow_mut().insert(key.to_string());
        }
        if declared.contains(key.as_str()) {
            continue;
        }
        if let Some(why) = misplaced(key, taker) {
            let expected = "settings of the search, or keys that the script names by `fn defaults` or settings(...)";
            return Err(Error::invalid("settings", format!("`{key}`, {why}"), expected));
        }
        if known().any(|k| k == key.as_str()) {
            continue;
        }
        let near = |k: &&String| strsim::damerau_levenshtein(k, key) <= if key.len() > 5 { 2 } else { 1 };
        if known().any(|k| near(&k)) {
            return Err(Error::unknown_name("setting", key, known().map(String::as_str)));
        }
    }
    Ok(())
}

/// [`check`], then [`typed`].
pub fn config<T: Serialize + Default + DeserializeOwned + 'static>(
    host: &Host,
    map: &Map,
    taker: Taker,
) -> Fallible<T> {
    check(host, map, taker).and_then(|()| typed(map)).map_err(raise)
}

/// Whether two maps have the same keys with the same numbers, texts and truth values; other values are never the same.
pub fn same(a: &Map, b: &Map) -> bool {
    let same = |a: &Dynamic, b: &Dynamic| match (a.as_float(), b.as_float(), a.as_int(), b.as_int()) {
        (Ok(a), Ok(b), ..) => a == b,
        (.., Ok(a), Ok(b)) => a == b,
        _ => match (a.as_bool(), b.as_bool(), a.as_immutable_string_ref(), b.as_immutable_string_ref()) {
            (Ok(a), Ok(b), ..) => a == b,
            (.., Ok(a), Ok(b)) => *a == *b,
            _ => false,
        },
    };
    a.len() == b.len() && a.iter().zip(b).all(|((k, a), (l, b))| k == l && same(a, b))
}

/// `--set` values of the keys that `T` knows, over those of `map`.
pub fn overridden<T: Serialize + Default + DeserializeOwned + 'static>(host: &Host, map: &Map) -> Result<T> {
    let mut map = map.clone();
    let known = known_keys::<T>();
    for (key, value) in host.options.sets.iter().filter(|(key, _)| known.contains(key)) {
        map.insert(key.as_str().into(), from_json(value));
        host.read.borrow_mut().insert(key.clone());
    }
    typed(&map)
}

/// Options from a map, over which `--set` goes.
pub fn data_options(host: &Host, options: &Map) -> Result<DataOptions> {
    let picture: PictureConfig = overridden(host, options)?;
    let some = |n: usize| if n == 0 { None } else { Some(n) };
    let split = Some(picture.split).filter(|share| *share != 0.0);
    Ok(DataOptions { resize: some(picture.resize), limit: some(picture.limit), split, seed: host.options.seed })
}

/// An error for a `--set` that nothing has read: the script calls neither `settings` nor a function that takes the key.
pub fn all_read(host: &Host) -> Result<()> {
    let read = host.read.borrow();
    match host.options.sets.iter().find(|(key, _)| !read.contains(key)) {
        Some((key, _)) => Err(Error::invalid(
            "--set",
            format!("`{key}`, which this script did not read"),
            "settings that it takes through settings(...) or data()",
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_the_same_with_the_same_keys_and_plain_values() {
        let map = |text: &str| rhai::Engine::new().parse_json(text, true).unwrap();
        for (a, b, expected) in [
            (r#"{"a": 1, "b": 0.5, "c": true, "d": "x"}"#, r#"{"d": "x", "c": true, "b": 0.5, "a": 1}"#, true),
            (r#"{"a": 1}"#, r#"{"a": 2}"#, false),
            (r#"{"a": 1}"#, r#"{"a": 1.0}"#, false),
            (r#"{"a": 0.5}"#, r#"{"a": 0.25}"#, false),
            (r#"{"a": true}"#, r#"{"a": false}"#, false),
            (r#"{"a": "x"}"#, r#"{"a": "y"}"#, false),
            (r#"{"a": 1}"#, r#"{"b": 1}"#, false),
            (r#"{"a": 1}"#, r#"{"a": 1, "b": 1}"#, false),
            (r#"{"a": [1]}"#, r#"{"a": [1]}"#, false),
        ] {
            assert_eq!(same(&map(a), &map(b)), expected, "{a} and {b}");
        }
    }
}
