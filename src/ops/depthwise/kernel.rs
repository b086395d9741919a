//! The depthwise kernels: taps over eight pixels in registers, and the gradient of the taps. May use: `ops::simd`.

use crate::ops::conv::Dz;
use crate::ops::conv::gemm::add_lanes;
use crate::ops::simd::{Kernel, Simd};

/// One kernel tap: where the pixel that output (0, 0) reads begins, and its weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub x: usize,
    pub v: usize,
}

/// `out[y, x, c] (+)= sum over taps of src[y, x, c from tap] v[tap, c]`. Steps are floats from row to row, pixel to pixel.
pub(super) struct Gather<'a> {
    pub taps: &'a [Tap],
    pub v: &'a [f32],
    pub x: &'a [f32],
    pub x_step: (usize, usize),
    pub out: &'a mut [f32],
    pub out_step: (usize, usize),
    pub rows: usize,
    pub cols: usize,
    pub c: usize,
    pub accumulate: bool,
    /// Sum in f64 and round once; overwrites.
    pub exact: bool,
}

/// First float behind the last pixel of `rows` x `cols`.
fn end((row, pixel): (usize, usize), rows: usize, cols: usize, c: usize) -> usize {
    (rows - 1) * row + (cols - 1) * pixel + c
}

impl Gather<'_> {
    fn check(&self) {
        let reach = end(self.x_step, self.rows, self.cols, self.c);
        assert!(self.taps.iter().all(|t| t.x + reach <= self.x.len() && t.v + self.c <= self.v.len()), "taps");
        assert!(end(self.out_step, self.rows, self.cols, self.c) <= self.out.len(), "out");
    }
}

impl Kernel for Gather<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.check();
        for y in 0..self.rows {
            for c in (0..self.c).step_by(S::LANES) {
                if self.exact {
                    // SAFETY: as below.
                    (0..self.cols).for_each(|x| unsafe { self.pixel_exact(s, y, x, c) });
                    continue;
                }
                let mut x = 0;
                // SAFETY: `check` found every pixel of every tap, and of out, in place; x + T <= cols.
                unsafe {
                    while x + 8 <= self.cols {
                        self.tile::<S, 8>(s, y, x, c);
                        x += 8;
                    }
                    if x + 4 <= self.cols {
                        self.tile::<S, 4>(s, y, x, c);
                        x += 4;
                    }
                    while x < self.cols {
                        self.tile::<S, 1>(s, y, x, c);
                        x += 1;
                    }
                }
            }
        }
    }
}

impl Gather<'_> {
    #[inline(always)]
    unsafe fn pixel_exact<S: Simd>(&mut self, s: S, y: usize, x: usize, c: usize) {
        // SAFETY: the caller's word.
        unsafe {
            let from = self.x.as_ptr().add(y * self.x_step.0 + x * self.x_step.1 + c);
            let mut sum = s.wide_splat(0.0);
            for tap in self.taps {
                let v = s.widen(s.load(self.v.as_ptr().add(tap.v + c)));
                sum = s.wide_fma(s.widen(s.load(from.add(tap.x))), v, sum);
            }
            s.store(self.out.as_mut_ptr().add(y * self.out_step.0 + x * self.out_step.1 + c), s.narrow(sum));
        }
    }

    /// `T` pixels of row y from x.
    #[inline(always)]
    unsafe fn tile<S: Simd, const T: usize>(&mut self, s: S, y: usize, x: usize, c: usize) {
        // SAFETY: the caller's word.
        unsafe {
            let from = self.x.as_ptr().add(y * self.x_step.0 + x * self.x_step.1 + c);
            let out = self.out.as_mut_ptr().add(y * self.out_step.0 + x * self.out_step.1 + c);
            let v = self.v.as_ptr().add(c);
            let mut acc = [s.splat(0.0); T];
            if self.accumulate {
                for i in 0..T {
                    acc[i] = s.load(out.add(i * self.out_step.1));
                }
            }
            for tap in self.taps {
                let w = s.load(v.add(tap.v));
                let from = from.add(tap.x);
                for i in 0..T {
                    acc[i] = s.fma(s.load(from.add(i * self.x_step.1)), w, acc[i]);
                }
            }
            for i in 0..T {
                s.store(out.add(i * self.out_step.1), acc[i]);
            }
        }
    }
}

