//! 3x3 maximum pool, padding 1.

use super::{Image, window};
use crate::ops::vectorized;

/// Channels side by side.
const LANES: usize = 8;

/// What a later pixel must be to take the place of the maximum so far.
#[inline(always)]
fn beats(x: f32, max: f32) -> bool {
    x > max || x.is_nan()
}

/// `y[i, j] = maximum of x over the (up to) 9 pixels around (s i, s j)`, overwritten; `size` is that of `x`.
pub fn max3(x: &[f32], y: &mut [f32], size: Image, stride: usize) {
    let (out, c) = (size.strided(stride), size.c);
    let n = size.w * c;
    let mut tall = vec![0f32; n];
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut(out.len())) {
        vectorized(|| {
            for (i, y) in y.chunks_exact_mut(out.w * c).enumerate() {
                // The maximum of three rows, then of three neighbours in it.
                tall.fill(f32::NEG_INFINITY);
                for r in window(i * stride, size.h) {
                    let row = &x[r * n..][..n];
                    for q in 0..n {
                        tall[q] = if beats(row[q], tall[q]) { row[q] } else { tall[q] };
                    }
                }
                for (j, y) in y.chunks_exact_mut(c).enumerate() {
                    y.fill(f32::NEG_INFINITY);
                    for p in window(j * stride, size.w) {
                        let tall = &tall[p * c..][..c];
                        for q in 0..c {
                            y[q] = if beats(tall[q], y[q]) { tall[q] } else { y[q] };
                        }
                    }
                }
            }
        });
    }
}

/// `dx[first maximal pixel of the window] += dy`; `size` is that of `x` and `dx`.
pub fn max3_backward_add(x: &[f32], dy: &[f32], dx: &mut [f32], size: Image, stride: usize) {
    let (out, c) = (size.strided(stride), size.c);
    for ((x, dy), dx) in x.chunks_exact(size.len()).zip(dy.chunks_exact(out.len())).zip(dx.chunks_exact_mut(size.len()))
    {
        vectorized(|| {
            for (p, dy) in dy.chunks_exact(c).enumerate() {
                let (rows, cols) = (window(p / out.w * stride, size.h), window(p % out.w * stride, size.w));
                for q in (0..c).step_by(LANES) {
                    let dy = &dy[q..][..LANES];
                    let (mut max, mut at) = ([f32::NEG_INFINITY; LANES], [u32::MAX; LANES]);
                    let mut tap = 0u32;
                    for i in rows.clone() {
                        for j in cols.clone() {
                            let x = &x[(i * size.w + j) * c + q..][..LANES];
                            for l in 0..LANES {
                                // The first pixel is taken even if it is -inf.
                                let take = beats(x[l], max[l]) || at[l] == u32::MAX;
                                max[l] = if take { x[l] } else { max[l] };
                                at[l] = if take { tap } else { at[l] };
                            }
                            tap += 1;
                        }
                    }
                    let mut tap = 0u32;
                    for i in rows.clone() {
                        for j in cols.clone() {
                            let dx = &mut dx[(i * size.w + j) * c + q..][..LANES];
                            for l in 0..LANES {
                                dx[l] += if at[l] == tap { dy[l] } else { 0.0 };
                            }
                            tap += 1;
                        }
                    }
                }
            }
        });
    }
}
