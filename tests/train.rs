//! `train_genotype` through the program: killed and resumed, one thread and two, by run folder, and what becomes of the weights.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CELLS: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), \
                     ('skip_connect', 0), ('dil_conv_3x3', 2), ('avg_pool_3x3', 0), ('skip_connect', 1)], \
                     normal_concat=range(2, 6), reduce=[('skip_connect', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 1), \
                     ('skip_connect', 2), ('skip_connect', 0), ('skip_connect', 2), ('skip_connect', 2), \
                     ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";
const SMALL: [&str; 10] =
    ["--set", "epochs=7", "--set", "channels=4", "--set", "cells=3", "--set", "limit=40", "--seed", "4"];

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    command.stderr(Stdio::piped());
    command
}

fn training(folder: &Path, more: &[&str], genotype: &str) -> Command {
    let mut command = program();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/train_genotype.rhai")).args(SMALL).args(more);
    command.arg("--out").arg(folder).args(["--", genotype]).stdout(Stdio::null());
    command
}

fn finish(mut command: Command) -> String {
    let out = command.stdout(Stdio::piped()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn what_a_training_left_is_whole_again_after_a_resume_or_an_error_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    finish(training(&whole, &["--threads", "1"], CELLS));
    let before = outcome(&whole);
    let resumed = || {
        let mut again = program();
        again.arg("--resume").arg(&whole).stdout(Stdio::null());
        let out = again.output().unwrap();
        (out.status.success(), String::from_utf8_lossy(&out.stderr).into_owned())
    };
    let folder = whole.join("train-000");
    for name in ["last.safetensors", "curve.csv", "curve.svg", "confusion.csv", "genotype.txt", "settings.json"] {
        for damage in [&b"damaged"[..], b""] {
            std::fs::write(folder.join(name), damage).unwrap();
            assert!(resumed().0 && outcome(&whole) == before, "{name}");
        }
    }
    // The best weights are nowhere else, unless the last ones are the best.
    let [best, last] = ["best.safetensors", "last.safetensors"].map(|name| std::fs::read(folder.join(name)).unwrap());
    let mut flipped = best.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [flipped, last.clone(), b"x".to_vec()] {
        std::fs::write(folder.join("best.safetensors"), damaged).unwrap();
        let (good, text) = resumed();
        match best == last {
            true => assert!(good && outcome(&whole) == before),
            false => assert!(!good && text.contains("best.safetensors: got "), "{text}"),
        }
    }
}

/// All that a training leaves, but its times.
fn outcome(run: &Path) -> Vec<Vec<u8>> {
    let folder = run.join("train-000");
    let read = |name: &str| std::fs::read(folder.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    let curve = String::from_utf8(read("curve.csv")).unwrap();
    let untimed = |l: &str| l.rsplit_once(',').map_or(vec![], |(head, _)| head.as_bytes().to_vec());
    let mut all: Vec<Vec<u8>> = curve.lines().map(untimed).collect();
    assert_eq!(all.len(), 8, "{curve}");
    all.extend(["confusion.csv", "genotype.txt", "last.safetensors", "best.safetensors", "curve.svg"].map(read));
    all
}

fn rows(run: &Path) -> usize {
    std::fs::read_to_string(run.join("metrics.csv")).map_or(0, |t| t.lines().count())
}

#[test]
fn a_training_killed_in_the_middle_ends_with_the_bits_of_one_that_was_not_on_any_threads() {
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole");
    finish(training(&whole, &["--threads", "1"], CELLS));
    for kill in [0, 2, 5] {
        let run = dir.path().join(format!("killed-{kill}"));
        let mut child = training(&run, &["--threads", "2"], CELLS).spawn().unwrap();
        let start = Instant::now();
        while !run.join("manifest.json").exists() || rows(&run) < kill {
            assert!(start.elapsed() < Duration::from_secs(120), "row {kill} never came");
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut again = program();
        again.arg("--resume").arg(&run);
        finish(again);
        assert!(outcome(&run) == outcome(&whole), "killed at row {kill}");
    }
    let mut over = program();
    over.arg("--resume").arg(&whole);
    let before = outcome(&whole);
    assert!(finish(over).contains("7 epochs") && outcome(&whole) == before, "resumed after its end");
}

#[test]
fn what_a_search_found_is_trained_by_its_run_folder_and_the_weights_predict_and_are_exported() {
    let dir = tempfile::tempdir().unwrap();
    let [search, run] = ["search", "run"].map(|name| dir.path().join(name));
    std::fs::create_dir(&search).unwrap();
    std::fs::write(search.join("genotype.txt"), format!("a/0\t{CELLS}\nb/0\t{CELLS}\n")).unwrap();
    let named = |label: &str| format!("{}{label}", search.display());
    let refused = |label: &str| {
        let out = training(&dir.path().join(format!("no{label}")), &[], &named(label)).output().unwrap();
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).to_string()
    };
    assert!(refused("").contains("got 2 genotypes, expected one of them"), "{}", refused(""));
    assert!(refused("#c").contains("unknown search in genotype.txt `c`"));
    finish(training(&run, &["--set", "epochs=1"], &named("#b/0")));

    let picture = dir.path().join("picture.png");
    image::RgbImage::from_fn(20, 12, |x, y| image::Rgb([(x * 12) as u8, (y * 20) as u8, 99])).save(&picture).unwrap();
    let weights = run.join("train-000/last.safetensors");
    let mut predict = program();
    predict.args(["predict", "--top", "3", "--weights"]).arg(&weights).arg(&picture).arg(&picture);
    let text = finish(predict);
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!((lines.len(), lines[0].len(), &lines[0][1..]), (2, 7, &lines[1][1..]), "{text}");
    let shares: Vec<f64> = [2, 4, 6].iter().map(|&i| lines[0][i].parse().unwrap()).collect();
    assert!(shares[0] >= shares[1] && shares[1] >= shares[2] && shares.iter().sum::<f64>() <= 1.001, "{text}");

    let onnx = dir.path().join("net.onnx");
    let mut export = program();
    export.args(["export", "--fold", "--weights"]).arg(&weights).arg("--onnx").arg(&onnx);
    finish(export);
    assert!(std::fs::metadata(&onnx).unwrap().len() > 10_000);

    std::fs::write(&picture, b"\x89PNG\r\n\x1a\n broken").unwrap();
    for (file, picture, message) in [
        (&weights, &picture, "picture.png: got a file that does not decode"),
        (&picture, &picture, "picture.png: got"),
        (&run.join("manifest.json"), &picture, "manifest.json: got"),
    ] {
        let out = program().args(["predict", "--weights"]).arg(file).arg(picture).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr).to_string();
        assert!(!out.status.success() && error.contains(message), "{error}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_disk_that_fills_up_is_named_and_nothing_is_lost() {
    // No file may be longer than 12 KiB (24, as shells count): to the program, a disk without room.
    let full = |command: &Command| {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' XFSZ; ulimit -f 24; exec \"$0\" \"$@\""]);
        let out = shell.arg(command.get_program()).args(command.get_args()).output().unwrap();
        assert_eq!(out.status.code(), Some(1));
        String::from_utf8_lossy(&out.stderr).to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    let [whole, run] = ["whole", "run"].map(|name| dir.path().join(name));
    finish(training(&whole, &[], CELLS));
    let error = full(&training(&run, &[], CELLS));
    assert!(error.contains("cannot write") && error.contains("File too large"), "{error}");
    let mut again = program();
    again.arg("--resume").arg(&run);
    finish(again);
    assert!(outcome(&run) == outcome(&whole));

    let onnx = dir.path().join("net.onnx");
    std::fs::write(&onnx, "before").unwrap();
    let mut export = program();
    export.arg("export").arg("--weights").arg(whole.join("train-000/last.safetensors")).arg("--onnx").arg(&onnx);
    let error = full(&export);
    assert!(error.contains("net.onnx: File too large"), "{error}");
    assert_eq!(std::fs::read_to_string(&onnx).unwrap(), "before");
    finish(export);
    assert!(std::fs::metadata(&onnx).unwrap().len() > 25_000);
}

#[test]
fn a_folder_of_pictures_is_trained_on_and_told_about() {
    let dir = tempfile::tempdir().unwrap();
    for (i, (set, class)) in [("train", "red"), ("train", "blue"), ("test", "red"), ("test", "blue")].iter().enumerate()
    {
        let folder = dir.path().join("pictures").join(set).join(class);
        std::fs::create_dir_all(&folder).unwrap();
        for k in 0..12u32 {
            let colour = if *class == "red" { [200, 10 * k as u8, 20] } else { [20, 10 * k as u8, 200] };
            let shade = |x: u32, y: u32| image::Rgb(colour.map(|c| c - ((x + y + k) % 9) as u8 % (c + 1)));
            image::RgbImage::from_fn(20 + 3 * k, 30 + i as u32, shade).save(folder.join(format!("{k}.png"))).unwrap();
        }
    }
    let pictures = dir.path().join("pictures");
    let with_cache = |mut command: Command| {
        command.env("ISDARTS_CACHE", dir.path().join("cache"));
        command
    };
    for _ in 0..2 {
        let mut info = program();
        info.args(["data", "info"]).arg(&pictures);
        let text = finish(with_cache(info));
        assert!(
            text.contains("pictures: 24 images of 3x32x32, 2 classes, 12 a class") && text.contains("blue, red"),
            "{text}"
        );
    }
    let kept: Vec<_> = std::fs::read_dir(dir.path().join("cache")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(kept.len(), 2, "decoded once, kept: {kept:?}");
    let run = dir.path().join("run");
    let data = pictures.display().to_string();
    let settings =
        ["--data", &data, "--set", "resize=8", "--set", "photo=true", "--set", "batch_size=8", "--set", "epochs=12"];
    let text = finish(with_cache(training(&run, &settings, CELLS)));
    let accuracy: f64 = text.split("last epoch: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(accuracy > 90.0, "{text}");
}
