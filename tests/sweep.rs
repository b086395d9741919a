//! Sweeps, through the binary: planned, checked, killed, gone on with, tabulated.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `isdarts-host sweep WORDS` in `folder`: exit code, standard output, standard error.
fn sweep(folder: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    command.arg("sweep").args(words).current_dir(folder);
    for variable in ["SLURM_ARRAY_TASK_ID", "HQ_TASK_ID", "PBS_ARRAY_INDEX", "CUDA_VISIBLE_DEVICES"] {
        command.env_remove(variable);
    }
    let out = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// The same, which has to work: standard output and standard error, one behind the other.
fn works(folder: &Path, words: &[&str]) -> String {
    let (code, out, err) = sweep(folder, words);
    assert_eq!(code, Some(0), "{words:?}\n{out}{err}");
    out + &err
}

/// A second of searching.
const TINY: &str = "script = \"search\"\nout = \"runs\"\n[set]\nchannels = 2\ncells = 1\nlimit = 8\n";

fn status(folder: &Path) -> String {
    sweep(folder, &["status", "runs"]).1.lines().next().unwrap_or_default().to_string()
}

#[test]
fn a_mistake_in_any_point_is_found_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    for (words, expected) in [
        (&["search", "--set", "method=gdas,is_darst"][..], "point 1 (method=is_darst)"),
        (&["search", "--set", "chanels=4", "--seed", "0..3"], "did you mean `channels`?"),
        (&["search", "--set", "lr=0.1,fast"], "point 1 (lr=fast): "),
        (&["search", "--set", "method=random", "--set", "warmup=3"], "`warmup`, which this script does not read"),
        (&["search", "--set", "lr=0.1,-1"], "point 1 (lr=-1): "),
        (&["search", "--data", "digits,cifar1000"], "unknown data set or folder `cifar1000`"),
        (&["serach"], "unknown sweep `serach`, did you mean `search`?"),
        (&["table-1", "--set", "method=is_darts", "--set", "shrink_stepz=2"], "did you mean `shrink_steps`?"),
        (&["none.rhai"], "cannot read none.rhai"),
        (&["search", "--seed", "a"], "expected seeds"),
    ] {
        let (code, _, err) = sweep(dir.path(), words);
        assert!(code.is_some_and(|code| code > 0) && err.contains(expected), "{words:?}: {err}");
    }
    assert!(std::fs::read_dir(dir.path()).unwrap().next().is_none());
}

#[test]
fn runs_finish_are_counted_and_tabulated_and_the_plan_grows() {
    let dir = tempfile::tempdir().unwrap();
    let file = |seeds: &str| {
        let text = format!(
            "{TINY}[grid]\nmethod = [\"random\", \"i_darts\"]\nseed = {seeds}\n[[where]]\nwhen = {{method = \"i_darts\"}}\nset = {{epochs = 1}}\n[[beside]]\nsource = \"paper\"\nmethod = \"i_darts\"\ncifar10_test = 93.31\n"
        );
        std::fs::write(dir.path().join("s.toml"), text).unwrap();
    };
    file("\"0..1\"");
    let shown = works(dir.path(), &["s.toml", "--dry-run"]);
    assert!(shown.contains("4 points: 4 waiting, 4 of them new") && shown.contains("2  i_darts-seed0"), "{shown}");
    assert!(!dir.path().join("runs").exists());
    let said = works(dir.path(), &["s.toml", "--jobs", "2", "--threads", "1"]);
    assert!(said.contains("[4/4] ") && said.contains("all finished"), "{said}");
    assert_eq!(status(dir.path()), "4 points: 4 finished");
    assert!(works(dir.path(), &["runs"]).contains("nothing to start"));
    file("[0, 1, 2]");
    let lines = works(dir.path(), &["s.toml", "--engine", "print"]);
    let last: Vec<&str> = lines.lines().filter(|line| line.contains(" sweep task ")).collect();
    assert!(last.len() == 2 && last[0].ends_with("/runs 4") && last[1].ends_with("/runs 5"), "{lines}");
    // One task by hand, one by the engine's variable.
    works(dir.path(), &["task", "runs", "4"]);
    let mut by_variable = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    by_variable.args(["sweep", "task", "runs"]).env("HQ_TASK_ID", "5").current_dir(dir.path());
    assert!(by_variable.output().unwrap().status.success());
    assert_eq!(sweep(dir.path(), &["task", "runs", "6"]).0, Some(1));

    let table = works(dir.path(), &["table", "runs", "--columns", "cifar10_test,seconds"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["method", "runs", "cifar10_test", "seconds"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][3]), ("random", "3", "+-"));
    assert_eq!(rows[3], ["i_darts", "paper", "93.31", "-"]);
    let csv = works(dir.path(), &["table", "runs", "--runs", "--format", "csv"]);
    assert!(csv.starts_with("index,method,seed,cifar10_test,") && csv.lines().count() == 7, "{csv}");
    let (_, _, err) = sweep(dir.path(), &["table", "runs", "--by", "methud"]);
    assert!(err.contains("did you mean `method`?"), "{err}");
}

