//! Exported networks: the bytes are those that were recorded, and our logits those that onnxruntime computed from them
//! (`tests/onnx/recorded.json`). Where there is a Python with `onnxruntime` and `onnx`, `$ISDARTS_PYTHON` or `python3` on the
//! path, onnxruntime computes them again, and the checker of `onnx` reads the files.
//!
//! `UPDATE_ONNX=1 cargo test --release --test onnx` records anew, with such a Python.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod hashed;

use candle_core::{Device, Tensor};
use hashed::{initial, value};
use isdarts_host::net::subnet::{Family, Plan, Subnet, SubnetConfig};
use isdarts_host::net::{Mode, onnx};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use xxhash_rust::xxh3::xxh3_128;

const ALL: &str = "Genotype(normal=[('dil_conv_5x5', 1), ('sep_conv_5x5', 0), ('avg_pool_3x3', 0), ('max_pool_3x3', 2), \
                   ('none', 1), ('sep_conv_3x3', 3), ('skip_connect', 1), ('dil_conv_3x3', 4)], normal_concat=range(2, 6), \
                   reduce=[('sep_conv_5x5', 0), ('skip_connect', 1), ('none', 1), ('none', 0), ('dil_conv_3x3', 0), \
                   ('none', 1), ('max_pool_3x3', 1), ('skip_connect', 4)], reduce_concat=range(2, 6))";
const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|";
const CASES: [(&str, Family, usize); 4] =
    [(ALL, Family::Cifar, 16), (ALL, Family::Cifar, 9), (ALL, Family::ImageNet, 64), (CELL, Family::NasBench201, 8)];

/// What was recorded of an exported network.
#[derive(Serialize, Deserialize)]
struct Recorded {
    case: usize,
    fold: bool,
    /// XXH3 of the file, its version of this program left out.
    bytes: String,
    batch_norms: usize,
    logits: Vec<f32>,
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx").join(name)
}

/// A network whose weights and running statistics are numbers of a hash, and images.
fn network(text: &str, family: Family, side: usize) -> (Subnet, Tensor) {
    let config = SubnetConfig {
        channels: 6,
        cells: if family == Family::NasBench201 { 1 } else { 4 },
        auxiliary: false,
        ..SubnetConfig::usual(family, 7, 3)
    };
    let net = Subnet::new(Plan::parse(text).unwrap(), config, &Device::Cpu).unwrap();
    let named = net.params().iter().zip(1..).map(|(p, salt)| (p.name.clone(), initial(&p.name, p.var.dims(), salt)));
    net.params().assign(&named.collect()).unwrap();
    let x = Tensor::from_vec(value(0, 4 * 3 * side * side), (4, 3, side, side), &Device::Cpu).unwrap();
    (net, x)
}

/// The hash of a file; its version of this program is left out.
fn hash(bytes: &[u8]) -> String {
    let version = [&[0x1a, env!("CARGO_PKG_VERSION").len() as u8][..], env!("CARGO_PKG_VERSION").as_bytes()].concat();
    let at = bytes.windows(version.len()).position(|w| w == version).unwrap();
    format!("{:032x}", xxh3_128(&[&bytes[..at], &bytes[at + version.len()..]].concat()))
}

fn floats(x: &Tensor) -> Vec<f32> {
    x.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_near(ours: &[f32], theirs: &[f32], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0f32, |m, v| m.max(v.abs()));
    for (a, b) in ours.iter().zip(theirs) {
        assert!((a - b).abs() < 1e-5 * largest, "{what}: {a}, by onnxruntime {b}");
    }
}

#[test]
fn exported_bytes_are_those_recorded_and_our_logits_those_of_onnxruntime() {
    if std::env::var_os("UPDATE_ONNX").is_some() {
        return record();
    }
    let recorded: Vec<Recorded> = serde_json::from_slice(&std::fs::read(file("recorded.json")).unwrap()).unwrap();
    assert_eq!(recorded.len(), 2 * CASES.len());
    for Recorded { case, fold, bytes, batch_norms, logits } in recorded {
        let (text, family, side) = CASES[case];
        let (what, (net, x)) = (format!("{family:?}, side {side}, fold {fold}"), network(text, family, side));
        let file = onnx::export(&net, (side, side), fold, &[("note", "a note".into())]).unwrap();
        assert_eq!(
            hash(&file),
            bytes,
            "{what}: other bytes than those that onnxruntime has run; UPDATE_ONNX=1 runs them"
        );
        assert_near(&floats(&net.forward(&x, Mode::Eval, None).unwrap().logits), &logits, &what);
        // Folded, all are gone but the one that follows a sum.
        let left = if family == Family::NasBench201 { 1 } else { 0 };
        assert_eq!(batch_norms == left, fold, "{what}: {batch_norms} batch norms");
    }
}

#[test]
fn onnxruntime_computes_the_logits_anew_where_there_is_one() {
    let Some(python) = python() else {
        let what =
            "not tested on this machine: onnxruntime anew (no Python with onnx, onnxruntime and numpy: ISDARTS_PYTHON)";
        return drop(writeln!(std::io::stderr(), "{what}"));
    };
    for (case, fold) in (0..CASES.len()).flat_map(|case| [(case, false), (case, true)]) {
        let (net, x, found) = run(&python, case, fold);
        assert_near(
            &floats(&net.forward(&x, Mode::Eval, None).unwrap().logits),
            &found.logits,
            &format!("case {case}, {fold}"),
        );
    }
}

fn python() -> Option<String> {
    let python = std::env::var("ISDARTS_PYTHON").unwrap_or_else(|_| "python3".into());
    let works = Command::new(&python).args(["-c", "import onnx, onnxruntime, numpy"]).output();
    works.is_ok_and(|out| out.status.success()).then_some(python)
}

/// The network of a case, its images, and what onnxruntime says of it.
fn run(python: &str, case: usize, fold: bool) -> (Subnet, Tensor, Recorded) {
    let (text, family, side) = CASES[case];
    let (net, x) = network(text, family, side);
    let bytes = onnx::export(&net, (side, side), fold, &[("note", "a note".into())]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let [model, input] = ["net.onnx", "input.f32"].map(|name| dir.path().join(name));
    std::fs::write(&model, &bytes).unwrap();
    std::fs::write(&input, floats(&x).iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
    let out = Command::new(python).arg(file("run.py")).args([&model, &input]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let (norms, numbers) = std::str::from_utf8(&out.stdout).unwrap().split_once('\n').unwrap();
    let logits = numbers.split_whitespace().map(|n| n.parse().unwrap()).collect();
    (net, x, Recorded { case, fold, bytes: hash(&bytes), batch_norms: norms.parse().unwrap(), logits })
}

fn record() {
    let python = python().expect("a Python with onnx, onnxruntime and numpy: ISDARTS_PYTHON");
    let cases = (0..CASES.len()).flat_map(|case| [(case, false), (case, true)]);
    let all: Vec<Recorded> = cases.map(|(case, fold)| run(&python, case, fold).2).collect();
    std::fs::write(file("recorded.json"), serde_json::to_string(&all).unwrap() + "\n").unwrap();
}

#[test]
fn images_that_the_network_cannot_take_are_refused() {
    let (net, _) = network(CELL, Family::NasBench201, 8);
    assert!(onnx::export(&net, (6, 6), false, &[]).unwrap_err().to_string().contains("divisible by 4"));
}
