//! The prompt without a terminal: lines from stdin, results on stdout, and on stderr what was read after a prompt, so that
//! both together are a transcript.

use super::{PROMPT, Prompt, commands, signals};
use crate::error::{Error, Result};
use crate::streams;
use std::io::BufRead;
use std::ops::ControlFlow;

/// What stands before the further lines of an input.
const MORE: &str = ". ";

/// All inputs to the end; an error if one failed.
pub(super) fn run(prompt: Prompt, quiet: bool) -> Result<()> {
    signals::install();
    let mut failed = 0;
    let mut input = String::new();
    for (number, line) in std::io::stdin().lock().lines().enumerate() {
        let line = line.map_err(Error::io("read", "standard input"))?;
        let line = if number == 0 { line.trim_start_matches('\u{feff}') } else { &line };
        let blank = input.is_empty() && line.trim().is_empty();
        if !quiet && !blank {
            streams::transcribe(format!("{}{line}", if input.is_empty() { PROMPT } else { MORE }).trim_end())?;
        }
        input.push_str(line);
        input.push('\n');
        if commands::is_command(&input) || prompt.session.borrow().is_finished(&input) {
            match prompt.take(&std::mem::take(&mut input)) {
                ControlFlow::Continue(right) => failed += usize::from(!right),
                ControlFlow::Break(()) => break,
            }
        }
        // Nobody waits for what is left.
        if !prompt.session.borrow().is_read()? {
            return Ok(());
        }
    }
    // What is left is not finished: the parser says what is missing.
    if let ControlFlow::Continue(false) = prompt.take(&input) {
        failed += 1;
    }
    prompt.session.borrow().is_read()?;
    match failed {
        0 => Ok(()),
        1 => Err(Error::Script("one input failed".into())),
        n => Err(Error::Script(format!("{n} inputs failed"))),
    }
}
