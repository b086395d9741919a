//! The definition in candle tensor algebra.

use candle_core::{DType, Result, Tensor};

/// Sum over the images of `x: [b, c, h, w]` of the per-image score; in f32, whose range says what has no spread.
pub fn score_sum(x: &Tensor) -> Result<f64> {
    let x = x.to_dtype(DType::F32)?;
    let (_, c, h, w) = x.dims4()?;
    if c < 2 {
        return Ok(f64::INFINITY);
    }
    let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?.sqr()?;
    let variance = (centred.sum_keepdim(1)? / (c - 1) as f64)?;
    let s6 = (variance.sqr()? * &variance)?;
    let f = (centred * 3.)?.broadcast_div(&s6)?;
    let infinite = f.ones_like()?.affine(f64::INFINITY, 0.)?;
    let f = f.ne(&f)?.where_cond(&infinite, &f)?;
    let per_image = (f.sum(3)?.sum(2)?.sum(1)? / (c * h * w) as f64)?;
    Ok(per_image.to_vec1::<f32>()?.iter().map(|&v| f64::from(v)).sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::noise;
    use candle_core::Device;

    #[test]
    fn the_score_is_the_mean_inverse_fourth_power_times_three_and_bessel() -> Result<()> {
        // Channels 0, 2, 4, 6 at one pixel: variance 20 / 3, score 3 (C-1)/C s^-4 = 2.25 (3 / 20)^2.
        let x = Tensor::new(&[0f32, 2., 4., 6.], &Device::Cpu)?.reshape((1, 4, 1, 1))?;
        assert!((score_sum(&x)? - 2.25 * 0.0225).abs() < 1e-7);
        assert!((score_sum(&Tensor::cat(&[&x, &x], 0)?)? - 2. * 2.25 * 0.0225).abs() < 1e-7);
        Ok(())
    }

    #[test]
    fn what_has_no_spread_scores_infinity() -> Result<()> {
        let device = Device::Cpu;
        let zeros = Tensor::zeros((2, 4, 3, 3), DType::F32, &device)?;
        let tiny = (noise::draw(1, "tiny", &[2, 4, 3, 3], &device)? * 1e-8)?;
        let one_channel = noise::draw(1, "one channel", &[2, 1, 3, 3], &device)?;
        let nan = Tensor::full(f32::NAN, (2, 4, 3, 3), &device)?;
        for x in [zeros, tiny, one_channel, nan] {
            assert_eq!(score_sum(&x)?, f64::INFINITY);
        }
        Ok(())
    }
}
