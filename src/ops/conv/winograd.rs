//! 3x3 convolution of stride 1 and padding 1 by Winograd's F(4x4, 3x3): 36 multiplications for 16 outputs instead of 144.
//!
//! For a 6x6 tile d of the input, a 3x3 kernel g and a 4x4 tile y of the output,
//! `y = A^T [sum_c (G g G^T) * (B^T d B)] A`, where the sum over channels is 36 matrix products. The points are
//! 0, +-1/sqrt 2, +-sqrt 2 and infinity, whose rounding error is a third of that of Lavin and Gray's 0, +-1, +-2
//! (arXiv:1509.09308) at the same number of operations. The backward pass is the transposed map:
//! `dM = A dy A^T`, `dU = V^T dM`, `dg = G^T dU G`, `dV = dM U^T`, and dx adds up the overlapping tiles `B dV B^T`.
//!
//! Everything goes by rows of tiles, a few rows (a group) at a time, so that V and M stay in the L2 cache.

use super::gemm::{GemmTap, Product, add_lanes, nn, tn};
use super::{ConvPlan, ConvShape, Dz, LINE, PackedFilter, Scratch};
use crate::ops::simd::{Kernel, Level, Simd, unrolled};

/// Points of the transformed domain.
pub(super) const POINTS: usize = 36;

/// The point 1/sqrt 2; the other is its inverse.
const P: f32 = std::f32::consts::FRAC_1_SQRT_2;
const Q: f32 = std::f32::consts::SQRT_2;

/// How the images are cut into tiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    /// Rows of tiles an image.
    rows: usize,
    /// Tiles a row.
    cols: usize,
    /// Rows of tiles in a group.
    group: usize,
}

impl Tiling {
    pub fn new(s: &ConvShape) -> Self {
        let (rows, cols) = (s.h.div_ceil(4), s.w.div_ceil(4));
        // V and M of a group: about half a megabyte, and from 16 to 64 tiles.
        let tiles = (512 * 1024 / 4 / POINTS / (s.c_in_p() + s.c_out_p())).clamp(16, 64);
        Self { rows, cols, group: (tiles / cols).max(1) }
    }

    fn tiles(&self) -> usize {
        self.group * self.cols
    }

    /// f32s between the points of V or M: a line more than they need, as strides of 4 KiB would share cache sets.
    fn stride(&self, c: usize) -> usize {
        self.tiles() * c + LINE
    }

    /// f32s of six lines of pixels, bordered by zeros.
    fn lines_len(&self, s: &ConvShape) -> usize {
        6 * (4 * self.cols + 2) * s.c_in_p()
    }

    pub fn scratch_len(&self, s: &ConvShape, convs: usize) -> usize {
        let v = Scratch::size(POINTS * self.stride(s.c_in_p()));
        let m = Scratch::size(POINTS * self.stride(s.c_out_p()));
        let lines = Scratch::size(self.lines_len(s)) + Scratch::size(s.w * s.c_in_p());
        Scratch::SLACK + lines + 2 * v + m + convs * Scratch::size(POINTS * s.matrix_len())
    }

    /// The groups of a block: first row of tiles, number of rows.
    fn groups(&self, n: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (all, group) = (n * self.rows, self.group);
        (0..all).step_by(group).map(move |first| (first, group.min(all - first)))
    }

