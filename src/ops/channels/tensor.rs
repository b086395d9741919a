//! The definition of [`super::shuffle`] in candle tensor algebra.

use candle_core::{Result, Tensor};

/// `first`, behind it the channels of `rest` from there on; `[b, groups, c / groups, h, w]` with the two axes of channels swapped.
pub fn shuffle(first: &Tensor, rest: &Tensor, groups: usize) -> Result<Tensor> {
    let ((b, c, h, w), n) = (rest.dims4()?, first.dim(1)?);
    let both = match c - n {
        0 => first.clone(),
        left => Tensor::cat(&[first, &rest.narrow(1, n, left)?], 1)?,
    };
    both.reshape((b, groups, c / groups, h * w))?.transpose(1, 2)?.contiguous()?.reshape((b, c, h, w))
}
