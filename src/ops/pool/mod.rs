//! Pools on `[n, h, w, c]` images.
//!
//! - 3x3 average, padding 1, over the valid pixels only: `y[i, j] = 1/N * sum of x over the (up to) 9 pixels around
//!   (s i, s j)`, with `N` the number of them inside the image. With `B` the zero-padded 3x3 box sum (which is its own
//!   transpose) and `D` the choice of every s-th pixel, `pool = D 1/N B` and `pool^T = B 1/N D^T`.
//! - 2x2 average, stride 2 (the shortcut of NAS-Bench-201's reduction block): a last odd row or column is left out.
//! - 3x3 maximum, padding 1 ([`max3`]): the gradient goes to the first maximal pixel, row by row, as in PyTorch; images with
//!   flat regions do have ties. NaN counts as the maximum. 2x2, stride 2, no padding ([`max2`]): the same.

mod max;
pub mod tensor;

pub use max::{max2, max2_backward_add, max3, max3_backward_add};

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

    /// The image that a window of stride `stride` leaves: sizes rounded up.
    pub fn strided(&self, stride: usize) -> Image {
        Image { h: self.h.div_ceil(stride), w: self.w.div_ceil(stride), c: self.c }
    }

    /// Pixels that a window of 3 around `i` finds in `0..n`.
    fn valid(i: usize, n: usize) -> f32 {
        (1 + usize::from(i > 0) + usize::from(i + 1 < n)) as f32
    }
}

/// `y += pool(x)`, 3x3 average; `size` is that of `x`.
pub fn avg3_add(x: &[f32], y: &mut [f32], size: Image, stride: usize) {
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut(size.strided(stride).len())) {
        avg3_image(x, y, size, stride);
    }
}

/// `dx += pool^T(dy)`, 3x3 average; `size` is that of `dx`.
pub fn avg3_backward_add(dy: &[f32], dx: &mut [f32], size: Image, stride: usize) {
    for (dy, dx) in dy.chunks_exact(size.strided(stride).len()).zip(dx.chunks_exact_mut(size.len())) {
        avg3_image_backward(dy, dx, size, stride);
    }
}

/// Rows of a window of 3 around `i` in `0..n`.
fn window(i: usize, n: usize) -> std::ops::Range<usize> {
    i.saturating_sub(1)..(i + 2).min(n)
}

/// Separable: a sum of three rows, then of three neighbours in it, each a plain loop over a row.
fn avg3_image(x: &[f32], y: &mut [f32], Image { h, w, c }: Image, stride: usize) {
    let n = w * c;
    let inverse: Vec<f32> = (0..w.div_ceil(stride) * c).map(|i| 1.0 / Image::valid(i / c * stride, w)).collect();
    // One pixel of zeros on either side of the row.
    let mut sum = vec![0f32; n + 2 * c];
    vectorized!({
        for (i, y) in y.chunks_exact_mut(inverse.len()).enumerate() {
            let middle = &mut sum[c..c + n];
            middle.fill(0.0);
            for r in window(i * stride, h) {
                let row = &x[r * n..][..n];
                for q in 0..n {
                    middle[q] += row[q];
                }
            }
            let s = 1.0 / Image::valid(i * stride, h);
            // Stride 1: the whole row is one run; otherwise a run is a pixel.
            let run = if stride == 1 { n } else { c };
            for (j, (y, inverse)) in y.chunks_exact_mut(run).zip(inverse.chunks_exact(run)).enumerate() {
                let at = |d: usize| &sum[j * stride * c + d * c..][..run];
                let (left, centre, right) = (at(0), at(1), at(2));
                for q in 0..run {
                    y[q] += s * inverse[q] * (left[q] + centre[q] + right[q]);
                }
            }
        }
    });
}

fn avg3_image_backward(dy: &[f32], dx: &mut [f32], Image { h, w, c }: Image, stride: usize) {
    let n = w * c;
    let inverse: Vec<f32> = (0..w.div_ceil(stride) * c).map(|i| 1.0 / Image::valid(i / c * stride, w)).collect();
    let mut sum = vec![0f32; n + 2 * c];
    let run = if stride == 1 { n } else { c };
    vectorized!({
        for (r, dx) in dx.chunks_exact_mut(n).enumerate() {
            let middle = &mut sum[c..c + n];
            middle.fill(0.0);
            for i in window(r, h).filter(|i| i % stride == 0) {
                let (row, s) = (&dy[i / stride * inverse.len()..][..inverse.len()], 1.0 / Image::valid(i, h));
                for (j, (dy, inverse)) in row.chunks_exact(run).zip(inverse.chunks_exact(run)).enumerate() {
                    let middle = &mut middle[j * stride * c..][..run];
                    for q in 0..run {
                        middle[q] += s * inverse[q] * dy[q];
                    }
                }
            }
            let (left, centre, right) = (&sum[..n], &sum[c..][..n], &sum[2 * c..][..n]);
            for q in 0..n {
                dx[q] += left[q] + centre[q] + right[q];
            }
        }
    });
}

/// `y = 2x2 average of x`, stride 2; `size` is that of `x`.
pub fn avg2(x: &[f32], y: &mut [f32], size: Image) {
    let (ho, wo, c) = (size.h / 2, size.w / 2, size.c);
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut((ho * wo * c).max(1))) {
        vectorized!({
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
        vectorized!({
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
mod tests;
