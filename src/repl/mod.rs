//! The interactive prompt. With `main`, the only place that touches the terminal. May use: `host`, rustyline.

use crate::error::{Error, Result};
use crate::host::{Outcome, RunOptions, Session};
use crate::interrupt;
use crate::search::Progress;
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor};
use std::rc::Rc;

/// Read, evaluate, print, until Ctrl-D or `exit`. An input goes on over lines until the parser has all of it (an empty line
/// gives up on it); an error does not end the session; Ctrl-C ends the input or the work at hand.
pub fn run(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<()> {
    let mut session = Session::new(options, progress)?;
    let terminal = |e: ReadlineError| Error::invalid("the terminal", e, "lines of input");
    let config = Config::builder().auto_add_history(true).build();
    let mut editor = DefaultEditor::with_config(config).map_err(terminal)?;
    // While the prompt waits, the editor takes Ctrl-C itself; this is for work.
    ctrlc::set_handler(interrupt::request).ok();
    if !options.quiet {
        eprintln!("isdarts-host {}; help() lists what there is, exit or Ctrl-D leaves", env!("CARGO_PKG_VERSION"));
    }
    let mut input = String::new();
    loop {
        match editor.readline(if input.is_empty() { "> " } else { ". " }) {
            Ok(line) => {
                if input.is_empty() && matches!(line.trim(), "exit" | "quit") {
                    return Ok(());
                }
                let given_up = line.trim().is_empty() && !input.is_empty();
                input.push_str(&line);
                input.push('\n');
                interrupt::clear();
                match session.eval_line(&input) {
                    Outcome::Incomplete if given_up => eprintln!("error: the input is not finished"),
                    Outcome::Incomplete => continue,
                    Outcome::Value(text) => println!("{text}"),
                    Outcome::Nothing => {}
                    Outcome::Error(text) => eprintln!("error: {text}"),
                }
                input.clear();
            }
            Err(ReadlineError::Interrupted) => input.clear(),
            Err(ReadlineError::Eof) => return Ok(()),
            Err(e) => return Err(terminal(e)),
        }
    }
}
