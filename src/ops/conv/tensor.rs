//! The definition in candle tensor algebra.

use crate::ops::poll::poll;
use crate::ops::seen::seen;
use crate::ops::window::Window;
use candle_core::{Result, Tensor};

/// Numbers that the taps of one product may take up: what sees more goes by parts of the images, in less room, and can be
/// stopped between them, also on the way back.
const PART: usize = 1 << 22;

/// `f` of all images, or of as many at a time as see no more than [`PART`] numbers, `each` of them one.
fn in_parts(
    x: &Tensor,
    weight: &Tensor,
    each: usize,
    f: impl Fn(&Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let images = x.dim(0)?;
    let part = (PART / each.max(1)).max(1);
    if part >= images {
        return f(x, weight);
    }
    let starts = (0..images).step_by(part);
    let parts = starts.map(|i| f(&x.narrow(0, i, part.min(images - i))?, &poll(weight)?));
    Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 0)
}

/// Full convolution: `x: [b, ci, h, w]`, `weight: [co, ci, k, k]` with `k = window.kernel`, to `[b, co, oh, ow]`.
///
/// One matrix product `[co, k k ci] x [k k ci, b oh ow]` over what the taps see, so that its gradients are products too.
pub fn conv2d(x: &Tensor, weight: &Tensor, window: Window) -> Result<Tensor> {
    conv2d_of(x, weight, window, window)
}

/// [`conv2d`] with a rectangular kernel, `weight: [co, ci, kh, kw]`: one window goes down the rows, one across the columns.
pub fn conv2d_of(x: &Tensor, weight: &Tensor, down: Window, across: Window) -> Result<Tensor> {
    let (_, ci, h, w) = x.dims4()?;
    let each = down.kernel * across.kernel * ci * down.outputs(h) * across.outputs(w);
    in_parts(x, weight, each, |x, weight| product(x, weight, down, across))
}

fn product(x: &Tensor, weight: &Tensor, down: Window, across: Window) -> Result<Tensor> {
    let (b, ci, h, w) = x.dims4()?;
    let (co, taps) = (weight.dim(0)?, down.kernel * across.kernel);
    let (oh, ow) = (down.outputs(h), across.outputs(w));
    let seen = seen(down, across, &x.transpose(0, 1)?)?.reshape((taps * ci, b * oh * ow))?;
    let weight = weight.permute((0, 2, 3, 1))?.reshape((co, taps * ci))?;
    weight.matmul(&seen)?.reshape((co, b, oh, ow))?.transpose(0, 1)?.contiguous()
}

/// Depthwise convolution: `x: [b, c, h, w]`, `weight: [c, 1, k, k]`, to `[b, c, oh, ow]`.
pub fn depthwise_conv2d(x: &Tensor, weight: &Tensor, window: Window) -> Result<Tensor> {
    let (_, c, h, w) = x.dims4()?;
    let each = window.kernel * window.kernel * c * window.outputs(h) * window.outputs(w);
    in_parts(x, weight, each, |x, weight| sum_of_taps(x, weight, window))
}

fn sum_of_taps(x: &Tensor, weight: &Tensor, window: Window) -> Result<Tensor> {
    let (c, taps) = (x.dim(1)?, window.kernel * window.kernel);
    let weight = weight.reshape((c, taps, 1, 1))?;
    let mut sum: Option<Tensor> = None;
    // Channels first: the gradient of a weight is then a sum over the last axes, which candle is fast on.
    for (tap, seen) in window.taps(&x.transpose(0, 1)?.contiguous()?, 0.)?.iter().enumerate() {
        let term = seen.broadcast_mul(&weight.narrow(1, tap, 1)?)?;
        sum = Some(match sum {
            Some(sum) => (sum + term)?,
            None => term,
        });
    }
    let sum = sum.ok_or_else(|| candle_core::Error::Msg("depthwise convolution with an empty window".into()))?;
    sum.transpose(0, 1)?.contiguous()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::noise;
    use candle_core::{DType, Device, Var};

    /// candle's own convolution and its autograd are the second opinion.
    #[test]
    fn value_and_gradients_equal_those_of_candle() -> Result<()> {
        let device = Device::Cpu;
        // (images, ci, co, h, w, kernel, stride, dilation, depthwise)
        for (images, ci, co, h, w, k, s, d, depthwise) in [
            (2, 3, 5, 7, 4, 3, 1, 1, false),
            (2, 3, 5, 6, 8, 3, 2, 1, false),
            (1, 4, 3, 5, 5, 1, 1, 1, false),
            (3, 5, 5, 9, 7, 5, 1, 1, true),
            (2, 4, 4, 8, 8, 3, 1, 2, true),
            (2, 4, 4, 9, 9, 5, 2, 2, true),
            // Seen by parts of two images.
            (5, 9, 3, 64, 64, 7, 1, 1, false),
            (5, 9, 9, 64, 64, 7, 1, 1, true),
        ] {
            let window = Window::same(k, s, d);
            let draws = |place: &str, shape: &[usize]| noise::draw(1, place, shape, &device)?.to_dtype(DType::F64);
            let x = Var::from_tensor(&draws("x", &[images, ci, h, w])?)?;
            let weight = Var::from_tensor(&draws("weight", &[co, if depthwise { 1 } else { ci }, k, k])?)?;
            let (got, groups) = if depthwise {
                (depthwise_conv2d(&x, &weight, window)?, ci)
            } else {
                (conv2d(&x, &weight, window)?, 1)
            };
            let want = x.conv2d(&weight, window.padding, s, d, groups)?;
            assert_eq!(got.dims(), want.dims());
            let probe = draws("probe", want.dims())?;
            let (got_grads, want_grads) = ((&got * &probe)?.backward()?, (&want * &probe)?.backward()?);
            let pairs = [
                (&got, &want),
                (got_grads.get(&x).unwrap(), want_grads.get(&x).unwrap()),
                (got_grads.get(&weight).unwrap(), want_grads.get(&weight).unwrap()),
            ];
            for (i, (a, b)) in pairs.into_iter().enumerate() {
                let error = (a - b)?.abs()?.max_all()?.to_scalar::<f64>()?;
                assert!(error < 1e-9, "{window:?}, depthwise {depthwise}, tensor {i}: {error}");
            }
        }
        Ok(())
    }
}
