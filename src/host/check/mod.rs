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

use crate::host::script::errors::place;
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
