//! The definition in candle tensor algebra.

use super::Mask;
use candle_core::{Result, Tensor};

/// `x: [b, c, h, w]` times the factors of its values.
pub fn dropout(x: &Tensor, mask: Mask) -> Result<Tensor> {
    x * Tensor::from_vec(mask.factors(x.dims4()?), x.shape(), x.device())?.to_dtype(x.dtype())?
}
