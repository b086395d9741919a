//! The definitions in candle tensor algebra.

use crate::ops::seen::seen;
use crate::ops::window::Window;
use candle_core::{Result, Tensor};

fn sum(taps: Vec<Tensor>) -> Result<Tensor> {
    let mut taps = taps.into_iter();
    let first = taps.next().ok_or_else(|| candle_core::Error::Msg("pool with an empty window".into()))?;
    taps.try_fold(first, |sum, tap| sum + tap)
}

/// 3x3 average, padding 1, over the valid pixels.
pub fn avg_pool3(x: &Tensor, stride: usize) -> Result<Tensor> {
    avg_pool(x, Window::same(3, stride, 1))
}

/// Average over the pixels of the image that the window sees.
pub fn avg_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let valid = sum(window.taps(&Tensor::ones((1, 1, h, w), x.dtype(), x.device())?, 0.)?)?;
    seen(window, window, x)?.sum(0)?.broadcast_div(&valid)
}

/// 3x3 maximum, padding 1; NaN counts as the maximum.
pub fn max_pool3(x: &Tensor, stride: usize) -> Result<Tensor> {
    max_pool(x, Window::same(3, stride, 1))
}

/// Maximum over the pixels of the image that the window sees.
pub fn max_pool(x: &Tensor, window: Window) -> Result<Tensor> {
    let mut taps = window.taps(x, f32::NEG_INFINITY)?.into_iter();
    let first = taps.next().ok_or_else(|| candle_core::Error::Msg("pool with an empty window".into()))?;
    // `ne` to itself: NaN.
    taps.try_fold(first, |max, tap| (tap.gt(&max)? + tap.ne(&tap)?)?.where_cond(&tap, &max))
}

/// 2x2 average, stride 2; an odd last row or column is left out.
pub fn avg_pool2(x: &Tensor) -> Result<Tensor> {
    let (_, _, h, w) = x.dims4()?;
    let even = x.narrow(2, 0, h / 2 * 2)?.narrow(3, 0, w / 2 * 2)?;
    sum(Window { kernel: 2, stride: 2, padding: 0, dilation: 1 }.taps(&even, 0.)?)? * 0.25
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    fn image(rows: &[&[f32]]) -> Result<Var> {
        let flat: Vec<f32> = rows.concat();
        Var::from_tensor(&Tensor::from_vec(flat, (1, 1, rows.len(), rows[0].len()), &Device::Cpu)?)
    }

    fn flat(t: &Tensor) -> Result<Vec<f32>> {
        t.flatten_all()?.to_vec1()
    }

    #[test]
    fn averages_count_only_valid_pixels() -> Result<()> {
        let x = image(&[&[1., 2., 3.], &[4., 5., 6.], &[7., 8., 9.]])?;
        assert_eq!(flat(&avg_pool3(&x, 1)?)?, [3., 3.5, 4., 4.5, 5., 5.5, 6., 6.5, 7.]);
        let y = avg_pool3(&x, 2)?;
        assert_eq!(flat(&y)?, [3., 4., 6., 7.]);
        let g = flat(y.backward()?.get(&x).unwrap())?;
        assert_eq!(g, [0.25, 0.5, 0.25, 0.5, 1., 0.5, 0.25, 0.5, 0.25]);
        let x = image(&[&[1., 3., 9.], &[5., 7., 9.], &[0., 0., 9.]])?;
        assert_eq!(flat(&avg_pool2(&x)?)?, [4.]);
        Ok(())
    }

    #[test]
    fn the_first_of_equal_maxima_gets_the_gradient() -> Result<()> {
        let x = image(&[&[-1., -1., -3.], &[-1., -2., -3.], &[-4., -2., -2.]])?;
        let y = max_pool3(&x, 1)?;
        assert_eq!(flat(&y)?, [-1., -1., -1., -1., -1., -1., -1., -1., -2.]);
        assert_eq!(flat(y.backward()?.get(&x).unwrap())?, [4., 2., 0., 2., 1., 0., 0., 0., 0.]);
        let y = max_pool3(&x, 2)?;
        assert_eq!(flat(&y)?, [-1., -1., -1., -2.]);
        assert_eq!(flat(y.backward()?.get(&x).unwrap())?, [1., 1., 0., 1., 1., 0., 0., 0., 0.]);
        Ok(())
    }
}
