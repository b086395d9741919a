//! The ops beside dense convolutions on one thread: `cargo bench --bench ops [FILTER]`. Separable convolutions in Gelem/s that
//! read as GFLOP/s, as in `conv.rs`; pools, sums and scores, which wait for memory, in bytes read and written.
//!
//! Batch 64 in blocks of 16 images, as the engine does, so what an op reads comes from memory.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use isdarts_host::ops::conv::Dz;
use isdarts_host::ops::depthwise::{SeparableFilter, SeparablePlan, SeparableShape, backward, forward, scratch_len};
use isdarts_host::ops::linear_sum::{Source, linear_sum, sums};
use isdarts_host::ops::pool::{self, Image};
use isdarts_host::ops::{iim, padded};
use std::hint::black_box;
use std::time::Duration;

const BATCH: usize = 64;
const BLOCK: usize = 16;

/// (channels, size) of the three stages.
const STAGES: [(usize, usize); 3] = [(16, 32), (32, 16), (64, 8)];

/// (k, stride, dilation)
const SEPARABLE: [(usize, usize, usize); 6] = [(3, 1, 1), (5, 1, 1), (3, 1, 2), (5, 1, 2), (3, 2, 1), (5, 2, 2)];

fn values(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 2654435761 % 1024) as f32 / 512.0 - 1.0).collect()
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.sampling_mode(SamplingMode::Flat).sample_size(20);
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
    group
}

fn separable(criterion: &mut Criterion) {
    let mut group = group(criterion, "separable");
    for (c, size) in STAGES {
        for (k, stride, dilation) in SEPARABLE {
            let shape = SeparableShape { k, stride, dilation, c_in: c, c_out: c, h: size, w: size };
            let plan = SeparablePlan::new(shape, BATCH, false);
            let (ho, wo) = shape.out_hw();
            let (x_len, z_len) = (size * size * padded(c), ho * wo * padded(c));
            let (x, dy, affine) = (values(BATCH * x_len), values(BATCH * z_len), values(padded(c)));
            let mut filter = SeparableFilter::new(&plan);
            filter.pack(&plan, &values(c * k * k), &values(c * c));
            let (plans, filters) = ([&plan], [&filter]);
            let scratch = scratch_len(&plans, true).max(scratch_len(&plans, false));
            let (mut scratch, mut z, mut dx) =
                (vec![0f32; scratch], vec![0f32; BATCH * z_len], vec![0f32; BATCH * x_len]);
            let (mut stats, mut dw) = (vec![0f64; 2 * padded(c)], vec![0f32; plan.dw_len()]);
            let name = format!("{k}x{k} s{stride} d{dilation} {size}px {c}");
            let flops = 2 * BATCH as u64 * shape.macs();
            group.throughput(Throughput::Elements(flops));
            group.bench_function(format!("forward/{name}"), |b| {
                b.iter(|| {
                    for (x, z) in x.chunks(BLOCK * x_len).zip(z.chunks_mut(BLOCK * z_len)) {
                        forward(&plans, &filters, true, BLOCK, black_box(x), &mut [z], &mut [&mut stats], &mut scratch);
                    }
                });
            });
            group.throughput(Throughput::Elements(2 * flops));
            group.bench_function(format!("backward/{name}"), |b| {
                b.iter(|| {
                    let images = x.chunks(BLOCK * x_len).zip(dx.chunks_mut(BLOCK * x_len));
                    for ((x, dx), (dy, z)) in images.zip(dy.chunks(BLOCK * z_len).zip(z.chunks(BLOCK * z_len))) {
                        let dz = Dz { dy, z: Some(z), r: None, a: &affine, b: &affine, g: &affine };
                        backward(
                            &plans,
                            &filters,
                            true,
                            BLOCK,
                            black_box(x),
                            &[dz],
                            Some(dx),
                            &mut [&mut dw],
                            &mut scratch,
                        );
                    }
                });
            });
        }
    }
}

