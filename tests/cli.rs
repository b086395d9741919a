//! The command line, through the binary.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use assert_cmd::Command;
use std::path::Path;
use std::time::{Duration, Instant};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_isdarts-host"))
}

/// Exit code, stdout, stderr.
fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let out = program().args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

const IS_DARTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/is_darts.rhai");

#[test]
fn help_shows_options_subcommands_and_examples() {
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for word in [
        "--set",
        "--data",
        "--device",
        "--threads",
        "--seed",
        "--out",
        "--resume",
        "--quiet",
        "bench",
        "query",
        "doc",
        "Examples:",
    ] {
        assert!(out.contains(word), "{word} in\n{out}");
    }
}

#[test]
fn a_query_finds_a_cell_by_index_and_by_text() {
    let text = "|skip_connect~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|";
    let (by_index, by_text) = (run(&["query", "1835"]), run(&["query", text]));
    assert_eq!(by_index, by_text);
    assert_eq!(by_index.0, Some(0));
    for part in [text, "39.77   54.30", "IS-DARTS (paper)"] {
        assert!(by_index.1.contains(part), "{part} in\n{}", by_index.1);
    }
}

#[test]
fn a_query_takes_published_cells_and_run_folders() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    std::fs::write(dir.path().join("genotype.txt"), "a/0\t|none~0|+|none~0|none~1|+|none~0|none~1|none~2|\n").unwrap();
    let labelled = format!("{folder}#a/0");
    for (cell, part) in [
        ("DARTS_V2", "CIFAR-10 network, C=36, 20 cells: 3.3 M parameters, 528.4 M multiply-adds"),
        (folder, "IS-DARTS (paper)"),
        (&labelled, "IS-DARTS (paper)"),
    ] {
        let (code, out, err) = run(&["query", cell]);
        assert!(code == Some(0) && out.contains(part), "{cell}: {out}{err}");
    }
    for (cell, part) in [
        ("DARTS_V7", "unknown genotype `DARTS_V7`, did you mean `DARTS_V1`?"),
        ("99999999999999999999999", "got 99999999999999999999999, expected 0 to 15624"),
        ("src", "src: got no genotype.txt, expected the folder of a run that has found cells"),
        ("", "error: genotype text"),
    ] {
        let (code, _, err) = run(&["query", cell]);
        assert!(code == Some(1) && err.contains(part), "{cell}: {err}");
    }
}

#[test]
fn an_expression_prints_its_value_alone() {
    assert_eq!(run(&["-e", "1 + 2"]), (Some(0), "3\n".into(), String::new()));
    assert_eq!(run(&["-e", "let a = 1;"]), (Some(0), String::new(), String::new()));
}

