//! What a supernet promises besides its numbers (those: `tests/golden.rs`), for the definition and the default backend.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{DType, Device, Tensor};
use isdarts_host::net::supernet::mean_scores;
use isdarts_host::net::{Mode, Role, ScoreSums, Supernet, SupernetConfig, graph};
use isdarts_host::ops::noise;
use isdarts_host::space::{Candidate, Mask, PerCandidate, Primitive, SearchSpace, Topology};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn config() -> SupernetConfig {
    SupernetConfig { channels: 3, cells: 1, classes: 4, seed: 5, ..Default::default() }
}

/// Both spaces by both backends.
fn nets() -> Vec<Supernet> {
    let spaces = || [SearchSpace::nas_bench_201(), SearchSpace::darts()];
    let reference = spaces().map(|s| Supernet::new_reference(s, config(), &Device::Cpu).unwrap());
    let default = spaces().map(|s| Supernet::new(s, config(), &Device::Cpu).unwrap());
    reference.into_iter().chain(default).collect()
}

/// Not square on purpose.
fn images() -> Tensor {
    noise::draw(1, "images", &[3, 3, 8, 12], &Device::Cpu).unwrap()
}

fn finite(t: &Tensor) -> bool {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|v| v.is_finite())
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn keep_only(space: &SearchSpace, keep: impl Fn(Candidate) -> bool) -> Mask {
    let mut mask = space.full_mask();
    for c in space.candidates().into_iter().filter(|&c| !keep(c)) {
        mask.drop(c).unwrap();
    }
    mask
}

#[test]
fn dropped_candidates_are_not_computed() -> Outcome {
    for mut net in nets() {
        let odd = |c: Candidate| (c.edge + c.op) % 2 == 1;
        net.set_mask(keep_only(net.space(), odd))?;
        let darts = net.space().name() == "darts";
        let dead = |name: &str| {
            // `cells.0.edges.2<-1.3.op...`, `cells.0.edges.1<-2.ops.3...`
            let Some((_, rest)) = name.split_once(".edges.") else { return false };
            let mut parts = rest.split('.').filter(|p| *p != "ops");
            let edge = parts.next().unwrap();
            let op: usize = parts.next().unwrap().parse().unwrap();
            let shift = if darts { 2 } else { 0 };
            let (to, from) = edge.split_once("<-").unwrap();
            let (to, from) = (to.parse::<usize>().unwrap() + shift, from.parse::<usize>().unwrap());
            let edge = net.space().edges().into_iter().find(|e| e.to == to && e.from == from).unwrap().index;
            (edge + op).is_multiple_of(2)
        };
        let specs = graph::supernet::graph(net.space(), net.config(), net.mask()).params;
        let cancelled = |name: &str| specs.iter().any(|s| s.name == name && s.cancelled);
        let mut n_dead = 0;
        for p in net.params().iter().filter(|p| dead(&p.name)) {
            p.var.set(&Tensor::full(f32::NAN, p.var.dims(), &Device::Cpu)?)?;
            n_dead += 1;
        }
        assert!(n_dead > 10);
        let logits = net.forward(&images(), &net.mask_mixing()?, Mode::Train)?;
        assert!(finite(&logits));
        let gradients = net.backward(&logits.sqr()?.sum_all()?)?;
        for (p, gradient) in net.params().iter().zip(&gradients.params) {
            match gradient {
                Some(g) => assert!(finite(g) && g.dims() == p.var.dims() && p.role == Role::Weight, "{}", p.name),
                None => assert!(dead(&p.name) || p.role == Role::Buffer || cancelled(&p.name), "{}", p.name),
            }
        }
    }
    Ok(())
}

#[test]
fn a_cell_whose_candidates_are_all_zero_still_runs() -> Outcome {
    for mut net in nets() {
        let none = net.space().ops().iter().position(|&p| p == Primitive::None).unwrap();
        for mask in [keep_only(net.space(), |c| c.op == none), keep_only(net.space(), |_| false)] {
            net.set_mask(mask)?;
            let logits = net.forward(&images(), &net.mask_mixing()?, Mode::Train)?;
            assert!(finite(&logits));
            let gradients = net.backward(&logits.sqr()?.sum_all()?)?;
            assert!(gradients.params.iter().flatten().all(finite));
            let scores = net.score(&images(), &net.mask_mixing()?)?;
            for c in net.space().candidates() {
                let score = *scores.sum.get(c);
                assert!(if net.mask().is_alive(c) { score == f64::INFINITY } else { score.is_nan() }, "{c:?} {score}");
            }
        }
    }
    Ok(())
}

