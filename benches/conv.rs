//! Dense convolutions on one thread: `cargo bench --bench conv [FILTER]`. Gelem/s reads as GFLOP/s: the operations of the
//! direct convolution over the time, so that Winograd may exceed what the processor can do.
//!
//! A name is `direction/KxK sSTRIDE SIZEpx C_IN->SIBLINGSxC_OUT`. Forward includes ReLU on load and the statistics, backward
//! the affine map that forms dz; batch 64 in blocks of 16 images, as the engine does.

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use isdarts_host::ops::conv::{ConvPlan, ConvShape, Dz, PackedFilter, backward, forward, unpack_dw};
use std::hint::black_box;
use std::time::Duration;

const BATCH: usize = 64;
const BLOCK: usize = 16;

/// (k, stride, c_in, c_out, size, siblings)
const CASES: [(usize, usize, usize, usize, usize, usize); 24] = [
    (3, 1, 16, 16, 32, 1),
    (3, 1, 16, 16, 32, 2),
    (3, 1, 16, 16, 32, 3),
    (3, 1, 32, 32, 16, 1),
    (3, 1, 32, 32, 16, 2),
    (3, 1, 32, 32, 16, 3),
    (3, 1, 64, 64, 8, 1),
    (3, 1, 64, 64, 8, 2),
    (3, 1, 64, 64, 8, 3),
    (1, 1, 16, 16, 32, 1),
    (1, 1, 16, 16, 32, 3),
    (1, 1, 32, 32, 16, 1),
    (1, 1, 32, 32, 16, 3),
    (1, 1, 64, 64, 8, 1),
    (1, 1, 64, 64, 8, 3),
    (1, 1, 256, 64, 8, 1),
    (3, 2, 16, 32, 32, 1),
    (3, 2, 32, 64, 16, 1),
    (1, 2, 16, 32, 32, 1),
    (3, 1, 3, 16, 32, 1),
    (3, 1, 3, 48, 32, 1),
    (3, 1, 8, 8, 32, 3),
    (3, 1, 36, 36, 32, 1),
    (3, 1, 128, 128, 8, 1),
];

fn values(len: usize, c: usize, c_p: usize) -> Vec<f32> {
    (0..len).map(|i| if i % c_p < c { (i * 2654435761 % 1024) as f32 / 512.0 - 1.0 } else { 0.0 }).collect()
}

fn bench(criterion: &mut Criterion) {
    for (k, stride, c_in, c_out, size, siblings) in CASES {
        let shape = ConvShape { k, stride, pad: k / 2, dilation: 1, c_in, c_out, h: size, w: size };
        let stem = c_in == 3;
        let plan = ConvPlan::new(shape, 64, false);
        let (ho, wo) = shape.out_hw();
        let (cip, cop) = (shape.c_in_p(), shape.c_out_p());
        let (x_len, z_len) = (size * size * cip, ho * wo * cop);
        let x = values(BATCH * x_len, c_in, cip);
        let w = values(c_out * c_in * k * k, 1, 1);
        let mut filters = vec![PackedFilter::new(&plan); siblings];
        filters.iter_mut().for_each(|f| f.pack(&plan, &w));
        let filters: Vec<&PackedFilter> = filters.iter().collect();
        let mut z = vec![vec![0f32; BATCH * z_len]; siblings];
        let dy = values(BATCH * z_len, c_out, cop);
        let affine = values(cop, c_out, cop);
        let mut stats = vec![vec![0f64; 2 * cop]; siblings];
        let mut dx = vec![0f32; BATCH * x_len];
        let mut dw = vec![vec![0f32; plan.dw_len()]; siblings];
        let mut scratch = vec![0f32; plan.scratch_len(BLOCK, siblings)];
        let name = format!("{k}x{k} s{stride} {size}px {c_in}->{siblings}x{c_out}");
        let flops = 2 * BATCH as u64 * shape.macs() * siblings as u64;

        let mut group = criterion.benchmark_group("conv");
        group.sampling_mode(SamplingMode::Flat).sample_size(20);
        group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
        group.throughput(Throughput::Elements(flops));
        group.bench_function(format!("forward/{name}"), |b| {
            b.iter(|| {
                for block in (0..BATCH).step_by(BLOCK) {
                    let mut z: Vec<&mut [f32]> =
                        z.iter_mut().map(|z| &mut z[block * z_len..][..BLOCK * z_len]).collect();
                    let mut stats: Vec<&mut [f64]> = stats.iter_mut().map(|s| &mut s[..]).collect();
                    let x = black_box(&x[block * x_len..][..BLOCK * x_len]);
                    forward(&plan, &filters, !stem, BLOCK, x, &mut z, &mut stats, &mut scratch);
                }
            });
        });
        group.throughput(Throughput::Elements(if stem { flops } else { 2 * flops }));
        group.bench_function(format!("backward/{name}"), |b| {
            b.iter(|| {
                for block in (0..BATCH).step_by(BLOCK) {
                    let part = block * z_len..(block + BLOCK) * z_len;
                    let dz: Vec<Dz<'_>> = z
                        .iter()
                        .map(|z| Dz {
                            dy: &dy[part.clone()],
                            z: Some(&z[part.clone()]),
                            r: None,
                            a: &affine,
                            b: &affine,
                            g: &affine,
                        })
                        .collect();
                    let mut dw: Vec<&mut [f32]> = dw.iter_mut().map(|d| &mut d[..]).collect();
                    let x = black_box(&x[block * x_len..][..BLOCK * x_len]);
                    let dx = (!stem).then_some(&mut dx[block * x_len..][..BLOCK * x_len]);
                    backward(&plan, &filters, !stem, BLOCK, x, &dz, dx, &mut dw, &mut scratch);
                }
            });
        });
        if (siblings, stride, k) == (1, 1, 3) {
            let mut filter = PackedFilter::new(&plan);
            let mut w = w.clone();
            group.throughput(Throughput::Elements(w.len() as u64));
            group.bench_function(format!("pack and unpack/{name}"), |b| {
                b.iter(|| {
                    filter.pack(&plan, black_box(&w));
                    unpack_dw(&plan, black_box(&dw[0]), &mut w);
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