    pub fn forward(
        &self,
        plan: &ConvPlan,
        filters: &[&PackedFilter],
        relu: bool,
        n: usize,
        x: &[f32],
        z: &mut [&mut [f32]],
        stats: &mut [&mut [f64]],
        scratch: &mut Scratch<'_>,
    ) {
        let s = &plan.shape;
        let lines = scratch.take(self.lines_len(s));
        let blank = scratch.take(s.w * s.c_in_p());
        let v = scratch.take(POINTS * self.stride(s.c_in_p()));
        let m = scratch.take(POINTS * self.stride(s.c_out_p()));
        lines.fill(0.0);
        blank.fill(0.0);
        for (first, count) in self.groups(n) {
            let span = Span { t: *self, shape: s, first, count };
            plan.level_in.run(TransformInput { span, relu, x, lines, blank, v });
            for (i, filter) in filters.iter().enumerate() {
                plan.level_out.run(Multiply {
                    rows: count * self.cols,
                    c: (s.c_in_p(), s.c_out_p()),
                    k: s.c_in,
                    stride: (self.stride(s.c_in_p()), self.stride(s.c_out_p())),
                    accumulate: false,
                    a: v,
                    b: filter.forward(),
                    out: m,
                });
                plan.level_out.run(TransformOutput { span, m, z: z[i], stats: stats[i] });
            }
        }
    }

    pub fn backward(
        &self,
        plan: &ConvPlan,
        filters: &[&PackedFilter],
        relu: bool,
        n: usize,
        x: &[f32],
        dz: &[Dz<'_>],
        mut dx: Option<&mut [f32]>,
        dw: &mut [&mut [f32]],
        scratch: &mut Scratch<'_>,
    ) {
        let s = &plan.shape;
        let (stride_in, stride_out) = (self.stride(s.c_in_p()), self.stride(s.c_out_p()));
        let lines = scratch.take(self.lines_len(s));
        let blank = scratch.take(s.w * s.c_in_p());
        let v = scratch.take(POINTS * stride_in);
        let dv = scratch.take(POINTS * stride_in);
        let dm = scratch.take(POINTS * stride_out);
        let du_len = POINTS * s.matrix_len();
        let du = scratch.take(filters.len() * Scratch::size(du_len));
        blank.fill(0.0);
        if n == 0 {
            du.fill(0.0);
        }
        for (first, count) in self.groups(n) {
            let span = Span { t: *self, shape: s, first, count };
            let rows = count * self.cols;
            // The input gradient uses the lines too.
            lines.fill(0.0);
            plan.level_in.run(TransformInput { span, relu, x, lines, blank, v });
            for (i, filter) in filters.iter().enumerate() {
                plan.level_out.run(TransformGradient { span, dz: dz[i], dm });
                plan.level_out.run(MultiplyTransposed {
                    rows,
                    c: (s.c_in_p(), s.c_out_p()),
                    stride: (stride_in, stride_out),
                    accumulate: first > 0,
                    a: v,
                    d: dm,
                    b: &mut du[i * Scratch::size(du_len)..][..du_len],
                });
                if dx.is_some() {
                    plan.level_in.run(Multiply {
                        rows,
                        c: (s.c_out_p(), s.c_in_p()),
                        k: s.c_out,
                        stride: (stride_out, stride_in),
                        accumulate: i > 0,
                        a: dm,
                        b: filter.transposed(),
                        out: dv,
                    });
                }
            }
            if let Some(dx) = dx.as_deref_mut().filter(|_| !filters.is_empty()) {
                plan.level_in.run(AddInputGradient { span, relu, x, lines, dv, dx });
            }
        }
        for (i, dw) in dw.iter_mut().enumerate() {
            let du = &du[i * Scratch::size(du_len)..][..du_len];
            plan.level_out.run(TransformFilterGradient { len: s.matrix_len(), du, dw });
        }
    }
}

/// A group of rows of tiles.
#[derive(Clone, Copy)]
struct Span<'a> {
    t: Tiling,
    shape: &'a ConvShape,
    first: usize,
    count: usize,
}

impl Span<'_> {
    /// For each row of tiles: its first tile in the group, its image, its first line of pixels.
    #[inline(always)]
    fn rows(&self) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
        let (t, first) = (self.t, self.first);
        (0..self.count).map(move |i| (i * t.cols, (first + i) / t.rows, (first + i) % t.rows * 4))
    }
}

