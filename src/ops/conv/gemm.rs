//! The matrix products that every dense convolution is made of, over rows at any address.
//!
//! - [`nn`]: `out[r, :] (+)= sum_t sum_k a[row(r) + tap_t + k] B_t[k, :]`, the accumulators in registers over the whole sum.
//! - [`nn_exact`]: the same in f64, rounded once (`gemm_exact.rs`).
//! - [`tn`]: `B_t[k, :] (+)= sum_r a[row(r) + tap_t + k] d[r, :]`.
//!
//! B is stored in panels: the columns are cut into panels of two or three vectors (one, where there is one), so that a tile of
//! eight rows fills the registers; a panel's rows follow each other. See [`panel_index`].

use super::gemm_exact::nn_exact;
use crate::ops::simd::Simd;
use std::ops::Range;

/// One kernel tap: where its operand starts relative to a row, and where its matrix starts in B.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct GemmTap {
    pub a: usize,
    pub b: usize,
}

/// Vectors in the next panel, where `left` vectors of columns are left.
fn panel_width(left: usize) -> usize {
    match left {
        1 | 2 => left,
        4 => 2,
        _ => 3,
    }
}

/// Where element (k, col) of a `[rows, cols]` matrix lies in panels of vectors of `lanes`: panels of three, then of two, as
/// [`panel_width`] has it.
pub(in crate::ops) fn panel_index(rows: usize, cols: usize, lanes: usize, k: usize, col: usize) -> usize {
    let (vectors, v) = (cols / lanes, col / lanes);
    let in_threes = (vectors / 3).saturating_sub(usize::from(vectors % 3 == 1)) * 3;
    let (first, width) = if v < in_threes {
        (v / 3 * 3, 3)
    } else {
        let first = in_threes + (v - in_threes) / 2 * 2;
        (first, (vectors - first).min(2))
    };
    first * lanes * rows + k * width * lanes + (col - first * lanes)
}

/// Sizes of one product.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Product<'a> {
    pub taps: &'a [GemmTap],
    /// Rows of B that are summed over (`nn`); the rest of `b_rows` are known to meet zeros.
    pub k: usize,
    /// Rows of B as stored, a multiple of 4.
    pub b_rows: usize,
    /// Columns of B, a multiple of the lanes.
    pub cols: usize,
    /// Rows of a.
    pub rows: usize,
    /// Add to the result rather than overwrite it.
    pub accumulate: bool,
}

/// What the operands of a product are held in: f32, for [`nn`], or f64, for [`nn_exact`].
pub(in crate::ops) trait Operand: bytemuck::Pod {
    /// Writes a vector to `to`.
    /// # Safety
    /// `LANES` of them must be writable.
    unsafe fn store<S: Simd>(s: S, to: *mut Self, v: S::V);
    /// out = the product; to `stats` the sum and the sum of squares of each column are added. Overwrites.
    /// # Safety
    /// As [`nn`].
    unsafe fn product<S: Simd>(
        s: S,
        g: Product<'_>,
        a: (*const Self, impl Fn(usize) -> usize),
        b: *const Self,
        out: (*mut f32, impl Fn(usize) -> usize),
        stats: &mut [f64],
    );
}

impl Operand for f32 {
    #[inline(always)]
    unsafe fn store<S: Simd>(s: S, to: *mut f32, v: S::V) {
        // SAFETY: the caller's word.
        unsafe { s.store(to, v) }
    }
    #[inline(always)]
    unsafe fn product<S: Simd>(
        s: S,
        g: Product<'_>,
        a: (*const f32, impl Fn(usize) -> usize),
        b: *const f32,
        out: (*mut f32, impl Fn(usize) -> usize),
        stats: &mut [f64],
    ) {
        // SAFETY: the caller's word.
        unsafe { nn(s, g, a, b, out, Some(stats)) }
    }
}

impl Operand for f64 {
    #[inline(always)]
    unsafe fn store<S: Simd>(s: S, to: *mut f64, v: S::V) {
        // SAFETY: the caller's word.
        unsafe { s.wide_store(to, s.widen(v)) }
    }
    #[inline(always)]
    unsafe fn product<S: Simd>(
        s: S,
        g: Product<'_>,
        a: (*const f64, impl Fn(usize) -> usize),
        b: *const f64,
        out: (*mut f32, impl Fn(usize) -> usize),
        stats: &mut [f64],
    ) {
        // SAFETY: the caller's word.
        unsafe { nn_exact(s, g, a, b, out, stats) }
    }
}

