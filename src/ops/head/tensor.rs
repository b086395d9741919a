//! The definition in candle tensor algebra.

use candle_core::{Result, Tensor};

/// Mean over the pixels: `[b, c, h, w]` to `[b, c]`.
pub fn global_mean(x: &Tensor) -> Result<Tensor> {
    x.mean(3)?.mean(2)
}

/// `x w^T + bias`: `x: [b, c]`, `weight: [classes, c]`, `bias: [classes]`.
pub fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.matmul(&weight.t()?)?.broadcast_add(bias)
}
