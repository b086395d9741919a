//! `searches`: several searches of a script at a time, each a run of its own in a folder below the script's run.

use crate::error::{Error, Result};
use crate::files as disk;
use crate::host::handles::saved::to_json;
use crate::host::run::settings::{PictureConfig, search_keys};
use crate::host::run::{Run, device_name, files};
use crate::host::script::api::Api;
use crate::host::script::bundled;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::functions::functions;
use crate::host::script::value::{from_json, shown};
use crate::processes::{self, Ended};
use crate::search::RunFolder;
use crate::search::settings::Settings;
use rhai::{Array, Dynamic, Map};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// The folder of all of them in the run folder.
const FOLDER: &str = "searches";

/// A search as a script names it.
struct Search {
    name: String,
    words: Vec<String>,
}

impl Search {
    /// `#{ name, method, space, seed, settings, takes }`.
    fn of(host: &Run, map: &Map) -> Fallible<Self> {
        let get =
            |key: &str| map.get(key).ok_or_else(|| wrong("search", format!("no `{key}`"), "name, method, space, seed"));
        let name: String = get("name")?.to_string().chars().map(|c| if plain(c) { c } else { '_' }).collect();
        let mut words = Vec::new();
        let mut set = |key: &str, value: String| words.extend(["--set".to_string(), format!("{key}={value}")]);
        for key in ["method", "space"] {
            set(key, get(key)?.to_string());
        }
        set("search_seed", get("seed")?.to_string());
        let maps = |key: &str| map.get(key).and_then(|value| value.clone().try_cast::<Map>()).unwrap_or_default();
        let (settings, takes) = (maps("settings"), maps("takes"));
        // Pictures are chosen by the script's own data, which is said below.
        let known = |key: &str| {
            (takes.contains_key(key) || search_keys().contains(&key)) && !PictureConfig::NAMES.contains(&key)
        };
        for (key, value) in settings.iter().filter(|(key, _)| known(key)) {
            set(key, text_of(&to_json(value, key).map_err(raise)?));
        }
        for (key, value) in host.options.sets.iter().filter(|(key, _)| PictureConfig::NAMES.contains(&key.as_str())) {
            set(key, text_of(value));
        }
        Ok(Search { name, words })
    }
}

fn plain(c: char) -> bool {
    c.is_alphanumeric() || "._-=+".contains(c)
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// Run them all; what each came to.
fn searches(host: &Run, list: &Array, jobs: usize) -> Fallible<Array> {
    let maps = list.iter().map(|item| {
        let map = item.read_lock::<Map>().ok_or_else(|| wrong("search", shown(item), "a map"))?;
        Search::of(host, &map)
    });
    let all = maps.collect::<Fallible<Vec<Search>>>()?;
    if let Some(twice) = all.iter().enumerate().find(|(i, s)| all[..*i].iter().any(|other| other.name == s.name)) {
        return Err(wrong("searches", format!("two named `{}`", twice.1.name), "names that differ"));
    }
    if all.is_empty() {
        return Ok(Array::new());
    }
    run(host, &all, jobs.max(1)).map_err(raise)?;
    let mut found = Array::new();
    for search in &all {
        found.push(folder_of(host, &search.name).and_then(|folder| result_of(&folder)).map_err(raise)?);
    }
    Ok(found)
}

fn folder_of(host: &Run, name: &str) -> Result<PathBuf> {
    files::run_file(host, &format!("{FOLDER}/{name}"))
}

fn run(host: &Run, all: &[Search], jobs: usize) -> Result<()> {
    let Some(program) = &host.options.program else {
        let expected = "the program isdarts-host: searches are child processes of it";
        return Err(Error::invalid("searches", "a host in another program", expected));
    };
    let script = folder_of(host, "search.rhai")?;
    if let Some(folder) = script.parent() {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
    }
    // One that goes on has the text that it began with; runs compare it.
    if !script.exists() {
        disk::replace(&script, bundled::find("search").map_or("", |(_, text)| text).as_bytes())?;
    }
    let threads = (host.options.threads / jobs).max(1).to_string();
    let (device, seed) = (device_name(&host.options.device), host.options.seed.to_string());
    let child = |job: usize, _: usize| {
        let out = folder_of(host, &all[job].name)?;
        let log = out.with_extension("log");
        let mut command = processes::logged(program, &log)?;
        command.arg(&script).args(&all[job].words).args(["--seed", &seed, "--data", &host.options.data]);
        command.args(["--device", &device, "--threads", &threads, "--continue", "--out"]).arg(out);
        Ok(command)
    };
    let (mut done, mut failed) = (0, None);
    let mut ended = |job: usize, end: Ended| {
        done += 1;
        host.note(&format!("{done}/{} {} {}", all.len(), all[job].name, end.shown()));
        if end != Ended::Code(0) {
            failed.get_or_insert((job, end));
        }
        Ok(())
    };
    processes::run(all.len(), jobs, &child, &mut ended)?;
    match failed {
        None => Ok(()),
        Some((job, end)) => {
            let log = folder_of(host, &all[job].name)?.with_extension("log");
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            let last = text.lines().last().unwrap_or_default();
            Err(Error::invalid(
                format!("search {}", all[job].name),
                format!("{} ({last})", end.shown()),
                "a finished one",
            ))
        }
    }
}

/// `#{ genotype, seconds }` of a finished run.
fn result_of(folder: &Path) -> Result<Dynamic> {
    let path = folder.join("genotype.txt");
    let text = disk::read_plain_text(&path).map_err(Error::io("read", &path))?;
    let mut map = Map::new();
    map.insert("genotype".into(), text.trim_end().to_string().into());
    map.insert("seconds".into(), from_json(&RunFolder::read_manifest(folder, false)?["seconds"]));
    Ok(map.into())
}

/// Register `searches`.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    functions! { api, [host];
        /// Searches as runs of their own, `jobs` at a time: child processes of the program, in folders `searches/NAME` of the run
        /// folder. Each of `list` is a map: name, method (of the library), space, seed, settings, and takes, the method's
        /// `defaults`: a setting that neither it nor the program has is left out. Gives a map each: genotype (a text) and seconds.
        /// A script that is resumed finds those that are done, and goes on with the others. Data is the run's own.
        ///
        /// ```rhai
        /// let list = [];           // #{ name: "a", method: "random", space: "nas-bench-201", seed: 0 }
        /// assert(searches(list, 2).is_empty());
        /// ```
        fn searches(list: Array, jobs: usize) -> Fallible<Array> { searches(&host, &list, jobs) }
    }
}
