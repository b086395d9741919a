//! The prompt without a terminal: lines from stdin, results on stdout, and on stderr what was read after a prompt, so that
//! both together are a transcript.

use super::{PROMPT, Prompt, commands, signals};
use crate::error::{Error, Result};
use std::io::BufRead;
use std::ops::ControlFlow;

/// What stands before the further lines of an input.
const MORE: &str = ". ";

/// All inputs to the end; an error if one failed.
pub(super) fn run(prompt: Prompt, quiet: bool) -> Result<()> {
    signals::install();
    let mut failed = 0;
    let mut input = String::new();
    for line in std::io::stdin().lock().lines() {
        let line = line.map_err(Error::io("read", "standard input"))?;
        let blank = input.is_empty() && line.trim().is_empty();
        if !quiet && !blank {
            eprintln!("{}", format!("{}{line}", if input.is_empty() { PROMPT } else { MORE }).trim_end());
        }
        input.push_str(&line);
        input.push('\n');
        if commands::is_command(&input) || prompt.session.borrow().is_finished(&input) {
            match prompt.take(&std::mem::take(&mut input)) {
                ControlFlow::Continue(right) => failed += usize::from(!right),
                ControlFlow::Break(()) => break,
            }
        }
    }
    // What is left is not finished: the parser says what is missing.
    if let ControlFlow::Continue(false) = prompt.take(&input) {
        failed += 1;
    }
    match failed {
        0 => Ok(()),
        1 => Err(Error::Script("one input failed".into())),
        n => Err(Error::Script(format!("{n} inputs failed"))),
    }
}
