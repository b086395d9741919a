//! Run folders through the binary: one writer at a time, and a resumed run is made of what it began with.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod ended;
mod project;

use ended::ended;
use project::{OWN, forge, killed, outcome, program, project, refused, run, succeeds, text, under_way};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

#[test]
fn a_folder_that_a_living_process_holds_is_refused_with_a_code_of_its_own_and_not_touched() {
    let dir = project();
    let first = under_way(dir.path(), 3, &[]);
    for args in [&["--resume", "run"][..], &["s.rhai", "--out", "run"], &["s.rhai", "--resume", "run"]] {
        let (code, err) = run(dir.path(), args);
        assert_eq!(code, Some(75), "{args:?}: {err}");
        let holder = format!("got a folder that process {} on ", first.id());
        assert!(err.contains(&holder) && err.contains("expected one that is free"), "{err}");
    }
    let out = first.wait_with_output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let rows = text(dir.path().join("run/metrics.csv"));
    let epochs: Vec<&str> = rows.lines().skip(1).map(|row| row.split(',').nth(1).unwrap()).collect();
    assert_eq!(epochs, ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn a_lock_that_a_killed_process_left_is_taken_and_one_of_another_machine_says_what_to_do() {
    let dir = project();
    killed(dir.path(), 3);
    let lock = dir.path().join("run/lock");
    assert!(text(&lock).contains(" process "), "{}", text(&lock));
    fs::write(&lock, "host far.example process 7\n").unwrap();
    let (code, err) = run(dir.path(), &["--resume", "run"]);
    assert_eq!(code, Some(75));
    assert!(err.contains("process 7 on far.example") && err.contains("(rm 'run/lock') and try again"), "{err}");
    fs::remove_file(&lock).unwrap();
    succeeds(dir.path(), &["--resume", "run"]);
    assert_eq!(text(&lock), "");
}

#[test]
fn of_two_that_resume_at_once_one_does() {
    let dir = project();
    killed(dir.path(), 2);
    let both: Vec<Child> = (0..2).map(|_| program(dir.path(), &["--resume", "run"]).spawn().unwrap()).collect();
    let mut codes: Vec<_> = both.into_iter().map(|c| c.wait_with_output().unwrap().status.code().unwrap()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [0, 75]);
}

#[test]
fn a_run_goes_on_with_the_texts_it_began_with_from_any_folder_whatever_became_of_them() {
    let dir = project();
    killed(dir.path(), 3);
    succeeds(dir.path(), &["s.rhai", "--out", "whole", "--set", "pause=0.3"]);
    let whole = outcome(&dir.path().join("whole"));
    let copy = |to: &str| {
        let status = Command::new("cp").arg("-r").arg("run").arg(to).current_dir(dir.path()).status().unwrap();
        assert!(status.success());
        dir.path().join(to)
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let changed = OWN.replace("0.05", "0.001");
    let path = copy("far");
    succeeds(elsewhere.path(), &["--resume", path.to_str().unwrap()]);
    assert_eq!(outcome(&path), whole);

    fs::write(dir.path().join("own.rhai"), &changed).unwrap();
    let path = copy("edited");
    let err = succeeds(dir.path(), &["--resume", "edited"]);
    assert!(err.contains("own.rhai was changed since the run began: going on with the text it began with"), "{err}");
    assert_eq!(outcome(&path), whole);

    let path = copy("taken");
    let err = succeeds(dir.path(), &["--resume", "taken", "--accept-changes"]);
    assert!(err.contains("own.rhai was changed since the run began: going on with the new text"), "{err}");
    let rates: Vec<String> =
        outcome(&path).iter().skip(1).filter_map(|row| row.split(',').nth(5).map(str::to_string)).collect();
    assert!(rates.iter().any(|lr| lr.parse::<f64>().unwrap() < 0.0011), "{rates:?}");

    fs::remove_file(dir.path().join("own.rhai")).unwrap();
    fs::remove_file(dir.path().join("s.rhai")).unwrap();
    let path = copy("gone");
    let err = succeeds(dir.path(), &["--resume", "gone"]);
    assert!(err.contains("s.rhai is gone since the run began") && err.contains("own.rhai is gone"), "{err}");
    assert_eq!(outcome(&path), whole);

    // Neither the original nor a sound copy.
    copy("damaged");
    fs::write(dir.path().join("damaged/script/own.rhai"), &changed).unwrap();
    refused(dir.path(), &["--resume", "damaged"], &["script/own.rhai", "expected the text of", "the run began with"]);
}

#[test]
fn what_a_run_is_made_of_is_compared_and_the_difference_named() {
    let dir = project();
    killed(dir.path(), 3);
    let run = dir.path().join("run");
    let manifest = text(run.join("manifest.json"));
    let cases: [(&str, fn(&mut Value), &str); 5] = [
        ("set", |m| m["run"]["set"]["lr"] = json!(0.001), "setting lr (the script's) -> 0.001"),
        ("another value", |m| m["run"]["set"]["pause"] = json!(0.25), "setting pause 0.3 -> 0.25"),
        ("seed", |m| m["run"]["seed"] = json!(7), "seed 0 -> 7"),
        ("arguments", |m| m["run"]["args"] = json!(["x"]), "arguments [] -> [\"x\"]"),
        ("data", |m| m["run"]["data"] = json!("cifar10"), "data digits -> cifar10"),
    ];
    for (what, change, message) in cases {
        forge(&run, true, change);
        refused(dir.path(), &["--resume", "run"], &["resuming run: got changes: ", message, "--accept-changes"]);
        fs::write(run.join("manifest.json"), &manifest).unwrap();
        forge(&run, false, change);
        refused(
            dir.path(),
            &["--resume", "run"],
            &["manifest.json: got a text with sum ", "damaged, or changed by hand"],
        );
        fs::write(run.join("manifest.json"), &manifest).unwrap();
        assert!(!what.is_empty());
    }
    for field in ["script", "data", "seed", "set", "args", "device"] {
        forge(&run, true, |m| drop(m["run"].as_object_mut().unwrap().shift_remove(field)));
        refused(dir.path(), &["--resume", "run"], &[&format!("manifest.json: got no `run.{field}`")]);
        fs::write(run.join("manifest.json"), &manifest).unwrap();
    }
    let err = succeeds(dir.path(), &["--resume", "run", "--set", "pause=0.0", "--accept-changes"]);
    assert!(err.contains("going on with changes: setting pause 0.3 -> 0.0"), "{err}");
}

#[test]
fn a_checkpoint_of_another_run_is_refused() {
    let dir = project();
    killed(dir.path(), 3);
    succeeds(dir.path(), &["s.rhai", "--out", "other"]);
    let state = "checkpoint/loop-000/state.safetensors";
    fs::copy(dir.path().join("other").join(state), dir.path().join("run").join(state)).unwrap();
    refused(dir.path(), &["--resume", "run"], &["run: got a checkpoint of another run, of loop 0"]);
}

#[test]
fn steps_with_given_gradients_have_rows_in_the_metrics_as_others_have() {
    let dir = tempfile::tempdir().unwrap();
    let script = |step: &str| {
        format!(
            "let d = data(#{{ limit: 4 }}).train; let net = supernet(\"nas-bench-201\", #{{ channels: 2, cells: 1 }});\n\
             let cfg = #{{ epochs: 2, batch_size: 16 }};\n\
             for epoch in epochs(2) {{ for b in net.batches(d, cfg) {{ {step} }} }}"
        )
    };
    let [own, given] = ["net.step(b, cfg);", "net.step(net.backward(net.loss(b)), b, cfg);"].map(|step| {
        fs::write(dir.path().join("s.rhai"), script(step)).unwrap();
        fs::remove_dir_all(dir.path().join("run")).ok();
        succeeds(dir.path(), &["s.rhai", "--out", "run"]);
        let rows = text(dir.path().join("run/metrics.csv"));
        rows.lines().map(project::timeless).collect::<Vec<_>>()
    });
    assert!(own.len() == 3 && own == given, "{own:?} {given:?}");
}

/// Pictures of two classes, one value each.
fn pictures(folder: &Path, value: u8) {
    for name in ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/1.png"] {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(8, 8, image::Rgb([value; 3])).save(folder.join(name)).unwrap();
    }
}

#[test]
fn data_that_changed_is_named_by_its_fingerprint_and_found_from_any_folder() {
    let dir = tempfile::tempdir().unwrap();
    pictures(&dir.path().join("pics"), 9);
    let script = "let d = data(); let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n\
        for epoch in epochs(3) { net.train_epoch(d.train, #{ batch_size: 2, lr: 0.01, epochs: 3 }); }";
    fs::write(dir.path().join("s.rhai"), script).unwrap();
    succeeds(dir.path(), &["s.rhai", "--data", "pics", "--out", "run"]);
    let elsewhere = tempfile::tempdir().unwrap();
    succeeds(elsewhere.path(), &["--resume", dir.path().join("run").to_str().unwrap()]);
    pictures(&dir.path().join("pics"), 200);
    let parts = ["resuming run: got changes: fingerprint of data pics", "--accept-changes"];
    refused(dir.path(), &["--resume", "run"], &parts);
    let err = succeeds(dir.path(), &["--resume", "run", "--accept-changes"]);
    assert!(err.contains("going on with changes: fingerprint of data pics"), "{err}");
}

#[test]
fn damaged_logs_are_found() {
    let dir = project();
    killed(dir.path(), 4);
    let log = dir.path().join("run/metrics.csv");
    let whole = fs::read(&log).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 3] ^= 1;
    for damaged in [flipped, vec![b'x'; 4096], whole[..10].to_vec()] {
        fs::write(&log, damaged).unwrap();
        refused(dir.path(), &["--resume", "run"], &["run/metrics.csv: got ", "something else changed them since"]);
    }
    fs::write(&log, whole).unwrap();
    succeeds(dir.path(), &["--resume", "run"]);
}

#[test]
fn a_log_that_is_emptied_during_the_run_fails_it() {
    let dir = project();
    let child = under_way(dir.path(), 3, &[]);
    fs::write(dir.path().join("run/metrics.csv"), "").unwrap();
    let out = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{err}");
    assert!(err.contains("metrics.csv: got 0 bytes, expected the "), "{err}");
}

#[test]
fn damaged_weights_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let script = "train_genotype(9930, data(#{ limit: 4 }), #{ channels: 2, cells: 1, epochs: 1, batch_size: 16 });\n\
        supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }).save(\"w.safetensors\");";
    fs::write(dir.path().join("s.rhai"), script).unwrap();
    pictures(&dir.path().join("pics"), 9);
    succeeds(dir.path(), &["s.rhai", "--out", "run"]);
    let weights = "run/train-000/last.safetensors";
    let flip = |name: &str, from_end: usize| {
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.len() - from_end;
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let predict = ["predict", "--weights", weights, "pics/train/a/1.png"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    let predicted = command.current_dir(dir.path()).args(predict).output().unwrap();
    assert!(predicted.status.success(), "{}", String::from_utf8_lossy(&predicted.stderr));
    flip(weights, 40);
    for args in [&predict[..], &["export", "--weights", weights, "--onnx", "net.onnx"]] {
        let out = Command::new(env!("CARGO_BIN_EXE_isdarts-host")).current_dir(dir.path()).args(args).output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.code() == Some(1) && err.contains("last.safetensors: got bytes with sum "), "{err}");
    }
    fs::copy(dir.path().join("run/w.safetensors"), dir.path().join("w.safetensors")).unwrap();
    let load = "supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }).load(\"w.safetensors\");";
    succeeds(dir.path(), &["-e", load]);
    flip("w.safetensors", 4);
    refused(dir.path(), &["-e", load], &["w.safetensors: got bytes with sum "]);
}

#[test]
fn a_run_that_was_killed_before_its_manifest_can_be_resumed_or_begun_again() {
    for words in ["--resume", "--out"] {
        let dir = project();
        fs::create_dir(dir.path().join("run")).unwrap();
        fs::write(dir.path().join("run/metrics.csv"), "").unwrap();
        refused(dir.path(), &["--resume", "run"], &["run: got a folder without manifest.json", "begun again"]);
        succeeds(dir.path(), &["s.rhai", words, "run"]);
        assert_eq!(outcome(&dir.path().join("run")).len(), 8);
    }
}

#[test]
fn pipes_in_a_run_folder_are_not_waited_for() {
    let dir = project();
    killed(dir.path(), 3);
    for name in ["script/own.rhai", "script/s.rhai", "iim.csv", "manifest.json"] {
        let copy = dir.path().join("copy");
        fs::remove_dir_all(&copy).ok();
        assert!(Command::new("cp").arg("-r").args(["run", "copy"]).current_dir(dir.path()).status().unwrap().success());
        fs::remove_file(copy.join(name)).unwrap();
        assert!(Command::new("mkfifo").arg(copy.join(name)).status().unwrap().success());
        let mut child = program(dir.path(), &["--resume", "copy"]).spawn().unwrap();
        assert!(ended(&mut child, Duration::from_secs(30)).is_some(), "{name}: waited for");
        let out = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        // The originals of the texts are still there.
        assert!(out.status.success() == name.starts_with("script/") && !err.contains("panicked"), "{name}: {err}");
    }
}

#[test]
fn a_manifest_without_a_script_is_an_error_and_no_prompt() {
    let dir = project();
    succeeds(dir.path(), &["s.rhai", "--out", "run"]);
    for value in [Value::Null, json!(3)] {
        forge(&dir.path().join("run"), true, |m| m["run"]["script"] = value.clone());
        refused(dir.path(), &["--resume", "run"], &["manifest.json: got ", "`run.script`"]);
    }
}
