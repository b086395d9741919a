//! A number that is not finite is an error. What a network gives is looked at where it leaves the engine; the error says which
//! number it was, where, and what was not finite before it.

use crate::error::{Error, Result};
use crate::net::Params;
use crate::ops::finite::not_finite;
use candle_core::Tensor;

/// "epoch 3, step 5" of a batch of training, `index` from 0.
pub(super) fn step(epoch: usize, index: usize) -> String {
    format!("epoch {epoch}, step {}", index + 1)
}

/// [`Error::Diverged`] if a number of `x` is not finite.
pub(super) fn check(
    what: impl FnOnce() -> String,
    x: &Tensor,
    place: impl FnOnce() -> String,
    cause: impl FnOnce() -> String,
) -> Result<()> {
    match not_finite(x)? {
        None => Ok(()),
        Some(value) => Err(Error::Diverged { what: what(), value, place: place(), cause: cause() }),
    }
}

/// The first of the images, the mixing weights and the parameters of a network that is not finite, in words and in brackets.
pub(super) fn cause(params: &Params, input: &Tensor, mixing: &[Tensor]) -> String {
    let bad = |x: &Tensor| not_finite(x).ok().flatten();
    let input = bad(input).map(|v| format!("the images hold {v}"));
    let mixing = || mixing.iter().find_map(bad).map(|v| format!("the mixing weights hold {v}"));
    let param = |p: &crate::net::Param| Some(format!("parameter `{}` holds {}", p.name, bad(&p.var)?));
    let found = input.or_else(mixing).or_else(|| params.iter().find_map(param));
    format!(" ({})", found.unwrap_or_else(|| "all weights are finite: a sum of them is not".into()))
}
