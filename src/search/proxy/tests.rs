//! Proxies beside what their authors' code gave (`tests/peer/proxies.py`), and what they refuse.

use super::*;
use crate::net::{SubnetConfig, SupernetConfig};
use crate::space::{Family, Plan, Primitive, SearchSpace, Topology};
use candle_core::Device;
use serde_json::Value;

/// How far off a proxy may be, relatively: of the definition in f64, and of the engine in f32, where now and then a ReLU of these
/// few images is on the other side of zero, and where grasp is a difference of two gradients.
const TOLERANCES: [(&str, f64, f64); 9] = [
    ("grad_norm", 1e-5, 1e-2),
    ("snip", 1e-5, 1e-2),
    ("grasp", 1e-5, 5e-3),
    ("fisher", 1e-3, 1e-3),
    ("synflow", 1e-10, 1e-10),
    ("jacob_cov", 1e-10, 1e-4),
    ("naswot", 1e-4, 1e-4),
    ("zen", 1e-4, 1e-4),
    ("zico", 1e-3, 1e-2),
];

fn recorded() -> Value {
    serde_json::from_str(include_str!("../../../tests/proxies/recorded.json")).unwrap()
}

/// Numbers in [0, 1) from a name: splitmix64 from its CRC, 24 bits of each.
fn uniform(name: &str, n: usize) -> Vec<f64> {
    let mut crc = flate2::Crc::new();
    crc.update(name.as_bytes());
    let number = |i: u64| {
        let mut z = u64::from(crc.sum()).wrapping_add(i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 40) as f64 / f64::from(1 << 24)
    };
    (1..=n as u64).map(number).collect()
}

fn wide(name: &str, n: usize) -> Vec<f32> {
    uniform(name, n).iter().map(|u| ((2.0 * u - 1.0) * 1.7) as f32).collect()
}

fn weight(name: &str, shape: &[usize]) -> Vec<f32> {
    let n: usize = shape.iter().product();
    let bound = 1.0 / ((n / shape[0]) as f64).sqrt();
    let value = |u: f64| match name {
        _ if name.ends_with("running_mean") => 0.0,
        _ if name.ends_with("running_var") => 1.0,
        _ if shape.len() > 1 => (2.0 * u - 1.0) * bound,
        _ if name.ends_with("weight") => 0.5 + u,
        _ => u - 0.5,
    };
    uniform(name, n).into_iter().map(|u| value(u) as f32).collect()
}

fn batch(index: usize, images: usize, side: usize) -> Batch {
    let y = (0..images).map(|i| ((7 * i + index) % 10) as u32).collect();
    let x = wide(&format!("x{index}"), images * 3 * side * side);
    Batch { x, y, images: vec![0; images], shape: (images, 3, side, side), index, total: 2 }
}

fn network(case: &Value, channels: usize, reference: bool) -> Subnet {
    let plan = Plan::parse(case["genotype"].as_str().unwrap()).unwrap();
    let family = Family::parse(case["network"].as_str().unwrap()).unwrap();
    let cells = case["cells"].as_u64().unwrap() as usize;
    let usual = SubnetConfig::usual(family, 10, 0);
    let config = SubnetConfig { channels, cells, auxiliary: false, ..usual };
    let make = if reference { Subnet::new_reference } else { Subnet::new };
    let net = make(plan, config, &Device::Cpu).unwrap();
    for param in net.params().iter() {
        let value = Tensor::from_vec(weight(&param.name, param.var.dims()), param.var.dims(), &Device::Cpu).unwrap();
        param.var.set(&value).unwrap();
    }
    net
}

/// The recorded draws of zen in place of our own.
fn zen(net: &Subnet, batch: &Batch) -> f64 {
    let subject = Subject::from(net);
    let images = subject.images("zen", batch).unwrap();
    let mut draws = images::Draws::of(&subject, &images, 1).unwrap();
    for layer in subject.layers() {
        let param = net.params().at(layer.weight);
        let value = wide(&param.name, param.var.elem_count());
        draws.weights[layer.weight] = Tensor::from_vec(value, param.var.dims(), &Device::Cpu).unwrap();
    }
    draws.x = ["zen x", "zen x'"].map(|x| Tensor::from_vec(wide(x, batch.x.len()), batch.shape, &Device::Cpu).unwrap());
    images::zen(&subject, &images, &draws).unwrap()
}

