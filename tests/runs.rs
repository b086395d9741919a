//! `isdarts-host runs`: what it lists, sorts, compares and removes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

fn write(path: &Path, mut object: Value) {
    let sum = xxhash_rust::xxh3::xxh3_128(object.to_string().as_bytes());
    object["sum"] = format!("{sum:032x}").into();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, object.to_string()).unwrap();
}

/// A run folder as a run would leave it.
fn folder(root: &Path, name: &str, method: &str, seed: u64, status: &str, test: f64) {
    let set = json!({"method": method, "lr": 0.025});
    let asked = json!({"script": "search.rhai", "folder": "/", "args": [], "set": set, "data": "digits", "device": "cpu", "threads": 1, "seed": seed});
    let mut manifest = json!({"version": "0.1.0", "run": asked, "id": name, "made_of": {"texts": {"search.rhai": "0a"}}, "status": status, "seconds": 1.5, "settings": set});
    if status == "failed" {
        manifest["error"] = "search.rhai, line 3: no such thing".into();
    }
    write(&root.join(name).join("manifest.json"), manifest);
    if status == "finished" {
        let one = |search: &str, test: f64| {
            let last = json!({"epoch": 30, "loss": 0.5, "accuracy": 0.75, "seconds": 0.1, "step": 30});
            json!({"search": search, "genotype": "|x|", "parameters": 1_000_000, "nas_bench_201": {"index": 3, "cifar10_test": test, "rank": 17},
                "metrics": [{"net": 0, "epochs": 30, "last": last, "best": last}], "values": {"tau": 1.0 - test}})
        };
        let searches = json!([one("first", 10.0), one("second", test)]);
        write(
            &root.join(name).join("result.json"),
            json!({"format": 1, "seconds": 12.5, "cpu_seconds": 24.0, "searches": searches}),
        );
    } else {
        let head = "search,epoch,net,loss,accuracy,lr,images,seconds,step\n";
        fs::write(root.join(name).join("metrics.csv"), format!("{head},7,0,0.25,0.875,0.02,64,0.1,7\n,8,0,0.2"))
            .unwrap();
    }
}

fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    folder(&runs, "paper/darts-digits-0", "darts", 0, "finished", 54.3);
    folder(&runs, "paper/is_darts-digits-0", "is_darts", 0, "finished", 94.36);
    folder(&runs, "paper/is_darts-digits-1", "is_darts", 1, "failed", 0.0);
    folder(
        &runs,
        "a-run-with-a-name-so-long-that-no-terminal-of-eighty-columns-shows-all-of-it-beside-the-rest",
        "gdas",
        2,
        "running",
        0.0,
    );
    fs::create_dir_all(runs.join("notes")).unwrap();
    dir
}

fn program(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_isdarts-host")).current_dir(dir).args(args).output().unwrap()
}

/// Standard output of a listing that succeeds.
fn list(dir: &Path, args: &[&str]) -> String {
    let out = program(dir, &[&["runs"], args].concat());
    assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn refused(dir: &Path, args: &[&str], parts: &[&str]) {
    let out = program(dir, args);
    let err = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1), "{args:?}: {err}");
    parts.iter().for_each(|part| assert!(err.contains(part), "{part} in {err}"));
}

/// The first words of the rows.
fn names(listing: &str) -> Vec<&str> {
    listing.lines().skip(1).map(|line| line.split([' ', ',']).next().unwrap()).collect()
}

#[test]
fn runs_are_listed_filtered_and_sorted_within_eighty_columns() {
    let dir = project();
    let all = list(dir.path(), &[]);
    assert!(all.lines().count() == 5 && all.lines().all(|line| line.chars().count() <= 80), "{all}");
    for part in ["stopped", "finished", "failed", "94.36", "paper/is_darts-digits-0"] {
        assert!(all.contains(part), "{part} in\n{all}");
    }
    for (args, expected) in [
        (&["--method", "is_darts"][..], &["paper/is_darts-digits-0", "paper/is_darts-digits-1"][..]),
        (&["--seed", "1"], &["paper/is_darts-digits-1"]),
        (&["--state", "finished"], &["paper/darts-digits-0", "paper/is_darts-digits-0"]),
        (&["--state", "finished", "--sort", "-cifar10_test"], &["paper/is_darts-digits-0", "paper/darts-digits-0"]),
        (&["--state", "finished", "--sort", "-tau"], &["paper/darts-digits-0", "paper/is_darts-digits-0"]),
        // What has no such number comes last.
        (&["--method", "is_darts", "--sort", "rank"], &["paper/is_darts-digits-0", "paper/is_darts-digits-1"]),
        (&["--method", "is_darts", "--sort", "-rank"], &["paper/is_darts-digits-0", "paper/is_darts-digits-1"]),
    ] {
        assert_eq!(names(&list(dir.path(), args)), expected, "{args:?}");
    }
    assert!(list(dir.path(), &["--data", "cifar10"]).is_empty());
    refused(dir.path(), &["runs", "--sort", "cifar10test"], &["`cifar10test`, did you mean `cifar10_test`?"]);
    refused(dir.path(), &["runs", "--columns", "taus"], &["`taus`, did you mean `tau`?"]);
    refused(dir.path(), &["runs", "nowhere"], &["cannot read nowhere"]);
}

