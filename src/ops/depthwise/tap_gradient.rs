//! The gradient of the depthwise taps.
//!
//! At stride 1 a window slides over a row, as in [`super::kernel`]: a pixel is loaded once for all taps of a row that meet it. There too,
//! of four channels a vector of eight holds two pixels that follow each other.

use super::kernel::{end, in_turn};
use crate::ops::conv::gemm::add_lanes;
use crate::ops::simd::{Kernel, Simd};
use std::ops::Range;

/// `sums[tap, c] += sum over pixels of dd[y, x, c] x[y, x, c from tap]`; tap (ky, kx) begins at `ky tap_step.0 + kx tap_step.1`. With
/// vectors of twice the channels, two pixels go at a time: columns are in pairs, without space between.
pub(super) struct TapGradient<'a> {
    pub k: usize,
    pub tap_step: (usize, usize),
    pub x: &'a [f32],
    pub x_step: (usize, usize),
    pub dd: &'a [f32],
    pub dd_step: (usize, usize),
    pub rows: usize,
    pub cols: usize,
    pub c: usize,
    /// Dilation of the window that slides over the pixels of a row, where one does.
    pub window: Option<usize>,
    pub sums: &'a mut [f64],
}

/// Pixels that are added in f32 before the sum goes on in f64.
const F32_PIXELS: usize = 128;

impl Kernel for TapGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let last_tap = (self.k - 1) * (self.tap_step.0 + self.tap_step.1);
        assert!(last_tap + end(self.x_step, self.rows, self.cols, self.c) <= self.x.len(), "x");
        assert!(end(self.dd_step, self.rows, self.cols, self.c) <= self.dd.len(), "dd");
        assert_eq!(self.sums.len(), self.k * self.k * self.c, "sums");
        let pairs =
            (self.x_step.1, self.dd_step.1, 2 * self.c) == (self.c, self.c, S::LANES) && self.cols.is_multiple_of(2);
        assert!(self.c.is_multiple_of(S::LANES) || pairs, "lanes");
        let chunk = (F32_PIXELS / self.cols).max(1);
        for c in (0..self.c).step_by(S::LANES) {
            for y in (0..self.rows).step_by(chunk) {
                let rows = y..(y + chunk).min(self.rows);
                // SAFETY: every pixel of every tap is in place, as checked above. The sums of a group stay in registers.
                unsafe {
                    match S::LANES == 8 && self.c == 4 {
                        false => self.all_taps::<S, 1>(s, rows, c),
                        true => self.all_taps::<S, 2>(s, rows, c),
                    }
                }
            }
        }
    }
}

/// Vectors of dd that a window holds in registers.
const HELD: usize = 4;