#[test]
fn only_train_mode_moves_the_running_statistics() -> Outcome {
    for net in nets() {
        let buffers = || -> Vec<f32> {
            net.params().iter().filter(|p| p.role == Role::Buffer).flat_map(|p| values(p.var.as_tensor())).collect()
        };
        let (x, start) = (images(), buffers());
        let first = values(&net.forward(&x, &net.mask_mixing()?, Mode::Eval)?);
        net.score(&x, &net.mask_mixing()?)?;
        assert_eq!(buffers(), start);
        assert_eq!(values(&net.forward(&x, &net.mask_mixing()?, Mode::Eval)?), first);
        net.forward(&x, &net.mask_mixing()?, Mode::Train)?;
        assert!(buffers().iter().zip(&start).all(|(a, b)| a != b));
    }
    Ok(())
}

#[test]
fn the_mixing_weights_of_a_mask_are_one_over_the_number_of_ops() -> Outcome {
    for mut net in nets() {
        let (c, ops) = (Candidate { cell_type: 0, edge: 2, op: 1 }, net.space().ops().len());
        net.drop(c)?;
        for (cell_type, table) in net.mask_mixing()?.iter().enumerate() {
            for (edge, row) in table.to_vec2::<f32>()?.iter().enumerate() {
                for (op, &w) in row.iter().enumerate() {
                    let dropped = Candidate { cell_type, edge, op } == c;
                    assert_eq!(w, if dropped { 0. } else { 1. / ops as f32 });
                }
            }
        }
    }
    Ok(())
}

#[test]
fn what_the_network_cannot_take_is_refused_in_words() -> Outcome {
    let net = Supernet::new(SearchSpace::nas_bench_201(), config(), &Device::Cpu)?;
    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let mixing = net.mask_mixing()?;
    for (x, mixing, parts) in [
        (zeros(&[2, 1, 8, 8]), mixing.clone(), "[2, 1, 8, 8], expected f32 images [b, 3, h, w]"),
        (zeros(&[0, 3, 8, 8]), mixing.clone(), "[0, 3, 8, 8], expected f32 images"),
        (zeros(&[2, 3, 8, 8]).to_dtype(DType::F64)?, mixing.clone(), "F64"),
        (zeros(&[2, 3, 8, 10]), mixing.clone(), "image size: got 8 x 10, expected a height and a width divisible by 4"),
        (zeros(&[2, 3, 8, 8]), vec![], "mixing weights: got [], expected f32 tensors [6, 5]"),
        (zeros(&[2, 3, 8, 8]), vec![zeros(&[5, 6])], "got [[5, 6]], expected f32 tensors [6, 5]"),
        (zeros(&[1, 3, 4, 4]), mixing.clone(), "got 1 x 1 x 1 values a channel, expected at least 2"),
    ] {
        let error = net.forward(&x, &mixing, Mode::Train).unwrap_err().to_string();
        assert!(error.contains(parts), "{error}");
    }
    for (size, what) in [
        (SupernetConfig { channels: 0, ..config() }, "channels"),
        (SupernetConfig { cells: 0, ..config() }, "cells"),
        (SupernetConfig { classes: 0, ..config() }, "classes"),
    ] {
        let error = Supernet::new(SearchSpace::darts(), size, &Device::Cpu).err().unwrap().to_string();
        assert_eq!(error, format!("supernet, {what}: got 0, expected at least 1"));
    }
    let ops = ["none", "max_pool_2x2"].map(|op| Primitive::parse(op).unwrap());
    let halving = SearchSpace::custom("halving", Topology::Darts, 2, &ops)?;
    let error = Supernet::new(halving, config(), &Device::Cpu).err().unwrap().to_string();
    assert!(error.contains("on normal edge 2<-0: got max_pool_2x2, expected it on edges that halve"), "{error}");
    let mut net = net;
    let c = Candidate { cell_type: 0, edge: 0, op: 0 };
    net.drop(c)?;
    assert!(net.drop(c).is_err());
    assert!(net.drop(Candidate { op: 5, ..c }).is_err());
    assert!(net.set_mask(SearchSpace::darts().full_mask()).unwrap_err().to_string().starts_with("mask"));
    assert!(net.genotype().is_err());
    Ok(())
}

#[test]
fn scores_of_batches_are_averaged_over_their_images() -> Outcome {
    let space = SearchSpace::nas_bench_201();
    let batch = |value: f64, images| ScoreSums { sum: PerCandidate::filled(&space, value), images };
    let mut dead = batch(4., 1);
    let c = Candidate { cell_type: 0, edge: 1, op: 1 };
    *dead.sum.get_mut(c) = f64::NAN;
    let mean = mean_scores(&[batch(6., 3), dead])?;
    assert_eq!(*mean.score.get(Candidate { op: 0, ..c }), 2.5);
    assert!(mean.score.get(c).is_nan());
    assert!(mean_scores(&[batch(f64::INFINITY, 3), batch(1., 1)])?.score.get(c).is_infinite());
    assert!(mean_scores(&[]).is_err());
    Ok(())
}
