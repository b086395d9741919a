//! `sweep`: plan, check and start many runs; the one command of a task.

pub mod args;
mod look;
mod start;

use super::args::Run;
use super::run as runs;
use args::{Sweep, SweepCommand};
use isdarts_host::sweep::Folder;
use isdarts_host::sweep::task::{self, Task};
use isdarts_host::{Error, Result};
use std::path::Path;

/// Do what was asked.
pub fn run(args: Sweep) -> Result<()> {
    match args.command {
        Some(SweepCommand::Task { out, index, threads }) => task(&out, index, threads),
        Some(SweepCommand::Status { out, all, once }) => look::status(&out, all, once),
        Some(SweepCommand::Table(table)) => look::table(&table),
        Some(SweepCommand::Retry { out, index, engine }) => start::retry(&out, &index, &engine),
        None => start::start(args.start),
    }
}

/// Run a point, in this process: signals and exit codes are the run's own.
fn task(out: &Path, index: Option<usize>, threads: Option<u16>) -> Result<()> {
    let folder = Folder::open(out)?;
    let row = folder.plan.row(index.map_or_else(task::index_of_engine, Ok)?)?;
    let result = folder.script().and_then(|_| run_task(Task::of(&folder, row), threads));
    task::note_end(&folder, row, &result)?;
    result
}

fn run_task(task: Task, threads: Option<u16>) -> Result<()> {
    if let Some(folder) = task.folder.filter(|folder| folder.is_dir()) {
        std::env::set_current_dir(&folder).map_err(Error::io("work in", folder))?;
    }
    runs::run(Run {
        script: Some(task.script),
        sets: task.sets,
        data: task.data,
        seed: task.seed,
        device: task.device,
        threads: threads.or(task.threads).or_else(task::threads_of_engine),
        args: task.args,
        out: Some(task.out),
        go_on: true,
        ..Run::default()
    })
}

/// So many cores there are.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
