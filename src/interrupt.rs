//! The one flag that Ctrl-C sets and every long native polls.

use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Ask the running work to stop; safe to call from a signal handler's thread.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
}

/// Forget an earlier request (the REPL, before the next input).
pub fn clear() {
    REQUESTED.store(false, Ordering::SeqCst);
}

/// Whether a stop was asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// [`Error::Interrupted`] if a stop was asked for.
pub fn check() -> Result<()> {
    if requested() { Err(Error::Interrupted) } else { Ok(()) }
}

/// [`Error::Interrupted`] if a stop was asked for, else `error`: for interrupts that passed through another crate's errors.
pub fn or(error: impl Into<Error>) -> Error {
    if requested() { Error::Interrupted } else { error.into() }
}
