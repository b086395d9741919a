//! The definition in candle tensor algebra.

use candle_core::{Result, Tensor};

/// `sum + weight * x`, where no `sum` counts as zero; `weight` has one element.
pub fn add_weighted(sum: Option<Tensor>, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let term = x.broadcast_mul(&weight.reshape((1, 1, 1, 1))?)?;
    match sum {
        Some(sum) => sum + term,
        None => Ok(term),
    }
}
