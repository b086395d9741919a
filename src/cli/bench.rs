//! `bench step`: what one training step, and one IIM measurement of a batch, take. The keys are those of the PyTorch peer.

use super::args::Step;
use super::{device, interrupts, print};
use candle_core::{Device, Tensor};
use isdarts_host::data::Batch;
use isdarts_host::host::device_name;
use isdarts_host::net::graph::supernet::mix_of;
use isdarts_host::net::{Supernet, SupernetConfig};
use isdarts_host::ops::gpu;
use isdarts_host::search::{Learner, TrainConfig};
use isdarts_host::space::{Candidate, Primitive, SearchSpace};
use isdarts_host::{Error, Result, memory};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::time::Instant;

/// Forward, loss, backward, clip, SGD on one random batch; one step before those that are timed.
pub fn step(args: &Step) -> Result<()> {
    interrupts::install(None);
    let threads = device::threads(args.threads)?;
    let device = device::open(&args.device)?;
    let space = SearchSpace::by_name(&args.space)?;
    let config = SupernetConfig {
        channels: args.channels,
        cells: args.cells,
        classes: args.classes,
        seed: args.seed,
        strict: args.strict,
        partial: args.partial,
        ..SupernetConfig::default()
    };
    let mut net = Supernet::new(space, config, &device)?;
    for candidate in dropped(net.space(), args)? {
        net.drop(candidate)?;
    }
    let mut learner = Learner::new(net, args.seed);
    learner.begin_epoch(1);
    let batch = random_batch(args.batch, args.size, args.classes, args.seed)?;
    let cfg = TrainConfig { batch_size: args.batch, weight_decay: 3e-4, ..TrainConfig::default() };

    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut mix = |net: &Supernet| (args.paths > 0).then(|| drawn(net, args.paths, &mut rng)).transpose();
    let first = mix(&learner.net)?;
    learner.train_step(&batch, first.as_deref(), &cfg)?;
    device.synchronize()?;
    let mut steps = vec![];
    let before = gpu::launches();
    for _ in 0..args.steps {
        let mix = mix(&learner.net)?;
        let start = Instant::now();
        learner.train_step(&batch, mix.as_deref(), &cfg)?;
        device.synchronize()?;
        steps.push(milliseconds(start));
    }
    let launches = (gpu::launches() - before) / args.steps.max(1) as u64;
    let held = gpu::held();
    if args.kernels {
        kernels(&learner.net)?;
    }
    // As a search brings it: engines take images from the host.
    let x = Tensor::from_slice(&batch.x, batch.shape, &Device::Cpu)?;
    let mixing = learner.net.mask_mixing()?;
    let mut measured = vec![];
    for _ in 0..(args.steps / 2).max(3) {
        let start = Instant::now();
        learner.net.score(&x, &mixing)?;
        device.synchronize()?;
        measured.push(milliseconds(start));
    }
    steps.sort_by(f64::total_cmp);
    measured.sort_by(f64::total_cmp);
    let json = serde_json::json!({
        "peer": concat!("isdarts-host ", env!("CARGO_PKG_VERSION")),
        "space": args.space,
        "channels": args.channels,
        "cells": args.cells,
        "batch": args.batch,
        "size": args.size,
        "threads": threads,
        "device": device_name(&device),
        "masked": args.masked,
        "dropped": args.drop,
        "paths": args.paths,
        "partial": args.partial,
        "strict": args.strict,
        "step_ms": steps[steps.len() / 2],
        "step_min_ms": steps[0],
        "step_mean_ms": (steps.iter().sum::<f64>() / steps.len() as f64 * 100.0).round() / 100.0,
        "iim_ms": measured[measured.len() / 2],
        "peak_mb": peak_mb(&device),
        "launches": (launches > 0).then_some(launches),
        "gpu_mb": (held > 0).then_some(held >> 20),
    });
    print(&json.to_string())
}

