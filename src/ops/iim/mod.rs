//! The IIM score of one candidate's output (IS-DARTS, He et al., AAAI 2024).
//!
//! At each pixel take the mean `m` and the unbiased variance `s^2` over the `C` channels; the score of an image is the mean
//! over channels and pixels of `3 (x - m)^2 / s^6`. Summed over the channels, `sum (x - m)^2 = (C - 1) s^2`, so that is
//! `3 (C - 1) / C * mean over pixels of s^-4`: no sixth power is ever formed. NaN counts as +inf, as do pixels whose `s^6`
//! is zero in f32, since PyTorch's `0 / 0` and `x / 0` come to the same there.

pub mod tensor;

use super::simd::{Kernel, Level, Simd};
use super::vectorized;

/// Sum over the images of a block of their scores. `x`: `[n, pixels, c]` with padded channels, `channels` real ones; the
/// scored value is `a[c] x + t[c]` (batch norm on load).
pub fn score(x: &[f32], a: &[f32], t: &[f32], channels: usize, pixels: usize) -> f64 {
    if channels < 2 {
        return f64::INFINITY;
    }
    let mut total = 0.0;
    let mut variances = [0f32; PIXELS];
    for image in x.chunks_exact(pixels * a.len()) {
        for x in image.chunks(PIXELS * a.len()) {
            let variances = &mut variances[..x.len() / a.len()];
            Level::best().dividing(a.len()).run(Variances { x, a, t, channels, variances });
            total += inverse_squares(variances);
        }
    }
    let score = 3.0 * (channels - 1) as f64 / channels as f64 * total / pixels as f64;
    if score.is_nan() { f64::INFINITY } else { score }
}

/// Pixels whose variances are kept at a time: the divisions that follow then go several at once.
const PIXELS: usize = 64;

const LANE_NUMBERS: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12., 13., 14., 15.];

/// The unbiased variance over the channels of each pixel, in two passes over the pixel. It waits for nothing but the sums
/// over the lanes, and those of different pixels overlap.
struct Variances<'a> {
    x: &'a [f32],
    a: &'a [f32],
    t: &'a [f32],
    channels: usize,
    variances: &'a mut [f32],
}

impl Kernel for Variances<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c, x) = (self.a.len(), self.x.as_ptr());
        assert!(c.is_multiple_of(S::LANES) && self.t.len() == c && self.x.len() == c * self.variances.len());
        let (inverse_c, inverse_c1) = (1.0 / self.channels as f32, 1.0 / (self.channels - 1) as f32);
        for (pixel, variance) in self.variances.iter_mut().enumerate() {
            // SAFETY: the lanes divide c, a and t have c entries, x has c for each variance; vectors have up to 16 lanes.
            unsafe {
                let value = |i: usize| {
                    let x = s.load(x.add(pixel * c + i));
                    s.fma(s.load(self.a.as_ptr().add(i)), x, s.load(self.t.as_ptr().add(i)))
                };
                let mut sum = s.splat(0.0);
                for i in (0..c).step_by(S::LANES) {
                    sum = s.add(sum, value(i));
                }
                let m = s.splat(s.sum(sum) * inverse_c);
                let mut squares = s.splat(0.0);
                for i in (0..c).step_by(S::LANES) {
                    // Padded channels hold zeros, and their deviations do not count.
                    let real = s.sub(s.splat((self.channels as f32) - i as f32), s.load(LANE_NUMBERS.as_ptr()));
                    let d = s.relu_grad(real, s.sub(value(i), m));
                    squares = s.fma(d, d, squares);
                }
                *variance = s.sum(squares) * inverse_c1;
            }
        }
    }
}

/// `sum of v^-2`.
fn inverse_squares(variances: &[f32]) -> f64 {
    let mut lanes = [0f64; 8];
    vectorized!({
        for v in variances.chunks(8) {
            for (lane, &v) in lanes.iter_mut().zip(v) {
                let inverse = 1.0 / (f64::from(v) * f64::from(v));
                *lane += if v * v * v > 0.0 { inverse } else { f64::INFINITY };
            }
        }
    });
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// The formula of the paper, term by term in f64.
    fn definition(x: &[f64], c: usize) -> f64 {
        let pixel = |y: &[f64]| {
            let m = y.iter().sum::<f64>() / c as f64;
            let s2 = y.iter().map(|v| (v - m).powi(2)).sum::<f64>() / (c as f64 - 1.0);
            y.iter().map(|v| 3.0 * (v - m).powi(2) / s2.powi(3)).sum::<f64>() / c as f64
        };
        x.chunks(c).map(pixel).sum::<f64>() / (x.len() / c) as f64
    }

    #[test]
    fn the_score_equals_its_definition_for_any_channel_count() {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
        for channels in [2usize, 3, 4, 8, 11, 16, 24, 64] {
            let c = crate::ops::padded(channels);
            let pad = |v: f32, i: usize| if i < channels { v } else { 0.0 };
            let a: Vec<f32> = (0..c).map(|i| pad(rng.random_range(0.5..2.0), i)).collect();
            let t: Vec<f32> = (0..c).map(|i| pad(rng.random_range(3.0..4.0), i)).collect();
            let x: Vec<f32> = (0..2 * 9 * c).map(|i| pad(rng.random_range(-1.0..1.0), i % c)).collect();
            let y: Vec<f64> = (0..x.len())
                .filter(|i| i % c < channels)
                .map(|i| f64::from(a[i % c]) * f64::from(x[i]) + f64::from(t[i % c]))
                .collect();
            let want: f64 = y.chunks(9 * channels).map(|image| definition(image, channels)).sum();
            let got = score(&x, &a, &t, channels, 9);
            assert!((got / want - 1.0).abs() < 2e-4, "{channels} channels: {got} {want}");
        }
    }

    #[test]
    fn a_pixel_without_variance_or_with_nan_makes_the_score_infinite() {
        let one = vec![1.0; 8];
        for x in [vec![0.0; 16], vec![0.5; 16], [vec![f32::NAN], vec![1.0; 15]].concat()] {
            assert_eq!(score(&x, &one, &[0.0; 8], 8, 2), f64::INFINITY);
        }
        assert_eq!(score(&[1.0; 8], &one, &one, 1, 1), f64::INFINITY);
    }
}
