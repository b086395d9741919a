//! What a run writes, through the binary: nothing outside its folder, nothing half, nothing of others, and an end in words.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod project;

use project::{killed, program, project, refused, run, succeeds, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A run of `script` in `dir/run`.
fn of_script(dir: &Path, script: &str) -> (Option<i32>, String) {
    fs::write(dir.join("t.rhai"), script).unwrap();
    fs::remove_dir_all(dir.join("run")).ok();
    run(dir, &["t.rhai", "--out", "run"])
}

const NET: &str = "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });";

#[test]
fn scripts_write_into_the_run_folder_and_not_over_the_programs_own_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), "precious").unwrap();
    let absolute = dir.path().join("precious").display().to_string();
    for name in ["../precious", "x/../../precious", absolute.as_str(), "", ".", "/"] {
        for act in [format!("{NET} net.save(\"{name}\");"), format!("write_text(\"{name}\", \"x\");")] {
            let (code, err) = of_script(dir.path(), &act);
            assert!(code == Some(1) && err.contains("file in the run folder: got "), "{act}: {err}");
        }
    }
    assert_eq!(text(dir.path().join("precious")), "precious");
    for name in ["manifest.json", "Manifest.JSON", "metrics.csv", "iim.csv", "genotype.txt", "lock", "script/s.rhai"]
        .into_iter()
        .chain(["checkpoint/loop-000/state.safetensors", "train-000/last.safetensors"])
        .chain(["result.json", "events.out.tfevents.0.isdarts-host"])
    {
        for act in [
            format!("write_text(\"{name}\", \"x\");"),
            format!("write_csv(\"{name}\", [\"a\"], [[1]]);"),
            format!("write_figure(\"{name}\", #{{ series: [#{{ name: \"a\", points: [[1, 2]] }}] }});"),
            format!("{NET} net.save(\"{name}\");"),
            format!("{NET} net.save(run_file(\"{name}\"));"),
        ] {
            let (code, err) = of_script(dir.path(), &act);
            assert!(code == Some(1) && err.contains("another name: this one is the program's own"), "{act}: {err}");
        }
    }
    let both = format!(
        "{NET} net.save(\"a.safetensors\"); net.save(run_file(\"b.safetensors\")); net.load(\"a.safetensors\");"
    );
    let (code, err) = of_script(dir.path(), &both);
    assert!(code == Some(0) && dir.path().join("run/b.safetensors").is_file(), "{err}");
    fs::rename(dir.path().join("run/a.safetensors"), dir.path().join("beside.safetensors")).unwrap();
    let (code, err) = of_script(dir.path(), &format!("{NET} net.load(\"beside.safetensors\");"));
    assert_eq!(code, Some(0), "{err}");
    let (code, err) = of_script(dir.path(), &format!("{NET} net.load(\"/etc/hostname\");"));
    assert!(code == Some(1) && err.contains("file to read: got /etc/hostname"), "{err}");
}

#[test]
fn links_in_a_run_folder_are_not_followed() {
    let dir = project();
    killed(dir.path(), 3);
    let (run, outside) = (dir.path().join("run"), dir.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    for log in ["metrics.csv", "iim.csv", "lock"] {
        let precious = outside.join(log);
        fs::rename(run.join(log), &precious).unwrap();
        let before = text(&precious);
        symlink(&precious, run.join(log)).unwrap();
        refused(dir.path(), &["--resume", "run"], &[log, "got a link, expected a plain file"]);
        assert_eq!(text(&precious), before);
        fs::remove_file(run.join(log)).unwrap();
        fs::rename(&precious, run.join(log)).unwrap();
    }
    let precious = outside.join("precious");
    fs::write(&precious, "precious").unwrap();
    for name in ["w.safetensors", "genotype.txt.tmp", "manifest.json.tmp", "checkpoint/loop-000/state.safetensors.tmp"]
    {
        symlink(&precious, run.join(name)).unwrap();
    }
    succeeds(dir.path(), &["--resume", "run"]);
    assert_eq!(text(&precious), "precious");
    assert!(!run.join("w.safetensors").is_symlink());
    fs::rename(run.join("checkpoint"), outside.join("checkpoint")).unwrap();
    symlink(outside.join("checkpoint"), run.join("checkpoint")).unwrap();
    let before = fs::read(outside.join("checkpoint/loop-000/state.safetensors")).unwrap();
    let longer = ["--resume", "run", "--set", "epochs=6"];
    run_any(dir.path(), &longer);
    assert_eq!(fs::read(outside.join("checkpoint/loop-000/state.safetensors")).unwrap(), before);
}

fn run_any(dir: &Path, args: &[&str]) {
    program(dir, args).output().unwrap();
}

#[test]
fn without_a_run_folder_files_go_to_a_folder_of_the_process() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), "precious").unwrap();
    symlink(dir.path().join("precious"), dir.path().join("out.txt")).unwrap();
    let out =
        program(dir.path(), &["-e", "write_text(\"out.txt\", \"x\")"]).env("TMPDIR", dir.path()).output().unwrap();
    let path = String::from_utf8(out.stdout).unwrap();
    assert_eq!((text(path.trim()).as_str(), text(dir.path().join("precious")).as_str()), ("x", "precious"));
    assert!(Path::new(path.trim()).parent().unwrap() != dir.path(), "{path}");
}

