//! 3x3 maximum pool, padding 1; 2x2 maximum pool, stride 2.

use super::{Image, window};
use crate::ops::vectorized;

/// What a later pixel must be to take the place of the maximum so far.
#[inline(always)]
fn beats(x: f32, max: f32) -> bool {
    x > max || x.is_nan()
}

/// The maximum of `max` and of a later pixel `x`.
#[inline(always)]
fn larger(x: f32, max: f32) -> f32 {
    if beats(x, max) { x } else { max }
}

/// `y[i, j] = maximum of x over the (up to) 9 pixels around (s i, s j)`, overwritten; `size` is that of `x`.
pub fn max3(x: &[f32], y: &mut [f32], size: Image, stride: usize) {
    let (out, c) = (size.strided(stride), size.c);
    let n = size.w * c;
    // One pixel that never wins on either side of the row.
    let mut tall = vec![f32::NEG_INFINITY; n + 2 * c];
    // Stride 1: the whole row is one run; otherwise a run is a pixel.
    let run = if stride == 1 { n } else { c };
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut(out.len())) {
        vectorized!({
            for (i, y) in y.chunks_exact_mut(out.w * c).enumerate() {
                // The maximum of three rows, then of three neighbours in it.
                let middle = &mut tall[c..c + n];
                middle.fill(f32::NEG_INFINITY);
                for r in window(i * stride, size.h) {
                    let row = &x[r * n..][..n];
                    for q in 0..n {
                        middle[q] = larger(row[q], middle[q]);
                    }
                }
                for (j, y) in y.chunks_exact_mut(run).enumerate() {
                    let at = |d: usize| &tall[j * stride * c + d * c..][..run];
                    let (left, centre, right) = (at(0), at(1), at(2));
                    for q in 0..run {
                        y[q] = larger(right[q], larger(centre[q], left[q]));
                    }
                }
            }
        });
    }
}

/// Where the pixels, row by row, of the p-th of `w` windows of four in a row begin.
#[inline(always)]
fn of_four(size: Image, w: usize, p: usize) -> [usize; 4] {
    let first = (2 * (p / w) * size.w + 2 * (p % w)) * size.c;
    let below = first + size.w * size.c;
    [first, first + size.c, below, below + size.c]
}

/// `N` channels from `at`: loops of a length that the compiler knows become vectors, loops over few channels do not.
#[inline(always)]
fn some<const N: usize>(x: &[f32], at: usize) -> [f32; N] {
    let mut some = [0.0; N];
    some.copy_from_slice(&x[at..at + N]);
    some
}

/// `y[i, j] = maximum of the four pixels from (2 i, 2 j) on`, overwritten; an odd last row or column is left out; `size` is that of `x`.
pub fn max2(x: &[f32], y: &mut [f32], size: Image) {
    if size.c.is_multiple_of(8) { max2_by::<8>(x, y, size) } else { max2_by::<4>(x, y, size) }
}

fn max2_by<const N: usize>(x: &[f32], y: &mut [f32], size: Image) {
    let (h, w) = (size.h / 2, size.w / 2);
    for (x, y) in x.chunks_exact(size.len()).zip(y.chunks_exact_mut((h * w * size.c).max(1))) {
        vectorized!({
            for (p, y) in y.chunks_exact_mut(size.c).enumerate().take(h * w) {
                let at = of_four(size, w, p);
                for n in (0..size.c).step_by(N) {
                    let mut max = some::<N>(x, at[0] + n);
                    for t in 1..4 {
                        let x = some::<N>(x, at[t] + n);
                        for q in 0..N {
                            max[q] = larger(x[q], max[q]);
                        }
                    }
                    y[n..n + N].copy_from_slice(&max);
                }
            }
        });
    }
}

/// `dx[first maximal pixel of the four] += dy`; `size` is that of `x` and `dx`.
pub fn max2_backward_add(x: &[f32], dy: &[f32], dx: &mut [f32], size: Image) {
    if size.c.is_multiple_of(8) {
        max2_backward_add_by::<8>(x, dy, dx, size)
    } else {
        max2_backward_add_by::<4>(x, dy, dx, size)
    }
}

fn max2_backward_add_by<const N: usize>(x: &[f32], dy: &[f32], dx: &mut [f32], size: Image) {
    let (h, w) = (size.h / 2, size.w / 2);
    let images = x.chunks_exact(size.len()).zip(dx.chunks_exact_mut(size.len()));
    for ((x, dx), dy) in images.zip(dy.chunks_exact((h * w * size.c).max(1))) {
        vectorized!({
            for (p, dy) in dy.chunks_exact(size.c).enumerate().take(h * w) {
                let at = of_four(size, w, p);
                for n in (0..size.c).step_by(N) {
                    let (mut max, mut winner) = (some::<N>(x, at[0] + n), [0; N]);
                    for t in 1..4 {
                        let x = some::<N>(x, at[t] + n);
                        for q in 0..N {
                            let take = beats(x[q], max[q]);
                            max[q] = if take { x[q] } else { max[q] };
                            winner[q] = if take { t as u32 } else { winner[q] };
                        }
                    }
                    let dy = some::<N>(dy, n);
                    for t in 0..4 {
                        let dx = &mut dx[at[t] + n..][..N];
                        for q in 0..N {
                            dx[q] += if winner[q] == t as u32 { dy[q] } else { 0.0 };
                        }
                    }
                }
            }
        });
    }
}