/// B^T d
#[inline(always)]
fn bt<S: Simd>(s: S, d: [S::V; 6]) -> [S::V; 6] {
    let (even1, odd1) = (s.fma(s.splat(-2.0), d[2], d[4]), s.fma(s.splat(-2.0), d[1], d[3]));
    let (even2, odd2) = (s.fma(s.splat(-0.5), d[2], d[4]), s.fma(s.splat(-0.5), d[1], d[3]));
    [
        s.fma(s.splat(-2.5), d[2], s.add(d[0], d[4])),
        s.fma(s.splat(P), odd1, even1),
        s.fma(s.splat(-P), odd1, even1),
        s.fma(s.splat(Q), odd2, even2),
        s.fma(s.splat(-Q), odd2, even2),
        s.fma(s.splat(-2.5), d[3], s.add(d[1], d[5])),
    ]
}

/// B v, the transpose of [`bt`].
#[inline(always)]
fn b<S: Simd>(s: S, v: [S::V; 6]) -> [S::V; 6] {
    let (sum1, dif1) = (s.add(v[1], v[2]), s.sub(v[1], v[2]));
    let (sum2, dif2) = (s.add(v[3], v[4]), s.sub(v[3], v[4]));
    [
        v[0],
        s.fma(s.splat(-Q), dif1, s.fma(s.splat(-P), dif2, v[5])),
        s.fma(s.splat(-2.5), v[0], s.fma(s.splat(-2.0), sum1, s.mul(s.splat(-0.5), sum2))),
        s.fma(s.splat(-2.5), v[5], s.fma(s.splat(P), dif1, s.mul(s.splat(Q), dif2))),
        s.add(v[0], s.add(sum1, sum2)),
        v[5],
    ]
}

/// A^T m
#[inline(always)]
fn at<S: Simd>(s: S, m: [S::V; 6]) -> [S::V; 4] {
    let (sum1, dif1) = (s.add(m[1], m[2]), s.sub(m[1], m[2]));
    let (sum2, dif2) = (s.add(m[3], m[4]), s.sub(m[3], m[4]));
    [
        s.add(m[0], s.add(sum1, sum2)),
        s.fma(s.splat(P), dif1, s.mul(s.splat(Q), dif2)),
        s.fma(s.splat(0.5), sum1, s.add(sum2, sum2)),
        s.fma(s.splat(P * 0.5), dif1, s.fma(s.splat(Q * 2.0), dif2, m[5])),
    ]
}

/// A y, the transpose of [`at`].
#[inline(always)]
fn a<S: Simd>(s: S, y: [S::V; 4]) -> [S::V; 6] {
    let (even1, odd1) = (s.fma(s.splat(0.5), y[2], y[0]), s.fma(s.splat(0.5), y[3], y[1]));
    let (even2, odd2) = (s.fma(s.splat(2.0), y[2], y[0]), s.fma(s.splat(2.0), y[3], y[1]));
    [
        y[0],
        s.fma(s.splat(P), odd1, even1),
        s.fma(s.splat(-P), odd1, even1),
        s.fma(s.splat(Q), odd2, even2),
        s.fma(s.splat(-Q), odd2, even2),
        y[3],
    ]
}

/// G g
#[inline(always)]
fn g<S: Simd>(s: S, g: [S::V; 3]) -> [S::V; 6] {
    let even1 = s.fma(s.splat(-1.0 / 3.0), g[2], s.mul(s.splat(-2.0 / 3.0), g[0]));
    let even2 = s.fma(s.splat(1.0 / 3.0), g[2], s.mul(s.splat(1.0 / 6.0), g[0]));
    [
        g[0],
        s.fma(s.splat(P * -2.0 / 3.0), g[1], even1),
        s.fma(s.splat(P * 2.0 / 3.0), g[1], even1),
        s.fma(s.splat(Q / 6.0), g[1], even2),
        s.fma(s.splat(Q / -6.0), g[1], even2),
        g[2],
    ]
}

