//! Where results go: lines on standard output. A reader that has gone (`| head`) ends nothing, for the run's results are in
//! its folder; any other failure (a full disk) is kept, and makes the run one that failed.

use crate::error::{Error, Result};
use crate::{fit, streams};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Takes lines instead of standard output.
pub type Sink = Rc<dyn Fn(&str)>;

/// Standard output, and the first failure to write to it.
#[derive(Default)]
pub struct Output {
    sink: RefCell<Option<Sink>>,
    failed: RefCell<Option<Error>>,
    gone: Cell<bool>,
}

impl Output {
    /// Write a line; a Markdown table that is wider than the terminal in parts.
    pub fn line(&self, text: &str) {
        if let Some(sink) = self.sink.borrow().clone() {
            return sink(text);
        }
        let text = streams::stdout_width().map_or(text.into(), |width| fit::tables(text, width));
        match streams::print(&text) {
            Ok(()) => {}
            Err(error) if streams::is_gone(&error) => self.gone.set(true),
            Err(error) => {
                self.failed.borrow_mut().get_or_insert(error);
            }
        }
    }

    /// From now on `sink` takes the lines, or, without one, standard output.
    pub fn pass_to(&self, sink: Option<Sink>) {
        *self.sink.borrow_mut() = sink;
    }

    /// Whether nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// The first failure since the last call.
    pub fn check(&self) -> Result<()> {
        match self.failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
