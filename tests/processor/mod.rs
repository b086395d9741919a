//! Processor time, which a bound may be set on: other work on the machine makes a person wait, not the program slower.

use std::io::Write;
use std::time::Duration;

/// Of a process (`4711`) or thread (`thread-self`) so far, in user and kernel mode; to the hundredth of a second.
pub fn time(of: &str) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{of}/stat")).ok()?;
    // `pid (name) state ppid ... utime stime`: the name may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(10 * ticks))
}

/// Assert that `spent` is below `bound`; where no processor time is to be had, say so, in every test's output.
pub fn assert_below(bound: Duration, spent: Option<Duration>, what: &str) {
    match spent {
        Some(spent) => assert!(spent < bound, "{what}: {spent:?} of processor time, expected less than {bound:?}"),
        None => drop(writeln!(std::io::stderr(), "not tested on this system (no /proc): processor time of {what}")),
    }
}