/// G^T u, the transpose of [`g`].
#[inline(always)]
fn gt<S: Simd>(s: S, u: [S::V; 6]) -> [S::V; 3] {
    let (sum1, dif1) = (s.add(u[1], u[2]), s.sub(u[1], u[2]));
    let (sum2, dif2) = (s.add(u[3], u[4]), s.sub(u[3], u[4]));
    [
        s.fma(s.splat(-2.0 / 3.0), sum1, s.fma(s.splat(1.0 / 6.0), sum2, u[0])),
        s.fma(s.splat(P * -2.0 / 3.0), dif1, s.mul(s.splat(Q / 6.0), dif2)),
        s.fma(s.splat(-1.0 / 3.0), sum1, s.fma(s.splat(1.0 / 3.0), sum2, u[5])),
    ]
}

/// u = G g G^T for `len` kernels side by side: g is `[9, len]`, u is `[36, len]`.
pub(super) fn transform_filter(level: Level, len: usize, g: &[f32], u: &mut [f32]) {
    level.run(TransformFilter { len, g, u });
}

struct TransformFilter<'a> {
    len: usize,
    g: &'a [f32],
    u: &'a mut [f32],
}

impl Kernel for TransformFilter<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.len;
        assert!(self.g.len() >= 9 * len && self.u.len() >= POINTS * len && len.is_multiple_of(S::LANES));
        for at in (0..len).step_by(S::LANES) {
            // SAFETY: at + LANES <= len, and the lengths are those asserted.
            unsafe {
                let (from, to) = (self.g.as_ptr().add(at), self.u.as_mut_ptr().add(at));
                let cols: [[S::V; 6]; 3] =
                    unrolled!(3, |j| g(s, unrolled!(3, |i| s.load(from.add((i * 3 + j) * len)))));
                for i in 0..6 {
                    let row = g(s, [cols[0][i], cols[1][i], cols[2][i]]);
                    for j in 0..6 {
                        s.store(to.add((i * 6 + j) * len), row[j]);
                    }
                }
            }
        }
    }
}

/// dw = G^T dU G, `[9, len]` from `[36, len]`.
struct TransformFilterGradient<'a> {
    len: usize,
    du: &'a [f32],
    dw: &'a mut [f32],
}

impl Kernel for TransformFilterGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let len = self.len;
        assert!(self.dw.len() >= 9 * len && self.du.len() >= POINTS * len && len.is_multiple_of(S::LANES));
        for at in (0..len).step_by(S::LANES) {
            // SAFETY: at + LANES <= len, and the lengths are those asserted.
            unsafe {
                let (from, to) = (self.du.as_ptr().add(at), self.dw.as_mut_ptr().add(at));
                let cols: [[S::V; 3]; 6] =
                    unrolled!(6, |j| gt(s, unrolled!(6, |i| s.load(from.add((i * 6 + j) * len)))));
                for i in 0..3 {
                    let row = gt(s, unrolled!(6, |j| cols[j][i]));
                    for j in 0..3 {
                        s.store(to.add((i * 3 + j) * len), row[j]);
                    }
                }
            }
        }
    }
}

/// V = B^T relu?(x) B for the tiles of a group.
struct TransformInput<'a> {
    span: Span<'a>,
    relu: bool,
    x: &'a [f32],
    /// Six lines of pixels; their borders are zeros and stay so.
    lines: &'a mut [f32],
    /// A line of zeros, read where the image ends.
    blank: &'a [f32],
    v: &'a mut [f32],
}

