//! Ctrl-C while work is under way: once to stop it, twice to leave. At the prompt the editor takes Ctrl-C itself, and any
//! signal that comes (a polite kill, a closed terminal) ends the program.

use crate::interrupt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a program that a signal ended, as shells have it.
const INTERRUPTED: i32 = 130;

static WORKING: AtomicBool = AtomicBool::new(false);

/// Say whether work is under way.
pub fn working(yes: bool) {
    WORKING.store(yes, Ordering::SeqCst);
}

/// Install the handler.
pub fn install() {
    let handler = || {
        if !WORKING.load(Ordering::SeqCst) || interrupt::requested() {
            std::process::exit(INTERRUPTED);
        }
        interrupt::request();
    };
    // Where there was a handler already (the script before the prompt), it goes on; without one Ctrl-C ends the program.
    ctrlc::set_handler(handler).ok();
}
