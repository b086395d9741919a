//! A script's settings: `settings(defaults)` and `setting(key, choices)`.

use crate::error::{Error, Result};
use crate::host::handles::saved::to_json;
use crate::host::run::Run;
use crate::host::run::settings::{PictureConfig, RunSettings, SizeConfig, host_keys, search_keys, typed};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, article, nearest, wrong};
use crate::host::script::functions::functions;
use crate::host::script::modules;
use crate::host::script::value::{from_json, kind, shown};
use crate::search::{TrainConfig, arch::ArchConfig};
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// `settings(defaults)`: the defaults, overridden by `--set`.
fn settings(own: &RunSettings, defaults: Map) -> Result<Map> {
    let mut known: Vec<String> = defaults.keys().map(|k| k.to_string()).collect();
    own.declared.borrow_mut().extend(known.iter().cloned());
    known.extend(host_keys().iter().map(|key| key.to_string()));
    let mut result = defaults;
    for (key, value) in &own.sets {
        if !known.contains(key) {
            known.sort();
            known.dedup();
            return Err(Error::unknown_name("setting", key, known.iter().map(String::as_str)));
        }
        let value = alike(key, result.get(key.as_str()), from_json(value))?;
        // One of train_genotype alone is read when that takes it.
        if result.contains_key(key.as_str()) || search_keys().contains(&key.as_str()) {
            own.read.borrow_mut().insert(key.clone());
        }
        result.insert(key.as_str().into(), value);
    }
    typed::<TrainConfig>(&result)?;
    typed::<ArchConfig>(&result)?;
    typed::<SizeConfig>(&result)?;
    typed::<PictureConfig>(&result)?;
    let mut all = own.effective.borrow_mut();
    for (key, value) in &result {
        all.insert(key.to_string(), to_json(value, key)?);
    }
    drop(all);
    if own.probe.is_some() {
        // What takes them would say so later.
        typed::<TrainConfig>(&result)?.check()?;
        typed::<ArchConfig>(&result)?.check()?;
    }
    own.end_of_probe().map(|()| result)
}

/// `setting(key, choices)`: the first, or what `--set` says, if it is one of them.
fn setting(settings: &RunSettings, key: &str, choices: &Array) -> Fallible<Dynamic> {
    settings.declared.borrow_mut().insert(key.to_string());
    settings.choices.borrow_mut().insert(key.to_string());
    let Some(first) = choices.first() else {
        return Err(wrong(format!("setting `{key}`, choices"), "an empty list", "at least one"));
    };
    let Some((_, value)) = settings.sets.iter().rev().find(|(name, _)| name == key) else {
        return Ok(first.clone());
    };
    settings.read.borrow_mut().insert(key.to_string());
    let got = from_json(value).to_string();
    choices.iter().find(|choice| choice.to_string() == got).cloned().ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|choice| choice.to_string()).collect();
        let near = nearest(&got, names.iter().map(String::as_str))
            .map_or(String::new(), |near| format!(" (did you mean `{near}`?)"));
        wrong(format!("setting `{key}`"), format!("`{got}`{near}"), format!("one of {}", names.join(", ")))
    })
}

/// `value`, if it is of the default's type (an integer will do for a float).
fn alike(key: &str, default: Option<&Dynamic>, value: Dynamic) -> Result<Dynamic> {
    let Some(default) = default else { return Ok(value) };
    if default.is_float() && value.is_int() {
        return Ok(Dynamic::from(value.as_int().unwrap_or_default() as f64));
    }
    if default.type_id() == value.type_id() {
        return Ok(value);
    }
    Err(Error::invalid(
        format!("setting `{key}`"),
        shown(&value),
        format!("{} as its default, {default}", article(kind(default))),
    ))
}

/// Register `settings` and `setting`.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("run");
    functions! { api, [host];
        /// A setting that others depend on, to be read before them: the first of `choices`, or that of --set
        /// KEY=VALUE. Another value is an error that lists the choices. The map for `settings` then has the key, too.
        ///
        /// ```rhai
        /// let name = setting("method", ["darts", "gdas"]);
        /// import "nas/" + name as method;
        /// let cfg = settings(method::defaults() + #{ method: name });
        /// assert(cfg.method == "darts");
        /// ```
        fn setting(key: String, choices: Array) -> Fallible<Dynamic> { host.settings.seen(setting(&host.settings, &key, &choices)) }

        /// The names of the strategies of the library, for `setting("method", strategies())`: modules `nas/NAME` with a
        /// function `search(space, data, cfg)`; the first is `is_darts`.
        ///
        /// ```rhai
        /// assert("gdas" in strategies() && strategies()[0] == "is_darts");
        /// ```
        fn strategies() -> Array { modules::strategies().into_iter().map(Dynamic::from).collect() }

        /// The settings of a run: `defaults`, overridden by each `--set KEY=VALUE`. An unknown key, or a value whose type
        /// is not that of its default, is an error. Known are the keys of `defaults` and those that the functions of the
        /// program take; `help("settings")` and the manual list them with their defaults. A function of a search refuses a
        /// key of train_genotype alone that the script does not name itself: it would do nothing.
        ///
        /// ```rhai
        /// let cfg = settings(#{ epochs: 3, temperature: 0.5 });
        /// assert(cfg.temperature == 0.5);
        /// ```
        fn settings(defaults: Map) -> Result<Map> { host.settings.seen(settings(&host.settings, defaults)) }
    }
}