impl Kernel for TransformInput<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Span { t, shape, .. } = self.span;
        let c = shape.c_in_p();
        let (line, wide, stride) = (shape.w * c, (4 * t.cols + 2) * c, t.stride(c));
        let lines = self.lines.as_mut_ptr();
        for (tile, image, y) in self.span.rows() {
            let rows: [*const f32; 6] = unrolled!(6, |i| match (y + i).checked_sub(1) {
                Some(y) if y < shape.h => self.x[image * shape.in_len() + y * line..][..line].as_ptr(),
                _ => self.blank[..line].as_ptr(),
            });
            // SAFETY: the lanes divide c; rows hold `line` f32s, lines six times `wide`, v 36 points of a group's tiles.
            unsafe {
                for i in (0..line).step_by(S::LANES) {
                    let d: [S::V; 6] = unrolled!(6, |r| {
                        let d = s.load(rows[r].add(i));
                        if self.relu { s.relu(d) } else { d }
                    });
                    let d = bt(s, d);
                    for r in 0..6 {
                        s.store(lines.add(r * wide + c + i), d[r]);
                    }
                }
                for col in 0..t.cols {
                    let v = self.v.as_mut_ptr().add((tile + col) * c);
                    for ch in (0..c).step_by(S::LANES) {
                        for i in 0..6 {
                            let from = lines.add(i * wide + 4 * col * c + ch);
                            let d = bt(s, unrolled!(6, |j| s.load(from.add(j * c))));
                            for j in 0..6 {
                                s.store(v.add((i * 6 + j) * stride + ch), d[j]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// out_p (+)= a_p b_p for the 36 points p.
struct Multiply<'a> {
    rows: usize,
    /// Columns of a and of out.
    c: (usize, usize),
    /// Columns of a that are not zero.
    k: usize,
    /// f32s between points of a and of out.
    stride: (usize, usize),
    accumulate: bool,
    a: &'a [f32],
    b: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Multiply<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c_a, c_out) = self.c;
        let (rows, accumulate) = (self.rows, self.accumulate);
        let product =
            Product { taps: &[GemmTap { a: 0, b: 0 }], k: self.k, b_rows: c_a, cols: c_out, rows, accumulate };
        for p in 0..POINTS {
            let a = &self.a[p * self.stride.0..][..rows * c_a];
            let b = &self.b[p * c_a * c_out..][..c_a * c_out];
            let out = &mut self.out[p * self.stride.1..][..rows * c_out];
            // SAFETY: the slices hold the rows and the matrix.
            unsafe { nn(s, product, (a.as_ptr(), |r| r * c_a), b.as_ptr(), (out.as_mut_ptr(), |r| r * c_out), None) }
        }
    }
}

/// b_p (+)= a_p^T d_p for the 36 points p.
struct MultiplyTransposed<'a> {
    rows: usize,
    /// Columns of a and of d.
    c: (usize, usize),
    /// f32s between points of a and of d.
    stride: (usize, usize),
    accumulate: bool,
    a: &'a [f32],
    d: &'a [f32],
    b: &'a mut [f32],
}

impl Kernel for MultiplyTransposed<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c_a, c_d) = self.c;
        let (rows, accumulate) = (self.rows, self.accumulate);
        let product = Product { taps: &[GemmTap { a: 0, b: 0 }], k: c_a, b_rows: c_a, cols: c_d, rows, accumulate };
        for p in 0..POINTS {
            let a = &self.a[p * self.stride.0..][..rows * c_a];
            let d = &self.d[p * self.stride.1..][..rows * c_d];
            let b = &mut self.b[p * c_a * c_d..][..c_a * c_d];
            // SAFETY: the slices hold the rows and the matrix.
            unsafe { tn(s, product, (a.as_ptr(), |r| r * c_a), (d.as_ptr(), |r| r * c_d), b.as_mut_ptr()) }
        }
    }
}

/// z = A^T M A for the tiles of a group, and its statistics.
struct TransformOutput<'a> {
    span: Span<'a>,
    m: &'a [f32],
    z: &'a mut [f32],
    stats: &'a mut [f64],
}

