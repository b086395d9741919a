//! Exported networks under onnxruntime: the logits are ours. Needs a Python with `onnxruntime` (and, for its checker,
//! `onnx`): `$ISDARTS_PYTHON`, or `python3` on the path; elsewhere the test says that it is skipped.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{Device, Tensor};
use isdarts_host::net::subnet::{Family, Plan, Subnet, SubnetConfig};
use isdarts_host::net::{Mode, onnx};
use std::path::Path;
use std::process::Command;

const ALL: &str = "Genotype(normal=[('dil_conv_5x5', 1), ('sep_conv_5x5', 0), ('avg_pool_3x3', 0), ('max_pool_3x3', 2), \
                   ('none', 1), ('sep_conv_3x3', 3), ('skip_connect', 1), ('dil_conv_3x3', 4)], normal_concat=range(2, 6), \
                   reduce=[('sep_conv_5x5', 0), ('skip_connect', 1), ('none', 1), ('none', 0), ('dil_conv_3x3', 0), \
                   ('none', 1), ('max_pool_3x3', 1), ('skip_connect', 4)], reduce_concat=range(2, 6))";
const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|";

fn python() -> Option<String> {
    let python = std::env::var("ISDARTS_PYTHON").unwrap_or_else(|_| "python3".into());
    let works = Command::new(&python).args(["-c", "import onnx, onnxruntime, numpy"]).output();
    works.is_ok_and(|out| out.status.success()).then_some(python)
}

/// A network whose running statistics have moved.
fn trained(text: &str, family: Family, side: usize) -> (Subnet, Tensor) {
    let config = SubnetConfig {
        channels: 6,
        cells: if family == Family::NasBench201 { 1 } else { 4 },
        auxiliary: false,
        ..SubnetConfig::usual(family, 7, 3)
    };
    let net = Subnet::new(Plan::parse(text).unwrap(), config, &Device::Cpu).unwrap();
    let x = Tensor::randn(0f32, 1., (4, 3, side, side), &Device::Cpu).unwrap();
    (0..3).for_each(|_| drop(net.forward(&x, Mode::Train, None).unwrap()));
    (net, x)
}

#[test]
fn onnxruntime_computes_our_logits_with_batch_norms_folded_or_not() {
    let Some(python) = python() else {
        eprintln!("skipped: no Python with onnx, onnxruntime and numpy (ISDARTS_PYTHON)");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_eval/onnx_run.py");
    for (text, family, side) in
        [(ALL, Family::Cifar, 16), (ALL, Family::Cifar, 9), (ALL, Family::ImageNet, 64), (CELL, Family::NasBench201, 8)]
    {
        let (net, x) = trained(text, family, side);
        let ours = net.forward(&x, Mode::Eval, None).unwrap().logits.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let input = dir.path().join("input.f32");
        let raw: Vec<u8> =
            x.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(&input, raw).unwrap();
        for fold in [false, true] {
            let file = dir.path().join("net.onnx");
            std::fs::write(&file, onnx::export(&net, (side, side), fold, &[("note", "a note".into())]).unwrap())
                .unwrap();
            let out = Command::new(&python).arg(&script).args([&file, &input]).output().unwrap();
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            let text = String::from_utf8(out.stdout).unwrap();
            let (norms, numbers) = text.split_once('\n').unwrap();
            let theirs: Vec<f32> = numbers.split_whitespace().map(|n| n.parse().unwrap()).collect();
            assert_eq!(theirs.len(), ours.len());
            let largest = ours.iter().fold(1f32, |m, v| m.max(v.abs()));
            for (a, b) in ours.iter().zip(&theirs) {
                assert!((a - b).abs() < 1e-4 * largest, "{family:?} {side}, fold {fold}: {a} and {b}");
            }
            let left = if family == Family::NasBench201 { 1 } else { 0 };
            assert_eq!(norms.parse::<usize>().unwrap() == left, fold, "{norms} batch norms are left, fold {fold}");
        }
    }
}

#[test]
fn images_that_the_network_cannot_take_are_refused() {
    let (net, _) = trained(CELL, Family::NasBench201, 8);
    assert!(onnx::export(&net, (6, 6), false, &[]).unwrap_err().to_string().contains("divisible by 4"));
}