#[test]
fn what_cannot_be_done_is_said_on_stderr_and_fails() {
    for (args, message) in [
        (&["query", "15625"][..], "index of a NAS-Bench-201 cell: got 15625, expected 0 to 15624"),
        (&["query", "|skip~0|"], "error: genotype text, character 2: unknown op `skip`; known: none, skip_connect, "),
        (&["--device", "tpu", "-e", "1"], "--device: got `tpu`, expected cpu, cuda, cuda:N or auto"),
        (&["--device", "cuda:x", "-e", "1"], "--device: got `cuda:x`, expected cpu, cuda, cuda:N or auto"),
        (&["--threads", "0", "-e", "1"], "0 is not in 1..=1024"),
        (&["--seed=-1", "-e", "1"], "error: invalid value '-1' for '--seed <N>'"),
        (&["--set", "epochs", "-e", "1"], "expected KEY=VALUE, such as epochs=10"),
        (&["--frobnicate"], "error: unexpected argument '--frobnicate' found"),
        (&["no/such/script.rhai"], "error: cannot read no/such/script.rhai: "),
        (&["--resume", "no/such/run"], "no/such/run: got no such folder, expected the folder of an earlier run"),
        (&["-e", "1 +"], "error: expression:1:4: syntax error: got the end of the script, expected "),
        (&["doc", "measure_imm"], "unknown entry of the manual `measure_imm`, did you mean `measure_iim`?"),
        (&["help", "measure_iim"], "`isdarts-host doc measure_iim` asks the manual of scripts"),
        (
            &["check", "src/ops"],
            "src/ops: got a folder without scripts, expected a script, or a folder with .rhai files",
        ),
        (&["bench", "step", "--space", "dart"], "did you mean `darts`?"),
        (&["bench", "step", "--masked", "5"], "--masked: got 5, expected 0 to 4"),
        (&["bench", "step", "--drop", "none,pool"], "unknown op `pool`; known: none, skip_connect, "),
        (&["bench", "step", "-b", "0"], "--batch: got 0, expected at least 1"),
        (&["bench", "step", "--steps", "0"], "error: invalid value '0' for '--steps <STEPS>': 0 is not in 1.."),
    ] {
        let (code, out, err) = run(args);
        assert!(code != Some(0) && code != Some(101), "{args:?}: {code:?}\n{err}");
        assert!(err.contains(message) && out.is_empty(), "{args:?}\nstdout: {out}\nstderr: {err}");
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn without_cuda_a_gpu_is_refused_and_auto_takes_the_cpu() {
    let (code, _, err) = run(&["--device", "cuda", "-e", "1"]);
    assert!(code == Some(1) && err.contains("built without CUDA"), "{err}");
    assert_eq!(run(&["--device", "auto", "-e", "1"]).1, "1\n");
}

#[test]
fn bench_step_prints_one_json_line_with_the_keys_of_its_peer() {
    for (space, masked) in [("nas-bench-201", "0"), ("nas-bench-201", "3"), ("darts", "0")] {
        let args = "bench step -c 4 -n 1 -b 2 --size 8 --steps 2 --threads 1 --space";
        let mut args: Vec<&str> = args.split(' ').collect();
        args.extend([space, "--masked", masked]);
        let (code, out, err) = run(&args);
        assert_eq!((code, out.lines().count()), (Some(0), 1), "{err}");
        let line: serde_json::Value = serde_json::from_str(&out).unwrap();
        for key in ["step_ms", "step_min_ms", "iim_ms", "peak_mb", "channels", "cells", "batch", "size", "threads"] {
            assert!(line[key].as_f64().is_some_and(|v| v > 0.0), "{key} in {out}");
        }
        assert_eq!((&line["space"], &line["device"], &line["threads"]), (&space.into(), &"cpu".into(), &1.into()));
    }
}

#[test]
fn a_folder_with_files_in_it_is_no_run_folder_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("thesis.tex"), "x").unwrap();
    let (code, _, err) = run(&[IS_DARTS, "--out", dir.path().to_str().unwrap()]);
    assert!(code == Some(1) && err.contains("expected an empty or absent folder"), "{err}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_run_within_the_epoch_and_says_how_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let child = std::process::Command::new(env!("CARGO_BIN_EXE_isdarts-host"))
        .args([IS_DARTS, "--set", "epochs=500", "--out", out.to_str().unwrap()])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for(&out.join("checkpoint/loop-000/state.safetensors"));
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let epochs = || std::fs::read_to_string(out.join("metrics.csv")).unwrap().lines().count();
    let before = epochs();
    let end = child.wait_with_output().unwrap();
    let err = String::from_utf8_lossy(&end.stderr).to_string();
    assert_eq!(end.status.code(), Some(130), "{err}");
    // A few of 500 may end before the signal is seen, on a busy machine.
    assert!(epochs() < before + 20, "{before} lines of metrics.csv when it came, {} at the end", epochs());
    let resume = format!("go on with: isdarts-host --resume {}", out.display());
    assert!(err.contains(&resume), "{err}");
}

#[cfg(unix)]
fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_reader_that_leaves_ends_no_run_and_a_full_disk_fails_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("talk.rhai");
    std::fs::write(&script, "for i in 0..20000 { print(i); }\nwrite_csv(\"done.csv\", [\"a\"], [[1]]);").unwrap();
    let start = |out: &str, stdout: std::process::Stdio| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
        command.arg(&script).arg("--out").arg(dir.path().join(out)).stdout(stdout).stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let mut child = start("gone", std::process::Stdio::piped());
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert!(dir.path().join("gone/done.csv").is_file());

    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let out = start("full", full.into()).wait_with_output().unwrap();
    let stderr = String::from_utf8(out.stderr).unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr.contains("cannot write standard output: No space left"), "{stderr}");
    assert!(dir.path().join("full/done.csv").is_file());
}

