//! The training of found networks against an independent loop in PyTorch (`tests/recipe/replay.py`): of each recipe, from the
//! same weights, images, draws of augmentation and of drop path, the losses and accuracies of every epoch, the test loss (which
//! sees the running statistics) and all weights at the end.
//!
//! The definition, computed in f64, keeps to PyTorch's f64 to 1e-6; the engine in f32 to 2e-5.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod hashed;

use candle_core::{DType, Device, Tensor, safetensors};
use hashed::{initial, value};
use isdarts_host::data::{Augment, Dataset};
use isdarts_host::net::subnet::{Plan, Subnet};
use isdarts_host::search::{EvalConfig, Silent, Trainer};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CLASSES: usize = 7;
const SEED: u64 = 11;
/// What rounding to f32 may come to.
const F32: f64 = 2e-5;

#[derive(Clone, serde::Deserialize)]
struct Case {
    genotype: String,
    side: usize,
    /// Of the training set.
    images: usize,
    settings: serde_json::Value,
}

/// What PyTorch came to, by epoch.
#[derive(serde::Deserialize)]
struct Recorded {
    /// Which weights: that of the first parameter.
    salt: u64,
    train_loss: Vec<f64>,
    train_top1: Vec<f64>,
    test_loss: Vec<f64>,
    lr: Vec<f64>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recipe")
}

fn cases() -> BTreeMap<String, Case> {
    serde_json::from_slice(&std::fs::read(folder().join("cases.json")).unwrap()).unwrap()
}

/// `n` images of hashed pixels; their classes go round. No pixel value is normalised to 0, which is cutout's alone.
fn images(n: usize, side: usize, salt: u64) -> Dataset {
    let pixels = value(salt, n * 3 * side * side).into_iter().map(|v| (128.0 * (f64::from(v) + 1.0)) as u8).collect();
    Dataset {
        name: "hashed".into(),
        classes: Arc::new((0..CLASSES).map(|i| i.to_string()).collect()),
        shape: (3, side, side),
        pixels: Arc::new(pixels),
        labels: Arc::new((0..n).map(|i| (i % CLASSES) as u32).collect()),
        indices: Arc::new((0..n as u32).collect()),
        mean: vec![0.4911, 0.4823, 0.4467],
        std: vec![0.247, 0.2434, 0.2616],
        augment: Augment { crop_pad: side / 8, flip: true, cutout: 0, photo: false },
        wholes: None,
    }
}

/// Training and test images: the last batch of an epoch is not full.
fn data(case: &Case) -> (Dataset, Dataset) {
    (images(case.images, case.side, 1_000_001), images(5, case.side, 1_000_002))
}

fn trainer(case: &Case, salt: u64, reference: bool) -> Trainer {
    let plan = Plan::parse(&case.genotype).unwrap();
    let given = case.settings.as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.into())).collect();
    let config = EvalConfig::of_map(&given, plan.topology, case.side).unwrap();
    let make = if reference { Subnet::new_reference } else { Subnet::new };
    let net = make(plan, config.subnet(CLASSES, SEED).unwrap(), &Device::Cpu).unwrap();
    let named = net.params().iter().zip(salt..).map(|(p, salt)| (p.name.clone(), initial(&p.name, p.var.dims(), salt)));
    net.params().assign(&named.collect()).unwrap();
    Trainer::new(net, config, SEED)
}

/// Norm of the difference over the norm, of the numbers that were stored (every k-th); and of the norms of all.
fn deviation(recorded: &HashMap<String, Tensor>, name: &str, got: &Tensor) -> f64 {
    let flat = |t: &Tensor| t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let (got, want, all) = (flat(got), flat(&recorded[name]), flat(&recorded[&format!("{name}#norm")])[0]);
    let kept: Vec<f64> = got.iter().copied().step_by(got.len().div_ceil(want.len())).collect();
    assert_eq!(kept.len(), want.len(), "{name}");
    let difference: Vec<f64> = kept.iter().zip(&want).map(|(a, b)| a - b).collect();
    (norm(&difference) / norm(&want)).max((norm(&got) / all - 1.0).abs())
}

