//! What this machine can do, and how much of it a training step gets out of it, op by op:
//! `cargo bench --bench ceiling [-- THREADS]` prints the tables of `benches/results/cpu.md`.
//!
//! The ceilings: a large f32 product by the `gemm` crate, and a read and a copy of buffers far larger than the caches, with 1 to
//! THREADS threads (all cores by default). Then steps of two supernets with the engine's profile on. Minima over repetitions.

use candle_core::Device;
use isdarts_host::Result;
use isdarts_host::data::Batch;
use isdarts_host::net::engine::profile::{self, ProfiledCost, ProfiledPart};
use isdarts_host::net::{Supernet, SupernetConfig};
use isdarts_host::search::{Learner, TrainConfig};
use isdarts_host::space::SearchSpace;
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Of a square product.
const N: usize = 3072;
/// f32s of a buffer: 512 MiB.
const LEN: usize = 1 << 27;
const BATCH: usize = 64;

/// The shortest of some runs, in seconds; the first one is not counted.
fn shortest(runs: usize, mut f: impl FnMut()) -> f64 {
    f();
    let mut one = || {
        let start = Instant::now();
        f();
        start.elapsed().as_secs_f64()
    };
    (0..runs).map(|_| one()).fold(f64::INFINITY, f64::min)
}

/// GFLOP/s of `c = a b`.
fn product(threads: usize) -> f64 {
    let values = |k: usize| (0..N * N).map(|i| (i * k % 1024) as f32 / 512.0 - 1.0).collect::<Vec<f32>>();
    let (a, b, mut c) = (values(37), values(53), vec![0f32; N * N]);
    let parallel = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let seconds = shortest(12, || {
        let (c, a, b) = (c.as_mut_ptr(), black_box(a.as_ptr()), b.as_ptr());
        let n = N as isize;
        // SAFETY: three matrices of N x N, row by row.
        unsafe {
            gemm::gemm(N, N, N, c, 1, n, false, a, 1, n, b, 1, n, 0.0, 1.0, false, false, false, parallel);
        }
    });
    2.0 * (N as f64).powi(3) / seconds / 1e9
}

/// GB/s of a read, and of a copy (read and written bytes).
fn bandwidth(threads: usize) -> (f64, f64) {
    let (x, mut y) = (vec![1f32; LEN], vec![0f32; LEN]);
    let part = LEN / threads / 16 * 16;
    let read = shortest(12, || {
        let sum = |x: &[f32]| {
            let mut sums = [0f32; 64];
            x.chunks_exact(64).for_each(|x| sums.iter_mut().zip(x).for_each(|(s, x)| *s += x));
            sums.iter().sum::<f32>()
        };
        black_box(x.par_chunks(part).map(sum).sum::<f32>());
    });
    let copy = shortest(12, || y.par_chunks_mut(part).zip(x.par_chunks(part)).for_each(|(y, x)| y.copy_from_slice(x)));
    let gb = (LEN * size_of::<f32>()) as f64 / 1e9;
    (gb / read, 2.0 * gb / copy)
}

/// A quick step's seconds and its parts.
fn step(space: SearchSpace, cells: usize) -> Result<(f64, Vec<(ProfiledPart, ProfiledCost)>)> {
    let config = SupernetConfig { cells, ..Default::default() };
    let mut learner = Learner::new(Supernet::new(space, config, &Device::Cpu)?, 0);
    learner.begin_epoch(1);
    let shape = (BATCH, 3, 32, 32);
    let x = (0..BATCH * 3 * 32 * 32).map(|i| (i * 2654435761 % 1024) as f32 / 512.0 - 1.0).collect();
    let batch = Batch { x, y: (0..BATCH as u32).map(|i| i % 10).collect(), shape, images: vec![], index: 0, total: 1 };
    let cfg = TrainConfig::default();
    let mut best: (f64, Vec<(ProfiledPart, ProfiledCost)>) = (f64::INFINITY, vec![]);
    for i in 0..12 {
        profile::start();
        let start = Instant::now();
        learner.train_step(&batch, None, &cfg)?;
        let (seconds, parts) = (start.elapsed().as_secs_f64(), profile::stop());
        if i > 0 && seconds < best.0 {
            best = (seconds, parts);
        }
    }
    Ok(best)
}

