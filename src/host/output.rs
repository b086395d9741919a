//! Where results go: lines on standard output. A reader that has gone (`| head`) ends nothing, for the run's results are in
//! its folder; any other failure (a full disk) is kept, and makes the run one that failed.

use crate::error::{Error, Result};
use std::cell::RefCell;
use std::io::{ErrorKind, Write};

/// Standard output, and the first failure to write to it.
#[derive(Default)]
pub struct Output {
    failed: RefCell<Option<std::io::Error>>,
}

impl Output {
    /// Write a line.
    pub fn line(&self, text: &str) {
        if let Err(error) = writeln!(std::io::stdout().lock(), "{text}")
            && error.kind() != ErrorKind::BrokenPipe
        {
            self.failed.borrow_mut().get_or_insert(error);
        }
    }

    /// The first failure since the last call.
    pub fn check(&self) -> Result<()> {
        match self.failed.take() {
            Some(error) => Err(Error::io("write", "standard output")(error)),
            None => Ok(()),
        }
    }
}
