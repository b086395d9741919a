//! What loading costs: a pass over 5,000 images of CIFAR's size (a tenth of an epoch), and of digits' size.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isdarts_host::data::{Augment, BatchPlan, Batches, Dataset, Rest};
use std::sync::Arc;

const N: usize = 5000;

/// `N` images of `side x side` in ten classes; what is in them does not matter for time.
fn noise(side: usize) -> Dataset {
    let pixels = (0..(N * 3 * side * side) as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    Dataset {
        name: "noise".into(),
        classes: Arc::new((0..10).map(|c| c.to_string()).collect()),
        shape: (3, side, side),
        pixels: Arc::new(pixels),
        labels: Arc::new((0..N as u32).map(|i| i % 10).collect()),
        indices: Arc::new((0..N as u32).collect()),
        mean: vec![0.5; 3],
        std: vec![0.25; 3],
        augment: Augment { crop_pad: (side + 4) / 8, flip: true, cutout: 0, photo: false },
        wholes: None,
    }
}

fn loader(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("loader");
    group.throughput(Throughput::Elements(N as u64)).sample_size(10);
    for side in [8, 16, 32] {
        let data = noise(side);
        for (name, augment) in [("plain", None), ("augmented", Some(data.augment))] {
            let plan = BatchPlan { shuffle: true, augment, ..BatchPlan::in_order(64, Rest::Short) };
            group.bench_function(format!("{side}x{side} {name}"), |bencher| {
                bencher.iter(|| Batches::start(&data, plan).map(|batches| batches.map(|b| b.x[0]).sum::<f32>()));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, loader);
criterion_main!(benches);