/// `script` under `ulimit -f BLOCKS` (of 1024 bytes).
fn limited(dir: &Path, blocks: usize, args: &str) -> (Option<i32>, String) {
    let line = format!("ulimit -f {blocks}; exec \"$0\" --threads 1 {args}");
    let out =
        Command::new("bash").args(["-c", &line, env!("CARGO_BIN_EXE_isdarts-host")]).current_dir(dir).output().unwrap();
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn a_file_stays_until_the_new_one_is_whole_and_a_limit_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let figure = "let p = []; for i in 0..900 { p.push([i, i]); } \
        write_figure(\"w\", #{ series: [#{ name: \"a\", points: p }] });";
    let big = "let t = \"0123456789\"; for i in 0..12 { t += t; } ";
    for act in [
        "supernet(\"nas-bench-201\", #{ channels: 8, cells: 2 }).save(\"w\");".to_string(),
        format!("{big} write_text(\"w\", t);"),
        format!("{big} write_csv(\"w\", [\"a\"], [[t]]);"),
        figure.to_string(),
    ] {
        fs::remove_dir_all(dir.path().join("run")).ok();
        fs::write(dir.path().join("s.rhai"), format!("write_text(\"w\", \"precious\"); {act}")).unwrap();
        let (code, err) = limited(dir.path(), 20, "s.rhai --out run");
        assert!(
            code == Some(1) && err.contains("cannot write ") && err.contains("File too large"),
            "{act}: {code:?} {err}"
        );
        assert_eq!(text(dir.path().join("run/w")), "precious", "{act}");
    }
    let (code, err) = limited(dir.path(), 0, "s.rhai --out none");
    assert!(code == Some(1) && err.contains("File too large"), "{code:?} {err}");
}

#[test]
fn runs_that_begin_in_the_same_second_have_folders_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}.rhai", "s".repeat(240));
    for script in ["s.rhai", long.as_str()] {
        fs::write(dir.path().join(script), "write_text(\"done\", \"x\");").unwrap();
        let children: Vec<Child> = (0..6).map(|_| program(dir.path(), &[script]).spawn().unwrap()).collect();
        for child in children {
            let out = child.wait_with_output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        }
    }
    let runs: Vec<_> = fs::read_dir(dir.path().join("runs")).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(runs.len() == 12 && runs.iter().all(|run| run.join("done").is_file()), "{runs:?}");
    refused(dir.path(), &["gone.rhai"], &["cannot read gone.rhai"]);
    assert_eq!(
        fs::read_dir(dir.path().join("runs")).unwrap().count(),
        12,
        "where there is nothing to run, nothing is made"
    );
}

#[test]
fn the_first_error_is_told_where_the_folder_vanishes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.rhai"), "sleep(0.5); throw \"the script's own\";").unwrap();
    let child = program(dir.path(), &["s.rhai", "--out", "run"]).spawn().unwrap();
    let start = Instant::now();
    while !dir.path().join("run/manifest.json").exists() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(2));
    }
    // In the middle of the script's sleep.
    std::thread::sleep(Duration::from_millis(200));
    fs::remove_dir_all(dir.path().join("run")).unwrap();
    let out = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(1) && err.contains("the script's own"), "{err}");
}

#[test]
fn a_run_that_a_signal_ends_in_a_native_call_is_called_interrupted_and_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let busy = "let a = []; for i in 0..60000 { a.push(i); } note(\"now\"); for i in 0..99 { kendall(a, a); }";
    fs::write(dir.path().join("s.rhai"), busy).unwrap();
    let mut child = program(dir.path(), &["s.rhai", "--out", "run"]).spawn().unwrap();
    let mut line = [0; 4];
    std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut line).unwrap();
    // Nobody reads stderr any more: that must not keep it alive.
    drop(child.stderr.take());
    let start = Instant::now();
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    let manifest: Value = serde_json::from_str(&text(dir.path().join("run/manifest.json"))).unwrap();
    assert_eq!((&manifest["status"], text(dir.path().join("run/lock")).as_str()), (&json!("interrupted"), ""));
}

#[test]
fn labels_that_would_break_a_table_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for label in ["a\\tb", "a\\nb", "a\\x00b", "\\x1b[2J"] {
        for act in [format!("label(\"{label}\");"), format!("report(\"{label}\", genotype(3));")] {
            let (code, err) = of_script(dir.path(), &act);
            assert!(code == Some(1) && err.contains("label: got \"") && !err.contains('\u{1b}'), "{act}: {err}");
        }
    }
}
