//! Sums of several images with a coefficient per channel, and the reductions that are their gradients.
//!
//! Forward: `y[p, c] = t[c] + sum_k a_k[c] x_k[p, c]`. With `a_k = w_k istd_k`, `t = -sum_k w_k istd_k mean_k` this is batch
//! norm and the weighted sum over candidates in one pass; with `a_k = w_k` it is the sum of the skips. One pass over the
//! memory, whatever the number of terms: these sums are bound by memory, so that is what makes them fast.
//!
//! Backward of batch norm needs `sum_p dy[p, c]` and `sum_p dy[p, c] x_k[p, c]`: [`sums`].

pub mod tensor;

use super::vectorized;

/// One term: coefficients per channel (`c` of them) and an image `[n, h, w, c]`.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// `a_k`
    pub a: &'a [f64],
    /// `x_k`
    pub x: &'a [f32],
}

fn tile(a: &[f64], len: usize) -> Vec<f64> {
    a.iter().copied().cycle().take(len).collect()
}

/// Numbers summed side by side, in registers: four lines of the cache of every source.
const LANES: usize = 64;

/// Sources that are read side by side. The processor fetches some streams ahead of their use, and not dozens: of 25 sources
/// side by side it reads 9 GB/s, of the same in groups of eight 24.
const TOGETHER: usize = 8;

/// About so many numbers of a group of sources are added before the next group is turned to: long streams, and sums that
/// stay in the second-level cache meanwhile.
const BLOCK: usize = 8192;

/// `y[p, c] = t[c] + sum_k a_k[c] x_k[p, c]`; `t` has one entry per channel, `c` is a multiple of 4.
///
/// The sum is in f64, in the order of the sources, and rounded once: the pass waits for memory anyway, and what follows it is
/// a ReLU, where a rounding error decides whether a gradient passes.
pub fn linear_sum(y: &mut [f32], t: &[f64], sources: &[Source<'_>]) {
    let c = t.len();
    // The coefficients repeat with the channels: enough of them that a step of `LANES` never runs over their end.
    let row = c * (LANES >> c.trailing_zeros()).max(1);
    let t = tile(t, row);
    let a: Vec<Vec<f64>> = sources.iter().map(|s| tile(s.a, row)).collect();
    let block = row * (BLOCK / row).max(1);
    let groups = sources.len().div_ceil(TOGETHER).max(1);
    // What the groups before have come to.
    let mut sums = vec![0f64; if groups > 1 { block } else { 0 }];
    vectorized!({
        for (i, y) in y.chunks_mut(block).enumerate() {
            for group in 0..groups {
                let of = group * TOGETHER..((group + 1) * TOGETHER).min(sources.len());
                let (first, last) = (group == 0, group + 1 == groups);
                let part = SumPart {
                    t: first.then_some(&t),
                    a: &a[of.clone()],
                    sources: &sources[of],
                    start: i * block,
                    last,
                };
                let whole = y.len() - y.len() % LANES;
                for at in (0..whole).step_by(LANES) {
                    part.add::<LANES>(at, at % row, &mut sums, y);
                }
                for at in (whole..y.len()).step_by(4) {
                    part.add::<4>(at, at % row, &mut sums, y);
                }
            }
        }
    });
}

/// What a group of sources adds to a block.
struct SumPart<'a> {
    /// Where the sums begin, if this is the first group.
    t: Option<&'a Vec<f64>>,
    a: &'a [Vec<f64>],
    sources: &'a [Source<'a>],
    /// Where the block begins in the sources.
    start: usize,
    /// Whether the sums are complete then and go to `y`.
    last: bool,
}

impl SumPart<'_> {
    /// Adds `L` numbers from `at` in the block; their coefficients are those from `i`.
    #[inline(always)]
    fn add<const L: usize>(&self, at: usize, i: usize, sums: &mut [f64], y: &mut [f32]) {
        let mut sum = [0f64; L];
        sum.copy_from_slice(match self.t {
            Some(t) => &t[i..][..L],
            None => &sums[at..][..L],
        });
        for (source, a) in self.sources.iter().zip(self.a) {
            let (a, x) = (&a[i..][..L], &source.x[self.start + at..][..L]);
            for l in 0..L {
                sum[l] += a[l] * f64::from(x[l]);
            }
        }
        match self.last {
            true => y[at..][..L].iter_mut().zip(sum).for_each(|(y, sum)| *y = sum as f32),
            false => sums[at..][..L].copy_from_slice(&sum),
        }
    }
}

/// Pixels (times channels in a row) that are added in f32 before the sum goes on in f64.
const F32_ROWS: usize = 32;

