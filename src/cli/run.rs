//! A script, an expression, or the REPL: from arguments to [`RunOptions`].

use super::args::Run;
use super::progress::Terminal;
use super::{device, folder, interrupts, print};
use isdarts_host::host::{self, RunOptions, Session};
use isdarts_host::search::{Progress, RunFolder, Silent};
use isdarts_host::{Error, Result, repl};
use serde_json::Value;
use std::path::Path;
use std::rc::Rc;

/// Do what was asked.
pub fn run(args: Run) -> Result<()> {
    let (expression, repl_after) = (args.expression.clone(), args.repl_after);
    let threads = device::threads(args.threads)?;
    let options = RunOptions { threads, ..resolve(args)? };
    let prompt = expression.is_none() && (options.script.is_none() || repl_after);
    let progress: Rc<dyn Progress> = match options.quiet {
        true => Rc::new(Silent),
        false if prompt && !repl::terminal::is_interactive() => Rc::new(Terminal::notes()),
        false => Rc::new(Terminal::new()),
    };
    let look = repl::terminal::look();
    if let Some(expression) = expression {
        interrupts::install(options.folder.clone());
        let value = host::eval_expression(&expression, &options, progress, &look)?;
        return if value.is_empty() { Ok(()) } else { print(&value) };
    }
    if prompt {
        let mut session = match repl_after {
            true => repl::after_script(&options, progress.clone())?,
            false => Session::new(&options, progress.clone())?,
        };
        session.look = look;
        return repl::run(session, progress, options.quiet);
    }
    interrupts::install(options.folder.clone());
    let result = host::run(&options, progress);
    if let Err(Error::Interrupted) = result {
        interrupts::farewell(options.folder.as_deref());
    }
    result
}

/// Every default filled in; under `--resume`, from the manifest of the run that goes on.
fn resolve(args: Run) -> Result<RunOptions> {
    let args = match args.resume.clone() {
        Some(dir) if dir.join("manifest.json").is_file() => from_manifest(&dir, args)?,
        // Killed before it began: there is nothing to repeat but what the command line says.
        Some(dir) if dir.is_dir() && args.script.is_some() => args,
        Some(dir) => {
            let found = if dir.is_dir() { "a folder without manifest.json" } else { "no such folder" };
            return Err(Error::file(dir, found, "the folder of an earlier run (--resume)"));
        }
        None => args,
    };
    let resume = args.resume.is_some();
    let named = args.resume.or(args.out);
    Ok(RunOptions {
        folder: named.or_else(|| args.script.as_deref().map(folder::default)),
        script: args.script,
        args: args.args,
        sets: args.sets,
        data: args.data.unwrap_or_else(|| "digits".into()),
        device: device::open(args.device.as_deref().unwrap_or("cpu"))?,
        seed: args.seed.unwrap_or(0),
        resume,
        quiet: args.quiet,
        ..RunOptions::default()
    })
}

/// What the run in `dir` was asked: it must be asked the same again. Threads may differ; a device may too, at the price of
/// other bits.
fn from_manifest(dir: &Path, mut args: Run) -> Result<Run> {
    let path = dir.join("manifest.json");
    let manifest = RunFolder::read_manifest(dir)?;
    let run = &manifest["run"];
    if !run.is_object() {
        return Err(Error::file(&path, "no object `run`", "the manifest of a run of this program"));
    }
    let same = |option: &str, given: Option<Value>, then: &Value| match given {
        Some(given) if given != *then => Err(Error::invalid(
            format!("{option} with --resume"),
            given,
            format!("{then}, as the run began, or nothing"),
        )),
        _ => Ok(()),
    };
    same("script", args.script.as_ref().map(|s| s.to_string_lossy().into()), &run["script"])?;
    same("--data", args.data.clone().map(Value::from), &run["data"])?;
    same("--seed", args.seed.map(Value::from), &run["seed"])?;
    same("-- ARGS", Some(args.args.clone()).filter(|a| !a.is_empty()).map(Value::from), &run["args"])?;
    let sets: serde_json::Map<String, Value> = args.sets.iter().cloned().collect();
    same("--set", Some(sets).filter(|s| !s.is_empty()).map(Value::from), &run["set"])?;

    args.script = run["script"].as_str().map(Into::into);
    args.data = run["data"].as_str().map(Into::into);
    args.seed = run["seed"].as_u64();
    args.args = run["args"].as_array().into_iter().flatten().filter_map(|a| Some(a.as_str()?.to_string())).collect();
    args.sets = run["set"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    args.device = args.device.or_else(|| Some(run["device"].as_str()?.to_string()));
    Ok(args)
}
