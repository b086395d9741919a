//! The command line: what the words mean, and what they come to. Results on stdout, everything else on stderr.

mod args;
mod bench;
mod bench_train;
mod data;
mod device;
mod folder;
mod handover;
mod interrupts;
mod manual;
mod progress;
mod run;

use args::{Args, Bench, Command};
use clap::Parser;
use isdarts_host::data::nas_bench;
use isdarts_host::{Error, Result};
use std::io::Write;
use std::process::ExitCode;

/// Exit code of work that Ctrl-C ended, as shells have it.
const INTERRUPTED: u8 = 130;

/// 0 only if the work was done.
pub fn main() -> ExitCode {
    match dispatch(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // `isdarts-host doc | head` is no failure of ours.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(args: Args) -> Result<()> {
    match args.command {
        Some(Command::Bench { command: Bench::Step(step) }) => bench::step(&step),
        Some(Command::Bench { command: Bench::Train(train) }) => bench_train::train(&train),
        Some(Command::Query { cell }) => print(&nas_bench::query_text(&cell)?.beside_paper()?),
        Some(Command::Doc { name, format, out }) => manual::doc(name.as_deref(), format, &out),
        Some(Command::Completions { shell }) => manual::completions(shell),
        Some(Command::Man { out }) => manual::man(out.as_deref()),
        Some(Command::Data { command }) => data::run(&command),
        Some(Command::Predict(args)) => handover::predict(&args),
        Some(Command::Export(args)) => handover::export(&args),
        None => run::run(args.run),
    }
}

/// A result on stdout, with one line end.
fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", text.trim_end_matches('\n')).map_err(Error::io("write", "standard output"))
}