#[test]
fn completions_and_man_pages_name_every_subcommand() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, script, errors) = run(&["completions", shell]);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        assert!(["query", "doc", "repl-after"].iter().all(|word| script.contains(word)), "{shell}: {script}");
    }
    let (_, page, _) = run(&["man"]);
    assert!(page.contains(".TH isdarts-host 1 "), "{page}");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let (code, paths, _) = run(&["man", "--out", folder]);
    assert_eq!(code, Some(0));
    for name in ["isdarts-host.1", "isdarts-host-query.1", "isdarts-host-doc.1"] {
        assert!(paths.contains(name) && dir.path().join(name).exists(), "{name} in {paths}");
    }
}

/// What bash offers for the last of `words`, by the script that the program writes.
#[cfg(unix)]
fn bash_completes(script: &Path, words: &[&str]) -> String {
    let n = words.len();
    let test = format!(
        "source '{}'; COMP_WORDS=({}); COMP_CWORD={}; _isdarts__host isdarts-host '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
        script.display(),
        words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        n - 1,
        words[n - 1],
        words[n - 2],
    );
    let out = Command::new("bash").args(["--norc", "-c", &test]).output().unwrap();
    String::from_utf8(out.stdout).unwrap().trim().to_string()
}

#[cfg(unix)]
#[test]
fn bash_completes_behind_subcommands_and_options() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("completion");
    std::fs::write(&script, run(&["completions", "bash"]).1).unwrap();
    for (words, expected) in [
        (&["isdarts-host", "is_da"][..], "is_darts"),
        (&["isdarts-host", "quer"], "query"),
        (&["isdarts-host", "data", "in"], "info"),
        (&["isdarts-host", "data", "get", "cifar1"], "cifar10 cifar100"),
        (&["isdarts-host", "data", "info", "dig"], "digits"),
        (&["isdarts-host", "bench", "step", "--spa"], "--space"),
        (&["isdarts-host", "bench", "step", "--space", "dar"], "darts"),
        (&["isdarts-host", "doc", "--f"], "--format"),
        (&["isdarts-host", "doc", "measure_"], "measure_iim"),
        (&["isdarts-host", "completions", "fi"], "fish"),
        (&["isdarts-host", "scripts", "i_"], "i_darts"),
        (&["isdarts-host", "x.rhai", "--device", "cu"], "cuda"),
        (&["isdarts-host", "x.rhai", "--data", "mni"], "mnist"),
        (&["isdarts-host", "x.rhai", "--set", "epo"], "epochs="),
    ] {
        assert_eq!(bash_completes(&script, words), expected, "{words:?}");
    }
}

#[test]
fn scripts_are_inside_the_program_listed_copied_and_run_from_any_folder() {
    let dir = tempfile::tempdir().unwrap();
    let (code, list, _) = run(&["scripts"]);
    assert_eq!(code, Some(0));
    for name in ["is_darts ", "compare ", "train_genotype "] {
        assert!(list.lines().any(|line| line.starts_with(name) && line.len() <= 80), "{name}: {list}");
    }
    assert!(run(&["scripts", "is_darts"]).1.starts_with("//! IS-DARTS on NAS-Bench-201."));
    let folder = dir.path().join("mine");
    let (code, paths, _) = run(&["scripts", "--out", folder.to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert!(paths.lines().count() >= 15 && paths.lines().all(|path| Path::new(path).is_file()), "{paths}");
    // What was changed there is not overwritten.
    let (code, _, errors) = run(&["scripts", "is_darts", "--out", folder.to_str().unwrap()]);
    assert!(code == Some(1) && errors.contains("is_darts.rhai: got a file that is there already"), "{errors}");
    assert!(run(&["scripts", "is_dart"]).2.contains("did you mean `is_darts`?"));
    for name in ["random", "scripts/random.rhai"] {
        let out = dir.path().join(name.replace('/', "_"));
        let command = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
            let out = command.args(args).args(["--threads", "1", "--quiet"]).current_dir(dir.path()).output().unwrap();
            (out.status.code(), String::from_utf8_lossy(&out.stdout).into_owned())
        };
        let (code, said) = command(&[name, "--out", out.to_str().unwrap()]);
        assert!(code == Some(0) && said.contains("NAS-Bench-201 cell"), "{name}: {said}");
        assert!(out.join("genotype.txt").is_file());
    }
}

/// docs/first_hour.md: its files, with smaller settings.
#[test]
fn the_files_of_the_first_hour_run_as_they_stand() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/first_hour.md")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut files = 0;
    for block in page.split("```rhai ").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap();
        std::fs::write(dir.path().join(name), rest.split("```").next().unwrap()).unwrap();
        files += 1;
    }
    assert_eq!(files, 2);
    let sets = ["seeds=1", "channels=2", "epochs=10", "limit=4"];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let mut command = program();
    command.current_dir(dir.path()).args(["compare_own.rhai", "--threads", "1"]).args(sets);
    let out = command.output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    for part in ["| one by one |", "| IS-DARTS ", "| random ", "compare.csv"] {
        assert!(said.contains(part), "{part}: {said}{errors}");
    }
    assert!(errors.contains("epoch 10: dropped "), "{errors}");
}