/// `sums[tap, c] += sum over pixels of dd[y, x, c] x[y, x, c from tap]`; tap (ky, kx) begins at `ky tap_step.0 + kx tap_step.1`.
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
        let chunk = (F32_PIXELS / self.cols).max(1);
        for c in (0..self.c).step_by(S::LANES) {
            for y in (0..self.rows).step_by(chunk) {
                let rows = y..(y + chunk).min(self.rows);
                // SAFETY: every pixel of every tap is in place, as checked above. The sums of a group stay in registers:
                // nine of a pixel, or five of two pixels, or one of eight.
                unsafe {
                    match self.k {
                        3 => self.group::<S, 3, 3, 1>(s, rows, c, 0, 0),
                        5 => (0..5).for_each(|ky| self.group::<S, 1, 5, 2>(s, rows.clone(), c, ky, 0)),
                        k => (0..k * k).for_each(|t| self.group::<S, 1, 1, 8>(s, rows.clone(), c, t / k, t % k)),
                    }
                }
            }
        }
    }
}

impl TapGradient<'_> {
    /// `R` x `K` taps from (ky, kx), `U` pixels at a time.
    #[inline(always)]
    unsafe fn group<S: Simd, const R: usize, const K: usize, const U: usize>(
        &mut self,
        s: S,
        rows: std::ops::Range<usize>,
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
                let mut left = self.cols;
                while left >= U {
                    for u in 0..U {
                        let d = s.load(dd.add(u * self.dd_step.1));
                        for r in 0..R {
                            for k in 0..K {
                                let at = u * self.x_step.1 + r * self.tap_step.0 + k * self.tap_step.1;
                                acc[u][r][k] = s.fma(s.load(from.add(at)), d, acc[u][r][k]);
                            }
                        }
                    }
                    left -= U;
                    from = from.add(U * self.x_step.1);
                    dd = dd.add(U * self.dd_step.1);
                }
                while left > 0 {
                    let d = s.load(dd);
                    for r in 0..R {
                        for k in 0..K {
                            let at = r * self.tap_step.0 + k * self.tap_step.1;
                            acc[0][r][k] = s.fma(s.load(from.add(at)), d, acc[0][r][k]);
                        }
                    }
                    left -= 1;
                    from = from.add(self.x_step.1);
                    dd = dd.add(self.dd_step.1);
                }
            }
        }
        for r in 0..R {
            for k in 0..K {
                let mut sum = acc[0][r][k];
                for u in 1..U {
                    sum = s.add(sum, acc[u][r][k]);
                }
                let tap = (ky + r) * self.k + kx + k;
                add_lanes(s, &mut self.sums[tap * self.c + c..], sum);
            }
        }
    }
}

/// out = r a dy + b z + g of one image.
pub(super) struct FormGradient<'a> {
    pub dz: &'a Dz<'a>,
    pub image: usize,
    pub c: usize,
    pub out: &'a mut [f32],
}

impl Kernel for FormGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Dz { dy, z, a, b, g, .. } = *self.dz;
        let (n, c) = (self.out.len(), self.c);
        let dy = &dy[self.image * n..][..n];
        let z = z.map(|z| &z[self.image * n..][..n]);
        assert!(n.is_multiple_of(c) && c.is_multiple_of(S::LANES) && a.len() == c);
        assert!(z.is_none() || (b.len() == c && g.len() == c));
        for v in (0..c).step_by(S::LANES) {
            // SAFETY: the lanes divide c, c divides n, and every slice is as long as checked above.
            unsafe {
                let av = self.dz.factor(s, self.image, v);
                let affine = z.map(|z| (z.as_ptr(), s.load(b.as_ptr().add(v)), s.load(g.as_ptr().add(v))));
                for i in (v..n).step_by(c) {
                    let dyv = s.load(dy.as_ptr().add(i));
                    let d = match affine {
                        Some((z, bv, gv)) => s.fma(av, dyv, s.fma(bv, s.load(z.add(i)), gv)),
                        None => s.mul(av, dyv),
                    };
                    s.store(self.out.as_mut_ptr().add(i), d);
                }
            }
        }
    }
}
