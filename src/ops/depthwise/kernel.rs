//! The depthwise kernel, taps over eight pixels in registers, and the gradient that arrives at a band.
//!
//! Where pixels follow each other (stride 1), a window slides over a row: each pixel is loaded once for all taps of the row that
//! meet it, so that the processor multiplies rather than loads. The kernels' usual sizes are compiled for that; others, and
//! strides, load a pixel for every tap. Of four channels, a vector of eight holds two pixels that follow each other.

use crate::ops::conv::Dz;
use crate::ops::simd::{Kernel, Simd};

/// The body for the pixels that a window may slide over, in turn, written out: a loop over so many the compiler keeps, and then its sums
/// are in memory and not in registers.
macro_rules! in_turn {
    (|$j:ident| $body:expr) => {
        in_turn!(@ $j, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22)
    };
    (@ $j:ident, $body:expr, $($n:literal)*) => { $({ let $j: usize = $n; $body })* };
}
pub(super) use in_turn;

/// One kernel tap: where the pixel that output (0, 0) reads begins, and its weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct DepthwiseTap {
    pub x: usize,
    pub v: usize,
}

/// `out[y, x, c] (+)= sum over taps of src[y, x, c from tap] v[tap, c]`. Steps are floats from row to row, pixel to pixel. With vectors of
/// twice the channels, two pixels go at a time: columns are in pairs, without space between, and the weights of a tap stand twice.
pub(super) struct Gather<'a> {
    pub taps: &'a [DepthwiseTap],
    pub v: &'a [f32],
    pub x: &'a [f32],
    pub x_step: (usize, usize),
    pub out: &'a mut [f32],
    pub out_step: (usize, usize),
    pub rows: usize,
    pub cols: usize,
    pub c: usize,
    pub accumulate: bool,
    /// Sum in f64 and round once.
    pub exact: bool,
    /// The window that slides over the pixels of a row, where one does.
    pub window: Option<SlidingWindow>,
}

/// Taps in rows of `k`, each `dilation` pixels behind the one before; output pixels that follow each other read pixels that do.
#[derive(Clone, Copy)]
pub(super) struct SlidingWindow {
    pub k: usize,
    pub dilation: usize,
}

/// First float behind the last pixel of `rows` x `cols`.
pub(super) fn end((row, pixel): (usize, usize), rows: usize, cols: usize, c: usize) -> usize {
    (rows - 1) * row + (cols - 1) * pixel + c
}

impl Gather<'_> {
    fn check(&self, lanes: usize) {
        let (reach, c) = (end(self.x_step, self.rows, self.cols, self.c), self.c.max(lanes));
        assert!(self.taps.iter().all(|t| t.x + reach <= self.x.len() && t.v + c <= self.v.len()), "taps");
        let pairs =
            (self.x_step.1, self.out_step.1, 2 * self.c) == (self.c, self.c, lanes) && self.cols.is_multiple_of(2);
        assert!(self.c.is_multiple_of(lanes) || pairs, "lanes");
        assert!(end(self.out_step, self.rows, self.cols, self.c) <= self.out.len(), "out");
    }
}

impl Kernel for Gather<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        self.check(S::LANES);
        match (self.exact, S::LANES == 8 && self.c == 4) {
            (false, false) => self.windowed::<S, Single, 1>(s),
            (true, false) => self.windowed::<S, Double, 1>(s),
            (false, true) => self.windowed::<S, Single, 2>(s),
            (true, true) => self.windowed::<S, Double, 2>(s),
        }
    }
}

/// What the sum over the taps is kept in.
trait Sum<S: Simd> {
    type V: Copy;
    /// Whether the registers hold the sums of eight pixels beside what is added to them.
    const EIGHT: bool;
    fn zero(s: S) -> Self::V;
    /// # Safety
    /// As [`Simd::load`].
    unsafe fn load(s: S, p: *const f32) -> Self::V;
    fn fma(s: S, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// # Safety
    /// As [`Simd::store`].
    unsafe fn store(s: S, p: *mut f32, v: Self::V);
}

struct Single;

impl<S: Simd> Sum<S> for Single {
    type V = S::V;
    const EIGHT: bool = true;
    #[inline(always)]
    fn zero(s: S) -> S::V {
        s.splat(0.0)
    }
    #[inline(always)]
    unsafe fn load(s: S, p: *const f32) -> S::V {
        // SAFETY: the caller's word.
        unsafe { s.load(p) }
    }
    #[inline(always)]
    fn fma(s: S, a: S::V, b: S::V, c: S::V) -> S::V {
        s.fma(a, b, c)
    }
    #[inline(always)]
    unsafe fn store(s: S, p: *mut f32, v: S::V) {
        // SAFETY: the caller's word.
        unsafe { s.store(p, v) }
    }
}

/// In f64, rounded once.
struct Double;

impl<S: Simd> Sum<S> for Double {
    type V = S::Wide;
    const EIGHT: bool = S::REGISTERS >= 32;
    #[inline(always)]
    fn zero(s: S) -> S::Wide {
        s.wide_splat(0.0)
    }
    #[inline(always)]
    unsafe fn load(s: S, p: *const f32) -> S::Wide {
        // SAFETY: the caller's word.
        s.widen(unsafe { s.load(p) })
    }
    #[inline(always)]
    fn fma(s: S, a: S::Wide, b: S::Wide, c: S::Wide) -> S::Wide {
        s.wide_fma(a, b, c)
    }
    #[inline(always)]
    unsafe fn store(s: S, p: *mut f32, v: S::Wide) {
        // SAFETY: the caller's word.
        unsafe { s.store(p, s.narrow(v)) }
    }
}

impl Gather<'_> {
    #[inline(always)]
    fn windowed<S: Simd, P: Sum<S>, const PIXELS: usize>(&mut self, s: S) {
        match self.window.map(|w| (w.k, w.dilation)) {
            Some((3, 1)) => self.all::<S, P, PIXELS, 3, 1>(s),
            Some((3, 2)) => self.all::<S, P, PIXELS, 3, 2>(s),
            Some((5, 1)) => self.all::<S, P, PIXELS, 5, 1>(s),
            Some((5, 2)) => self.all::<S, P, PIXELS, 5, 2>(s),
            _ => self.all::<S, P, PIXELS, 0, 0>(s),
        }
    }

