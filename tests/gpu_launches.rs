//! How many kernels a step of training launches on a GPU: counted on the emulator, for the paper's supernets.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::data::Batch;
use isdarts_host::net::{Supernet, SupernetConfig};
use isdarts_host::ops::gpu;
use isdarts_host::search::{Learner, TrainConfig};
use isdarts_host::space::SearchSpace;
use isdarts_host::{Device, Result};

/// The number depends on the cells alone, so the images are small. PyTorch launches 4,771 and 15,554.
#[test]
fn a_step_is_few_launches() -> Result<()> {
    gpu::emulate();
    for (space, cells, most) in [(SearchSpace::nas_bench_201(), 5, 350), (SearchSpace::darts(), 2, 400)] {
        let config = SupernetConfig { channels: 4, cells, ..SupernetConfig::default() };
        let mut learner = Learner::new(Supernet::new(space, config, &Device::Cpu)?, 0);
        learner.begin_epoch(1);
        let x = (0..2 * 3 * 64).map(|i| ((i * 37 % 101) as f32 - 50.0) / 30.0).collect();
        let batch = Batch { x, y: vec![1, 3], shape: (2, 3, 8, 8), images: vec![0, 1], index: 0, total: 1 };
        let cfg = TrainConfig { batch_size: 2, ..TrainConfig::default() };
        learner.train_step(&batch, None, &cfg)?;
        let before = gpu::launches();
        learner.train_step(&batch, None, &cfg)?;
        let launches = gpu::launches() - before;
        println!("{}: {launches} launches a step", learner.net.space().name());
        assert!(launches > 100 && launches <= most, "{launches} launches, at most {most} wanted");
    }
    Ok(())
}
