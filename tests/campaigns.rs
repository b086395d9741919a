//! The short forms of the campaigns in `tests/campaigns` (see its README): each throws what it has at the program, by chance and by
//! table, from a seed. They are Python; without a python3 they are left out, and say so.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

/// A line past the capture of tests, which `eprintln!` writes into.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// `python3 tests/campaigns PROGRAM ARGS`; `None`, and a line past the test's capture, where there is no python3.
fn campaigns(what: &str, args: &[&str]) -> Option<Output> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/campaigns");
    let mut command = Command::new("python3");
    command.arg("-B").arg(folder).arg(env!("CARGO_BIN_EXE_isdarts-host")).args(args);
    match command.output() {
        Ok(out) => Some(out),
        Err(e) => {
            say(&format!("SKIPPED: campaign {what}: no python3 ({e})"));
            None
        }
    }
}

fn told(out: &Output) -> String {
    [&out.stdout[..], &out.stderr].map(String::from_utf8_lossy).concat()
}

/// The short form of one campaign, without a failure.
fn short(name: &str) {
    let Some(out) = campaigns(name, &[name]) else { return };
    let text = told(&out);
    assert!(out.status.success(), "{text}");
    // What this machine has not the means for is left out by name, too.
    if let Some(line) = text.lines().find(|line| line.contains("SKIPPED")) {
        say(&format!("SKIPPED: campaign {line}"));
    }
}

macro_rules! each {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            short(stringify!($name));
        })*
    };
}

each! {
    kills folders forged writes limits weights pictures idx pickles genotypes scripts settings prompt terminal words servers
    strangers together streams threads
}

#[test]
fn each_campaign_is_run_here() {
    let Some(out) = campaigns("list", &["--list"]) else { return };
    assert_eq!(told(&out).lines().collect::<Vec<_>>(), NAMES);
}

/// A few of what `--lies` shows of all: a program that misbehaves fails the campaign that looks for it.
#[test]
fn campaigns_fail_where_the_program_misbehaves() {
    let args = ["--lies", "folders", "weights", "genotypes", "settings", "strangers"];
    let Some(out) = campaigns("lies", &args) else { return };
    let text = told(&out);
    assert!(out.status.success() && text.matches("notices panic, die, silent").count() == 5, "{text}");
}