/// `--kernels`: a line for each launch of a forward and of a backward pass, then the sum of each kernel.
fn kernels(net: &Supernet) -> Result<()> {
    let times = net.kernel_times()?;
    if times.is_empty() {
        return Err(Error::invalid("--kernels", "a network that no GPU runs", "--device cuda"));
    }
    let mut sums: Vec<(&str, usize, f64)> = Vec::new();
    for &(kernel, blocks, seconds) in &times {
        print(&format!("{kernel:20} {blocks:6} blocks {:8.1} us", seconds * 1e6))?;
        match sums.iter_mut().find(|(name, ..)| *name == kernel) {
            Some((_, n, sum)) => (*n, *sum) = (*n + 1, *sum + seconds),
            None => sums.push((kernel, 1, seconds)),
        }
    }
    sums.sort_by(|a, b| b.2.total_cmp(&a.2));
    sums.iter().try_for_each(|(kernel, n, s)| print(&format!("{kernel:20} {n:6} launches {:8.3} ms", s * 1e3)))
}

/// What `--masked` and `--drop` drop; every edge keeps a candidate.
fn dropped(space: &SearchSpace, args: &Step) -> Result<Vec<Candidate>> {
    let (candidates, ops) = (space.candidates(), space.ops());
    if args.masked >= ops.len() {
        let expected = format!("0 to {}: every edge keeps a candidate", ops.len() - 1);
        return Err(Error::invalid("--masked", args.masked, expected));
    }
    let named = args.drop.iter().map(|name| Primitive::parse_among(name, ops)).collect::<Result<Vec<_>>>()?;
    if ops.iter().all(|op| named.contains(op)) {
        return Err(Error::invalid("--drop", args.drop.join(","), "fewer: every edge keeps a candidate"));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut dropped: Vec<Candidate> = candidates.iter().filter(|c| named.contains(&ops[c.op])).copied().collect();
    for edge in candidates.chunk_by(|a, b| (a.cell_type, a.edge) == (b.cell_type, b.edge)) {
        dropped.extend(edge.choose_multiple(&mut rng, args.masked).copied());
    }
    Ok(dropped)
}

/// A mix of `--paths`: so many of the live candidates of every edge, with equal weights.
fn drawn(net: &Supernet, paths: usize, rng: &mut impl Rng) -> Result<Vec<Tensor>> {
    let space = net.space();
    let (edges, ops) = (space.n_edges(), space.ops().len());
    let mut weights = vec![0f32; space.cell_types().len() * edges * ops];
    for edge in net.mask().alive().chunk_by(|a, b| (a.cell_type, a.edge) == (b.cell_type, b.edge)) {
        for c in edge.choose_multiple(rng, paths) {
            weights[mix_of(space, *c).0] = 1.0 / paths.min(edge.len()) as f32;
        }
    }
    let tables = weights.chunks_exact(edges * ops);
    tables.map(|t| Ok(Tensor::from_slice(t, (edges, ops), net.device())?)).collect()
}

pub fn random_batch(batch: usize, size: usize, classes: usize, seed: u64) -> Result<Batch> {
    for (what, value) in [("--batch", batch), ("--size", size), ("--classes", classes)] {
        if value == 0 {
            return Err(Error::invalid(what, value, "at least 1"));
        }
    }
    let bytes = memory::product(&[batch, 3, size, size]).map(|n| 4 * n as u128);
    memory::check("images of the benchmark", bytes, "--batch or --size")?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let shape = (batch, 3, size, size);
    // Uniform with mean 0 and variance 1, as good as normal here.
    let limit = 3f32.sqrt();
    let x = (0..batch * 3 * size * size).map(|_| rng.random_range(-limit..limit)).collect();
    let y = (0..batch).map(|_| rng.random_range(0..classes as u32)).collect();
    Ok(Batch { x, y, shape, images: vec![], index: 0, total: 1 })
}

/// Two decimals.
pub fn milliseconds(start: Instant) -> f64 {
    (start.elapsed().as_secs_f64() * 1e5).round() / 100.0
}

/// Largest resident memory of the process so far (Linux: `VmHWM`); `null` where it is not to be had, or on a GPU.
pub fn peak_mb(device: &Device) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok().filter(|_| device.is_cpu())?;
    let kb = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse::<u64>();
    Some((kb.ok()? + 512) / 1024)
}
