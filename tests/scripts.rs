//! Scripts: every `tests/scripts/*.rhai` runs, and so does every experiment of `scripts`, with tiny settings.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::host::{self, RunOptions};
use isdarts_host::search::Silent;
use std::path::{Path, PathBuf};
use std::rc::Rc;

fn options(script: &Path, sets: &[(&str, serde_json::Value)]) -> RunOptions {
    let sets = sets.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    RunOptions { script: Some(script.to_path_buf()), sets, quiet: true, ..RunOptions::default() }
}

/// A search that takes a second: 8x8 digits, few of them, a tiny supernet.
fn tiny(script: &Path) -> RunOptions {
    let sets = [("channels", 2.into()), ("cells", 1.into()), ("epochs", 6.into()), ("limit", 8.into())];
    options(script, &sets)
}

fn scripts(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "rhai")).collect();
    files.sort();
    files
}

#[test]
fn every_script_of_the_tests_runs() {
    let scripts = scripts("tests/scripts");
    assert!(scripts.len() >= 5);
    for script in scripts {
        println!("{}", script.display());
        host::run(&options(&script, &[]), Rc::new(Silent)).unwrap_or_else(|e| panic!("{e}"));
    }
}

#[test]
fn every_experiment_runs_to_its_end_and_leaves_a_run_folder() {
    for script in scripts("scripts") {
        println!("{}", script.display());
        let folder = tempfile::tempdir().unwrap();
        let mut options = tiny(&script);
        let name = script.file_stem().unwrap().to_str().unwrap();
        match name {
            "ablation" | "evaluate" => options.sets.push(("seeds".into(), 2.into())),
            "compare" => options.sets.extend([("seeds".into(), 1.into()), ("tune_epochs".into(), 0.into())]),
            // PC-DARTS computes a fourth of the channels.
            "compare_methods" => options.sets.push(("channels".into(), 4.into())),
            "correlation" => options.sets.push(("runs".into(), 4.into())),
            "bench_suite" => {
                let sets = [("searches", 1), ("recipes", 1), ("train_epochs", 1), ("cells", 1), ("epochs", 3)];
                options.sets.retain(|(key, _)| key != "epochs" && key != "cells");
                options.sets.extend(sets.map(|(key, n)| (key.into(), n.into())));
                options.sets.push(("benchmarks".into(), "wide-all_skip single_cell-no_skip".into()));
            }
            "proxies" => {
                let sets = [("drawn", 3), ("images", 8), ("batches", 2), ("resamples", 20)];
                options.sets.extend(sets.map(|(key, n)| (key.into(), n.into())));
            }
            _ => {}
        }
        for (key, value) in [("shrink_steps", 2), ("shrink_every", 1), ("iim_samples", 16)] {
            // Its rates are what the script is about; the other has its methods' own.
            let own = name == "shrink_rates" && key != "iim_samples" || name == "bench_suite";
            if !own && std::fs::read_to_string(&script).unwrap().contains(key) {
                options.sets.push((key.into(), value.into()));
            }
        }
        if ["is_darts", "s_darts", "search"].contains(&name) {
            options.sets.extend([("shrink_steps".into(), 2.into()), ("shrink_every".into(), 1.into())]);
        }
        options.folder = Some(folder.path().join("run"));
        host::run(&options, Rc::new(Silent)).unwrap_or_else(|e| panic!("{e}"));
        let manifest = std::fs::read_to_string(folder.path().join("run/manifest.json")).unwrap();
        assert!(manifest.contains("\"status\": \"finished\"") && manifest.contains("fingerprint"), "{manifest}");
        // `random` trains nothing; what all methods leave is for `tests/strategies.rs`.
        if name != "random" && name != "compare_methods" {
            let metrics = std::fs::read_to_string(folder.path().join("run/metrics.csv")).unwrap();
            let searches = match name {
                "ablation" => 6,
                // `random` trains nothing.
                "compare" => 11,
                "evaluate" | "correlation" => 4,
                // A supernet under its mask and one of DARTS.
                "importance" => 2,
                "shrink_rates" => 3,
                "measures" => 5,
                // On each of two benchmarks three epochs of both methods that train, and one of each of three cells and trainings.
                "bench_suite" => 4,
                _ => 1,
            };
            assert_eq!(metrics.lines().count(), 1 + 6 * searches, "{name}: {metrics}");
        }
    }
}

#[test]
fn the_search_of_the_darts_space_takes_its_method_as_a_setting() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/darts_search.rhai");
    let run = |method: &str, more: &[(&str, i64)]| {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(&script, &[("method", method.into())]);
        // PC-DARTS computes a fourth of the channels.
        let small = [("channels", 4), ("epochs", 3), ("limit", 2)];
        options.sets.extend(small.iter().chain(more).map(|&(key, n)| (key.to_string(), n.into())));
        options.folder = Some(folder.path().join("run"));
        host::run(&options, Rc::new(Silent)).map_err(|error| error.to_string())?;
        Ok::<_, String>(std::fs::read_to_string(folder.path().join("run/manifest.json")).unwrap())
    };
    let error = run("dart", &[]).unwrap_err();
    let listed =
        error.split("got `dart` (did you mean `darts`?), expected one of ").nth(1).unwrap_or_else(|| panic!("{error}"));
    let methods: Vec<&str> = listed.split(", ").map(|name| name.split_whitespace().next().unwrap()).collect();
    let searches = host::STDLIB.iter().filter(|(_, text)| text.contains("\nfn search(space, data, cfg)"));
    assert_eq!(methods.len(), searches.count(), "{error}");
    let steps = [("shrink_steps", 2), ("shrink_every", 1)];
    for method in methods {
        let shrinks = ["is_darts", "s_darts"].contains(&method);
        let manifest = run(method, if shrinks { &steps } else { &[] }).unwrap_or_else(|e| panic!("{method}: {e}"));
        assert!(manifest.contains(&format!("\"method\": \"{method}\"")), "{manifest}");
    }
    // What another method takes, this one does not.
    let error = run("darts", &steps).unwrap_err();
    assert!(error.contains("unknown setting `shrink_steps`"), "{error}");
}

#[test]
fn every_strategy_of_the_stdlib_is_at_most_sixty_lines() {
    for (path, text) in host::STDLIB {
        assert!(text.lines().count() <= 60, "{path}");
    }
}

#[test]
fn the_comparison_of_methods_has_each_with_its_lines() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/compare_methods.rhai");
    let text = std::fs::read_to_string(&script).unwrap();
    for (path, module) in host::STDLIB.iter().filter(|(_, text)| text.contains("\nfn search(space, data, cfg)")) {
        let row = format!("name: \"{}\", lines: {},", path.strip_prefix("nas/").unwrap(), module.lines().count());
        assert!(text.contains(&row), "no {row}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&script, &[("methods", "random, rsps".into())]);
    for (key, n) in [("channels", 2), ("epochs", 2), ("limit", 2), ("seeds", 2), ("samples", 2)] {
        options.sets.push((key.to_string(), n.into()));
    }
    options.folder = Some(folder.path().join("run"));
    host::run(&options, Rc::new(Silent)).unwrap_or_else(|e| panic!("{e}"));
    let read = |name: &str| std::fs::read_to_string(folder.path().join("run").join(name)).unwrap();
    assert_eq!(read("compare_methods.csv").lines().count(), 5);
    assert_eq!(read("compare_methods.md").lines().count(), 4);
    assert!(read("compare_methods.svg").contains("CIFAR-100"));
}
