//! A table of faults in the kernels, each of which the properties of its family refuse: what the tests of the kernels are worth.
//! Shows the table with `--nocapture`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kernels;
mod mutations;

use isdarts_host::ops::gpu::{Unit, units_with};
use kernels::{check, compiler};
use mutations::{Fault, Faults};
use std::cell::Cell;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// As many tries as the properties themselves have.
const TRIES: u64 = 260;
/// Kernels that are wrong are kept here, and not where those of users are.
const CACHE: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/faulty-kernels");

#[ctor::ctor]
fn cache() {
    // SAFETY: No other thread runs yet.
    unsafe { std::env::set_var("ISDARTS_CACHE", CACHE) };
}

/// What a family's kernels stand in, where others are compiled with them: those are left out.
fn needed(family: &str, file: &str) -> bool {
    let own: &[&str] = match family {
        "conv" => &["conv/"],
        "separable" => &["conv/conv.cu", "depthwise/"],
        "pool" => &["pool/"],
        "gather" | "mix" => &["linear_sum/"],
        _ => &[""],
    };
    file.ends_with(".cuh") || own.iter().any(|start| file.starts_with(start))
}

/// A family's kernels with the fault in them; its text stands once in its file.
fn with_fault(&Faults { file, family, arithmetic, .. }: &Faults, (what, from, to): Fault) -> Vec<Unit> {
    let found = Cell::new(0);
    let edit = |name: &str, text: String| {
        if name != file {
            return if needed(family, name) { text } else { String::new() };
        }
        found.set(text.matches(from).count());
        text.replace(from, to)
    };
    let units = units_with(arithmetic, edit).unwrap();
    assert_eq!(found.get(), 1, "{file}, {what}: the text `{from}` stands there so many times");
    units
}

/// Tries one of the table, in a process of its own: a fault may end it.
#[test]
#[ignore = "a row of the table, which the test below runs"]
fn one_fault() {
    let Ok(row) = std::env::var("ISDARTS_FAULT") else { return };
    let (faults, fault) = mutations::all().nth(row.parse().unwrap()).unwrap();
    match check(faults.family, &with_fault(faults, fault), faults.arithmetic, 0..TRIES) {
        // What does not compile is no fault of a kernel.
        Err(said) => {
            assert!(!said.contains("kernels of "), "{said}");
            println!("REFUSED {}", said.lines().next().unwrap_or_default());
        }
        Ok(()) => println!("SURVIVED"),
    }
}

/// The row, with what refused it, or that nothing did.
fn tried(row: usize, (faults, fault): (&Faults, Fault)) -> Result<String, String> {
    let arguments = ["one_fault", "--exact", "--ignored", "--nocapture"];
    let me = std::env::current_exe().unwrap();
    let done = Command::new(me).args(arguments).env("ISDARTS_FAULT", row.to_string()).output().unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    let refused = text.lines().find_map(|line| line.strip_prefix("REFUSED "));
    let line = |said: &str| format!("{:28} {:44} {said}", faults.file, fault.0);
    match (refused, done.status.code()) {
        (Some(said), Some(0)) => Ok(line(said)),
        (_, None) => Ok(line(&format!("the process ended: {}", done.status))),
        _ => Err(line(&format!("{text}{}", String::from_utf8_lossy(&done.stderr)))),
    }
}

#[test]
fn every_fault_of_a_kernel_is_refused() {
    if !compiler() {
        return;
    }
    let all: Vec<_> = mutations::all().collect();
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(vec![]));
    let work = || {
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            let Some(fault) = all.get(i) else { break };
            let row = tried(i, *fault);
            println!("{}", row.as_ref().unwrap_or_else(|row| row));
            rows.lock().unwrap().push(row);
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    if Path::new(CACHE).exists() {
        std::fs::remove_dir_all(CACHE).unwrap();
    }
    let rows = rows.into_inner().unwrap();
    let survivors: Vec<&String> = rows.iter().filter_map(|row| row.as_ref().err()).collect();
    assert!(survivors.is_empty() && rows.len() == all.len(), "{survivors:#?}");
    println!("{} faults, all refused", rows.len());
}