#[test]
fn a_table_shows_what_scripts_record_before_the_usual_results() {
    let dir = tempfile::tempdir().unwrap();
    let script = "let cfg = settings(#{ n: 1 }); label(\"all\"); record(#{ twice: 2 * cfg.n }); label(\"more\"); record(genotype(cfg.n));";
    std::fs::write(dir.path().join("s.rhai"), script).unwrap();
    works(dir.path(), &["s.rhai", "--set", "n=3,4", "--out", "runs"]);
    let csv = works(dir.path(), &["table", "runs", "--runs", "--format", "csv"]);
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("index,n,twice,cifar10_test,"), "{csv}");
    assert!(lines[1].starts_with("0,3,6,") && lines[2].starts_with("1,4,8,"), "{csv}");
    // One run has no deviation.
    let table = works(dir.path(), &["table", "runs", "--columns", "twice"]);
    assert_eq!(
        table.split_whitespace().collect::<Vec<_>>(),
        ["n", "runs", "twice", "3", "1", "6.00", "4", "1", "8.00"]
    );
}

#[test]
fn what_failed_says_why_and_is_tried_again_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let script =
        "let cfg = settings(#{ n: 0 }); if cfg.n == 1 { assert(run_file(\"x\") == \"\"); } report(genotype(cfg.n));";
    std::fs::write(dir.path().join("mine.rhai"), script).unwrap();
    let (code, _, err) = sweep(dir.path(), &["mine.rhai", "--set", "n=0..2", "--out", "runs"]);
    assert!(
        code == Some(1) && err.contains("1 of 3 runs that did not finish") && err.contains("mine.rhai:1:"),
        "{err}"
    );
    assert_eq!(status(dir.path()), "3 points: 2 finished, 1 failed");
    assert!(works(dir.path(), &["runs"]).contains("1 failed before and are left alone"));
    let (code, _, err) = sweep(dir.path(), &["retry", "runs"]);
    assert!(code == Some(1) && err.contains("[1/1] n=1 failed"), "{err}");
    // Another script is another sweep, unless it is planned anew.
    std::fs::write(dir.path().join("mine.rhai"), format!("{script}\n")).unwrap();
    let (_, _, err) = sweep(dir.path(), &["retry", "runs"]);
    assert!(err.contains("a script that was changed since"), "{err}");
}

