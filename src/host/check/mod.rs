//! A script and its modules looked over before they run: what is misspelt, called with other arguments than it takes, or not used.
//!
//! Values are followed as far as their types are known: from the manual's signatures through chains, variables, functions of the
//! program and closures. Where nothing is known, nothing is said. A [`Severity::Error`] is where the script fails if it comes to it;
//! a [`Severity::Warning`] is likely a mistake.

mod calls;
mod chains;
pub mod finding;
pub mod input;
pub mod known;
mod names;
mod program;
mod settings;
mod state;
pub mod vocabulary;
mod walk;

use crate::error::Error;
use crate::host::run::settings::PictureConfig;
use crate::host::script::errors::place;
use crate::search::settings::Settings;
pub use finding::{Finding, Severity};
pub use input::{Outside, Text};
use rhai::{ParseError, Position};
use state::State;
use vocabulary::Vocabulary;

/// Looks over a script and all that it imports: `find` gives the module that a file imports by a path. What is a syntax error is
/// an error of its own.
///
/// # Errors
/// The first file that cannot be parsed, and why.
pub fn check(
    script: Text,
    vocabulary: &Vocabulary,
    outside: &Outside,
    find: &dyn Fn(&str, &str) -> Result<Text, String>,
) -> Result<Vec<Finding>, Box<(Text, ParseError)>> {
    let (files, missing) = program::read(script, find).map_err(Box::new)?;
    let mut state = State::new(vocabulary, outside, &files);
    for (file, at, why) in missing {
        state.file = file;
        state.report(Severity::Error, at, why);
    }
    state.whole_program();
    let mut findings = state.findings;
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// Whether a program can read all these settings that come from outside (`--set`): one that calls neither `settings` nor `setting`
/// reads the options of `data()` and no others. Nothing is said where it may read more than its files show.
///
/// # Errors
/// The first that it cannot read, with the nearest of those that it can.
pub fn sets(
    script: Text,
    sets: &[(String, serde_json::Value)],
    find: &dyn Fn(&str, &str) -> Result<Text, String>,
) -> crate::Result<()> {
    let Ok((files, missing)) = program::read(script, find) else { return Ok(()) };
    let names = |name: &str| files.iter().any(|file| file.called.contains(name) || file.reads.contains(name));
    let whole = missing.is_empty() && files.iter().all(|file| file.imports.values().all(|(_, whole)| *whole));
    let method = |name: &str| files.iter().any(|file| file.text.contains(&format!(".{name}(")));
    if !whole || ["settings", "setting"].iter().any(|name| names(name) || method(name)) {
        return Ok(());
    }
    let known = if names("data") { PictureConfig::NAMES } else { &[] };
    match sets.iter().find(|(key, _)| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some((key, _)) if known.is_empty() => {
            let got = format!("`{key}`, which this script does not read");
            Err(Error::invalid("--set", got, "a script that calls settings(...) or data()"))
        }
        Some((key, _)) => Err(Error::unknown_name("setting", key, known.iter().copied())),
    }
}

/// A syntax error as a finding.
pub fn syntax(text: &Text, at: Position, words: &str) -> Finding {
    let line = at.line().unwrap_or_default();
    Finding {
        file: text.name.clone(),
        line,
        column: at.position().unwrap_or_default(),
        width: 1,
        severity: Severity::Error,
        text: format!(
            "{}{}",
            words.strip_prefix(&format!("{}{}: ", text.name, place(at))).unwrap_or(words),
            text.imported
        ),
        source: text.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_string(),
    }
}
