//! Ctrl-C while work is under way stops the work and never ends the program. At the prompt the editor takes Ctrl-C itself, and
//! any signal that comes (a polite kill, a closed terminal) ends the program.

use crate::{interrupt, streams};
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
        if !WORKING.load(Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        // Somebody who waits for it to end may press again: the session is not to be lost by that.
        if interrupt::requested() {
            streams::say("\nstopping; Ctrl-\\ would end the program, with all its variables");
        }
        interrupt::request();
    };
    // Where there was a handler already (the script before the prompt), it goes on; without one Ctrl-C ends the program.
    ctrlc::set_handler(handler).ok();
}
