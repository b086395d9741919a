//! The chapter on batches: what `for batch in net.batches(...)` and `net.pair_batches(...)` run over.

use crate::host::handles::batch::BatchHandle;
use crate::host::handles::batches::Pair;
use crate::host::handles::tensor::TensorHandle;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise_tensor};
use crate::host::script::functions::functions;
use candle_core::{Device, Tensor};

/// Register the properties of batches.
pub fn register(api: &mut Api) {
    api.chapter("batches");
    functions! { api, [];
        get len(&batch: BatchHandle) -> usize { batch.0.shape.0 }
        get train(&pair: Pair) -> BatchHandle { pair.train.clone() }

        /// The batch for the architecture.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let d = data().train.take(16);
        /// for pair in net.pair_batches(d, d, #{ batch_size: 8 }) { print(pair.valid); }
        /// ```
        get valid(&pair: Pair) -> BatchHandle { pair.valid.clone() }

        /// Its position in the epoch, from 0.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) { assert(batch.index == 0); }
        /// ```
        get index(&batch: BatchHandle) -> usize { batch.0.index }

        /// Classes of its images, [images], as numbers; for a loss of one's own.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// for batch in net.batches(data().train.take(8), #{ batch_size: 8 }) { assert(batch.labels.shape == [8]); }
        /// ```
        get labels(&batch: BatchHandle) -> Fallible<TensorHandle> {
            let labels: Vec<f32> = batch.0.y.iter().map(|y| *y as f32).collect();
            Tensor::from_vec(labels, batch.0.y.len(), &Device::Cpu).map(TensorHandle::new).map_err(raise_tensor)
        }
    }
}
