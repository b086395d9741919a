//! A script looked over before it runs: see [`mod@crate::host::check`].

use super::{LAST, Session};
use crate::error::{Error, Result};
use crate::host::check::known::Known;
use crate::host::check::{self, Finding, Outside, Severity, Text};
use crate::host::script::explain::explain;
use rhai::Position;

impl Session {
    /// What is found in the text of a script that would run here, and in the modules that it imports.
    pub fn check(&self, text: &str, source: &str) -> Vec<Finding> {
        let variables = self.variables().into_iter().filter(|(name, _)| name != LAST);
        let outside = Outside {
            variables: variables.map(|(name, value)| (name, Known::of(&value))).collect(),
            functions: self.functions.iter_functions().map(|f| (f.name.to_string(), f.params.len())).collect(),
            modules: self.imports.iter().map(|import| import.alias.clone()).collect(),
        };
        let find = |importer: &str, path: &str| self.module(importer, path);
        check::check(script(text, source), self.scripts.vocabulary(), &outside, &find).unwrap_or_else(|wrong| {
            let (text, error) = *wrong;
            let at = error.1;
            let words = explain(&error.into(), &text.name, &self.scripts.docs).to_string();
            vec![check::syntax(&text, at, &words)]
        })
    }

    /// The text of a module as a file imports it.
    fn module(&self, importer: &str, path: &str) -> std::result::Result<Text, String> {
        let found = self.scripts.modules.find(Some(importer), path, Position::NONE);
        let explained = |error: Box<rhai::EvalAltResult>| explain(&error, "", &self.scripts.docs).to_string();
        let found = found.map_err(|error| explained(error).trim_start_matches(": ").to_string());
        found.map(|(name, text)| Text { name, text, ..Text::default() })
    }

    /// An error for a `--set` that the script cannot read, before anything has run.
    pub(in crate::host) fn look_over_sets(&self, text: &str, source: &str) -> Result<()> {
        let sets = &self.scripts.host.settings.sets;
        check::sets(script(text, source), sets, &|importer, path| self.module(importer, path))
    }

    /// Says what is likely a mistake; what surely is one is an error, before anything has run.
    pub(in crate::host) fn look_over(&self, text: &str, source: &str) -> Result<()> {
        let (sure, likely): (Vec<Finding>, Vec<Finding>) =
            self.check(text, source).into_iter().partition(|found| found.severity == Severity::Error);
        likely.iter().for_each(|found| self.scripts.host.note(&found.to_string()));
        if sure.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = sure.iter().map(Finding::to_string).collect();
        let number = if sure.len() == 1 { "a mistake".into() } else { format!("{} mistakes", sure.len()) };
        Err(Error::Script(format!("{}\n{number}: nothing was run (--unchecked runs it nevertheless)", all.join("\n"))))
    }
}

fn script(text: &str, source: &str) -> Text {
    Text { name: source.to_string(), text: text.to_string(), ..Text::default() }
}
