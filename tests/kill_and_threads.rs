//! Interrupted runs end with the bits of runs that were never interrupted, whatever the thread count. The campaign `kills`
//! (`tests/campaigns`) is the long form, at random moments.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::search::checkpoint;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SMALL: [&str; 8] = ["--set", "epochs=9", "--set", "channels=4", "--set", "limit=40", "--seed", "4"];

fn program(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(script)).args(SMALL).args(args);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn finish(mut command: Command) {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

fn resume(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    command.arg("--resume").arg(folder).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Files that tell when a run was, and who holds it.
const MANIFEST: &str = "manifest.json";
const LOCK: &str = "lock";
const RESULT: &str = "result.json";

/// Lines of the files of a run, below their names, without what tells times.
fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            folder.join(name).is_file()
                && ![LOCK, MANIFEST, RESULT].contains(&name.as_str())
                && !name.contains("tfevents")
        })
        .collect();
    names.sort();
    let text = |name: &String| std::fs::read_to_string(folder.join(name)).unwrap();
    let without_seconds = |l: &str| {
        let (head, step) = l.rsplit_once(',').unwrap();
        format!("{},{step}", head.rsplit_once(',').unwrap().0)
    };
    let lines = |name: &String| match name.as_str() {
        "metrics.csv" => text(name).lines().map(without_seconds).collect(),
        _ => vec![text(name)],
    };
    for name in ["genotype.txt", "metrics.csv"] {
        assert!(names.iter().any(|n| n == name) && text(&name.into()).contains('\n'), "{name} of {names:?}");
    }
    names.iter().flat_map(|name| [vec![name.clone()], lines(name)].concat()).collect()
}

/// Everything of a run but its times: metrics, measurements, genotype, and the bits of weights, momentum, alpha.
fn outcome(folder: &Path) -> Vec<String> {
    let mut all = files(folder);
    let (states, _) = checkpoint::load(&folder.join("checkpoint/loop-000")).unwrap().unwrap();
    for (name, state) in states {
        for (key, tensor) in state.tensors {
            let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
            all.push(format!("{name} {key} {:?}", values.into_iter().map(f32::to_bits).collect::<Vec<_>>()));
        }
    }
    all
}

fn assert_same(a: &Path, b: &Path, what: &str) {
    let (a, b) = (outcome(a), outcome(b));
    assert!(a.len() > 100, "{a:?}");
    for (a, b) in a.iter().zip(&b) {
        assert!(a == b, "{what}\n{:.300}\n{:.300}", a, b);
    }
    assert_eq!(a.len(), b.len(), "{what}");
}

/// Rows of metrics.csv, header included.
fn rows(folder: &Path) -> usize {
    std::fs::read_to_string(folder.join("metrics.csv")).map_or(0, |t| t.lines().count())
}

#[test]
fn a_run_killed_in_the_middle_ends_with_the_bits_of_one_that_was_not() {
    // Before anything is saved, in an early epoch, between shrink steps; with architecture parameters too.
    for (script, kills) in [("is_darts.rhai", &[0, 2, 7][..]), ("darts.rhai", &[5]), ("s_darts.rhai", &[8])] {
        let dir = tempfile::tempdir().unwrap();
        let whole = dir.path().join("whole");
        finish(program(script, &["--out", whole.to_str().unwrap()]));
        for &kill in kills {
            let folder = dir.path().join(format!("killed-{kill}"));
            let mut child = program(script, &["--out", folder.to_str().unwrap()]).spawn().unwrap();
            let start = Instant::now();
            while !folder.join("manifest.json").exists() || rows(&folder) < kill {
                assert!(start.elapsed() < Duration::from_secs(120), "{script}: row {kill} never came");
                std::thread::sleep(Duration::from_millis(2));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // Before the row of a second epoch the first is saved, with what is known by then; how long it took is not.
            if kill > 2 {
                let text = std::fs::read_to_string(folder.join("manifest.json")).unwrap();
                let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
                assert!(manifest["settings"]["lr"].is_number() && manifest["data"]["train"].is_string(), "{text}");
                assert_eq!((&manifest["status"], &manifest["seconds"]), (&"running".into(), &serde_json::Value::Null));
            }
            finish(resume(&folder));
            assert_same(&whole, &folder, &format!("{script}, killed at row {kill}"));
        }
    }
}

#[test]
fn a_finished_run_resumes_to_the_same_end() {
    let dir = tempfile::tempdir().unwrap();
    let (once, twice) = (dir.path().join("once"), dir.path().join("twice"));
    finish(program("is_darts.rhai", &["--out", once.to_str().unwrap()]));
    finish(program("is_darts.rhai", &["--out", twice.to_str().unwrap()]));
    finish(resume(&twice));
    assert_same(&once, &twice, "resumed after the end");
}

#[test]
#[cfg(target_os = "linux")]
fn a_run_that_a_full_disk_ended_goes_on_where_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let [whole, cut] = ["whole", "cut"].map(|name| dir.path().join(name));
    finish(program("is_darts.rhai", &["--out", whole.to_str().unwrap()]));
    let command = program("is_darts.rhai", &["--out", cut.to_str().unwrap()]);
    // No file may be longer than 12 KiB (24, as shells count); a checkpoint is.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; ulimit -f 24; exec \"$0\" \"$@\""]);
    let out = shell.arg(command.get_program()).args(command.get_args()).output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1));
    assert!(error.contains("state.safetensors: File too large"), "{error}");
    finish(resume(&cut));
    assert_same(&whole, &cut, "resumed with room");
}

#[test]
fn one_thread_and_two_come_to_the_same_bits() {
    for script in ["is_darts.rhai", "darts.rhai"] {
        let dir = tempfile::tempdir().unwrap();
        let [one, two] = ["1", "2"].map(|threads| {
            let folder = dir.path().join(threads);
            finish(program(script, &["--threads", threads, "--out", folder.to_str().unwrap()]));
            folder
        });
        assert_same(&one, &two, script);
    }
}

#[test]
fn a_run_is_resumed_as_it_was_begun_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("run");
    finish(program("is_darts.rhai", &["--out", folder.to_str().unwrap()]));
    for (args, message) in [
        (&["--seed", "5"][..], "--seed with --resume: got 5, expected 4, as the run began, or nothing"),
        (&["--data", "cifar10"], "--data with --resume: got \"cifar10\", expected \"digits\""),
        (&["--set", "epochs=10"], "--set with --resume: got {\"epochs\":10}"),
    ] {
        let out = resume(&folder).args(args).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr).to_string();
        assert!(!out.status.success() && error.contains(message), "{error}");
    }
}