/// `dx[first maximal pixel of the window] += dy`; `size` is that of `x` and `dx`.
///
/// The first maximum row by row is that of the first row among the rows' own first maxima, and which pixel that is depends on
/// the row and the column alone. So the gradient goes up the columns to a row first, then along the row: 3 + 3 comparisons
/// and additions, in plain loops over rows in cache, rather than 9 + 9.
pub fn max3_backward_add(x: &[f32], dy: &[f32], dx: &mut [f32], size: Image, stride: usize) {
    let (out, c) = (size.strided(stride), size.c);
    let (n, line) = (out.w * c, size.w * c);
    let mut rows: [MaxRow; 3] = std::array::from_fn(|_| MaxRow { max: vec![0.0; n], tap: vec![0; n], g: vec![0.0; n] });
    let (mut best, mut winner) = (vec![0f32; n], vec![0u32; n]);
    // A row of the image and one pixel on either side.
    let mut framed = vec![0f32; line + 2 * c];
    for ((x, dy), dx) in x.chunks_exact(size.len()).zip(dy.chunks_exact(out.len())).zip(dx.chunks_exact_mut(size.len()))
    {
        vectorized!({
            // Rows from `made` on have no maxima yet; rows from `done` on have not given their gradient away.
            let (mut made, mut done) = (0, 0);
            for (i, dy) in dy.chunks_exact(n).enumerate() {
                let seen = window(i * stride, size.h);
                for r in done..seen.start.min(made) {
                    rows[r % 3].spread(&mut framed, &mut dx[r * line..][..line], c, stride);
                }
                done = seen.start;
                for r in seen.start.max(made)..seen.end {
                    rows[r % 3].find(&x[r * line..][..line], &mut framed, c, stride);
                }
                made = seen.end;

                let (best, winner, dy) = (&mut best[..n], &mut winner[..n], &dy[..n]);
                best.copy_from_slice(&rows[seen.start % 3].max);
                winner.fill(seen.start as u32);
                for r in seen.start + 1..seen.end {
                    let max = &rows[r % 3].max[..n];
                    for q in 0..n {
                        let take = beats(max[q], best[q]);
                        best[q] = if take { max[q] } else { best[q] };
                        winner[q] = if take { r as u32 } else { winner[q] };
                    }
                }
                for r in seen {
                    let g = &mut rows[r % 3].g[..n];
                    for q in 0..n {
                        g[q] += if winner[q] == r as u32 { dy[q] } else { 0.0 };
                    }
                }
            }
            for r in done..made {
                rows[r % 3].spread(&mut framed, &mut dx[r * line..][..line], c, stride);
            }
        });
    }
}

/// One row of the image as the windows see it.
struct MaxRow {
    /// The maximum of the (up to) 3 pixels around each output column, and which of them has it first.
    max: Vec<f32>,
    tap: Vec<u32>,
    /// What arrives at that pixel.
    g: Vec<f32>,
}

impl MaxRow {
    /// Take the maxima of a row of the image. Beyond the edges the edge pixel stands again: it never wins over itself.
    #[inline(always)]
    fn find(&mut self, row: &[f32], framed: &mut [f32], c: usize, stride: usize) {
        let (n, end) = (self.max.len(), framed.len() - c);
        framed[c..end].copy_from_slice(row);
        framed[..c].copy_from_slice(&row[..c]);
        framed[end..].copy_from_slice(&row[row.len() - c..]);
        self.g.fill(0.0);
        let run = run(n, c, stride);
        for (j, (max, tap)) in self.max.chunks_exact_mut(run).zip(self.tap.chunks_exact_mut(run)).enumerate() {
            let at = |d: usize| &framed[(j * stride + d) * c..][..run];
            let (left, centre, right, max, tap) = (at(0), at(1), at(2), &mut max[..run], &mut tap[..run]);
            for q in 0..run {
                let take = beats(centre[q], left[q]);
                let (m, t) = if take { (centre[q], 1) } else { (left[q], 0) };
                let take = beats(right[q], m);
                max[q] = if take { right[q] } else { m };
                tap[q] = if take { 2 } else { t };
            }
        }
    }

    /// `dx += ` what has arrived, each at its pixel; what went to an edge pixel's copy is the edge pixel's.
    #[inline(always)]
    fn spread(&self, framed: &mut [f32], dx: &mut [f32], c: usize, stride: usize) {
        let run = run(self.g.len(), c, stride);
        framed.fill(0.0);
        for (j, (g, tap)) in self.g.chunks_exact(run).zip(self.tap.chunks_exact(run)).enumerate() {
            for d in 0..3 {
                let (to, g, tap) = (&mut framed[(j * stride + d) * c..][..run], &g[..run], &tap[..run]);
                for q in 0..run {
                    to[q] += if tap[q] == d as u32 { g[q] } else { 0.0 };
                }
            }
        }
        let (first, rest) = framed.split_at(c);
        let (middle, last) = rest.split_at(dx.len());
        dx.iter_mut().zip(middle).for_each(|(dx, g)| *dx += g);
        dx.iter_mut().zip(first).for_each(|(dx, g)| *dx += g);
        let edge = dx.len() - c;
        dx[edge..].iter_mut().zip(last).for_each(|(dx, g)| *dx += g);
    }
}

/// Floats that lie side by side in input and output: the whole row with stride 1, otherwise a pixel.
fn run(row: usize, c: usize, stride: usize) -> usize {
    if stride == 1 { row } else { c }
}
