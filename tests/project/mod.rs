//! What tests of run folders share: a small project, the program in it.

#![allow(dead_code, reason = "each test uses its part")]

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Trains a tiny supernet by settings of a module of its own, and reports.
pub const SCRIPT: &str = "import \"own\" as own;\n\
    let cfg = settings(own::cfg());\n\
    let net = supernet(\"nas-bench-201\", cfg);\n\
    let d = data(#{ limit: 4 });\n\
    for epoch in epochs(cfg.epochs) { net.train_epoch(d.train, cfg); sleep(cfg.pause); }\n\
    net.save(\"w.safetensors\");\n";
pub const OWN: &str = "fn cfg() { #{ channels: 2, cells: 1, epochs: 6, batch_size: 16, lr: 0.05, pause: 0.0 } }\n";

pub fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.rhai"), SCRIPT).unwrap();
    fs::write(dir.path().join("own.rhai"), OWN).unwrap();
    dir
}

pub fn program(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    command.current_dir(dir).args(["--threads", "1"]).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code and stderr.
pub fn run(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = program(dir, args).output().unwrap();
    (status.code(), String::from_utf8_lossy(&stderr).into_owned())
}

pub fn succeeds(dir: &Path, args: &[&str]) -> String {
    let (code, err) = run(dir, args);
    assert_eq!(code, Some(0), "{args:?}: {err}");
    err
}

pub fn refused(dir: &Path, args: &[&str], parts: &[&str]) {
    let (code, err) = run(dir, args);
    assert_eq!(code, Some(1), "{args:?}: {err}");
    parts.iter().for_each(|part| assert!(err.contains(part), "{args:?}: `{part}` in\n{err}"));
}

pub fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.as_ref().display()))
}

/// A row of metrics.csv without its seconds.
pub fn timeless(row: &str) -> String {
    let (head, step) = row.rsplit_once(',').unwrap();
    format!("{},{step}", head.rsplit_once(',').unwrap().0)
}

/// metrics.csv without its seconds, and the weights.
pub fn outcome(run: &Path) -> Vec<String> {
    let rows = text(run.join("metrics.csv"));
    let rows = rows.lines().map(timeless);
    rows.chain([format!("{:?}", fs::read(run.join("w.safetensors")).unwrap())]).collect()
}

/// A run that waits after each epoch, once it has so many rows in metrics.csv, header included.
pub fn under_way(dir: &Path, rows: usize, more: &[&str]) -> Child {
    let child = program(dir, &[&["s.rhai", "--out", "run", "--set", "pause=0.3"], more].concat()).spawn().unwrap();
    let (start, log) = (Instant::now(), dir.join("run/metrics.csv"));
    while fs::read_to_string(&log).map_or(0, |t| t.lines().count()) < rows {
        assert!(start.elapsed() < Duration::from_secs(60), "row {rows} never came");
        std::thread::sleep(Duration::from_millis(5));
    }
    // The checkpoint of that epoch is written behind the row.
    std::thread::sleep(Duration::from_millis(100));
    child
}

pub fn killed(dir: &Path, rows: usize) {
    let mut child = under_way(dir, rows, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Change the manifest by hand; with its sum in order again if `sealed`.
pub fn forge(run: &Path, sealed: bool, change: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_json::from_str(&text(run.join("manifest.json"))).unwrap();
    change(&mut manifest);
    if sealed {
        manifest.as_object_mut().unwrap().shift_remove("sum");
        let sum = xxhash_rust::xxh3::xxh3_128(manifest.to_string().as_bytes());
        manifest["sum"] = format!("{sum:032x}").into();
    }
    fs::write(run.join("manifest.json"), manifest.to_string()).unwrap();
}
