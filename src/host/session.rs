//! A session of lines, as the REPL needs it: variables, functions and imports stay from line to line.

use super::RunOptions;
use crate::error::Result;
use crate::search::Progress;
use std::rc::Rc;

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
    _private: (),
}

impl Session {
    /// A fresh session. Without `options.out` no run folder is made.
    pub fn new(_options: &RunOptions, _progress: Rc<dyn Progress>) -> Result<Self> {
        todo!()
    }

    /// Evaluate input of one or more lines.
    pub fn eval_line(&mut self, _input: &str) -> Outcome {
        todo!()
    }

    /// Names that can complete `prefix`: host functions, variables, modules.
    pub fn completions(&self, _prefix: &str) -> Vec<String> {
        todo!()
    }
}
