//! A session of lines, as the REPL needs it: variables, functions and imports stay from line to line.

use super::RunOptions;
use super::engine::Scripts;
use crate::error::{Error, Result};
use crate::search::Progress;
use rhai::{AST, ParseErrorType, Position, Scope};
use std::path::Path;
use std::rc::Rc;

const SOURCE: &str = "input";

/// What a line came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A value, as text.
    Value(String),
    /// Nothing to show.
    Nothing,
    /// The input is right so far but not finished: ask for another line.
    Incomplete,
    /// An error, as text.
    Error(String),
}

/// Variables, functions and imports that stay from line to line.
pub struct Session {
    scripts: Scripts,
    scope: Scope<'static>,
    imports: Vec<String>,
    functions: AST,
}

impl Session {
    /// A fresh session. Without `options.folder` nothing is written.
    pub fn new(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<Self> {
        let host = super::open(options, progress)?;
        let scripts = Scripts::new(host, Path::new("."));
        Ok(Session { scripts, scope: Scope::new(), imports: Vec::new(), functions: AST::empty() })
    }

    /// Evaluate input of one or more lines.
    pub fn eval_line(&mut self, input: &str) -> Outcome {
        if input.trim().is_empty() {
            return Outcome::Nothing;
        }
        let line = match self.scripts.engine.compile(input) {
            Ok(line) => line,
            Err(error) if unfinished(&error.0, error.1, input) => return Outcome::Incomplete,
            Err(error) => {
                return Outcome::Error(super::errors::explain(&error.into(), SOURCE, &self.scripts.docs).to_string());
            }
        };
        match self.eval(&line, input) {
            Ok(text) if text.is_empty() => Outcome::Nothing,
            Ok(text) => Outcome::Value(text),
            Err(error) => Outcome::Error(error.to_string()),
        }
    }

    fn eval(&mut self, line: &AST, input: &str) -> Result<String> {
        // imports hold for one evaluation only: state the earlier ones again before the line (modules are loaded once)
        let imports = self.imports.join("\n");
        let compiled = self.scripts.engine.compile(&imports).map_err(|e| Error::Script(e.to_string()))?;
        let mut whole = compiled.merge(&self.functions).merge(line);
        whole.set_source(SOURCE);
        let known = self.scope.len();
        let value = match self.scripts.eval_ast(&mut self.scope, &whole, SOURCE) {
            Ok(value) => value,
            Err(error) => {
                self.scope.rewind(known);
                return Err(error);
            }
        };
        self.functions = self.functions.merge(&line.clone_functions_only());
        self.imports.extend(input.lines().map(str::trim).filter(|l| l.starts_with("import ")).map(str::to_string));
        self.scripts.show(&value)
    }

    /// The manual: see [`super::documentation`].
    pub fn documentation(&self, name: Option<&str>) -> Result<String> {
        super::docs::text(&self.scripts.docs, name)
    }

    /// Names that can complete `prefix`: host functions, variables, modules.
    pub fn completions(&self, prefix: &str) -> Vec<String> {
        let names = self.scripts.docs.iter().map(|d| d.name.to_string());
        let variables = self.scope.iter().map(|(name, ..)| name.to_string());
        let modules = super::modules::STDLIB.iter().map(|(path, _)| path.to_string());
        let mut all: Vec<String> =
            names.chain(variables).chain(modules).filter(|n| n.starts_with(prefix) && n != "+").collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Whether the parser only missed something after the end of the input.
fn unfinished(kind: &ParseErrorType, at: Position, input: &str) -> bool {
    let lines = input.trim_end().lines().count();
    let width = input.trim_end().lines().last().map_or(0, |l| l.chars().count());
    let past_end = match (at.line(), at.position()) {
        (Some(line), Some(column)) => line > lines || (line == lines && column > width),
        _ => true,
    };
    match kind {
        ParseErrorType::UnexpectedEOF => true,
        ParseErrorType::MissingToken(..) => past_end,
        ParseErrorType::BadInput(rhai::LexError::UnterminatedString) => false,
        _ => false,
    }
}