impl Kernel for TransformOutput<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Span { t, shape, .. } = self.span;
        let c = shape.c_out_p();
        let (line, stride) = (shape.w * c, t.stride(c));
        let (sums, squares) = self.stats.split_at_mut(c);
        for (tile, image, y) in self.span.rows() {
            let z = &mut self.z[image * shape.out_len()..][..shape.out_len()];
            let high = (shape.h - y).min(4);
            for ch in (0..c).step_by(S::LANES) {
                let mut totals = [s.splat(0.0); 2];
                for col in 0..t.cols {
                    let wide = (shape.w - 4 * col).min(4);
                    // SAFETY: m holds 36 points of a group's tiles; only pixels within the image are written.
                    unsafe {
                        let m = self.m.as_ptr().add((tile + col) * c + ch);
                        let z = z.as_mut_ptr().add(y * line + 4 * col * c + ch);
                        if (high, wide) == (4, 4) {
                            output_tile(s, (m, stride), (z, line, c), (4, 4), &mut totals);
                        } else {
                            output_tile(s, (m, stride), (z, line, c), (high, wide), &mut totals);
                        }
                    }
                    if col % 4 == 3 || col + 1 == t.cols {
                        add_lanes(s, &mut sums[ch..], totals[0]);
                        add_lanes(s, &mut squares[ch..], totals[1]);
                        totals = [s.splat(0.0); 2];
                    }
                }
            }
        }
    }
}

/// One tile of z, of which `high x wide` pixels are within the image; to `totals`, their sum and sum of squares are added.
/// # Safety
/// A vector must be readable at `m` and the 35 points behind it, `stride` apart, and writable at the `high x wide` pixels from
/// `z` on, whose rows are `line` and whose pixels `c` apart.
#[inline(always)]
unsafe fn output_tile<S: Simd>(
    s: S,
    (m, stride): (*const f32, usize),
    (z, line, c): (*mut f32, usize, usize),
    (high, wide): (usize, usize),
    totals: &mut [S::V; 2],
) {
    // SAFETY: the caller's word.
    unsafe {
        let cols: [[S::V; 4]; 6] = unrolled!(6, |j| at(s, unrolled!(6, |i| s.load(m.add((i * 6 + j) * stride)))));
        for i in 0..4 {
            let row = at(s, unrolled!(6, |j| cols[j][i]));
            for j in 0..4 {
                if i < high && j < wide {
                    s.store(z.add(i * line + j * c), row[j]);
                    totals[0] = s.add(totals[0], row[j]);
                    totals[1] = s.fma(row[j], row[j], totals[1]);
                }
            }
        }
    }
}

/// dM = A dz A^T for the tiles of a group.
struct TransformGradient<'a> {
    span: Span<'a>,
    dz: Dz<'a>,
    dm: &'a mut [f32],
}

impl Kernel for TransformGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Span { t, shape, .. } = self.span;
        let c = shape.c_out_p();
        let (line, stride) = (shape.w * c, t.stride(c));
        for (tile, image, y) in self.span.rows() {
            let high = (shape.h - y).min(4);
            let at = image * shape.out_len() + y * line;
            for ch in (0..c).step_by(S::LANES) {
                // SAFETY: `backward` has checked every length; only pixels within the image are read.
                unsafe {
                    let av = self.dz.factor(s, image, ch);
                    let affine = self.dz.z.map(|z| {
                        let (b, g) = (self.dz.b.as_ptr().add(ch), self.dz.g.as_ptr().add(ch));
                        (z.as_ptr(), s.load(b), s.load(g))
                    });
                    for col in 0..t.cols {
                        let wide = (shape.w - 4 * col).min(4);
                        let at = at + 4 * col * c + ch;
                        let dy = self.dz.dy.as_ptr().add(at);
                        let dm = (self.dm.as_mut_ptr().add((tile + col) * c + ch), stride);
                        let dz = |i: usize| match affine {
                            Some((z, bv, gv)) => s.fma(av, s.load(dy.add(i)), s.fma(bv, s.load(z.add(at + i)), gv)),
                            None => s.mul(av, s.load(dy.add(i))),
                        };
                        if (high, wide) == (4, 4) {
                            gradient_tile(s, dz, (line, c), (4, 4), dm);
                        } else {
                            gradient_tile(s, dz, (line, c), (high, wide), dm);
                        }
                    }
                }
            }
        }
    }
}