#[test]
fn proxies_are_those_of_their_authors_code_on_the_same_weights_and_images() {
    let recorded = recorded();
    let number = |key: &str| recorded[key].as_u64().unwrap() as usize;
    let batches = [0, 1].map(|index| batch(index, number("images"), number("size")));
    let cases = recorded["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 15);
    let mut faults = vec![];
    for (case, reference) in cases.iter().flat_map(|case| [(case, true), (case, false)]) {
        let net = network(case, number("channels"), reference);
        let before = net.params().tensors().unwrap();
        for (name, proxy) in Proxy::ALL {
            let got = match proxy {
                Proxy::Zen => zen(&net, &batches[0]),
                Proxy::Zico => score(&net, proxy, &[&batches[0], &batches[1]], 0).unwrap(),
                _ => score(&net, proxy, &[&batches[0]], 0).unwrap(),
            };
            let want = case["values"][name].as_f64().unwrap();
            let &(_, exact, fast) = TOLERANCES.iter().find(|(known, ..)| *known == name).unwrap();
            let tolerance = if reference { exact } else { fast };
            let error = (got - want).abs() / want.abs();
            if error > tolerance {
                faults.push(format!("{name} ({reference}) of {}: {got}, recorded {want}: {error:.1e}", net.plan()));
            }
        }
        for (name, tensor) in before {
            let now = net.params().get(&name).unwrap().var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(now, tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(), "{name} moved");
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn what_a_proxy_cannot_be_asked_of_is_refused_in_words() {
    let recorded = recorded();
    let case = |text: &str| serde_json::json!({ "genotype": text, "network": "nas-bench-201", "cells": 1 });
    let net = network(&recorded["cases"][0], 4, false);
    let cut = network(&case("|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"), 4, false);
    let (good, empty) = (batch(0, 4, 8), batch(0, 0, 8));
    let mut nan = batch(0, 4, 8);
    nan.x[5] = f32::NAN;
    let mut label = batch(0, 4, 8);
    label.y[1] = 10;
    for (_, proxy) in Proxy::ALL {
        for (net, batches, says) in [
            (&net, vec![], "got no batch"),
            (&net, vec![&empty], "got an empty batch, expected images"),
            (&net, vec![&nan, &good], "got NaN, expected finite numbers"),
            (&net, vec![&label, &good], "label of a batch: got 10, expected 0 to 9"),
            (&cut, vec![&good, &good], "goes through `none`, expected a cell with a path"),
        ] {
            let error = score(net, proxy, &batches, 0).unwrap_err().to_string();
            assert!(error.contains(says), "{proxy:?}: {error}");
            let error = scores(net, &[Proxy::Synflow, proxy], &batches, 0).unwrap_err().to_string();
            assert!(error.contains(says), "synflow, {proxy:?}: {error}");
        }
    }
    let one = batch(0, 1, 8);
    for (proxy, batch, says) in [
        (Proxy::Zico, &good, "got 1 batch, expected two or more"),
        (Proxy::JacobCov, &one, "got a batch of 1 image, expected two or more"),
        (Proxy::Naswot, &one, "got a batch of 1 image"),
    ] {
        let error = score(&net, proxy, &[batch], 0).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    let bad = net.params().get("stem.0.weight").unwrap();
    bad.var.set(&(bad.var.as_tensor() * f64::NAN).unwrap()).unwrap();
    let error = score(&net, Proxy::Snip, &[&good], 0).unwrap_err().to_string();
    assert!(error.contains("parameter `stem.0.weight`: got NaN"), "{error}");
}

#[test]
fn asked_for_together_or_one_by_one_proxies_have_the_same_bits() {
    let recorded = recorded();
    let batches = [0, 1, 2].map(|index| batch(index, 4, 8));
    let batches: Vec<&Batch> = batches.iter().collect();
    for case in [0, 10] {
        let net = network(&recorded["cases"][case], 4, false);
        assert!(net.network().is_fast());
        let all = Proxy::ALL.map(|(_, proxy)| proxy);
        let together = scores(&net, &all, &batches, 7).unwrap();
        for (proxy, value) in all.into_iter().zip(together) {
            assert_eq!(score(&net, proxy, &batches, 7).unwrap(), value, "{proxy:?}");
        }
    }
}

/// A supernet whose edges have one live candidate each computes what the network of that cell computes, but for norms of candidates
/// without affine part: a fresh network has 1 and 0 there. Mixing weights of a mask are 1/|O|, which a norm cancels.
#[test]
fn saliencies_of_candidates_add_up_to_those_of_the_cells() {
    for space in [SearchSpace::nas_bench_201(), SearchSpace::darts()] {
        let config = SupernetConfig { channels: 4, cells: 1, ..Default::default() };
        let net = Supernet::new(space.clone(), config, &Device::Cpu).unwrap();
        let batch = batch(0, 4, 16);
        for proxy in [Proxy::GradNorm, Proxy::Snip, Proxy::Fisher, Proxy::Synflow] {
            let table = per_candidate(&net, proxy, &[&batch]).unwrap();
            let subject = Subject { network: net.network(), mix: Some(net.flat_mixing().unwrap()) };
            let images = subject.checked("x", &[&batch]).unwrap();
            let seen = Seen::of(&subject, &images[0], &[proxy]).unwrap();
            let all = subject.saliencies(proxy, &images[0], &seen).unwrap();
            let of_cells: f64 =
                net.params().iter().zip(&all).filter(|(p, _)| p.name.contains(".edges.")).map(|(_, s)| s).sum();
            let sum: f64 = table.iter().map(|(_, s)| s).sum();
            assert!((sum / of_cells - 1.0).abs() < 1e-9 && sum > 0.0, "{proxy:?}: {sum}, {of_cells}");
            for candidate in space.candidates() {
                let op = space.ops()[candidate.op];
                let bare = [Primitive::None, Primitive::AvgPool3x3, Primitive::MaxPool3x3].contains(&op);
                let skip =
                    op == Primitive::SkipConnect && (space.topology() != Topology::Darts || candidate.cell_type == 0);
                let value = *table.get(candidate);
                assert!(if bare || skip { value == 0.0 } else { value >= 0.0 }, "{proxy:?} {candidate:?}: {value}");
            }
        }
        let counts = weights_per_candidate(&net);
        let first = |op: Primitive| {
            let op = space.ops().iter().position(|o| *o == op).unwrap();
            *counts.get(crate::space::Candidate { cell_type: 0, edge: 0, op })
        };
        match space.topology() {
            // 3x3 and 1x1 at 4, 8 and 16 channels.
            Topology::NasBench201 => {
                assert_eq!(first(Primitive::NorConv3x3), 9.0 * (16.0 + 64.0 + 256.0));
                assert_eq!(first(Primitive::NorConv1x1), 16.0 + 64.0 + 256.0);
            }
            // Two depthwise 3x3 and two 1x1 each.
            Topology::Darts => assert_eq!(first(Primitive::SepConv3x3), 2.0 * (9.0 * 28.0 + 336.0)),
        }
        assert!(
            per_candidate(&net, Proxy::Zen, &[&batch]).unwrap_err().to_string().contains("weights have no part in")
        );
    }
}