fn row(name: &str, total: f64, threads: usize, cost: ProfiledCost, ceilings: (f64, f64)) -> String {
    let seconds = cost.seconds / threads as f64;
    let (gflops, gbs) = (cost.operations as f64 / 1e9 / seconds, cost.bytes as f64 / 1e9 / seconds);
    format!(
        "| {name} | {:.1} | {:.0} % | {:.2} | {:.2} | {gflops:.0} | {:.0} % | {gbs:.1} | {:.0} % |",
        1e3 * seconds,
        100.0 * seconds / total,
        cost.operations as f64 / 1e9,
        cost.bytes as f64 / 1e9,
        100.0 * gflops / ceilings.0,
        100.0 * gbs / ceilings.1,
    )
}

fn add(a: ProfiledCost, b: ProfiledCost) -> ProfiledCost {
    ProfiledCost { seconds: a.seconds + b.seconds, operations: a.operations + b.operations, bytes: a.bytes + b.bytes }
}

/// Parts that `name` calls the same are one row; the longest first.
fn table(
    seconds: f64,
    parts: &[(ProfiledPart, ProfiledCost)],
    threads: usize,
    ceilings: (f64, f64),
    name: impl Fn(&ProfiledPart) -> String,
) {
    println!("| op | ms | of the step | GFLOP | GB | GFLOP/s | of the product's | GB/s | of the read's |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut rows: Vec<(String, ProfiledCost)> = vec![];
    for (part, cost) in parts {
        let at = rows.iter().position(|(n, _)| *n == name(part)).unwrap_or_else(|| {
            rows.push((name(part), ProfiledCost::default()));
            rows.len() - 1
        });
        rows[at].1 = add(rows[at].1, *cost);
    }
    rows.sort_by(|a, b| b.1.seconds.total_cmp(&a.1.seconds));
    let all = rows.iter().fold(ProfiledCost::default(), |a, (_, b)| add(a, *b));
    let small = rows.partition_point(|(_, cost)| cost.seconds > 0.01 * seconds * threads as f64);
    let others = rows.split_off(small).into_iter().fold(ProfiledCost::default(), |a, (_, b)| add(a, b));
    rows.push(("others, each below 1 %".into(), others));
    let rest = ProfiledCost { seconds: seconds * threads as f64 - all.seconds, ..ProfiledCost::default() };
    rows.iter().for_each(|(name, cost)| println!("{}", row(name, seconds, threads, *cost, ceilings)));
    println!("{}", row("waiting, between passes, loss, SGD", seconds, threads, rest, ceilings));
    println!("{}", row("step", seconds, threads, ProfiledCost { seconds: seconds * threads as f64, ..all }, ceilings));
    println!();
}

fn main() -> Result<()> {
    let arguments = std::env::args().skip(1);
    let threads = arguments.filter_map(|a| a.parse().ok()).next().unwrap_or_else(rayon::current_num_threads);
    let mut ceilings = (0.0, 0.0);
    println!("| threads | product, GFLOP/s | read, GB/s | copy, GB/s |\n|---|---|---|---|");
    for n in 1..=threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build();
        let Ok(pool) = pool else { continue };
        let (gflops, (read, copy)) = pool.install(|| (product(n), bandwidth(n)));
        println!("| {n} | {gflops:.0} | {read:.1} | {copy:.1} |");
        ceilings = (gflops, read);
    }
    println!();
    let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(threads).build() else { return Ok(()) };
    let networks = [
        ("NAS-Bench-201, C=16, N=5", SearchSpace::nas_bench_201(), 5),
        ("DARTS, C=16, 8 cells", SearchSpace::darts(), 2),
    ];
    for (name, space, cells) in networks {
        let (seconds, parts) = pool.install(|| step(space, cells))?;
        println!("{name}, batch {BATCH}, 32x32, {threads} threads: {:.0} ms\n", 1e3 * seconds);
        let way = |part: &ProfiledPart| if part.backward { "backward" } else { "forward" };
        table(seconds, &parts, threads, ceilings, |p| format!("{}, {}", p.op, way(p)));
        let convs: Vec<_> = parts.into_iter().filter(|(p, _)| p.pixels > 0).collect();
        table(seconds, &convs, threads, ceilings, |p| format!("{}, {}, {} x {}px", p.op, way(p), p.channels, p.pixels));
    }
    Ok(())
}
