//! The interactive prompt. With `main`, the only place that touches the terminal.
//!
//! [`run`] reads from a terminal with an editor ([`helper`]), or lines from a pipe ([`piped`]); both hand what was read to
//! [`Prompt`], which does commands ([`commands`]) and evaluates the rest.

mod commands;
mod guard;
mod helper;
mod highlight;
mod history;
mod piped;
mod signals;
pub mod terminal;

use crate::error::{Error, Result};
use crate::host::{self, Outcome, RunOptions, Session};
use crate::interrupt;
use crate::search::Progress;
use crate::streams;
use helper::ScriptHelper;
use rustyline::config::{BellStyle, CompletionType, Config};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{Cmd, Editor, EventHandler, KeyCode, KeyEvent, Modifiers};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

/// What the prompt looks like.
const PROMPT: &str = "> ";

/// Read, evaluate, print, until Ctrl-D or `:quit`. An error does not end the session; Ctrl-C ends the input or the work at
/// hand and never the program. Without a terminal on both sides: lines from stdin, plain text out; an error if an input
/// failed.
pub fn run(session: Session, progress: Rc<dyn Progress>, quiet: bool) -> Result<()> {
    let prompt = Prompt { session: Rc::new(RefCell::new(session)), progress };
    match terminal::is_interactive() {
        true => interactive(prompt, quiet),
        false => piped::run(prompt, quiet),
    }
}

/// Run the script of `options` as [`host::run()`] does, and go on with its variables, also where it failed or Ctrl-C ended it.
pub fn after_script(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<Session> {
    signals::install();
    signals::working(true);
    let ran = guard::caught(|| host::run_to_session(options, progress.clone()));
    signals::working(false);
    interrupt::clear();
    let (session, result) = ran?;
    progress.over();
    if let Err(error) = result {
        streams::say(&format!("error: {}", streams::plain(&error.to_string())));
    }
    Ok(session)
}

/// A session, and where its outcomes go.
struct Prompt {
    session: Rc<RefCell<Session>>,
    progress: Rc<dyn Progress>,
}

impl Prompt {
    /// Do one finished input: results to stdout, errors to stderr. Whether it was right; `Break` to leave.
    fn take(&self, input: &str) -> ControlFlow<(), bool> {
        if input.trim().is_empty() {
            return ControlFlow::Continue(true);
        }
        if commands::leaves(input) {
            return ControlFlow::Break(());
        }
        interrupt::clear();
        signals::working(true);
        let outcome = guard::caught(|| match commands::find(input) {
            Some(command) => command.and_then(|(command, argument)| command.run(&self.session, argument)),
            None => Ok(self.session.borrow_mut().eval_line(input)),
        });
        signals::working(false);
        interrupt::clear();
        self.progress.over();
        let right = !matches!(outcome, Ok(Outcome::Error(_) | Outcome::Incomplete) | Err(_));
        match outcome {
            Ok(Outcome::Value(text)) => self.session.borrow().print(&text),
            Ok(Outcome::Nothing) => {}
            Ok(Outcome::Incomplete) => streams::say("error: the input is not finished"),
            Ok(Outcome::Error(text)) => match commands::meant(input) {
                Some(command) => self.complain(&format!("{text}\nthe command is called `{command}`")),
                None => self.complain(&text),
            },
            Err(error) => self.complain(&error.to_string()),
        }
        ControlFlow::Continue(right)
    }

    fn complain(&self, text: &str) {
        let red = terminal::stderr_has_colours();
        let (on, off) = if red { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
        streams::say(&format!("{on}error{off}: {}", streams::plain(text)));
    }
}

fn interactive(prompt: Prompt, quiet: bool) -> Result<()> {
    let failed = |e: ReadlineError| Error::invalid("the terminal", e, "lines of input");
    let colours = prompt.session.borrow().look.colours;
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .completion_show_all_if_ambiguous(true)
        .completion_prompt_limit(usize::MAX)
        .bell_style(BellStyle::None)
        .max_history_size(history::LENGTH)
        .map_err(failed)?
        .build();
    let mut editor: Editor<ScriptHelper, FileHistory> = Editor::with_config(config).map_err(failed)?;
    editor.set_helper(Some(ScriptHelper::new(prompt.session.clone(), colours)));
    // A line more where one input should go on though the parser has all of it.
    editor.bind_sequence(KeyEvent(KeyCode::Enter, Modifiers::ALT), EventHandler::Simple(Cmd::Newline));
    let mut history = history::path();
    if let Some(path) = &history
        && let Err(error) = history::load(&mut editor, path)
    {
        streams::say(&format!("no history: {}", streams::plain(&error.to_string())));
        history = None;
    }
    signals::install();
    if !quiet {
        streams::say(&format!(
            "isdarts-host {}; :help lists commands, Tab completes, Ctrl-D leaves",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let mut interrupted = false;
    loop {
        if let Some((columns, _)) = editor.dimensions() {
            prompt.session.borrow_mut().look.width = usize::from(columns).max(40);
        }
        match editor.readline(PROMPT) {
            Ok(input) => {
                interrupted = false;
                if !input.trim().is_empty() {
                    editor.add_history_entry(input.trim_end()).map_err(failed)?;
                    if let Some(path) = &history {
                        history::append(&mut editor, path);
                    }
                }
                if prompt.take(&input).is_break() {
                    return Ok(());
                }
            }
            // It clears the line. Who presses it again may look for the way out.
            Err(ReadlineError::Interrupted) => {
                if std::mem::replace(&mut interrupted, true) {
                    streams::say("Ctrl-D leaves");
                }
            }
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
    }
}
