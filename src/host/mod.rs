//! Scripts: the ONLY place that names rhai. May use: everything below it.
//!
//! The face to `main` and the REPL: [`run`] a script, [`eval_expression`], a [`Session`] of lines, [`documentation`].

pub mod options;
pub mod session;

pub use options::RunOptions;
pub use session::{Outcome, Session};

use crate::error::Result;
use crate::search::Progress;
use std::rc::Rc;

/// Run the script of `options` to its end: makes (or, with `resume`, reopens) the run folder, and saves after every turn of
/// an epochs loop. What the script prints goes to stdout. Ctrl-C: [`crate::Error::Interrupted`], everything up to the last
/// turn is in the folder.
pub fn run(_options: &RunOptions, _progress: Rc<dyn Progress>) -> Result<()> {
    todo!()
}

/// The value of an expression as text; empty for `()`.
pub fn eval_expression(_expression: &str, _options: &RunOptions, _progress: Rc<dyn Progress>) -> Result<String> {
    todo!()
}

/// The manual as text: an overview of all host functions and stdlib modules, or the entry of `name` (a function, a type or
/// a module such as `nas/is_darts`). Unknown names are an error with the nearest.
pub fn documentation(_name: Option<&str>) -> Result<String> {
    todo!()
}
