//! Settings: what `--set` overrides, and the typed configs that host functions take from a script's map.

use crate::data::DataOptions;
use crate::error::{Error, Result};
use crate::host::script::errors::article;
use crate::host::script::types::Keys;
use crate::host::script::value::kind;
use crate::search::settings::{self, Given, Givens, Setting, Settings, over, settings};
use crate::search::{EvalConfig, TrainConfig, arch::ArchConfig};
use rhai::{Dynamic, Map};
use serde::Serialize;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::OnceLock;

settings! {
    /// The size and the options of a supernet.
    pub struct SizeConfig {
        /// C; 0: 16.
        channels: usize = 0, Any;
        /// Cells a stage, N; 0: 5 (NAS-Bench-201), 2 (DARTS, 8 cells).
        cells: usize = 0, Any;
        /// Classes; 0: those of the data opened last.
        classes: usize = 0, Any;
        /// Direct convolutions only.
        strict: bool = false, Any;
        /// Batch norm without affine part behind the pools of candidates.
        pool_norm: bool = false, Any;
        /// Batch norm without affine part between a node and the candidates that read it.
        node_norm: bool = false, Any;
        /// Batch norm and ReLU before the head.
        head_norm: bool = true, Any;
        /// K: candidates get 1/K of the channels, the others go past them; 1: candidates get all.
        partial: usize = 1, AtLeastOne;
        /// A second skip connection on every edge, with a weight of its own.
        auxiliary_skip: bool = false, Any;
    }
}

settings! {
    /// How a supernet grows; 0: as it is.
    pub struct GrowthConfig {
        /// C.
        channels: usize = 0, Any;
        /// N.
        cells: usize = 0, Any;
        /// K.
        partial: usize = 0, Any;
        /// A second skip connection on every edge.
        auxiliary_skip: bool = false, Any;
        /// How far weights move that were widened, of themselves.
        noise: f64 = 0.01, BelowOne;
    }
}

settings! {
    /// Options of `data()`.
    pub struct PictureConfig {
        /// Side in pixels to shrink images to; 0: as they are.
        resize: usize = 0, Any;
        /// At most this many training images a class; 0: all.
        limit: usize = 0, Any;
        /// Share of each class that is for training, of a folder of pictures without test pictures; 0: not split.
        split: f64 = 0.0, Any;
    }
}

settings! {
    /// How `net.evaluate` is asked for.
    pub struct EvaluationConfig {
        /// `train` or `eval`; empty: `eval`.
        mode: String = String::new(), Any;
    }
}

settings! {
    /// How `net.loss` and `net.logits` are asked for.
    pub struct PassConfig {
        /// `train` or `eval`; empty: `train`.
        mode: String = String::new(), Any;
        /// `all` or `drawn`; empty: `all`.
        paths: String = String::new(), Any;
        /// Whether what is not drawn has the gradient of a bare number.
        ghost: bool = false, Any;
        /// Probability that an edge is left out for an image, in train mode.
        drop_path: f64 = 0.0, BelowOne;
        /// Probability that a value behind a skip connection of stride 1 is left out, in train mode.
        dropout: f64 = 0.0, BelowOne;
        /// Probability that a value behind a pool is left out, in train mode.
        pool_dropout: f64 = 0.0, BelowOne;
    }
}

settings! {
    /// How `net.measure_iim` is asked for.
    pub struct MeasureConfig {
        /// Augment the measured images, anew each epoch.
        augment: bool = false, Any;
    }
}

impl Keys for MeasureConfig {
    const WHAT: &'static str = "setting of a measurement";
    const KEYS: &'static [&'static str] = Self::NAMES;
}

impl Keys for PictureConfig {
    const WHAT: &'static str = "data option";
    const KEYS: &'static [&'static str] = Self::NAMES;
}

/// What was set from outside, and what came of it.
#[derive(Default)]
pub struct RunSettings {
    /// `--set KEY=VALUE`, in order.
    pub sets: Vec<(String, Value)>,
    /// The effective settings, for the manifest.
    pub effective: RefCell<serde_json::Map<String, Value>>,
    /// Keys of `sets` that something has read.
    pub read: RefCell<BTreeSet<String>>,
    /// Keys that a script's settings declared, besides those the host knows.
    pub declared: RefCell<BTreeSet<String>>,
    /// Whether a setting was refused.
    pub refused: Cell<bool>,
    /// Keys that choose one of a list: others depend on them.
    pub choices: RefCell<BTreeSet<String>>,
    /// Whether the run goes as far as its settings, and no farther; and whether it has come so far.
    pub probe: Option<Cell<bool>>,
}

impl RunSettings {
    /// Begins with what `--set` says.
    pub fn new(sets: Vec<(String, Value)>, probe: bool) -> Self {
        RunSettings { sets, probe: probe.then(Cell::default), ..RunSettings::default() }
    }

    /// Where work begins: there a run that only reads its settings ends, as if it was interrupted.
    pub fn end_of_probe(&self) -> Result<()> {
        match &self.probe {
            None => Ok(()),
            Some(reached) => {
                reached.set(true);
                Err(Error::Interrupted)
            }
        }
    }

    /// Remembers whether settings were refused.
    pub fn seen<T, E>(&self, taken: std::result::Result<T, E>) -> std::result::Result<T, E> {
        self.refused.set(self.refused.get() || taken.is_err());
        taken
    }
}