/// Deviations larger than `bound`, of a case's curve and weights; and the largest.
fn replay(name: &str, case: &Case, reference: bool, bound: f64) -> (Vec<String>, f64) {
    let file = |ending: &str| folder().join(format!("{name}.{ending}"));
    let recorded: Recorded = serde_json::from_slice(&std::fs::read(file("json")).unwrap()).unwrap();
    let weights = safetensors::load(file("safetensors"), &Device::Cpu).unwrap();
    let (mut trainer, (train, test)) = (trainer(case, recorded.salt, reference), data(case));
    let (mut faults, mut worst) = (vec![], 0f64);
    let mut judge = |what: String, error: f64| {
        worst = worst.max(error);
        if error.is_nan() || error > bound {
            faults.push(format!("{name}: {what} is off by {error:.1e}"));
        }
    };
    assert!(recorded.lr.len() >= 3 && recorded.lr.len() == trainer.config.epochs);
    for epoch in 0..recorded.lr.len() {
        trainer.epoch(&train, &test, &Silent).unwrap();
        let row = *trainer.curve().last().unwrap();
        for (what, got, want) in [
            ("learning rate", row.lr, recorded.lr[epoch]),
            ("training loss", row.train_loss, recorded.train_loss[epoch]),
            ("training accuracy", row.train_top1, recorded.train_top1[epoch]),
            ("test loss", row.test_loss, recorded.test_loss[epoch]),
        ] {
            judge(
                format!("{what} of epoch {} ({got}, PyTorch {want})", epoch + 1),
                (got - want).abs() / want.abs().max(1e-9),
            );
        }
    }
    assert_eq!(2 * trainer.net.params().len(), weights.len());
    for p in trainer.net.params().iter() {
        judge(p.name.clone(), deviation(&weights, &p.name, p.var.as_tensor()));
    }
    (faults, worst)
}

fn hold(reference: bool, bound: f64) {
    let (mut faults, cases) = (vec![], cases());
    assert!(cases.len() >= 6);
    for (name, case) in &cases {
        let (found, worst) = replay(name, case, reference, bound);
        println!("{name}: the largest deviation is {worst:.1e}");
        faults.extend(found);
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_recipe_trains_as_pytorch_does_in_f64() {
    hold(true, 1e-6);
}

#[test]
fn the_engine_keeps_to_it_in_f32() {
    hold(false, F32);
}

/// Each setting matters to what was recorded: a training that differs in one is refused.
#[test]
fn a_training_that_differs_in_one_setting_is_refused() {
    let cases = cases();
    for (name, setting) in [
        ("cifar-paper", json!({"nesterov": false})),
        ("cifar-paper", json!({"warmup": 2})),
        ("cifar-paper", json!({"schedule": "step"})),
        ("cifar-paper", json!({"auxiliary": 0.4001})),
        ("cifar-paper", json!({"drop_path": 0.21})),
        ("cifar-paper", json!({"recipe": "quark0"})),
        ("cifar-quark0", json!({"nesterov": true})),
        ("cifar-quark0", json!({"weight_decay": 5e-4})),
        ("cifar-quark0", json!({"clip": 0})),
        ("cifar-quark0", json!({"cutout": 14})),
        ("cifar-quark0", json!({"momentum": 0.899})),
        ("cifar-steps", json!({"schedule": "epoch"})),
        ("cifar-steps", json!({"label_smoothing": 0.1001})),
        ("cifar-steps", json!({"lr_min": 1e-5})),
        ("imagenet-quark0", json!({"schedule": "epoch"})),
        ("nas-bench-201", json!({"recipe": "quark0", "lr": 0.02})),
        ("nas-bench-201", json!({"weight_decay": 4e-4})),
        ("nas-bench-201", json!({"augment": false})),
        ("nas-bench-201-quark0", json!({"recipe": "nas-bench-201", "lr": 0.025})),
    ] {
        let mut case = cases[name].clone();
        case.settings.as_object_mut().unwrap().extend(setting.as_object().unwrap().clone());
        let (faults, worst) = replay(name, &case, false, F32);
        println!("{name} with {setting}: off by {worst:.1e}");
        assert!(!faults.is_empty(), "{name} with {setting} is as was recorded without it");
    }
}

/// The augmented batches and masks of drop path of each case, for PyTorch.
#[test]
#[ignore = "writes the draws for tests/recipe/replay.py, to $RECIPE_DRAWS"]
fn draws() {
    let out = PathBuf::from(std::env::var_os("RECIPE_DRAWS").expect("RECIPE_DRAWS, a folder"));
    for (name, case) in cases() {
        let (mut trainer, (train, test)) = (trainer(&case, 1, false), data(&case));
        let mut all = HashMap::new();
        let mut put = |key: String, values: Vec<f32>, shape: &[usize]| {
            all.insert(key, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
        };
        for (key, set) in [("train", &train), ("test", &test)] {
            put(key.into(), set.pixels.iter().map(|&p| f32::from(p)).collect(), &[set.len(), 3, case.side, case.side]);
        }
        for epoch in 1..=trainer.config.epochs {
            trainer.enter(epoch);
            for batch in trainer.batches(&train).unwrap() {
                let (at, b) = (format!("{epoch}/{}", batch.index), batch.y.len());
                put(format!("{at}/x"), batch.x.clone(), &[b, 3, case.side, case.side]);
                put(format!("{at}/y"), batch.y.iter().map(|&y| y as f32).collect(), &[b]);
                if let Some(drop) = trainer.drop_path(&batch) {
                    put(format!("{at}/masks"), drop.masks.concat(), &[drop.masks.len(), b]);
                }
            }
        }
        safetensors::save(&all, out.join(format!("{name}.safetensors"))).unwrap();
    }
}
