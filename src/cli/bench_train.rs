//! `bench train`: what one training step of an evaluation network takes. The keys are those of `benches/peer_train.py`.

use super::args::Train;
use super::bench::{milliseconds, peak_mb, random_batch};
use super::{device, interrupts, print};
use isdarts_host::host::device_name;
use isdarts_host::net::Subnet;
use isdarts_host::net::subnet::Plan;
use isdarts_host::search::settings::Given;
use isdarts_host::search::{EpochStats, EvalConfig, Trainer};
use isdarts_host::{Error, Result};
use std::time::Instant;

/// Forward, loss, backward, clip, SGD on one random batch, with drop path as at the end of training; one step before those
/// that are timed.
pub fn train(args: &Train) -> Result<()> {
    interrupts::install(None);
    let threads = device::threads(args.threads)?;
    let device = device::open(&args.device)?;
    let plan = Plan::read(&args.genotype)?;
    let sizes = [("channels", args.channels), ("cells", args.cells), ("batch_size", args.batch), ("warmup", 0)];
    let sizes = sizes.map(|(name, x)| (name.to_string(), Given::Whole(x as i64)));
    let network = ("network".to_string(), Given::Text(args.network.clone()));
    let map = sizes.into_iter().chain([network]).collect();
    let mut config = EvalConfig::of_map(&map, plan.topology, args.size)?;
    config.epochs = 1;
    let net = Subnet::new(plan, config.subnet(args.classes, args.seed)?, &device)?;
    let (channels, cells, parameters) = (net.config().channels, net.config().cells, net.n_weights());
    let batch = random_batch(args.batch, args.size, args.classes, args.seed)?;
    let (network, drop_path) = (config.network.clone(), config.drop_path);
    let mut trainer = Trainer::new(net, config, args.seed);
    trainer.enter(2);
    let mut stats = EpochStats::default();
    trainer.train_step(&batch, &mut stats)?;
    let mut steps = vec![];
    for _ in 0..args.steps {
        let start = Instant::now();
        trainer.train_step(&batch, &mut stats)?;
        device.synchronize().map_err(Error::from)?;
        steps.push(milliseconds(start));
    }
    steps.sort_by(f64::total_cmp);
    let json = serde_json::json!({
        "peer": concat!("isdarts-host ", env!("CARGO_PKG_VERSION")),
        "network": network,
        "channels": channels,
        "cells": cells,
        "parameters": parameters,
        "drop_path": drop_path,
        "batch": args.batch,
        "size": args.size,
        "threads": threads,
        "device": device_name(&device),
        "step_ms": steps[steps.len() / 2],
        "step_min_ms": steps[0],
        "peak_mb": peak_mb(&device),
    });
    print(&json.to_string())
}
