//! What engines rely on: the result of a run, one command line that begins it, goes on and ends at once, no folder of mistakes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod project;

use isdarts_host::search::{RunFolder, RunState};
use project::{killed, program, project, refused, run, succeeds, text, under_way};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

/// result.json without what tells times and the run's name.
fn result(run: &Path) -> Value {
    let mut result: Value = serde_json::from_str(&text(run.join("result.json"))).unwrap();
    for key in ["seconds", "cpu_seconds"] {
        assert!(result[key].as_f64().unwrap() > 0.0, "{result}");
    }
    for key in ["id", "sum", "seconds", "cpu_seconds"] {
        result.as_object_mut().unwrap().shift_remove(key);
    }
    for search in result["searches"].as_array_mut().unwrap() {
        for what in ["metrics", "trainings"] {
            for of in search[what].as_array_mut().into_iter().flatten() {
                of["seconds"] = 0.into();
                for row in ["last", "best"] {
                    of[row]["seconds"] = 0.into();
                }
            }
        }
    }
    result
}

/// Values that are kept in the first loop are known to a run that was killed in the second.
const RESULTS: &str = "import \"own\" as own; let cfg = settings(own::cfg()); let d = data(#{ limit: 4 });\n\
    let net = supernet(\"nas-bench-201\", cfg);\n\
    for epoch in epochs(2) { net.train_epoch(d.train, cfg); record(#{ epoch: epoch, name: \"x\", good: true }); }\n\
    record(genotype(7));\n\
    for epoch in epochs(cfg.epochs) { net.train_epoch(d.train, cfg); sleep(cfg.pause); }\n\
    report(genotype(9930));\n\
    train_genotype(9930, d, #{ channels: 2, cells: 1, epochs: 1, batch_size: 16 });\n\
    net.save(\"w.safetensors\");";

#[test]
fn a_result_says_what_the_run_came_to_and_the_same_after_a_kill() {
    let dir = project();
    fs::write(dir.path().join("s.rhai"), RESULTS).unwrap();
    killed(dir.path(), 6);
    assert!(!dir.path().join("run/result.json").exists());
    succeeds(dir.path(), &["--resume", "run"]);
    succeeds(dir.path(), &["s.rhai", "--out", "whole", "--set", "pause=0.3"]);
    let found = result(&dir.path().join("run"));
    assert_eq!(found, result(&dir.path().join("whole")));
    assert_eq!((&found["format"], &found["seed"], &found["data"]), (&json!(1), &json!(0), &json!("digits")));
    assert_eq!(found["settings"]["lr"], 0.05);
    assert_eq!(found["set"], json!({"pause": 0.3}));
    let [first, second] = &found["searches"].as_array().unwrap()[..] else { panic!("{found}") };
    assert_eq!(first["values"], json!({"epoch": 2, "name": "x", "good": true}));
    assert_eq!((&first["nas_bench_201"]["index"], &second["nas_bench_201"]["index"]), (&json!(7), &json!(9930)));
    assert_eq!(second["nas_bench_201"]["cifar10_test"], 94.3633);
    // Loops of 2, 6 and 1 epochs, all of one label and net.
    let metrics = &second["metrics"][0];
    assert_eq!(
        (&metrics["epochs"], &metrics["last"]["step"], &metrics["last"]["epoch"]),
        (&json!(9), &json!(9), &json!(1))
    );
    assert!(metrics["best"]["accuracy"].as_f64() >= metrics["last"]["accuracy"].as_f64());
    let training = &second["trainings"][0];
    assert_eq!((&training["folder"], &training["epochs"]), (&json!("train-002"), &json!(1)));
}