/// All settings that the host takes, by who takes them, each with its default; of `train_genotype` these are the recipe's.
pub fn table() -> Vec<(&'static str, Vec<Setting>, Value)> {
    fn of<T: Default + Serialize + Settings>(taker: &'static str) -> (&'static str, Vec<Setting>, Value) {
        let defaults = T::default();
        (taker, defaults.all(), serde_json::to_value(&defaults).unwrap_or_default())
    }
    let training = EvalConfig::default().all();
    vec![
        of::<TrainConfig>("training a supernet"),
        of::<ArchConfig>("architecture_parameters"),
        of::<SizeConfig>("supernet"),
        of::<PictureConfig>("data"),
        of::<PassConfig>("net.loss, net.logits"),
        ("train_genotype", training, Value::Null),
    ]
}

/// Who takes settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taker {
    /// What changes a supernet or architecture parameters: a strategy's map holds the settings of them all.
    Search,
    /// `train_genotype`; what was found is often trained with the map of the search.
    Training,
}

/// The keys that host functions know.
pub fn host_keys() -> &'static [&'static str] {
    static KEYS: OnceLock<Vec<&str>> = OnceLock::new();
    KEYS.get_or_init(|| without_doubles(&[search_keys(), EvalConfig::NAMES]))
}

/// The keys that something in the search of a supernet takes.
pub(crate) fn search_keys() -> &'static [&'static str] {
    static KEYS: OnceLock<Vec<&str>> = OnceLock::new();
    KEYS.get_or_init(|| {
        without_doubles(&[TrainConfig::NAMES, ArchConfig::NAMES, SizeConfig::NAMES, PictureConfig::NAMES])
    })
}

/// Training a supernet and training what was found have keys in common.
fn without_doubles(lists: &[&[&'static str]]) -> Vec<&'static str> {
    let mut keys: Vec<&str> = Vec::new();
    for key in lists.concat() {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// What is wrong with a key that `taker` has no use for, though papers or other functions have: it would do nothing.
fn misplaced(key: &str, taker: Taker) -> Option<String> {
    match taker {
        Taker::Training => None,
        _ if search_keys().contains(&key) => None,
        _ if PassConfig::NAMES.contains(&key) => Some("which is an option of net.loss and net.logits".into()),
        _ if host_keys().contains(&key) => {
            Some("which is a setting of train_genotype; supernet training has none".into())
        }
        _ => None,
    }
}

/// The part of a settings map that `T` knows, over `T`'s defaults.
pub fn typed<T: Settings + Default>(map: &Map) -> Result<T> {
    over(T::default(), "settings", map.iter().map(|(key, value)| (key.as_str(), given(value))))
}

/// A script's value as one that is given for a setting.
fn given(value: &Dynamic) -> Given {
    if let Ok(x) = value.as_bool() {
        Given::Bool(x)
    } else if let Ok(x) = value.as_int() {
        Given::Whole(x)
    } else if let Ok(x) = value.as_float() {
        Given::Fraction(x)
    } else {
        value.clone().into_string().map_or_else(|_| Given::Other(article(kind(value))), Given::Text)
    }
}

/// A settings map as what is given.
pub fn givens(map: &Map) -> Givens {
    map.iter().map(|(key, value)| (key.to_string(), given(value))).collect()
}

/// Check a map that a host function takes settings from. Unless a script declares it as its own, a key of another function,
/// which would do nothing here, is an error; so is one near to a known one: it is misspelt.
pub fn check(settings: &RunSettings, map: &Map, taker: Taker) -> Result<()> {
    let known = || host_keys().iter().chain(PassConfig::NAMES.iter().filter(|key| !host_keys().contains(key))).copied();
    let declared = settings.declared.borrow();
    for key in map.keys() {
        if taker == Taker::Training {
            settings.read.borrow_mut().insert(key.to_string());
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
        let near = |k: &str| strsim::damerau_levenshtein(k, key) <= if key.len() > 5 { 2 } else { 1 };
        if known().any(near) {
            return Err(Error::unknown_name("setting", key, known()));
        }
    }
    Ok(())
}

/// [`check`], then [`typed`], then whether each value is in its range.
pub fn config<T: Settings + Default>(settings: &RunSettings, map: &Map, taker: Taker) -> Result<T> {
    let config = check(settings, map, taker).and_then(|()| typed(map));
    settings.seen(config.and_then(|config| settings::check(&config).map(|()| config)))
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
pub fn overridden<T: Settings + Default>(settings: &RunSettings, map: &Map) -> Result<T> {
    let set = || settings.sets.iter().filter(|(key, _)| T::NAMES.contains(&key.as_str()));
    settings.read.borrow_mut().extend(set().map(|(key, _)| key.clone()));
    over(typed(map)?, "settings", set().map(|(key, value)| (key.as_str(), value.into())))
}

/// Options from a map, over which `--set` goes.
pub fn data_options(settings: &RunSettings, options: &Map, seed: u64) -> Result<DataOptions> {
    let picture: PictureConfig = overridden(settings, options)?;
    let some = |n: usize| if n == 0 { None } else { Some(n) };
    let split = Some(picture.split).filter(|share| *share != 0.0);
    Ok(DataOptions { resize: some(picture.resize), limit: some(picture.limit), split, seed })
}

/// An error for a `--set` that nothing has read: the script calls neither `settings` nor a function that takes the key.
pub fn all_read(settings: &RunSettings) -> Result<()> {
    let read = settings.read.borrow();
    match settings.sets.iter().find(|(key, _)| !read.contains(key)) {
        Some((key, _)) => settings.seen(Err(Error::invalid(
            "--set",
            format!("`{key}`, which this script does not read"),
            "settings that it takes through settings(...) or data()",
        ))),
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
