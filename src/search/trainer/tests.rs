//! A small network on a few digits: that it learns, resumes to the bit, and reports what it should.

use super::*;
use crate::data::{DataOptions, Splits};
use crate::net::subnet::Plan;
use crate::ops::noise;
use crate::search::settings::Given;
use crate::search::{Silent, checkpoint, weights_file};
use candle_core::Device;
use serde_json::json;

const CELLS: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), \
                     ('skip_connect', 0), ('dil_conv_3x3', 2), ('avg_pool_3x3', 0), ('skip_connect', 1)], \
                     normal_concat=range(2, 6), reduce=[('skip_connect', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 1), \
                     ('skip_connect', 2), ('skip_connect', 0), ('skip_connect', 2), ('skip_connect', 2), \
                     ('max_pool_3x3', 1)], reduce_concat=range(2, 6))";

fn digits() -> Splits {
    Splits::open("digits", &DataOptions { limit: Some(60), ..Default::default() }).unwrap()
}

fn trainer(seed: u64) -> Trainer {
    let plan = Plan::parse(CELLS).unwrap();
    let whole = [("channels", 4), ("cells", 3), ("epochs", 4), ("warmup", 1), ("batch_size", 16)];
    let whole = whole.map(|(name, x)| (name.to_string(), Given::Whole(x)));
    let parts = [("lr", 0.05), ("drop_path", 0.3)].map(|(name, x)| (name.to_string(), Given::Fraction(x)));
    let map = whole.into_iter().chain(parts).collect();
    let config = EvalConfig::of_map(&map, plan.topology, 8).unwrap();
    let net = Subnet::new(plan, config.subnet(10, seed).unwrap(), &Device::Cpu).unwrap();
    Trainer::new(net, config, seed)
}

fn bits(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
    let values =
        |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect();
    trainer.state().unwrap().tensors.iter().map(|(name, t)| (name.clone(), values(t))).collect()
}

#[test]
fn it_learns_and_a_restored_one_goes_on_to_the_same_bits() {
    let data = digits();
    let (test, silent) = (data.test.take(100, 0), Silent);
    let mut whole = trainer(3);
    whole.epoch(&data.train, &test, &silent).unwrap();
    whole.epoch(&data.train, &test, &silent).unwrap();
    let dir = tempfile::tempdir().unwrap();
    checkpoint::save(dir.path(), &[("1 subnet".into(), whole.state().unwrap())], &json!({})).unwrap();
    let (states, _) = checkpoint::load(dir.path()).unwrap().unwrap();
    let mut resumed = trainer(4); // another seed: the checkpoint's must win
    resumed.config.epochs = whole.config.epochs;
    let mut state = states.into_iter().next().unwrap().1;
    let refused = resumed.restore(state.clone()).unwrap_err().to_string();
    assert!(refused.contains("network of the checkpoint, network"), "{refused}");
    state.json["network"]["seed"] = json!(4);
    resumed.restore(state).unwrap();
    for _ in 0..2 {
        let found = [&mut whole, &mut resumed].map(|t| t.epoch(&data.train, &test, &silent).unwrap());
        assert_eq!(found[0], found[1]);
    }
    assert!(bits(&whole) == bits(&resumed));
    let curve = whole.curve();
    assert_eq!(curve.iter().map(|r| r.epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(curve[3].train_loss < curve[0].train_loss && curve[3].test_top1 > 0.4, "{curve:?}");
    assert!(curve.iter().all(|r| r.test_top5 >= r.test_top1) && curve[3].lr < curve[1].lr);
}

#[test]
fn the_confusion_table_counts_every_image_once() {
    let data = digits();
    let found = trainer(1).evaluate(&data.test, &Silent).unwrap();
    let rows: Vec<usize> = found.confusion.iter().map(|r| r.iter().sum::<u32>() as usize).collect();
    assert_eq!(rows, data.test.class_counts());
    let right: u32 = (0..10).map(|i| found.confusion[i][i]).sum();
    assert!((f64::from(right) / data.test.len() as f64 - found.top1).abs() < 1e-9);
}

#[test]
fn ranks_count_the_larger_logits() {
    for (row, class, expected) in [
        (&[0.1f32, 0.5, 0.3][..], 1, 0),
        (&[0.1, 0.5, 0.3], 0, 2),
        (&[0.5, 0.5, 0.5], 2, 2),
        (&[f32::NAN, f32::NAN], 0, 2),
    ] {
        assert_eq!(rank(row, class), expected, "{row:?}");
    }
}

#[test]
fn a_file_of_weights_makes_the_network_again() {
    let (data, dir) = (digits(), tempfile::tempdir().unwrap());
    let trained = trainer(5);
    let path = dir.path().join("last.safetensors");
    let about = weights_file::About::new(&trained.net, &data.train);
    weights_file::save(&path, &trained.net, &about).unwrap();
    let (net, read) = weights_file::open(&path, &Device::Cpu).unwrap();
    assert_eq!(read, about);
    let x = noise::draw(1, "x", &[2, 3, 8, 8], &Device::Cpu).unwrap();
    let logits = |net: &Subnet| net.forward(&x, Mode::Eval, None).unwrap().logits.to_vec2::<f32>().unwrap();
    assert_eq!(logits(&net), logits(&trained.net));
    let plain = dir.path().join("plain.safetensors");
    net.params().save(&plain).unwrap();
    let refused = weights_file::open(&plain, &Device::Cpu).err().unwrap().to_string();
    assert!(refused.contains("no metadata entry `isdarts-network`"), "{refused}");
}
