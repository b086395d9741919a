//! Batch norm as numbers per channel: `n = a z + t` forward, `dz = a dn + b z + g` backward.

use super::Values;
use crate::net::program::{AffineNorm, ParamId};

const EPS: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// A norm's numbers per (padded) channel; those of padding are zero.
#[derive(Clone, Default)]
pub(super) struct NormState {
    pub mean: Vec<f64>,
    pub istd: Vec<f64>,
    /// `gamma * istd`
    pub a: Vec<f64>,
    /// `beta - gamma * istd * mean`
    pub t: Vec<f64>,
    /// Whether mean and istd are the batch's (and so depend on it).
    pub of_batch: bool,
}

/// What the backward pass of a norm, times the weight `w` of its term, comes to.
pub(super) struct NormGradient {
    /// `dz = a dy + b z + g`
    pub a: Vec<f64>,
    pub b: Vec<f64>,
    pub g: Vec<f64>,
    /// Gradient of the term's weight.
    pub coef: f64,
    pub gamma: Vec<f32>,
    pub beta: Vec<f32>,
}

/// Sums over the batch, `2 c` long: of the values, then of their squares.
pub(super) fn batch_moments(sums: &[f64], pixels: usize) -> (Vec<f64>, Vec<f64>) {
    let (sum, squares) = sums.split_at(sums.len() / 2);
    let mean: Vec<f64> = sum.iter().map(|s| s / pixels as f64).collect();
    // Rounding may leave less than 0; NaN stays.
    let positive = |v: f64| if v < 0.0 { 0.0 } else { v };
    let var = squares.iter().zip(&mean).map(|(s, m)| positive(s / pixels as f64 - m * m)).collect();
    (mean, var)
}

/// Running statistics moved by one batch: `0.9 old + 0.1 new`, the variance unbiased.
pub(super) fn moved(old: &[f32], new: &[f64], unbias: f64) -> Vec<f32> {
    old.iter().zip(new).map(|(&o, &n)| ((1.0 - MOMENTUM) * f64::from(o) + MOMENTUM * unbias * n) as f32).collect()
}

impl NormState {
    /// No norm: `n = z`.
    pub fn identity(channels: usize, padded: usize) -> Self {
        let ones = pad((0..channels).map(|_| 1.0), padded);
        NormState { mean: vec![0.0; padded], istd: ones.clone(), a: ones, t: vec![0.0; padded], of_batch: false }
    }

    /// From mean and biased variance; `affine` gives gamma and beta.
    pub fn new(mean: &[f64], var: &[f64], affine: Option<(&[f32], &[f32])>, channels: usize, padded: usize) -> Self {
        let istd: Vec<f64> = var[..channels].iter().map(|v| 1.0 / (v + EPS).sqrt()).collect();
        let gamma = |i: usize| affine.map_or(1.0, |(g, _)| f64::from(g[i]));
        let beta = |i: usize| affine.map_or(0.0, |(_, b)| f64::from(b[i]));
        NormState {
            mean: pad(mean[..channels].iter().copied(), padded),
            a: pad((0..channels).map(|i| gamma(i) * istd[i]), padded),
            t: pad((0..channels).map(|i| beta(i) - gamma(i) * istd[i] * mean[i]), padded),
            istd: pad(istd.iter().copied(), padded),
            of_batch: true,
        }
    }

    /// An affine norm with its running statistics.
    pub fn running(norm: &AffineNorm, values: Values<'_>, padded: usize) -> Self {
        let wide = |p: ParamId| values[p].iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let affine = Some((values[norm.gamma], values[norm.beta]));
        let state = Self::new(&wide(norm.mean), &wide(norm.var), affine, values[norm.gamma].len(), padded);
        NormState { of_batch: false, ..state }
    }

    /// Backward of `y = ... + w (gamma zhat + beta)` with `zhat = (z - mean) istd`, from `sums[c] = sum dy` and
    /// `dots[c] = sum dy z` over `pixels` of the batch:
    /// `sum dy zhat = istd (dots - mean sums)` is `dgamma / w`, and with the batch's own statistics
    /// `dz = w gamma istd (dy - sums / pixels - zhat * (sum dy zhat) / pixels)`.
    pub fn backward(&self, w: f64, beta: Option<&[f32]>, sums: &[f64], dots: &[f64], pixels: usize) -> NormGradient {
        let n = self.a.len();
        let (mut a, mut b, mut g) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let (mut gamma, mut beta_gradient, mut coef) = (vec![0.0; n], vec![0.0; n], 0.0);
        for i in 0..n {
            let (m, r) = (self.mean[i], self.istd[i]);
            let along = r * (dots[i] - m * sums[i]);
            let scale = w * self.a[i];
            a[i] = scale;
            if self.of_batch {
                b[i] = -scale * r * along / pixels as f64;
                g[i] = scale * (r * m * along - sums[i]) / pixels as f64;
            }
            gamma[i] = (w * along) as f32;
            beta_gradient[i] = (w * sums[i]) as f32;
            let shift = beta.and_then(|b| b.get(i)).map_or(0.0, |&b| f64::from(b));
            coef += self.a[i] * (dots[i] - m * sums[i]) + shift * sums[i];
        }
        NormGradient { a, b, g, coef, gamma, beta: beta_gradient }
    }
}

/// To single precision, for the kernels that compute in it.
pub(super) fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

fn pad(values: impl Iterator<Item = f64>, padded: usize) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.resize(padded, 0.0);
    values
}
