//! The chapter on batches: what `for batch in net.batches(...)` and `net.pair_batches(...)` run over.

use super::tiny::tiny;
use crate::host::handles::batch::Batch;
use crate::host::handles::batches::{BatchList, Pair, PairList};
use crate::host::handles::tensor::T;
use crate::host::script::api::Api;
use crate::host::script::errors::raise_tensor;
use rhai::INT;

/// Register the types of batches.
pub fn register(api: &mut Api) {
    api.chapter("batches");
    api.value::<Batch>("Batch", |b| format!("batch {} of {}: {} images", b.0.index + 1, b.0.total, b.0.shape.0));
    api.value::<Pair>("Pair", |p| format!("pair {} of {}", p.train.0.index + 1, p.train.0.total));
    api.value::<BatchList>("Batches", |b| format!("batches of {}", b.data.describe()));
    api.value::<PairList>("Pairs", |b| format!("pairs of batches of {}", b.train.data.describe()));
    api.iterable::<BatchList, Batch>();
    api.iterable::<PairList, Pair>();
    api.also_get("len", |b: &mut Batch| Ok(b.0.shape.0 as INT));
    api.also_get("train", |p: &mut Pair| Ok(p.train.clone()));
    api.get(
        [
            "valid",
            "pair.valid -> Batch",
            "The batch for the architecture.",
            tiny!(
                "let d = data().train.take(16);\n",
                "for pair in net.pair_batches(d, d, #{ batch_size: 8 }) { print(pair.valid); }"
            ),
        ],
        |p: &mut Pair| Ok(p.valid.clone()),
    );
    api.get(
        [
            "index",
            "batch.index -> integer",
            "Its position in the epoch, from 0.",
            tiny!("for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) { assert(batch.index == 0); }"),
        ],
        |b: &mut Batch| Ok(b.0.index as INT),
    );
    api.get(
        [
            "labels",
            "batch.labels -> Tensor",
            "Classes of its images, [images], as numbers; for a loss of one's own.",
            tiny!(
                "for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) { assert(batch.labels.shape == \
                 [8]); }"
            ),
        ],
        |b: &mut Batch| {
            let labels: Vec<f32> = b.0.y.iter().map(|y| *y as f32).collect();
            candle_core::Tensor::from_vec(labels, b.0.y.len(), &candle_core::Device::Cpu)
                .map(T::new)
                .map_err(raise_tensor)
        },
    );
}
