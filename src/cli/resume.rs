//! `--resume` and `--continue`: the command line of the run that goes on, from its manifest.

use super::args::{LARGEST_SEED, Run};
use super::run::DATA;
use isdarts_host::host::run::made_of;
use isdarts_host::search::{RunFolder, RunState};
use isdarts_host::{Error, Result, files};
use serde_json::{Map, Value};
use std::path::{Path, absolute};

/// The command line of the run in `dir`: it must be asked the same again, unless changes are to be accepted. Threads may differ; a
/// device may too, at the price of other bits. Work goes on in the folder where it began, if there is such a folder, so that
/// what was named from there is found.
///
/// # Errors
/// A manifest without its fields; a command line that asks for something else.
pub fn from_manifest(dir: &Path, mut args: Run) -> Result<Run> {
    let run = Fields::read(dir, args.accept_changes)?;
    let (script, data, seed) = (run.text("script")?, run.text("data")?, run.seed()?);
    let (words, sets, device) = (run.words()?, run.object("set")?, run.text("device")?);
    let accept = args.accept_changes;
    let word = if args.go_on { "--continue" } else { "--resume" };
    let instead =
        if args.go_on { "; another run needs another folder" } else { ", or nothing (--accept-changes takes another)" };
    let same = |option: &str, given: Option<Value>, then: Value| match given {
        Some(given) if given != then && !accept => {
            Err(Error::invalid(format!("{option} with {word}"), given, format!("{then}, as the run began{instead}")))
        }
        _ => Ok(()),
    };
    if args.go_on {
        // All words are repeated: what is not said is what it is by default.
        same("--data", Some(args.data.clone().unwrap_or_else(|| DATA.into()).into()), data.clone().into())?;
        same("--seed", Some(args.seed.unwrap_or(0).into()), seed.into())?;
        same("-- ARGS", Some(args.args.clone().into()), words.clone().into())?;
        same("--set", Some(args.sets.iter().cloned().collect::<Map<_, _>>().into()), sets.clone().into())?;
    }
    same("script", args.script.as_ref().map(|s| s.to_string_lossy().into()), script.clone().into())?;
    same("--data", args.data.clone().map(Value::from), data.clone().into())?;
    same("--seed", args.seed.map(Value::from), seed.into())?;
    same("-- ARGS", Some(args.args.clone()).filter(|a| !a.is_empty()).map(Value::from), words.clone().into())?;
    let given: Map<String, Value> = args.sets.iter().cloned().collect();
    let wanted = Some(given.clone()).filter(|_| given.iter().any(|(key, value)| sets.get(key) != Some(value)));
    same("--set", wanted.map(Value::from), sets.clone().into())?;

    let here = |path: &Path| absolute(path).map_err(Error::io("find", path));
    args.resume = Some(match run.folder() {
        Some(folder) if std::env::current_dir().is_ok_and(|now| now != folder) && folder.is_dir() => {
            let (script, data) = (args.script.as_deref().map(here).transpose()?, args.data.take());
            args.script = script;
            // A name is looked up where the data sets are, a folder is the one that is meant here.
            args.data = data.map(|d| {
                if Path::new(&d).is_dir() { absolute(&d).map_or(d, |p| p.to_string_lossy().into()) } else { d }
            });
            let dir = here(dir)?;
            std::env::set_current_dir(&folder).map_err(Error::io("work in", folder))?;
            dir
        }
        _ => dir.to_path_buf(),
    });
    args.script = Some(args.script.filter(|_| accept).unwrap_or_else(|| script.into()));
    args.data = args.data.filter(|_| accept).or(Some(data));
    args.seed = args.seed.or(Some(seed));
    args.args = if args.args.is_empty() { words } else { args.args };
    args.sets = sets.into_iter().filter(|(key, _)| !given.contains_key(key)).chain(given.clone()).collect();
    args.device = args.device.or(Some(device));
    Ok(args)
}

/// Whether the run in `dir` is finished, and what to say of it then.
pub fn finished(dir: &Path, script: &Path) -> Result<Option<String>> {
    let manifest = RunFolder::read_manifest(dir, false)?;
    if RunFolder::state(dir, &manifest) != RunState::Finished {
        return Ok(None);
    }
    let then = &manifest["made_of"]["texts"][&*script.to_string_lossy()];
    let now = files::read_plain_text(script).ok().map(|text| made_of::sum(text.as_bytes()));
    let changed = now.is_some_and(|now| !then.is_null() && *then != now);
    let changed = if changed { format!("; {} was changed since", script.display()) } else { String::new() };
    Ok(Some(format!("{} is finished{changed}", dir.display())))
}

/// The manifest's object `run`.
struct Fields<'a> {
    dir: &'a Path,
    run: Value,
}

impl<'a> Fields<'a> {
    fn read(dir: &'a Path, accept: bool) -> Result<Self> {
        let run = RunFolder::read_manifest(dir, accept)?["run"].take();
        Ok(Fields { dir, run })
    }

    /// A field as `of` reads it.
    fn field<T>(&self, name: &str, of: impl FnOnce(&Value) -> Option<T>) -> Result<T> {
        let found = &self.run[name];
        let got = if found.is_null() { format!("no `run.{name}`") } else { format!("`run.{name}` {found}") };
        let expected = "the manifest of a run of a script by this program";
        of(found).ok_or_else(|| Error::file(self.dir.join("manifest.json"), got, expected))
    }

    fn text(&self, name: &str) -> Result<String> {
        self.field(name, |value| value.as_str().map(str::to_string))
    }

    fn seed(&self) -> Result<u64> {
        self.field("seed", |value| value.as_u64().filter(|seed| *seed <= LARGEST_SEED))
    }

    fn words(&self) -> Result<Vec<String>> {
        self.field("args", |value| value.as_array()?.iter().map(|word| Some(word.as_str()?.to_string())).collect())
    }

    fn object(&self, name: &str) -> Result<Map<String, Value>> {
        self.field(name, |value| value.as_object().cloned())
    }

    /// Where the run was begun, if that has a name.
    fn folder(&self) -> Option<std::path::PathBuf> {
        self.run["folder"].as_str().map(Into::into)
    }
}