#[test]
fn a_word_that_is_no_script_and_no_command_is_told_what_it_may_have_meant() {
    for (words, hint) in [
        (&["quer"][..], "did you mean the command `query`?"),
        (&["quary", "3"], "did you mean the command `query`?"),
        (&["is_dart"], "did you mean the script `is_darts`?"),
        (&["scripts/is_dart.rhai"], "did you mean the script `is_darts`?"),
        (&["my_method.rhai"], "isdarts-host scripts lists those inside the program"),
        (&["--threads", "1", "doc", "lr"], "the command `doc` comes first, and its options behind it"),
        (&["--quiet", "doc", "lr"], "the command `doc` comes first"),
    ] {
        let (code, _, errors) = run(words);
        assert!(code != Some(0) && errors.contains(hint), "{words:?}: {errors}");
    }
    // A value is no command.
    let (_, _, errors) = run(&["--data", "runs", "--sede", "3"]);
    assert!(errors.contains("unexpected argument '--sede'") && !errors.contains("comes first"), "{errors}");
}

#[test]
fn the_manual_is_searched_by_words_and_has_pages_of_types_settings_and_modules() {
    for (words, parts) in [
        (&["lr"][..], &["`lr`, a setting of training a supernet; default 0.025", "train_genotype"][..]),
        (&["iim_samples"], &["stands in", "nas/is_darts"]),
        (
            &["Supernet"],
            &["Supernet comes from", "supernet(space, cfg) -> Supernet", "Supernet has", "net.train_epoch("],
        ),
        (&["supernet"], &["supernet(space, cfg) -> Supernet\n\n"]),
        (&["alpha"], &["ArchitectureParameters comes from", "alpha.softmax("]),
        (&["net.measure_iim"], &["net.measure_iim(data, samples) -> Importance\n", "samples, mix) -> Importance\n"]),
        (&["MEASURE_IIM()"], &["net.measure_iim(data, samples) -> Importance\n", "samples, mix) -> Importance\n"]),
        (&["is_darts"], &["// nas/is_darts", "fn search("]),
        (&["temperature"], &["stands in", "nas/gdas"]),
        (&["genotype", "cost"], &["stands in"]),
        (&["flops"], &["stands in"]),
        (&[], &["SUPERNET", "measure_iim(data, samples)", "MODULES", "TYPES"]),
    ] {
        let mut args = vec!["doc"];
        args.extend(words);
        let (code, text, errors) = run(&args);
        assert_eq!(code, Some(0), "{words:?}: {errors}");
        assert!(parts.iter().all(|part| text.contains(part)), "{words:?}: {text}");
        let list = parts[0] == "stands in" || words.is_empty();
        let long = text.lines().find(|line| line.chars().count() > 80);
        assert!(!list || long.is_none(), "{words:?}: {long:?}");
    }
    let (code, _, errors) = run(&["doc", "mesure_iim"]);
    assert!(code == Some(1) && errors.contains("did you mean `measure_iim`?") && errors.len() < 200, "{errors}");
}

#[test]
fn the_manual_comes_as_text_markdown_and_definition_files() {
    assert!(run(&["doc", "measure_iim"]).1.starts_with("net.measure_iim(data, samples) -> Importance"));
    assert!(run(&["doc", "--format", "markdown"]).1.starts_with("# Script functions"));
    let dir = tempfile::tempdir().unwrap();
    let (code, paths, _) = run(&["doc", "--format", "definitions", "--out", dir.path().to_str().unwrap()]);
    assert_eq!(code, Some(0));
    assert!(paths.lines().count() > 5 && paths.lines().all(|path| Path::new(path).exists()), "{paths}");
}