#[test]
fn the_same_words_begin_a_run_go_on_with_it_and_see_that_it_is_finished() {
    let dir = project();
    let words = ["s.rhai", "--out", "run", "--continue", "--set", "pause=0.3"];
    let manifest = || serde_json::from_str::<Value>(&text(dir.path().join("run/manifest.json"))).unwrap();
    let state = || RunFolder::state(&dir.path().join("run"), &manifest());
    let mut first = under_way(dir.path(), 3, &["--continue"]);
    assert_eq!(state(), RunState::Running);
    let (code, err) = run(dir.path(), &words);
    assert!(code == Some(75) && err.contains("that process"), "{err}");
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!((manifest()["status"].as_str(), state()), (Some("running"), RunState::Stopped));
    let err = succeeds(dir.path(), &words);
    assert!(err.contains("resumed after epoch 2 of 6"), "{err}");
    assert_eq!(state(), RunState::Finished);
    let before = fs::read_dir(dir.path().join("run")).unwrap().count();
    let stamp = || fs::metadata(dir.path().join("run/result.json")).unwrap().modified().unwrap();
    let written = stamp();
    assert_eq!(succeeds(dir.path(), &words), "run is finished\n");
    assert_eq!((fs::read_dir(dir.path().join("run")).unwrap().count(), stamp()), (before, written));
    // Other words are another run.
    for (more, message) in [
        (&["--seed", "1"][..], "--seed with --continue: got 1, expected 0, as the run began"),
        (&["--data", "cifar10"], "--data with --continue: got \"cifar10\""),
        (&["--set", "lr=0.1"], "--set with --continue: got {\"pause\":0.3,\"lr\":0.1}"),
        (&["--", "x"], "-- ARGS with --continue"),
    ] {
        refused(dir.path(), &[&words[..], more].concat(), &[message, "another run needs another folder"]);
    }
    refused(dir.path(), &words[..4], &["--set with --continue: got {}, expected {\"pause\":0.3}"]);
    fs::write(dir.path().join("s.rhai"), format!("{}// x", project::SCRIPT)).unwrap();
    assert_eq!(succeeds(dir.path(), &words), "run is finished; s.rhai was changed since\n");
    // A run whose result was lost is not finished.
    fs::remove_file(dir.path().join("run/result.json")).unwrap();
    assert_eq!(state(), RunState::Stopped);
    succeeds(dir.path(), &words);
    assert_eq!(state(), RunState::Finished);
}

/// `RACES` is how often; a run of this test by hand takes 100.
#[test]
fn of_two_that_begin_a_run_at_once_one_does_and_the_folder_is_sound() {
    let times = std::env::var("ISDARTS_RACES").map_or(4, |n| n.parse().unwrap());
    let mut seen = std::collections::BTreeMap::new();
    for time in 0..times {
        let dir = project();
        let words = ["s.rhai", "--out", "run", "--continue"];
        let mut both: Vec<Child> = (0..2).map(|_| program(dir.path(), &words).spawn().unwrap()).collect();
        if time % 2 == 1 {
            // One is killed in the middle, the other begins, goes on, or is told that somebody works there.
            std::thread::sleep(Duration::from_millis(20 + 7 * (time / 2 % 40)));
            both[0].kill().unwrap();
        }
        let codes: Vec<_> = both.into_iter().map(|c| c.wait_with_output().unwrap().status.code()).collect();
        assert!(codes[1] == Some(0) || codes[1] == Some(75), "{codes:?}");
        *seen.entry(codes).or_insert(0) += 1;
        succeeds(dir.path(), &words);
        let epochs: Vec<String> = text(dir.path().join("run/metrics.csv"))
            .lines()
            .skip(1)
            .map(|row| row.split(',').nth(1).unwrap().to_string())
            .collect();
        assert_eq!(epochs, ["1", "2", "3", "4", "5", "6"]);
        assert_eq!(RunFolder::read_result(&dir.path().join("run")).unwrap().unwrap()["seed"], 0);
    }
    println!("{times} times two processes, by their exit codes: {seen:?}");
}

#[test]
fn a_mistake_in_a_setting_leaves_no_folder_and_one_after_work_does() {
    let dir = project();
    let searched = "import \"own\" as own; let m = setting(\"method\", [\"a\", \"b\"]); let cfg = settings(own::cfg());\n\
        if cfg.pause == 9.0 { record(genotype(7)); } let net = supernet(\"nas-bench-201\", cfg);\n\
        for epoch in epochs(cfg.epochs) { net.train_epoch(data(#{ limit: 4 }).train, cfg); }";
    fs::write(dir.path().join("s.rhai"), searched).unwrap();
    fs::write(dir.path().join("other.rhai"), "print(1);").unwrap();
    for set in ["epochz=3", "epochs=x", "lr=-1", "method=c", "channels=0.5"] {
        for out in [&["--out", "deep/run"][..], &["--out", "run", "--continue"], &[]] {
            let (code, err) = run(dir.path(), &[&["s.rhai", "--set", set], out].concat());
            assert!(code == Some(1) && err.starts_with("error: "), "{set}: {err}");
            let left = ["deep/run", "run"].iter().any(|folder| dir.path().join(folder).exists());
            assert!(!left && fs::read_dir(dir.path().join("runs")).map_or(0, Iterator::count) == 0, "{set} {out:?}");
        }
    }
    refused(dir.path(), &["other.rhai", "--set", "lr=1", "--out", "run"], &["`lr`, which this script does not read"]);
    assert!(!dir.path().join("run").exists());
    // What was done stays, and says why it went no further.
    refused(dir.path(), &["s.rhai", "--out", "run", "--set", "pause=9.0", "--set", "lr=-1"], &["lr"]);
    let manifest: Value = serde_json::from_str(&text(dir.path().join("run/manifest.json"))).unwrap();
    assert!(manifest["status"] == "failed" && manifest["error"].as_str().unwrap().contains("lr"), "{manifest}");
}
