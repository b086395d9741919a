//! A training step and a measurement of importance of small supernets, on all threads: `cargo bench --bench step [FILTER]`.
//! Images/s. `isdarts-host bench step` times one network of any size; `benches/peer.py` holds it against PyTorch.

use candle_core::{Device, Tensor};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use isdarts_host::Result;
use isdarts_host::data::Batch;
use isdarts_host::net::{Supernet, SupernetConfig};
use isdarts_host::search::{Learner, TrainConfig};
use isdarts_host::space::{Candidate, SearchSpace};
use std::time::Duration;

const BATCH: usize = 64;

/// C=8, N=1; the first `dropped` candidates of every edge are.
fn learner(space: SearchSpace, dropped: usize) -> Result<Learner> {
    let config = SupernetConfig { channels: 8, cells: 1, ..Default::default() };
    let mut net = Supernet::new(space, config, &Device::Cpu)?;
    let candidates: Vec<Candidate> = net.space().candidates().into_iter().filter(|c| c.op < dropped).collect();
    candidates.into_iter().try_for_each(|c| net.drop(c))?;
    let mut learner = Learner::new(net, 0);
    learner.begin_epoch(1);
    Ok(learner)
}

fn batch(size: usize) -> Batch {
    let x = (0..BATCH * 3 * size * size).map(|i| (i * 2654435761 % 1024) as f32 / 512.0 - 1.0).collect();
    Batch {
        x,
        y: (0..BATCH as u32).map(|i| i % 10).collect(),
        shape: (BATCH, 3, size, size),
        images: vec![],
        index: 0,
        total: 1,
    }
}

fn steps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("step");
    group.sampling_mode(SamplingMode::Flat).sample_size(10).throughput(Throughput::Elements(BATCH as u64));
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    let cases = [(SearchSpace::nas_bench_201(), 0), (SearchSpace::nas_bench_201(), 3), (SearchSpace::darts(), 0)];
    for (space, dropped) in cases {
        for size in [8, 16, 32] {
            let name = format!("{} C=8 N=1 {size}px{}", space.name(), if dropped > 0 { ", 2 live" } else { "" });
            let (batch, cfg) = (batch(size), TrainConfig::default());
            let run = || -> Result<(Learner, Tensor)> {
                let x = Tensor::from_slice(&batch.x, batch.shape, &Device::Cpu)?;
                Ok((learner(space.clone(), dropped)?, x))
            };
            let (mut learner, x) = match run() {
                Ok(made) => made,
                Err(e) => panic!("{name}: {e}"),
            };
            group.bench_function(format!("train/{name}"), |b| b.iter(|| learner.train_step(&batch, None, &cfg)));
            group.bench_function(format!("iim/{name}"), |b| {
                b.iter(|| learner.net.mask_mixing().and_then(|mixing| learner.net.score(&x, &mixing)));
            });
        }
    }
}

criterion_group!(benches, steps);
criterion_main!(benches);
