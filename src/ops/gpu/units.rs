//! The texts of the kernels, as translation units: each is compiled where one of its kernels is launched, several side by side.

use super::Launch;
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What all units begin with.
const HEADERS: [(&str, &str); 4] = [
    ("gpu/jobs.cuh", include_str!("jobs.cuh")),
    ("gpu/device.cuh", include_str!("device.cuh")),
    ("gpu/rows.cuh", include_str!("rows.cuh")),
    ("pool/window.cuh", include_str!("../pool/window.cuh")),
];

/// A unit each: the names of its files and their texts.
const KERNELS: [&[(&str, &str)]; 5] = [
    &[
        ("conv/conv.cu", include_str!("../conv/conv.cu")),
        ("conv/conv_forward.cu", include_str!("../conv/conv_forward.cu")),
        ("conv/conv_input.cu", include_str!("../conv/conv_input.cu")),
        ("conv/conv_weight.cu", include_str!("../conv/conv_weight.cu")),
        ("depthwise/separable.cu", include_str!("../depthwise/separable.cu")),
        ("depthwise/separable_back.cu", include_str!("../depthwise/separable_back.cu")),
        ("channels/derive.cu", include_str!("../channels/derive.cu")),
        ("pool/pool.cu", include_str!("../pool/pool.cu")),
        ("linear_sum/gather.cu", include_str!("../linear_sum/gather.cu")),
        ("gpu/side_by_side.cu", include_str!("side_by_side.cu")),
    ],
    &[("linear_sum/fill.cu", include_str!("../linear_sum/fill.cu"))],
    &[("head/head.cu", include_str!("../head/head.cu"))],
    &[("iim/score.cu", include_str!("../iim/score.cu"))],
    &[("sgd/sgd.cu", include_str!("../sgd/sgd.cu"))],
];

/// How convolutions multiply: `ARITHMETIC` of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// In f32.
    Single = 0,
    /// By tensor cores, each f32 in two TF32 parts and three products; from compute capability 8.0 on.
    Split = 1,
    /// In f32 with sums in f64 (`strict`).
    Exact = 2,
}

/// A text that is compiled on its own.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Of its file.
    pub name: String,
    /// All of it, headers first.
    pub text: String,
    /// The names of its kernels.
    pub kernels: Vec<String>,
}

impl Unit {
    /// Of the kernels in `text`, a file of that name.
    pub fn new(name: &str, text: &str, arithmetic: Arithmetic) -> Self {
        let own = |&(name, text): &(&str, &str)| (name.to_string(), text.to_string());
        Unit::of(&HEADERS.iter().map(own).collect::<Vec<_>>(), &[(name.into(), text.into())], arithmetic)
    }

    /// A line of the compiler's complaint names the file that it stands in.
    fn of(headers: &[(String, String)], files: &[(String, String)], arithmetic: Arithmetic) -> Self {
        let all = headers.iter().chain(files).map(|(name, text)| format!("#line 1 \"{name}\"\n{text}\n"));
        let named = |rest: &str| rest.split_once(',').map(|(kernel, _)| kernel.trim().to_string());
        let kernels =
            |(_, text): &(String, String)| text.split("\nKERNEL(").skip(1).filter_map(named).collect::<Vec<_>>();
        Unit {
            name: files[0].0.clone(),
            text: format!("#define ARITHMETIC {}\n{}", arithmetic as u8, all.collect::<String>()),
            kernels: files.iter().flat_map(kernels).collect(),
        }
    }
}

/// All kernels there are. `ISDARTS_KERNELS` names a folder to read them from, laid out as `src/ops`, for those who work on them.
///
/// # Errors
/// A file that is not there.
pub fn units(arithmetic: Arithmetic) -> Result<Vec<Unit>> {
    units_with(arithmetic, |_, text| text)
}

/// The same, each file's text as `edit(name, text)` makes it: tests put faults there.
///
/// # Errors
/// A file that is not there.
pub fn units_with(arithmetic: Arithmetic, edit: impl Fn(&str, String) -> String) -> Result<Vec<Unit>> {
    let folder = std::env::var_os("ISDARTS_KERNELS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let text = |&(name, text): &(&str, &str)| match &folder {
        None => Ok((name.to_string(), edit(name, text.to_string()))),
        Some(folder) => {
            let path = folder.join(name);
            let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
            Ok((name.to_string(), edit(name, text)))
        }
    };
    let all = |files: &[(&str, &str)]| files.iter().map(text).collect::<Result<Vec<_>>>();
    let headers = all(&HEADERS)?;
    KERNELS.iter().map(|files| Ok(Unit::of(&headers, &all(files)?, arithmetic))).collect()
}

/// Kernels by name, loaded when they are first asked for.
pub(super) struct Kernels<K> {
    units: Vec<Unit>,
    loaded: Mutex<HashMap<String, K>>,
}

impl<K: Clone + Send> Kernels<K> {
    /// None of them is loaded.
    pub fn new(units: Vec<Unit>) -> Self {
        Kernels { units, loaded: Mutex::default() }
    }

    /// The kernel of each launch. `load` makes the kernels of a unit, in the order in which the unit names them.
    pub fn of(&self, launches: &[Launch], load: impl Fn(&Unit) -> Result<Vec<K>> + Sync) -> Result<Vec<K>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = |unit: &&Unit| {
            let asked = |name: &String| launches.iter().any(|launch| launch.kernel == name);
            unit.kernels.iter().any(|name| asked(name) && !loaded.contains_key(name))
        };
        let missing: Vec<&Unit> = self.units.iter().filter(missing).collect();
        let made: Vec<Result<Vec<K>>> = missing.par_iter().map(|unit| load(unit)).collect();
        for (unit, kernels) in missing.iter().zip(made) {
            loaded.extend(unit.kernels.iter().cloned().zip(kernels?));
        }
        let known = || self.units.iter().flat_map(|unit| &unit.kernels).map(String::as_str);
        let found = |launch: &Launch| {
            loaded.get(launch.kernel).cloned().ok_or_else(|| Error::unknown_name("kernel", launch.kernel, known()))
        };
        launches.iter().map(found).collect()
    }
}
