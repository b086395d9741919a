//! The command line: what the words mean, and what they come to. Results on stdout, everything else on stderr.

mod args;
mod bench;
mod bench_train;
mod check;
mod completions;
mod data;
mod device;
mod fmt;
mod folder;
mod handover;
mod interrupts;
mod lsp;
mod manual;
mod progress;
mod resume;
mod run;
mod runs;
mod scripts;
mod sweep;

use args::{Args, Bench, Command};
use clap::{CommandFactory, Parser};
use isdarts_host::host;
use isdarts_host::repl::terminal;
use isdarts_host::{Error, Result, processes, streams};
use std::path::Path;
use std::process::ExitCode;

/// Exit code of work that Ctrl-C ended, as shells have it.
const INTERRUPTED: u8 = processes::INTERRUPTED as u8;

/// Exit code where another process works in the run folder: "try again later" (`EX_TEMPFAIL` of sysexits.h).
const IN_USE: u8 = processes::IN_USE as u8;

/// Exit code of words that are no command line.
const USAGE: u8 = 2;

/// 0 only if the work was done.
pub fn main() -> ExitCode {
    streams::mask_signals();
    let done = match Args::try_parse() {
        Ok(args) => dispatch(args),
        Err(words) if words.use_stderr() => {
            let colours = terminal::stderr_has_colours();
            streams::say(styled(&words, colours).trim_end());
            misread().iter().for_each(|hint| streams::say(hint));
            return ExitCode::from(USAGE);
        }
        Err(help) => print(&styled(&help, terminal::stdout_has_colours())),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // `isdarts-host doc | head` is no failure of ours.
        Err(error) if streams::is_gone(&error) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            streams::say(&format!("error: {}", streams::plain(&error.to_string())));
            ExitCode::from(if matches!(error, Error::InUse { .. }) { IN_USE } else { 1 })
        }
    }
}

/// Where the first word is no command and no script either, what it may have meant: `quary 3`; a command behind options, where a
/// script is expected; `help` of what is no command.
fn misread() -> Option<String> {
    let mut words = std::env::args_os().skip(1).map_while(|word| word.into_string().ok()).peekable();
    let program = Args::command();
    // Options before the first word that is none, and is none's value.
    let takes = |option: &str| {
        let long = option.strip_prefix("--");
        let short = option.strip_prefix('-').filter(|letters| letters.chars().count() == 1);
        let is = |a: &clap::Arg| {
            long.is_some() && a.get_long() == long
                || short.is_some() && a.get_short() == short.and_then(|s| s.chars().next())
        };
        program.get_arguments().any(|a| is(a) && a.get_action().takes_values())
    };
    let behind = words.peek()?.starts_with('-');
    let word = loop {
        let word = words.next()?;
        match word.starts_with('-') {
            true if takes(&word) => drop(words.next()),
            true => {}
            false => break word,
        }
    };
    let is_command = |word: &str| program.get_subcommands().any(|command| command.get_name() == word);
    if word == "help" {
        let asked = words.next().filter(|asked| !is_command(asked))?;
        return Some(format!("`isdarts-host doc {asked}` asks the manual of scripts"));
    }
    match is_command(&word) {
        true if behind => {
            Some(format!("the command `{word}` comes first, and its options behind it: isdarts-host {word} ..."))
        }
        false if !behind && !scripts::exists(Path::new(&word)) => {
            Some(format!("`{word}` is no command and no script: {}", scripts::guess(&word)))
        }
        _ => None,
    }
}

/// Help, or what is wrong with the words.
fn styled(text: &clap::Error, colours: bool) -> String {
    if colours { text.render().ansi().to_string() } else { text.render().to_string() }
}

fn dispatch(args: Args) -> Result<()> {
    // Those that have options for it do it themselves.
    if !matches!(args.command, None | Some(Command::Bench { .. } | Command::Predict(_) | Command::Sweep(_))) {
        device::threads(None)?;
    }
    match args.command {
        Some(Command::Bench { command: Bench::Step(step) }) => bench::step(&step),
        Some(Command::Bench { command: Bench::Train(train) }) => bench_train::train(&train),
        Some(Command::Query { cell }) => print(&host::query(&cell, &terminal::look())?),
        Some(Command::Doc { name, format, out }) => {
            manual::doc(Some(name.join(" ")).filter(|name| !name.is_empty()).as_deref(), format, &out)
        }
        Some(Command::Scripts { name, out }) => scripts::scripts(name.as_deref(), out.as_deref()),
        Some(Command::Completions { shell }) => completions::completions(shell),
        Some(Command::Man { out }) => manual::man(out.as_deref()),
        Some(Command::Check { files }) => check::check(&files),
        Some(Command::Fmt { files, check }) => fmt::fmt(&files, check),
        Some(Command::Lsp) => lsp::lsp(),
        Some(Command::Data { command }) => data::run(&command),
        Some(Command::Sweep(args)) => sweep::run(args),
        Some(Command::Predict(args)) => handover::predict(&args),
        Some(Command::Export(args)) => handover::export(&args),
        Some(Command::Runs(args)) => runs::runs(&args),
        None => run::run(args.run),
    }
}

/// A result on stdout, with one line end.
fn print(text: &str) -> Result<()> {
    streams::print(text.trim_end_matches('\n'))
}
