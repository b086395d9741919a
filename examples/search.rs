//! A search from Rust, without a script: IS-DARTS on the embedded digits, with a callback after each epoch.
//!
//! `cargo run --release --example search`

use isdarts_host::{
    DataOptions, Device, EpochStats, Genotype, Learner, Measurement, Result, SearchSpace, ShrinkSchedule, Silent,
    Splits, Supernet, SupernetConfig, TrainConfig,
};

/// Searches `space` on `data`; `after` sees each epoch's statistics and how many candidates are alive.
fn search(space: SearchSpace, data: &Splits, mut after: impl FnMut(usize, &EpochStats, usize)) -> Result<Genotype> {
    let (epochs, steps) = (6, 2);
    let cfg = TrainConfig { epochs, ..Default::default() };
    let schedule = ShrinkSchedule::new(epochs, steps, 2)?;
    let classes = data.train.n_classes();
    let net =
        Supernet::new(space, SupernetConfig { channels: 4, cells: 1, classes, ..Default::default() }, &Device::Cpu)?;
    let mut learner = Learner::new(net, 0);
    for epoch in 1..=epochs {
        learner.begin_epoch(epoch);
        let stats = learner.train_epoch(&data.train, None, &cfg, &Silent)?;
        if schedule.is_due(epoch) {
            let importances =
                learner.measure_iim(&data.train, &Measurement::of(64, cfg.batch_size), &Silent)?.importances();
            for subset in learner.net.space().comparison_subsets() {
                let n = schedule.n_to_drop(subset.alive(learner.net.mask()).len(), subset.keep, epoch);
                for candidate in subset.least_important(&importances, learner.net.mask(), n) {
                    learner.net.drop(candidate)?;
                }
            }
        }
        after(epoch, &stats, learner.net.mask().n_alive());
    }
    learner.net.genotype()
}

/// Searches NAS-Bench-201, and prints how it went.
pub fn main() -> Result<()> {
    let data = Splits::open("digits", &DataOptions { limit: Some(20), ..Default::default() })?;
    let found = search(SearchSpace::nas_bench_201(), &data, |epoch, stats, alive| {
        println!("epoch {epoch}: loss {:.3}, {alive} candidates alive", stats.loss);
    })?;
    println!("{found}");
    Ok(())
}
