//! The matrix product in f64, each result rounded once: what exact plans sum with.

use super::gemm::Product;
use crate::ops::simd::Simd;

/// The same as [`nn`](super::gemm::nn) in f64, each result rounded once; overwrites, whatever `accumulate` says. The taps' matrices are
/// `[k, cols]`, not in panels. Half as fast: a vector holds half as many.
///
/// # Safety
/// As [`nn`](super::gemm::nn).
#[inline(always)]
pub(super) unsafe fn nn_exact<S: Simd>(
    s: S,
    g: Product<'_>,
    (a, a_row): (*const f64, impl Fn(usize) -> usize),
    b: *const f64,
    (out, out_row): (*mut f32, impl Fn(usize) -> usize),
    stats: &mut [f64],
) {
    for n0 in (0..g.cols).step_by(S::LANES) {
        // SAFETY: the caller's word; the columns n0.. are within g.cols.
        unsafe {
            if S::REGISTERS >= 32 {
                nn_exact_columns::<S, 8>(s, g, (a, &a_row), b, (out, &out_row), n0, stats);
            } else {
                nn_exact_columns::<S, 4>(s, g, (a, &a_row), b, (out, &out_row), n0, stats);
            }
        }
    }
}

/// One vector of columns of all rows, `R` of them at a time.
///
/// # Safety
/// As [`nn`](super::gemm::nn); the vector of columns from `n0` on is within `g.cols`.
#[inline(always)]
unsafe fn nn_exact_columns<S: Simd, const R: usize>(
    s: S,
    g: Product<'_>,
    (a, a_row): (*const f64, &impl Fn(usize) -> usize),
    b: *const f64,
    (out, out_row): (*mut f32, &impl Fn(usize) -> usize),
    n0: usize,
    stats: &mut [f64],
) {
    let zero = s.wide_splat(0.0);
    let (mut sum, mut sum2) = (zero, zero);
    for r0 in (0..g.rows).step_by(R) {
        let left = (g.rows - r0).min(R);
        // SAFETY: rows past the end are read as the last row and not written; the rest is the caller's word.
        unsafe {
            let mut rows = [a; R];
            for i in 0..R {
                rows[i] = a.add(a_row(r0 + i.min(left - 1)));
            }
            let mut acc = [zero; R];
            for tap in g.taps {
                let b = b.add(tap.b + n0);
                for k in 0..g.k {
                    let bv = s.wide_load(b.add(k * g.cols));
                    for i in 0..R {
                        acc[i] = s.wide_fma(s.wide_splat(*rows[i].add(tap.a + k)), bv, acc[i]);
                    }
                }
            }
            for i in 0..R {
                if i < left {
                    s.store(out.add(out_row(r0 + i) + n0), s.narrow(acc[i]));
                    sum = s.wide_add(sum, acc[i]);
                    sum2 = s.wide_fma(acc[i], acc[i], sum2);
                }
            }
        }
    }
    let (sums, squares) = stats.split_at_mut(g.cols);
    for (totals, v) in [(sums, sum), (squares, sum2)] {
        let mut lanes = [0f64; 16];
        // SAFETY: no vector has more than 16 lanes.
        unsafe { s.wide_store(lanes.as_mut_ptr(), v) };
        for (t, x) in totals[n0..].iter_mut().zip(&lanes[..S::LANES]) {
            *t += x;
        }
    }
}