#[test]
fn every_format_has_the_same_rows() {
    let dir = project();
    let args = ["--searches", "--state", "finished", "--columns", "search,cifar10_test,tau", "--format"];
    let format = |name| list(dir.path(), &[&args[..], &[name]].concat());
    let csv = format("csv");
    assert_eq!(csv.lines().next(), Some("run,search,cifar10_test,tau"));
    assert_eq!(csv.lines().nth(4), Some("paper/is_darts-digits-0,second,94.36,-93.36"));
    assert_eq!(format("markdown").lines().nth(5), Some("| paper/is_darts-digits-0 | second | 94.36 | -93.36 |"));
    let json: Value = serde_json::from_str(&format("json")).unwrap();
    assert_eq!(
        json[3],
        json!({"run": "paper/is_darts-digits-0", "search": "second", "cifar10_test": 94.36, "tau": 1.0 - 94.36})
    );
    let nothing: Value = serde_json::from_str(&list(dir.path(), &["--seed", "9", "--format", "json"])).unwrap();
    assert_eq!(nothing, json!([]));
    // Where nothing was run yet.
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(list(empty.path(), &["--format", "json"]), "[]\n");
    let said = String::from_utf8(program(empty.path(), &["runs"]).stderr).unwrap();
    assert!(said.starts_with("no such run in runs, which is not there"), "{said}");
}

#[test]
fn two_runs_are_compared_by_what_they_were_asked() {
    let dir = project();
    let diff = |a: &str, b: &str| list(dir.path(), &["--diff", &format!("runs/paper/{a}"), &format!("runs/paper/{b}")]);
    let found = diff("darts-digits-0", "is_darts-digits-1");
    let rows: Vec<Vec<&str>> = found.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows, [["method", "darts", "is_darts"], ["seed", "0", "1"]]);
    assert_eq!(diff("darts-digits-0", "darts-digits-0"), "they were asked the same\n");
}

#[test]
fn failed_runs_are_removed_and_no_others_and_not_unasked() {
    let dir = project();
    let there = |name: &str| dir.path().join("runs").join(name).exists();
    refused(dir.path(), &["runs", "--remove-failed"], &["nobody to ask"]);
    assert!(list(dir.path(), &["--remove-failed", "--yes", "--method", "darts"]).contains("no failed run"));
    assert!(there("paper/is_darts-digits-1"));
    let told = list(dir.path(), &["--remove-failed", "--yes"]);
    assert_eq!(told, "runs/paper/is_darts-digits-1: search.rhai, line 3: no such thing\nremoved 1 folder\n");
    assert!(!there("paper/is_darts-digits-1") && there("paper/is_darts-digits-0") && there("paper/darts-digits-0"));
}

#[test]
fn a_damaged_folder_hides_no_other() {
    let dir = project();
    fs::write(dir.path().join("runs/paper/darts-digits-0/manifest.json"), "{").unwrap();
    let out = program(dir.path(), &["runs"]);
    let err = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.success() && err.contains("left out: runs/paper/darts-digits-0/manifest.json: got "), "{err}");
    assert_eq!(names(&list(dir.path(), &["--state", "finished"])), ["paper/is_darts-digits-0"]);
}

#[test]
fn a_thousand_runs_are_listed_at_once() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..1000 {
        let status = if i % 4 == 0 { "running" } else { "finished" };
        folder(&dir.path().join("runs"), &format!("r{i:04}"), "darts", i, status, i as f64 / 10.0);
    }
    let start = Instant::now();
    let listing = list(dir.path(), &["--sort", "-cifar10_test"]);
    let seconds = start.elapsed().as_secs_f64();
    println!("1,000 run folders listed in {seconds:.3} s");
    assert!(listing.lines().count() == 1001 && listing.lines().nth(1).unwrap().starts_with("r0999"), "{listing}");
    // Without optimisation it says little.
    assert!(cfg!(debug_assertions) || seconds < 3.0, "{seconds} s");
}