impl TapGradient<'_> {
    /// All taps, over some rows; a vector holds `PIXELS` pixels.
    /// # Safety
    /// As [`TapGradient::slide`], for all taps; if a window is given, steps are those of its dilation.
    #[inline(always)]
    unsafe fn all_taps<S: Simd, const PIXELS: usize>(&mut self, s: S, rows: Range<usize>, c: usize) {
        // SAFETY: the caller's word.
        unsafe {
            match (self.k, self.window) {
                (3, Some(1)) => self.slide::<S, PIXELS, 3, 3, 1>(s, rows, c, 0),
                (3, Some(2)) => self.slide::<S, PIXELS, 3, 3, 2>(s, rows, c, 0),
                (5, Some(1)) => self.slide_rows::<S, PIXELS, 1>(s, rows, c),
                (5, Some(2)) => self.slide_rows::<S, PIXELS, 2>(s, rows, c),
                (3, _) => self.group::<S, PIXELS, 3, 3, 1>(s, rows, c, 0, 0),
                (5, _) => (0..5).for_each(|ky| self.group::<S, PIXELS, 1, 5, 2>(s, rows.clone(), c, ky, 0)),
                (k, _) => (0..k * k).for_each(|t| self.group::<S, PIXELS, 1, 1, 8>(s, rows.clone(), c, t / k, t % k)),
            }
        }
    }

    /// 5x5 taps, as many rows of them at a time as the registers hold.
    /// # Safety
    /// As [`TapGradient::slide`], for all five rows of taps.
    #[inline(always)]
    unsafe fn slide_rows<S: Simd, const PIXELS: usize, const E: usize>(&mut self, s: S, rows: Range<usize>, c: usize) {
        // SAFETY: the caller's word.
        unsafe {
            if S::REGISTERS >= 32 {
                self.slide::<S, PIXELS, 5, 5, E>(s, rows, c, 0);
            } else {
                self.slide::<S, PIXELS, 2, 5, E>(s, rows.clone(), c, 0);
                self.slide::<S, PIXELS, 2, 5, E>(s, rows.clone(), c, 2);
                self.slide::<S, PIXELS, 1, 5, E>(s, rows, c, 4);
            }
        }
    }

    /// `R` rows of `K` taps from ky, dilation E: a pixel of x is loaded once for all taps of a row that meet it.
    /// # Safety
    /// `rows` must be some of `self.rows`, a pixel's share of the vector from channel `c` on within the channels, the taps some of
    /// `self.k` x `self.k`, and every pixel that they meet in `x`, which has steps of `E` from tap to tap; every pixel of `dd` must
    /// be in place.
    #[inline(always)]
    unsafe fn slide<S: Simd, const PIXELS: usize, const R: usize, const K: usize, const E: usize>(
        &mut self,
        s: S,
        rows: Range<usize>,
        c: usize,
        ky: usize,
    ) {
        let mut acc = [[s.splat(0.0); K]; R];
        for y in rows {
            // SAFETY: the caller's word.
            unsafe {
                let mut from = self.x.as_ptr().add(ky * self.tap_step.0 + y * self.x_step.0 + c);
                let mut dd = self.dd.as_ptr().add(y * self.dd_step.0 + c);
                let (x_step, dd_step) = (PIXELS * self.x_step.1, PIXELS * self.dd_step.1);
                let mut left = self.cols / PIXELS;
                while left >= HELD {
                    let mut d = [s.splat(0.0); HELD];
                    for u in 0..HELD {
                        d[u] = s.load(dd.add(u * dd_step));
                    }
                    in_turn!(|j| if j <= (HELD - 1) * PIXELS + (K - 1) * E {
                        for r in 0..R {
                            let pixel = s.load(from.add(j * self.x_step.1 + r * self.tap_step.0));
                            for k in 0..K {
                                if j >= k * E && (j - k * E).is_multiple_of(PIXELS) && (j - k * E) / PIXELS < HELD {
                                    acc[r][k] = s.fma(pixel, d[(j - k * E) / PIXELS], acc[r][k]);
                                }
                            }
                        }
                    });
                    left -= HELD;
                    from = from.add(HELD * x_step);
                    dd = dd.add(HELD * dd_step);
                }
                while left > 0 {
                    self.pixel(s, from, s.load(dd), &mut acc);
                    left -= 1;
                    from = from.add(x_step);
                    dd = dd.add(dd_step);
                }
            }
        }
        self.add::<S, PIXELS, R, K>(s, c, ky, 0, &acc);
    }

    /// acc += the products of one vector d of dd with what `R` x `K` taps of `from` meet.
    /// # Safety
    /// A vector must be readable at `from` and wherever the other taps of the `R` x `K` stand from there.
    #[inline(always)]
    unsafe fn pixel<S: Simd, const R: usize, const K: usize>(
        &self,
        s: S,
        from: *const f32,
        d: S::V,
        acc: &mut [[S::V; K]; R],
    ) {
        for r in 0..R {
            for k in 0..K {
                let at = r * self.tap_step.0 + k * self.tap_step.1;
                // SAFETY: the caller's word.
                acc[r][k] = s.fma(unsafe { s.load(from.add(at)) }, d, acc[r][k]);
            }
        }
    }

    /// sums += acc
    #[inline(always)]
    fn add<S: Simd, const PIXELS: usize, const R: usize, const K: usize>(
        &mut self,
        s: S,
        c: usize,
        ky: usize,
        kx: usize,
        acc: &[[S::V; K]; R],
    ) {
        for r in 0..R {
            for k in 0..K {
                let tap = (ky + r) * self.k + kx + k;
                let sums = &mut self.sums[tap * self.c + c..];
                if PIXELS == 1 {
                    add_lanes(s, sums, acc[r][k]);
                } else {
                    let mut both = [0f64; 8];
                    add_lanes(s, &mut both, acc[r][k]);
                    for i in 0..4 {
                        sums[i] += both[i] + both[4 + i];
                    }
                }
            }
        }
    }

    /// `R` x `K` taps from (ky, kx), `U` vectors at a time.
    /// # Safety
    /// As [`TapGradient::slide`], for any distance between taps.
    #[inline(always)]
    unsafe fn group<S: Simd, const PIXELS: usize, const R: usize, const K: usize, const U: usize>(
        &mut self,
        s: S,
        rows: Range<usize>,
        c: usize,
        ky: usize,
        kx: usize,
    ) {
        let mut acc = [[[s.splat(0.0); K]; R]; U];
        let tap = ky * self.tap_step.0 + kx * self.tap_step.1 + c;
        for y in rows {
            // SAFETY: the caller's word.
            unsafe {
                let mut from = self.x.as_ptr().add(tap + y * self.x_step.0);
                let mut dd = self.dd.as_ptr().add(y * self.dd_step.0 + c);
                let (x_step, dd_step) = (PIXELS * self.x_step.1, PIXELS * self.dd_step.1);
                let mut left = self.cols / PIXELS;
                while left >= U {
                    for u in 0..U {
                        let d = s.load(dd.add(u * dd_step));
                        self.pixel(s, from.add(u * x_step), d, &mut acc[u]);
                    }
                    left -= U;
                    from = from.add(U * x_step);
                    dd = dd.add(U * dd_step);
                }
                while left > 0 {
                    self.pixel(s, from, s.load(dd), &mut acc[0]);
                    left -= 1;
                    from = from.add(x_step);
                    dd = dd.add(dd_step);
                }
            }
        }
        let mut total = acc[0];
        for acc in &acc[1..] {
            for r in 0..R {
                for k in 0..K {
                    total[r][k] = s.add(total[r][k], acc[r][k]);
                }
            }
        }
        self.add::<S, PIXELS, R, K>(s, c, ky, kx, &total);
    }
}