/// Floats in a row of the inner loops: some pixels together, so that few channels do not make short loops. A row of every
/// source fits the first-level cache.
fn row_len(c: usize) -> usize {
    c * (128 / c).max(1)
}

/// `out[0][c] = sum_p dy[p, c]` and `out[1 + k][c] = sum_p dy[p, c] x_k[p, c]`, laid out one after the other; overwritten.
pub fn sums(dy: &[f32], xs: &[&[f32]], c: usize, out: &mut [f64]) {
    let row = row_len(c);
    let block = row * F32_ROWS;
    let mut acc = vec![0f32; row * (1 + xs.len())];
    out.fill(0.0);
    for start in (0..dy.len()).step_by(block) {
        let end = (start + block).min(dy.len());
        acc.fill(0.0);
        vectorized!({
            let (first, rest) = acc.split_at_mut(row);
            for dy in dy[start..end].chunks(row) {
                first.iter_mut().zip(dy).for_each(|(acc, dy)| *acc += dy);
            }
            for (acc, xs) in rest.chunks_mut(row * TOGETHER).zip(xs.chunks(TOGETHER)) {
                for (r, dy) in dy[start..end].chunks(row).enumerate() {
                    let n = dy.len();
                    for (acc, x) in acc.chunks_exact_mut(row).zip(xs) {
                        let (acc, x) = (&mut acc[..n], &x[start + r * row..][..n]);
                        for i in 0..n {
                            acc[i] += dy[i] * x[i];
                        }
                    }
                }
            }
        });
        for (out, acc) in out.chunks_exact_mut(c).zip(acc.chunks_exact(row)) {
            for acc in acc.chunks_exact(c) {
                for (o, &v) in out.iter_mut().zip(acc) {
                    *o += f64::from(v);
                }
            }
        }
    }
}

/// `total[i] += x[i]` for all of `total`.
pub fn add(total: &mut [f64], x: &[f32]) {
    vectorized!(total.iter_mut().zip(x).for_each(|(t, &x)| *t += f64::from(x)));
}

/// `sum_i x[i] y[i]`.
pub fn dot(x: &[f32], y: &[f32]) -> f64 {
    const WIDTH: usize = 64;
    let mut total = 0.0;
    for (x, y) in x.chunks(WIDTH * F32_ROWS).zip(y.chunks(WIDTH * F32_ROWS)) {
        let mut acc = [0f32; WIDTH];
        vectorized!({
            for (x, y) in x.chunks(WIDTH).zip(y.chunks(WIDTH)) {
                for ((a, &x), &y) in acc.iter_mut().zip(x).zip(y) {
                    *a += x * y;
                }
            }
        });
        total += acc.iter().map(|&a| f64::from(a)).sum::<f64>();
    }
    total
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

    proptest! {
        #[test]
        fn the_sum_and_its_reductions_equal_their_definitions(pixels in 1usize..300, c4 in 1usize..40, k in 0usize..20) {
            let c = 4 * c4;
            let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<_>>();
            let (t, dy) = (wide(numbers(c, 1)), numbers(pixels * c, 2));
            let a: Vec<_> = (0..k as u64).map(|i| wide(numbers(c, 10 + i))).collect();
            let x: Vec<_> = (0..k as u64).map(|i| numbers(pixels * c, 40 + i)).collect();
            let sources: Vec<_> = a.iter().zip(&x).map(|(a, x)| Source { a, x }).collect();
            let mut y = vec![f32::NAN; pixels * c];
            linear_sum(&mut y, &t, &sources);
            let mut out = vec![f64::NAN; c * (1 + k)];
            let xs: Vec<&[f32]> = x.iter().map(Vec::as_slice).collect();
            sums(&dy, &xs, c, &mut out);
            for i in 0..pixels * c {
                let want: f64 = t[i % c] + (0..k).map(|k| a[k][i % c] * f64::from(x[k][i])).sum::<f64>();
                prop_assert!((f64::from(y[i]) - want).abs() < 1e-6);
            }
            for ch in 0..c {
                for j in 0..=k {
                    let want: f64 = (ch..pixels * c).step_by(c)
                        .map(|i| f64::from(dy[i]) * if j == 0 { 1.0 } else { f64::from(x[j - 1][i]) }).sum();
                    prop_assert!((out[j * c + ch] - want).abs() < 1e-4);
                }
            }
            if k > 0 {
                let want: f64 = dy.iter().zip(&x[0]).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
                prop_assert!((dot(&dy, &x[0]) - want).abs() < 1e-3);
            }
        }
    }
}