/// One tile of dM; `dz` loads the gradient at an offset from the tile's first pixel.
/// # Safety
/// `dz` must be able to load the `high x wide` pixels from the first on, whose rows are `line` and whose pixels `c` apart; a vector
/// must be writable at `dm` and the 35 points behind it, `stride` apart.
#[inline(always)]
unsafe fn gradient_tile<S: Simd>(
    s: S,
    dz: impl Fn(usize) -> S::V,
    (line, c): (usize, usize),
    (high, wide): (usize, usize),
    (dm, stride): (*mut f32, usize),
) {
    let zero = s.splat(0.0);
    let pixel = |i, j| if i < high && j < wide { dz(i * line + j * c) } else { zero };
    let cols: [[S::V; 6]; 4] = unrolled!(4, |j| a(s, unrolled!(4, |i| pixel(i, j))));
    for i in 0..6 {
        let row = a(s, unrolled!(4, |j| cols[j][i]));
        for j in 0..6 {
            // SAFETY: the caller's word.
            unsafe { s.store(dm.add((i * 6 + j) * stride), row[j]) };
        }
    }
}

/// dx += relu'(x) B dV B^T for the overlapping tiles of a group.
struct AddInputGradient<'a> {
    span: Span<'a>,
    relu: bool,
    x: &'a [f32],
    lines: &'a mut [f32],
    dv: &'a [f32],
    dx: &'a mut [f32],
}

impl Kernel for AddInputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Span { t, shape, .. } = self.span;
        let c = shape.c_in_p();
        let (line, wide, stride) = (shape.w * c, (4 * t.cols + 2) * c, t.stride(c));
        let lines = self.lines.as_mut_ptr();
        for (tile, image, y) in self.span.rows() {
            let at = image * shape.in_len();
            let (x, dx) = (&self.x[at..][..shape.in_len()], &mut self.dx[at..][..shape.in_len()]);
            // SAFETY: lines holds six times `wide` f32s, dv 36 points of a group's tiles; of the six lines, only those
            // within the image are added to it.
            unsafe {
                for ch in (0..c).step_by(S::LANES) {
                    for i in 0..6 {
                        let mut left = [s.splat(0.0); 2];
                        for col in 0..t.cols {
                            let dv = self.dv.as_ptr().add((tile + col) * c + ch + i * 6 * stride);
                            let d = b(s, unrolled!(6, |j| s.load(dv.add(j * stride))));
                            let to = lines.add(i * wide + 4 * col * c + ch);
                            s.store(to, s.add(left[0], d[0]));
                            s.store(to.add(c), s.add(left[1], d[1]));
                            s.store(to.add(2 * c), d[2]);
                            s.store(to.add(3 * c), d[3]);
                            left = [d[4], d[5]];
                        }
                        let to = lines.add(i * wide + 4 * t.cols * c + ch);
                        s.store(to, left[0]);
                        s.store(to.add(c), left[1]);
                    }
                }
                for i in (0..line).step_by(S::LANES) {
                    let d = b(s, unrolled!(6, |r| s.load(lines.add(r * wide + c + i))));
                    for r in 0..6 {
                        let y = y + r;
                        if y == 0 || y > shape.h {
                            continue;
                        }
                        let at = (y - 1) * line + i;
                        let g = if self.relu { s.relu_grad(s.load(x.as_ptr().add(at)), d[r]) } else { d[r] };
                        let to = dx.as_mut_ptr().add(at);
                        s.store(to, s.add(s.load(to), g));
                    }
                }
            }
        }
    }
}
