//! The end of a process that a test has begun, within a time that no honest case needs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

/// How the process ended; None where it had not after `limit`: then it is killed.
pub fn ended(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return Some(status),
            None if begun.elapsed() > limit => {
                child.kill().unwrap();
                child.wait().unwrap();
                return None;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}