/// See the top of the file. To `stats`, where given, the sum and the sum of squares of each column of out are added. Rows go
/// in chunks (of 16 KiB of a, within bounds), so that a chunk is in the first-level cache for every panel after the first.
///
/// # Safety
/// Every row that `a_row`, `out_row` and the taps name must lie in `a`, `out`; `b` must hold every tap's matrix.
#[inline(always)]
pub(in crate::ops) unsafe fn nn<S: Simd>(
    s: S,
    g: Product<'_>,
    (a, a_row): (*const f32, impl Fn(usize) -> usize),
    b: *const f32,
    (out, out_row): (*mut f32, impl Fn(usize) -> usize),
    mut stats: Option<&mut [f64]>,
) {
    let chunk = (4096 / g.k.max(1)).next_multiple_of(8).clamp(32, 64);
    let mut r0 = 0;
    while r0 < g.rows {
        let rows = r0..(r0 + chunk).min(g.rows);
        let mut n0 = 0;
        while n0 < g.cols {
            let (stats, rows) = (stats.as_deref_mut(), rows.clone());
            let width = panel_width((g.cols - n0) / S::LANES);
            // SAFETY: the caller's word; the columns n0.. of the panel are within g.cols.
            unsafe {
                match (width, S::REGISTERS >= 32) {
                    (1, _) => nn_panel::<S, 8, 1>(s, g, rows, (a, &a_row), b, (out, &out_row), n0, stats),
                    (2, true) => nn_panel::<S, 8, 2>(s, g, rows, (a, &a_row), b, (out, &out_row), n0, stats),
                    (2, false) => nn_panel::<S, 4, 2>(s, g, rows, (a, &a_row), b, (out, &out_row), n0, stats),
                    (_, true) => nn_panel::<S, 8, 3>(s, g, rows, (a, &a_row), b, (out, &out_row), n0, stats),
                    (_, false) => nn_panel::<S, 4, 3>(s, g, rows, (a, &a_row), b, (out, &out_row), n0, stats),
                }
            }
            n0 += width * S::LANES;
        }
        r0 = rows.end;
    }
}

/// The rows of one chunk, the columns of one panel. The statistics of a chunk are summed in f32 before they are added to the
/// f64 totals.
/// # Safety
/// As [`nn`], for the rows of the chunk; the `V` vectors of columns from `n0` on are within `g.cols`.
#[inline(always)]
unsafe fn nn_panel<S: Simd, const R: usize, const V: usize>(
    s: S,
    g: Product<'_>,
    chunk: Range<usize>,
    (a, a_row): (*const f32, &impl Fn(usize) -> usize),
    b: *const f32,
    (out, out_row): (*mut f32, &impl Fn(usize) -> usize),
    n0: usize,
    stats: Option<&mut [f64]>,
) {
    let zero = s.splat(0.0);
    let (mut sum, mut sum2) = ([zero; V], [zero; V]);
    let mut r0 = chunk.start;
    while r0 < chunk.end {
        let left = (chunk.end - r0).min(R);
        // SAFETY: rows past the end are read as the last row and not written; the rest is the caller's word.
        unsafe {
            let (mut rows, mut outs) = ([a; R], [out; R]);
            for i in 0..R {
                rows[i] = a.add(a_row(r0 + i.min(left - 1)));
                outs[i] = out.add(out_row(r0 + i.min(left - 1)) + n0);
            }
            let mut acc = [[zero; V]; R];
            if g.accumulate {
                for i in 0..R {
                    for v in 0..V {
                        acc[i][v] = s.load(outs[i].add(v * S::LANES));
                    }
                }
            }
            for tap in g.taps {
                let mut bp = b.add(tap.b + n0 * g.b_rows);
                let mut at = tap.a;
                let end = tap.a + g.k;
                while at + 4 <= end {
                    for u in 0..4 {
                        nn_step(s, &rows, at + u, bp.add(u * V * S::LANES), &mut acc);
                    }
                    at += 4;
                    bp = bp.add(4 * V * S::LANES);
                }
                while at < end {
                    nn_step(s, &rows, at, bp, &mut acc);
                    at += 1;
                    bp = bp.add(V * S::LANES);
                }
            }
            for i in 0..R {
                if i < left {
                    for v in 0..V {
                        s.store(outs[i].add(v * S::LANES), acc[i][v]);
                    }
                }
            }
            if stats.is_some() {
                for i in 0..R {
                    if i < left {
                        for v in 0..V {
                            sum[v] = s.add(sum[v], acc[i][v]);
                            sum2[v] = s.fma(acc[i][v], acc[i][v], sum2[v]);
                        }
                    }
                }
            }
        }
        r0 += left;
    }
    if let Some(stats) = stats {
        let (sums, squares) = stats.split_at_mut(g.cols);
        for v in 0..V {
            add_lanes(s, &mut sums[n0 + v * S::LANES..], sum[v]);
            add_lanes(s, &mut squares[n0 + v * S::LANES..], sum2[v]);
        }
    }
}

/// acc += one element of each row times one row of a panel.
///
/// # Safety
/// `at` must lie in each of the rows, and `V` vectors must be readable at `b`.
#[inline(always)]
unsafe fn nn_step<S: Simd, const R: usize, const V: usize>(
    s: S,
    rows: &[*const f32; R],
    at: usize,
    b: *const f32,
    acc: &mut [[S::V; V]; R],
) {
    // SAFETY: the caller's word.
    unsafe {
        let mut bv = [s.splat(0.0); V];
        for v in 0..V {
            bv[v] = s.load(b.add(v * S::LANES));
        }
        for i in 0..R {
            let x = s.splat(*rows[i].add(at));
            for v in 0..V {
                acc[i][v] = s.fma(x, bv[v], acc[i][v]);
            }
        }
    }
}