fn pools(criterion: &mut Criterion) {
    let mut group = group(criterion, "pool");
    for (c, side) in STAGES {
        let size = Image { h: side, w: side, c };
        for stride in [1, 2] {
            let out = size.strided(stride);
            let (x, dy) = (values(BATCH * size.len()), values(BATCH * out.len()));
            let (mut y, mut dx) = (vec![0f32; BATCH * out.len()], vec![0f32; BATCH * size.len()]);
            let (x_len, y_len) = (BLOCK * size.len(), BLOCK * out.len());
            let bytes = |floats: usize| Throughput::Bytes(4 * floats as u64);
            let mut forward = |name: &str, floats: usize, f: &dyn Fn(&[f32], &mut [f32])| {
                group.throughput(bytes(floats));
                group.bench_function(format!("{name} s{stride} {side}px {c}"), |b| {
                    b.iter(|| x.chunks(x_len).zip(y.chunks_mut(y_len)).for_each(|(x, y)| f(black_box(x), y)));
                });
            };
            forward("average forward", x.len() + 2 * dy.len(), &|x, y| pool::avg3_add(x, y, size, stride));
            forward("maximum forward", x.len() + dy.len(), &|x, y| pool::max3(x, y, size, stride));
            group.throughput(bytes(dy.len() + 2 * x.len()));
            group.bench_function(format!("average backward s{stride} {side}px {c}"), |b| {
                b.iter(|| {
                    let blocks = dy.chunks(y_len).zip(dx.chunks_mut(x_len));
                    blocks.for_each(|(dy, dx)| pool::avg3_backward_add(black_box(dy), dx, size, stride));
                });
            });
            group.throughput(bytes(dy.len() + 3 * x.len()));
            group.bench_function(format!("maximum backward s{stride} {side}px {c}"), |b| {
                b.iter(|| {
                    let blocks = x.chunks(x_len).zip(dy.chunks(y_len)).zip(dx.chunks_mut(x_len));
                    blocks.for_each(|((x, dy), dx)| pool::max3_backward_add(black_box(x), dy, dx, size, stride));
                });
            });
        }
    }
}

/// The sum that a node is, the sums that its norms need on the way back, and a candidate's score.
fn sums_and_scores(criterion: &mut Criterion) {
    let mut group = group(criterion, "sum");
    for (c, side) in STAGES {
        let len = BATCH * side * side * c;
        let block = len / (BATCH / BLOCK);
        for terms in [1, 3, 6] {
            let xs: Vec<Vec<f32>> = (0..terms).map(|_| values(len)).collect();
            let (dy, a, mut y) = (values(len), vec![0.3; c], vec![0f32; len]);
            let mut out = vec![0f64; (1 + terms) * c];
            group.throughput(Throughput::Bytes(4 * (len * (terms + 1)) as u64));
            group.bench_function(format!("linear sum of {terms} {side}px {c}"), |b| {
                b.iter(|| {
                    for (i, y) in y.chunks_mut(block).enumerate() {
                        let sources: Vec<Source<'_>> =
                            xs.iter().map(|x| Source { a: &a, x: &x[i * block..(i + 1) * block] }).collect();
                        linear_sum(y, &a, black_box(&sources));
                    }
                });
            });
            group.bench_function(format!("sums of norms, {terms} {side}px {c}"), |b| {
                b.iter(|| {
                    for (i, dy) in dy.chunks(block).enumerate() {
                        let xs: Vec<&[f32]> = xs.iter().map(|x| &x[i * block..(i + 1) * block]).collect();
                        sums(black_box(dy), &xs, c, &mut out);
                    }
                });
            });
        }
        let (x, a) = (values(len), vec![0.3f32; c]);
        group.throughput(Throughput::Bytes(4 * len as u64));
        group.bench_function(format!("score {side}px {c}"), |b| {
            b.iter(|| x.chunks(block).map(|x| iim::score(black_box(x), &a, &a, c, side * side)).sum::<f64>());
        });
    }
}

criterion_group!(benches, separable, pools, sums_and_scores);
criterion_main!(benches);
