//! Pools on `[n, h, w, c]` images.
//!
//! - 3x3 average, stride 1, padding 1, over the valid pixels only: `y[i, j] = 1/N(i, j) * sum of x over the (up to) 9 pixels
//!   around (i, j)`, with `N` the number of them inside the image. With `B` the zero-padded 3x3 box sum (which is its own
//!   transpose), `pool = 1/N * B` and `pool^T = B * 1/N`.
//! - 2x2 average, stride 2 (the shortcut of NAS-Bench-201's reduction block): a last odd row or column is left out.
//! - 3x3 maximum, padding 1 (definition only, as are strides of 2): the gradient goes to the first maximal pixel, row by row,
//!   as in PyTorch; images with flat regions do have ties.

pub mod tensor;

use super::vectorized;

/// Size of the images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels (padded).
    pub c: usize,
}

impl Image {
    /// Floats of one image.
    pub fn len(&self) -> usize {
        self.h * self.w * self.c
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn valid(i: usize, n: usize) -> f32 {
        (1 + usize::from(i > 0) + usize::from(i + 1 < n)) as f32
    }
}

/// `y += pool(x)`, 3x3 average.
pub fn avg3_add(x: &[f32], y: &mut [f32], size: Image) {
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut(size.len())) {
        box_sum_add(x, y, size, false);
    }
}

/// `dx += pool^T(dy)`, 3x3 average.
pub fn avg3_backward_add(dy: &[f32], dx: &mut [f32], size: Image) {
    for (dy, dx) in dy.chunks_exact(size.len()).zip(dx.chunks_exact_mut(size.len())) {
        box_sum_add(dy, dx, size, true);
    }
}

/// `y += 1/N * B(x)`, or `y += B(1/N * x)` with `scale_first`, for one image. Separable: a sum of three rows, then of three
/// neighbours in it, each a plain loop over a row.
fn box_sum_add(x: &[f32], y: &mut [f32], Image { h, w, c }: Image, scale_first: bool) {
    let n = w * c;
    let inverse: Vec<f32> = (0..n).map(|i| 1.0 / Image::valid(i / c, w)).collect();
    // One pixel of zeros on either side of the row.
    let mut sum = vec![0f32; n + 2 * c];
    vectorized(|| {
        for i in 0..h {
            let middle = &mut sum[c..c + n];
            middle.fill(0.0);
            for r in i.saturating_sub(1)..(i + 2).min(h) {
                let (row, s) = (&x[r * n..][..n], if scale_first { 1.0 / Image::valid(r, h) } else { 1.0 });
                for q in 0..n {
                    middle[q] += s * row[q];
                }
            }
            if scale_first {
                for q in 0..n {
                    middle[q] *= inverse[q];
                }
            }
            let (left, centre, right) = (&sum[..n], &sum[c..][..n], &sum[2 * c..][..n]);
            let (y, s) = (&mut y[i * n..][..n], 1.0 / Image::valid(i, h));
            if scale_first {
                for q in 0..n {
                    y[q] += left[q] + centre[q] + right[q];
                }
            } else {
                for q in 0..n {
                    y[q] += s * inverse[q] * (left[q] + centre[q] + right[q]);
                }
            }
        }
    });
}

/// `y = 2x2 average of x`, stride 2; `size` is that of `x`.
pub fn avg2(x: &[f32], y: &mut [f32], size: Image) {
    let (ho, wo, c) = (size.h / 2, size.w / 2, size.c);
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut((ho * wo * c).max(1))) {
        vectorized(|| {
            for i in 0..ho {
                for j in 0..wo {
                    let at = |di: usize, dj: usize| &x[((2 * i + di) * size.w + 2 * j + dj) * c..][..c];
                    let (a, b, d, e) = (at(0, 0), at(0, 1), at(1, 0), at(1, 1));
                    let y = &mut y[(i * wo + j) * c..][..c];
                    for q in 0..c {
                        y[q] = 0.25 * (a[q] + b[q] + d[q] + e[q]);
                    }
                }
            }
        });
    }
}

/// `dx += transpose of avg2 (dy)`; `size` is that of `dx`.
pub fn avg2_backward_add(dy: &[f32], dx: &mut [f32], size: Image) {
    let (ho, wo, c) = (size.h / 2, size.w / 2, size.c);
    for (dy, dx) in dy.chunks_exact((ho * wo * c).max(1)).zip(dx.chunks_exact_mut(size.len())) {
        vectorized(|| {
            for i in 0..2 * ho {
                for j in 0..2 * wo {
                    let (dx, dy) = (&mut dx[(i * size.w + j) * c..][..c], &dy[((i / 2) * wo + j / 2) * c..][..c]);
                    for q in 0..c {
                        dx[q] += 0.25 * dy[q];
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers(len: usize, seed: u64) -> Vec<f32> {
        use rand::{Rng, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
    }

    /// The definition, pixel by pixel.
    fn avg3_at(x: &[f32], s: Image, n: usize, i: usize, j: usize, q: usize) -> f64 {
        let inside = |i: usize, d: usize, n: usize| (i + d >= 1 && i + d - 1 < n).then(|| i + d - 1);
        let pixels: Vec<f64> = (0..9)
            .filter_map(|t| Some((inside(i, t / 3, s.h)?, inside(j, t % 3, s.w)?)))
            .map(|(i, j)| f64::from(x[n * s.len() + (i * s.w + j) * s.c + q]))
            .collect();
        pixels.iter().sum::<f64>() / pixels.len() as f64
    }

    proptest! {
        #[test]
        fn pools_equal_their_definition_and_backward_is_the_transpose(n in 1usize..3, h in 1usize..9, w in 1usize..9, c8 in 1usize..3) {
            let s = Image { h, w, c: 8 * c8 };
            let (x, dy) = (numbers(n * s.len(), 1), numbers(n * s.len(), 2));
            let mut y = vec![0.5; n * s.len()];
            avg3_add(&x, &mut y, s);
            for k in 0..y.len() {
                let (n, r) = (k / s.len(), k % s.len());
                let want = 0.5 + avg3_at(&x, s, n, r / s.c / w, r / s.c % w, r % s.c);
                prop_assert!((f64::from(y[k]) - want).abs() < 1e-5);
            }
            let mut dx = vec![0.0; x.len()];
            avg3_backward_add(&dy, &mut dx, s);
            let left: f64 = y.iter().zip(&dy).map(|(&a, &b)| f64::from(a - 0.5) * f64::from(b)).sum();
            let right: f64 = x.iter().zip(&dx).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            prop_assert!((left - right).abs() < 1e-3);

            let out = n * (h / 2) * (w / 2) * s.c;
            let (mut y, dy) = (vec![0.0; out], numbers(out, 3));
            avg2(&x, &mut y, s);
            if out > 0 {
                let want: f64 = [0, s.c, w * s.c, (w + 1) * s.c].iter().map(|&k| f64::from(x[k])).sum::<f64>() / 4.0;
                prop_assert!((f64::from(y[0]) - want).abs() < 1e-6);
            }
            let mut dx = vec![0.0; x.len()];
            avg2_backward_add(&dy, &mut dx, s);
            let left: f64 = y.iter().zip(&dy).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            let right: f64 = x.iter().zip(&dx).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
            prop_assert!((left - right).abs() < 1e-3);
        }
    }
}