/// The process numbers of living children of this program that work in `folder`.
#[cfg(target_os = "linux")]
fn living(folder: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let words = |entry: &std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
    let ours = processes.filter(|entry| words(entry).contains(&format!("task\0{}", folder.display())));
    ours.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(120), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_sweep_leaves_no_orphans_and_goes_on_to_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{TINY}epochs = 4\nshrink_steps = 2\nshrink_every = 1\n[grid]\nseed = \"0..5\"\n");
    std::fs::write(dir.path().join("s.toml"), text).unwrap();
    let start = || -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
        command.args(["sweep", "s.toml", "--jobs", "2", "--threads", "1"]).current_dir(dir.path());
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let runs = dir.path().join("runs").canonicalize().unwrap_or(dir.path().join("runs"));
    let done = || (0..6).filter(|seed| runs.join(format!("seed{seed}/genotype.txt")).exists()).count();
    for at_least in [1, 3] {
        let mut parent = start();
        until("a run finishes", || done() >= at_least);
        parent.kill().unwrap();
        parent.wait().unwrap();
        until("the children notice", || living(&runs).is_empty());
    }
    // Ctrl-C is passed on, and the parent waits.
    let mut parent = start();
    until("it begins", || !living(&runs).is_empty() || done() == 6);
    Command::new("kill").args(["-INT", &parent.id().to_string()]).status().unwrap();
    let code = parent.wait().unwrap().code();
    assert!(code == Some(130) || done() == 6, "{code:?}");
    assert!(living(&runs).is_empty());
    assert!(start().wait().unwrap().success());
    assert_eq!(status(dir.path()), "6 points: 6 finished");

    works(dir.path(), &["s.toml", "--out", "alone", "--jobs", "1", "--threads", "2"]);
    for seed in 0..6 {
        for name in ["genotype.txt", "iim.csv"] {
            let read = |sweep: &str| std::fs::read(dir.path().join(format!("{sweep}/seed{seed}/{name}"))).unwrap();
            assert!(!read("runs").is_empty() && read("runs") == read("alone"), "{name} of seed {seed}");
        }
    }
}

#[test]
fn a_thousand_points_are_planned_listed_and_tabulated_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let words = ["search", "--set", "method=random,gdas,darts,is_darts", "--seed", "0..249", "--out", "runs"];
    let lines = works(dir.path(), &[&words[..], &["--engine", "print"]].concat());
    let planned = begin.elapsed();
    assert_eq!(lines.lines().filter(|line| line.contains(" sweep task ")).count(), 1000);
    let begin = Instant::now();
    assert_eq!(status(dir.path()), "1000 points: 1000 waiting");
    let listed = begin.elapsed();
    println!("planned and checked in {planned:?}, listed in {listed:?}");
    // The measure is a second in a release build on a quiet machine; here it is that nothing takes time by the square.
    assert!(planned < Duration::from_secs(20) && listed < Duration::from_secs(10));
}

#[test]
fn searches_of_a_script_find_the_same_as_processes_and_one_after_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let compare = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/compare.rhai");
    let run = |out: &str, words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
        command.arg(&compare).args(["--set", "methods=random, is_darts", "--set", "seeds=2", "--set", "epochs=3"]);
        command.args(["--set", "shrink_steps=2", "--set", "shrink_every=1", "--set", "channels=2", "--set", "limit=8"]);
        let done = command.args(["--seed", "3", out, "run"]).args(words).current_dir(dir.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let rows = std::fs::read_to_string(dir.path().join("run/compare.csv")).unwrap();
        let plain = rows.lines().map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect::<Vec<_>>();
        (plain, String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (alone, _) = run("--out", &[]);
    std::fs::rename(dir.path().join("run"), dir.path().join("alone")).unwrap();
    let (apart, said) = run("--out", &["--set", "jobs=2"]);
    assert!(alone.len() == 5 && alone == apart, "{alone:?}\n{apart:?}");
    assert!(said.contains("4/4 "), "{said}");
    // Each is a run of its own: one that is lost is searched again, the others are not.
    let epochs = |name: &str| {
        let log = std::fs::read_to_string(dir.path().join(format!("run/searches/{name}.log"))).unwrap();
        log.matches("epoch 3/3").count()
    };
    std::fs::remove_dir_all(dir.path().join("run/searches/is_darts-0")).unwrap();
    assert_eq!(run("--resume", &["--set", "jobs=2"]).0, apart);
    assert_eq!((epochs("is_darts-0"), epochs("is_darts-1")), (2, 1));
}
