//! The IIM score of one candidate's output (IS-DARTS, He et al., AAAI 2024).
//!
//! At each pixel take the mean `m` and the unbiased variance `s^2` over the `C` channels; the score of an image is the mean
//! over channels and pixels of `3 (x - m)^2 / s^6`. Summed over the channels, `sum (x - m)^2 = (C - 1) s^2`, so that is
//! `3 (C - 1) / C * mean over pixels of s^-4`: no sixth power is ever formed. NaN counts as +inf, as do pixels whose `s^6`
//! is zero in f32, since PyTorch's `0 / 0` and `x / 0` come to the same there.

pub mod tensor;

use super::vectorized;

/// Sum over the images of a block of their scores. `x`: `[n, pixels, c]` with padded channels, `channels` real ones; the
/// scored value is `a[c] x + t[c]` (batch norm on load).
pub fn score(x: &[f32], a: &[f32], t: &[f32], channels: usize, pixels: usize) -> f64 {
    if channels < 2 {
        return f64::INFINITY;
    }
    let total: f64 = x.chunks_exact(pixels * a.len()).map(|image| inverse_fourth_powers(image, a, t, channels)).sum();
    let score = 3.0 * (channels - 1) as f64 / channels as f64 * total / pixels as f64;
    if score.is_nan() { f64::INFINITY } else { score }
}

/// `sum over pixels of s^-4`. Padded channels hold zeros (`a`, `t` too), and `real` takes their deviations off.
fn inverse_fourth_powers(x: &[f32], a: &[f32], t: &[f32], channels: usize) -> f64 {
    let c = a.len();
    let (inverse_c, inverse_c1) = (1.0 / channels as f32, 1.0 / (channels - 1) as f32);
    let real: Vec<f32> = (0..c).map(|i| if i < channels { 1.0 } else { 0.0 }).collect();
    let mut y = vec![0f32; c];
    let mut total = 0f64;
    vectorized(|| {
        for x in x.chunks_exact(c) {
            for i in 0..c {
                y[i] = a[i] * x[i] + t[i];
            }
            let m = lane_sum(c, |i| y[i]) * inverse_c;
            let v = lane_sum(c, |i| real[i] * (y[i] - m) * (y[i] - m)) * inverse_c1;
            total += if v * v * v > 0.0 { 1.0 / (f64::from(v) * f64::from(v)) } else { f64::INFINITY };
        }
    });
    total
}

/// Sum of `f(0..c)` in eight lanes.
#[inline(always)]
fn lane_sum(c: usize, f: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0f32; 8];
    for i in (0..c).step_by(8) {
        for (l, lane) in lanes.iter_mut().enumerate() {
            *lane += f(i + l);
        }
    }
    let four = [lanes[0] + lanes[4], lanes[1] + lanes[5], lanes[2] + lanes[6], lanes[3] + lanes[7]];
    (four[0] + four[2]) + (four[1] + four[3])
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