/// Adds the lanes of `v` to the first of `totals`.
#[inline(always)]
pub(in crate::ops) fn add_lanes<S: Simd>(s: S, totals: &mut [f64], v: S::V) {
    let totals = totals[..S::LANES].as_mut_ptr();
    // SAFETY: there are as many totals as lanes.
    unsafe { s.wide_store(totals, s.wide_add(s.wide_load(totals), s.widen(v))) }
}

/// See the top of the file; sums over all `b_rows` of a's row. Rows go in chunks (of 20 KiB of a and d together, or 32 rows) that
/// stay in the first-level cache while every tile of B reads them.
///
/// # Safety
/// As [`nn`].
#[inline(always)]
pub(in crate::ops) unsafe fn tn<S: Simd>(
    s: S,
    g: Product<'_>,
    (a, a_row): (*const f32, impl Fn(usize) -> usize),
    (d, d_row): (*const f32, impl Fn(usize) -> usize),
    b: *mut f32,
) {
    let chunk = (5120 / (g.b_rows + g.cols)).max(32);
    let mut r0 = 0;
    while r0 == 0 || r0 < g.rows {
        let rows = r0..(r0 + chunk).min(g.rows);
        let g = Product { accumulate: g.accumulate || r0 > 0, ..g };
        for tap in g.taps {
            let mut n0 = 0;
            while n0 < g.cols {
                let (rows, width) = (rows.clone(), panel_width((g.cols - n0) / S::LANES));
                let eight = g.b_rows.is_multiple_of(8) && (width == 1 || S::REGISTERS >= 32);
                // SAFETY: the caller's word; the columns n0.. of the panel are within g.cols.
                unsafe {
                    let b = b.add(tap.b + n0 * g.b_rows);
                    match (width, eight) {
                        (1, true) => tn_panel::<S, 8, 1>(s, g, rows, tap.a, (a, &a_row), (d, &d_row), b, n0),
                        (1, false) => tn_panel::<S, 4, 1>(s, g, rows, tap.a, (a, &a_row), (d, &d_row), b, n0),
                        (2, true) => tn_panel::<S, 8, 2>(s, g, rows, tap.a, (a, &a_row), (d, &d_row), b, n0),
                        (2, false) => tn_panel::<S, 4, 2>(s, g, rows, tap.a, (a, &a_row), (d, &d_row), b, n0),
                        (_, true) => tn_panel::<S, 8, 3>(s, g, rows, tap.a, (a, &a_row), (d, &d_row), b, n0),
                        (_, false) => tn_panel::<S, 4, 3>(s, g, rows, tap.a, (a, &a_row), (d, &d_row), b, n0),
                    }
                }
                n0 += width * S::LANES;
            }
        }
        r0 += chunk;
    }
}

/// The sums over the rows of one chunk, for one tap and the columns of one panel, which begins at `b`.
///
/// # Safety
/// As [`nn`], for the rows of the chunk and this tap; the `V` vectors of columns from `n0` on are within `g.cols`, `K` divides
/// `g.b_rows`, and `g.b_rows` rows of `V` vectors are readable and writable at `b`.
#[inline(always)]
unsafe fn tn_panel<S: Simd, const K: usize, const V: usize>(
    s: S,
    g: Product<'_>,
    rows: Range<usize>,
    tap_a: usize,
    (a, a_row): (*const f32, &impl Fn(usize) -> usize),
    (d, d_row): (*const f32, &impl Fn(usize) -> usize),
    b: *mut f32,
    n0: usize,
) {
    for k0 in (0..g.b_rows).step_by(K) {
        // SAFETY: K divides b_rows; the rest is the caller's word.
        unsafe {
            let mut acc = [[s.splat(0.0); V]; K];
            let tile = b.add(k0 * V * S::LANES);
            if g.accumulate {
                for i in 0..K {
                    for v in 0..V {
                        acc[i][v] = s.load(tile.add((i * V + v) * S::LANES));
                    }
                }
            }
            for r in rows.clone() {
                let x = a.add(a_row(r) + tap_a + k0);
                let y = d.add(d_row(r) + n0);
                let mut dv = [s.splat(0.0); V];
                for v in 0..V {
                    dv[v] = s.load(y.add(v * S::LANES));
                }
                for i in 0..K {
                    let x = s.splat(*x.add(i));
                    for v in 0..V {
                        acc[i][v] = s.fma(x, dv[v], acc[i][v]);
                    }
                }
            }
            for i in 0..K {
                for v in 0..V {
                    s.store(tile.add((i * V + v) * S::LANES), acc[i][v]);
                }
            }
        }
    }
}