    /// Runs with a window of K taps and dilation E; K = 0: without one.
    #[inline(always)]
    fn all<S: Simd, P: Sum<S>, const PIXELS: usize, const K: usize, const E: usize>(&mut self, s: S) {
        for y in 0..self.rows {
            for c in (0..self.c).step_by(S::LANES) {
                let mut x = 0;
                // SAFETY: `check` found every pixel of every tap, and of out, in place; x + T PIXELS <= cols.
                unsafe {
                    while P::EIGHT && x + 8 * PIXELS <= self.cols {
                        self.tile::<S, P, PIXELS, 8, K, E>(s, y, x, c);
                        x += 8 * PIXELS;
                    }
                    while x + 4 * PIXELS <= self.cols {
                        self.tile::<S, P, PIXELS, 4, K, E>(s, y, x, c);
                        x += 4 * PIXELS;
                    }
                    while x < self.cols {
                        self.tile::<S, P, PIXELS, 1, K, E>(s, y, x, c);
                        x += PIXELS;
                    }
                }
            }
        }
    }

    /// `T` vectors of row y from pixel x, each of `PIXELS` pixels. A window loads each pixel once for all taps of a row; each sum takes
    /// its taps in their order, with a window and without.
    /// # Safety
    /// The pixels must be some of `rows` x `cols`, a pixel's share of the vector from channel `c` on within the channels, and `check` must
    /// have passed; with K > 0 the taps stand in rows of `K`, `E` pixels apart.
    #[inline(always)]
    unsafe fn tile<S: Simd, P: Sum<S>, const PIXELS: usize, const T: usize, const K: usize, const E: usize>(
        &mut self,
        s: S,
        y: usize,
        x: usize,
        c: usize,
    ) {
        // SAFETY: the caller's word.
        unsafe {
            let from = self.x.as_ptr().add(y * self.x_step.0 + x * self.x_step.1 + c);
            let out = self.out.as_mut_ptr().add(y * self.out_step.0 + x * self.out_step.1 + c);
            let v = self.v.as_ptr().add(c);
            let (x_step, out_step) = (PIXELS * self.x_step.1, PIXELS * self.out_step.1);
            let mut acc = [P::zero(s); T];
            if self.accumulate {
                for i in 0..T {
                    acc[i] = P::load(s, out.add(i * out_step));
                }
            }
            if K == 0 {
                for tap in self.taps {
                    let w = P::load(s, v.add(tap.v));
                    let from = from.add(tap.x);
                    for i in 0..T {
                        acc[i] = P::fma(s, P::load(s, from.add(i * x_step)), w, acc[i]);
                    }
                }
            } else {
                for taps in self.taps.chunks_exact(K) {
                    let mut w = [P::zero(s); K];
                    for k in 0..K {
                        w[k] = P::load(s, v.add(taps[k].v));
                    }
                    let mut from = from.add(taps[0].x);
                    in_turn!(|j| if j <= (T - 1) * PIXELS + (K - 1) * E {
                        let pixel = P::load(s, from);
                        for k in 0..K {
                            if j >= k * E && (j - k * E).is_multiple_of(PIXELS) && (j - k * E) / PIXELS < T {
                                let i = (j - k * E) / PIXELS;
                                acc[i] = P::fma(s, pixel, w[k], acc[i]);
                            }
                        }
                        from = from.add(self.x_step.1);
                    });
                }
            }
            for i in 0..T {
                P::store(s, out.add(i * out_step), acc[i]);
            }
        }
    }
}

/// out = r a dy + b z + g of some pixels of one image, which begin at `first` in dy and z.
pub(super) struct FormGradient<'a> {
    pub dz: &'a Dz<'a>,
    pub image: usize,
    pub first: usize,
    pub c: usize,
    pub out: &'a mut [f32],
}

impl Kernel for FormGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // A few pixels at a time, so that they are in the first-level cache for all channels.
        let some = self.c * (1024 / self.c).max(1);
        for (i, out) in self.out.chunks_mut(some).enumerate() {
            self.dz.form(s, self.image, self.first + i * some, out);
        }
    }
}
