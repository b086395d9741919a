//! The definition of the sum of a mixed op, `y = sum_o w_o x_o`, in candle tensor algebra; differentiable in `w_o` and `x_o`.

use candle_core::{Result, Tensor};

/// `sum + weight * x`, where no `sum` counts as zero; `weight` has one element.
pub fn add_weighted(sum: Option<Tensor>, x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let term = x.broadcast_mul(&weight.reshape((1, 1, 1, 1))?)?;
    match sum {
        Some(sum) => sum + term,
        None => Ok(term),
    }
}
