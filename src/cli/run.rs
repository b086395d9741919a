//! A script, an expression, or the REPL: from arguments to [`RunOptions`].

use super::args::Run;
use super::progress::Terminal;
use super::{device, folder, interrupts, print, resume, scripts};
use isdarts_host::host::{self, RunOptions, Session};
use isdarts_host::search::{Progress, RunFolder, Silent};
use isdarts_host::{Error, Result, repl, streams};
use std::path::Path;
use std::rc::Rc;

/// The data set of a run that was not told one.
pub const DATA: &str = "digits";

/// Do what was asked.
pub fn run(args: Run) -> Result<()> {
    // Once: a run that is begun again has the threads that there are.
    let threads = device::threads(args.threads)?;
    let Some(out) = args.out.clone().filter(|_| args.go_on) else { return start(args, threads) };
    loop {
        let known = RunFolder::has_manifest(&out);
        let result = start(args.clone(), threads);
        let refused = |path: &Path| !known && path == out && RunFolder::has_manifest(&out);
        match result {
            // Another process began the run, and ended it, since we looked.
            Err(Error::File { path, .. }) if refused(&path) => {}
            other => return other,
        }
    }
}

fn start(args: Run, threads: usize) -> Result<()> {
    let (expression, repl_after) = (args.expression.clone(), args.repl_after);
    let made = args.out.is_none() && args.resume.is_none();
    let quiet = args.quiet;
    let options = match resolve(args)? {
        Task::Run(options) => RunOptions { threads, ..options },
        Task::Done(note) => {
            if !quiet {
                streams::say(&note);
            }
            return Ok(());
        }
    };
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
    result.map_err(|error| folder::after_failure(error, options.folder.as_deref(), made))
}

/// An error where there is nothing to run, with what may have been meant.
fn found(script: &Path) -> Result<()> {
    if scripts::exists(script) {
        return Ok(());
    }
    let missing = std::fs::metadata(script).err().unwrap_or_else(|| std::io::ErrorKind::NotFound.into());
    let missing = Error::io("read", script)(missing);
    let word = script.to_string_lossy();
    Err(Error::Script(format!("{missing}; {}", scripts::guess(&word))))
}

/// What is to be done.
enum Task {
    Run(RunOptions),
    /// Nothing: it was done before.
    Done(String),
}

/// Every default filled in; under `--resume` and `--continue`, from the manifest of the run that goes on.
fn resolve(mut args: Run) -> Result<Task> {
    if args.go_on && args.out.as_deref().is_some_and(RunFolder::has_manifest) {
        args.resume = args.out.take();
    }
    let said = args.script.clone().unwrap_or_default();
    let finished = args.resume.clone().filter(|_| args.go_on);
    let args = match args.resume.clone() {
        Some(dir) if RunFolder::has_manifest(&dir) => resume::from_manifest(&dir, args)?,
        // Killed before it began: there is nothing to repeat but what the command line says.
        Some(dir) if dir.is_dir() && args.script.is_some() => args,
        Some(dir) => {
            let found = if dir.is_dir() { "a folder without manifest.json" } else { "no such folder" };
            let expected = "the folder of an earlier run (--resume); one that was killed before it began is begun again by \
                            the words that it was begun by";
            return Err(Error::file(dir, found, expected));
        }
        None => args,
    };
    if let Some(script) = args.script.as_deref().filter(|_| args.resume.is_none()) {
        found(script)?;
    }
    if let Some(dir) = finished
        && let Some(note) = resume::finished(args.resume.as_deref().unwrap_or(&dir), &said)?
    {
        return Ok(Task::Done(note));
    }
    let resume = args.resume.is_some();
    let folder = match (args.resume.or(args.out), &args.script) {
        (None, Some(script)) => Some(folder::make(script)?),
        (named, _) => named,
    };
    Ok(Task::Run(RunOptions {
        folder,
        script: args.script,
        args: args.args,
        sets: args.sets,
        data: args.data.unwrap_or_else(|| DATA.into()),
        device: device::open(args.device.as_deref().unwrap_or("cpu"))?,
        seed: args.seed.unwrap_or(0),
        resume,
        accept_changes: args.accept_changes,
        unchecked: args.unchecked,
        trace: args.trace,
        quiet: args.quiet,
        program: std::env::current_exe().ok(),
        ..RunOptions::default()
    }))
}
