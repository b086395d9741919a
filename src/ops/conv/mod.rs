//! Convolution (cross-correlation). [`tensor`] defines it in candle tensor algebra, NCHW, full and depthwise; what follows
//! is the dense one on the CPU, forward and backward, one block of images on one thread.
//!
//! z[n, y, x, o] = sum_(ky, kx, c) relu?(x)[n, y s + ky d - p, x s + kx d - p, c] w[o, c, ky, kx], no bias.
//!
//! Shapes: activations NHWC, `[n, h, w, padded(c_in)]` and `[n, ho, wo, padded(c_out)]` with
//! `ho = (h + 2p - d(k-1) - 1) / s + 1`; padded channels hold zeros and come out as zeros. Weights come as OIHW with true
//! channels and are packed once a step ([`PackedFilter`]). Convolutions that read the same input are computed together
//! ("siblings"), so that ReLU and transforms of the input are shared.
//!
//! 3x3 of stride 1 goes by Winograd's F(4x4, 3x3) ([`winograd`]), a quarter of the multiplications; everything else, and
//! 3x3 in strict mode, directly ([`direct`]; groups of small images by [`positions`]).
//!
//! The forward pass of a small layer, and of every layer in strict mode, is exact: direct, in f64, rounded once; its backward
//! pass is direct too. What follows a convolution is a ReLU, and where its input is within a rounding error of zero, the error
//! decides whether a gradient passes. In a large layer one such input among millions does not matter; in a small one it
//! turns a whole run. Measured on recorded PyTorch runs: sums in f64 and storage in f32 keep to runs in f64; with Winograd's
//! gradients the weights stray enough to turn one of them.
//!
//! The functions panic on slices of the wrong length: a mistake of the caller, never of a user.

// A block of a pass takes what it takes; and in the kernels, indices name lanes, tile rows and taps of several arrays.
#![allow(clippy::too_many_arguments, clippy::needless_range_loop)]

pub(in crate::ops) mod copy;
pub mod definition;
mod direct;
pub(in crate::ops) mod filter;
pub(in crate::ops) mod gemm;
mod gemm_exact;
pub mod gpu;
mod positions;
pub mod tensor;
#[cfg(test)]
mod tests;
mod winograd;

pub use filter::PackedFilter;

use crate::ops::simd::{Level, Simd};
use crate::ops::{padded, vectorized};
use gemm::panel_index;
use positions::{GROUP, Positions};

/// A dense convolution: k x k taps, stride s, zero padding p, dilation d; input h x w.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// Taps a side.
    pub k: usize,
    /// Stride.
    pub stride: usize,
    /// Zero padding on each side.
    pub pad: usize,
    /// Distance between taps.
    pub dilation: usize,
    /// True input channels.
    pub c_in: usize,
    /// True output channels.
    pub c_out: usize,
    /// Input height in pixels.
    pub h: usize,
    /// Input width in pixels.
    pub w: usize,
}

impl ConvShape {
    /// Output height and width.
    pub fn out_hw(&self) -> (usize, usize) {
        let out = |size: usize| (size + 2 * self.pad - self.dilation * (self.k - 1) - 1) / self.stride + 1;
        (out(self.h), out(self.w))
    }
    /// Input channels as stored.
    pub fn c_in_p(&self) -> usize {
        padded(self.c_in)
    }
    /// Output channels as stored.
    pub fn c_out_p(&self) -> usize {
        padded(self.c_out)
    }
    /// Multiply-adds of the direct convolution of one image, true channels.
    pub fn macs(&self) -> u64 {
        let (ho, wo) = self.out_hw();
        (self.k * self.k * self.c_in * self.c_out * ho * wo) as u64
    }
    fn in_len(&self) -> usize {
        self.h * self.w * self.c_in_p()
    }
    fn out_len(&self) -> usize {
        let (ho, wo) = self.out_hw();
        ho * wo * self.c_out_p()
    }
    /// f32s of one packed matrix: one tap of the kernel.
    fn matrix_len(&self) -> usize {
        self.c_in_p() * self.c_out_p()
    }
}

/// How a shape is computed: Winograd or directly, and with which vectors.
#[derive(Clone, Debug)]
pub struct ConvPlan {
    shape: ConvShape,
    /// Vectors over input channels and over output channels.
    level_in: Level,
    level_out: Level,
    forward: ConvMethod,
    /// Whether the forward pass, then direct, is in f64.
    exact: bool,
    backward: ConvMethod,
}

/// Multiply-adds of a whole batch up to which a layer is small (module docs).
pub const SMALL: u64 = 4_000_000;

#[derive(Clone, Debug)]
enum ConvMethod {
    Winograd(winograd::Tiling),
    /// The second for groups of small images.
    Direct(direct::Rows, Option<Positions>),
}

impl ConvPlan {
    /// The way for batches of `images` on this machine; `strict` keeps to direct convolutions.
    ///
    /// # Panics
    /// If the shape has a zero in it, or a kernel larger than the padded input.
    pub fn new(shape: ConvShape, images: usize, strict: bool) -> Self {
        let exact = strict || shape.macs() * images as u64 <= SMALL;
        Self::with(shape, exact, strict, Level::best())
    }

    /// The same with the vectors of `level` (or narrower, if they do not divide the channels).
    fn with(shape: ConvShape, exact: bool, strict: bool, level: Level) -> Self {
        let s = &shape;
        assert!([s.k, s.stride, s.dilation, s.c_in, s.c_out, s.h, s.w].iter().all(|&n| n > 0), "empty: {s:?}");
        assert!(s.h.min(s.w) + 2 * s.pad > s.dilation * (s.k - 1), "the kernel is larger than the input: {s:?}");
        let (level_in, level_out) = (level.dividing(s.c_in_p()), level.dividing(s.c_out_p()));
        let method = |direct: bool| {
            if (s.k, s.stride, s.pad, s.dilation) == (3, 1, 1, 1) && !direct {
                ConvMethod::Winograd(winograd::Tiling::new(s))
            } else {
                ConvMethod::Direct(direct::Rows::new(s), Positions::new(s))
            }
        };
        Self { shape, level_in, level_out, forward: method(exact || strict), exact, backward: method(exact || strict) }
    }

    /// The shape.
    pub fn shape(&self) -> &ConvShape {
        &self.shape
    }

    /// f32s of scratch that [`forward`] and [`backward`] need for blocks of up to `images` and up to `convs` siblings.
    pub fn scratch_len(&self, _images: usize, convs: usize) -> usize {
        let len = |method: &ConvMethod| match method {
            ConvMethod::Winograd(t) => t.scratch_len(&self.shape, convs),
            ConvMethod::Direct(r, p) => {
                r.scratch_len(&self.shape).max(p.as_ref().map_or(0, |_| Positions::scratch_len(&self.shape)))
            }
        };
        len(&self.forward).max(len(&self.backward))
    }

    /// f32s of the weight gradient of a block.
    pub fn dw_len(&self) -> usize {
        self.shape.k * self.shape.k * self.shape.matrix_len()
    }

    /// Where weight (o, c) lies in the packed matrix of a tap.
    fn weight_index(&self, o: usize, c: usize) -> usize {
        panel_index(self.shape.c_in_p(), self.shape.c_out_p(), self.level_out.lanes(), c, o)
    }

    /// Where weight (o, c) lies in the packed matrix of a tap of the input gradient.
    fn transposed_index(&self, o: usize, c: usize) -> usize {
        panel_index(self.shape.c_out_p(), self.shape.c_in_p(), self.level_in.lanes(), o, c)
    }
}

/// z_i = conv(relu?(x), w_i), no bias, for siblings that read the same x.
///
/// x: `[n, h, w, c_in_p]`; z_i: `[n, ho, wo, c_out_p]`, overwritten; stats_i: `2 c_out_p`, overwritten with the sum and the
/// sum of squares of z_i over the block for each channel. NaN in x reaches every z that reads it.
pub fn forward(
    plan: &ConvPlan,
    filters: &[&PackedFilter],
    relu: bool,
    n: usize,
    x: &[f32],
    z: &mut [&mut [f32]],
    stats: &mut [&mut [f64]],
    scratch: &mut [f32],
) {
    let s = &plan.shape;
    assert_eq!(x.len(), n * s.in_len(), "x");
    assert_eq!((z.len(), stats.len()), (filters.len(), filters.len()), "siblings");
    assert!(z.iter().all(|z| z.len() == n * s.out_len()), "z");
    assert!(stats.iter().all(|t| t.len() == 2 * s.c_out_p()), "stats");
    assert!(scratch.len() >= plan.scratch_len(n, filters.len()), "scratch");
    stats.iter_mut().for_each(|t| t.fill(0.0));
    let mut scratch = Scratch::new(scratch);
    match &plan.forward {
        ConvMethod::Winograd(t) => t.forward(plan, filters, relu, n, x, z, stats, &mut scratch),
        ConvMethod::Direct(_, Some(p)) if n >= GROUP => p.forward(plan, filters, relu, n, x, z, stats, &mut scratch),
        ConvMethod::Direct(r, _) => r.forward(plan, filters, relu, n, x, z, stats, &mut scratch),
    }
}

/// The gradient arriving at z_i, formed on load and never stored whole: dz = r\[n\] a\[c\] dy + b\[c\] z + g\[c\] for each image and
/// channel (the backward pass of batch norm is affine in dy and z; r is a scale of its own before each image, behind the norm).
/// `z: None` means dz = r\[n\] a\[c\] dy. In padded channels a, b, g are 0.
#[derive(Clone, Copy, Debug)]
pub struct Dz<'a> {
    /// The gradient behind the affine map, shaped as z.
    pub dy: &'a [f32],
    /// The convolution's output.
    pub z: Option<&'a [f32]>,
    /// Factor of dy for each image, one if not given, `[n]`.
    pub r: Option<&'a [f32]>,
    /// Factor of dy, `[c_out_p]`.
    pub a: &'a [f32],
    /// Factor of z, `[c_out_p]`; read only with z.
    pub b: &'a [f32],
    /// Constant, `[c_out_p]`; read only with z.
    pub g: &'a [f32],
}

impl Dz<'_> {
    /// Panics unless it is for `n` images of `len` values in `c` stored channels.
    pub(in crate::ops) fn check(&self, n: usize, len: usize, c: usize) {
        let len = n * len;
        assert_eq!((self.dy.len(), self.a.len()), (len, c), "dy, a");
        assert!(self.r.is_none_or(|r| r.len() == n), "r");
        if let Some(z) = self.z {
            assert_eq!((z.len(), self.b.len(), self.g.len()), (len, c, c), "z, b, g");
        }
    }

    /// `out[n, c] = sum over pixels of z dz`, of the images of z, in f64.
    pub fn along(&self, z: &[f32], out: &mut [f64]) {
        let c = self.a.len();
        let len = z.len() / (out.len() / c);
        for (image, (out, z)) in out.chunks_exact_mut(c).zip(z.chunks_exact(len)).enumerate() {
            let (dy, r) = (&self.dy[image * len..][..len], self.r.map_or(1.0, |r| r[image]));
            let normed = self.z.is_some();
            vectorized!({
                for (z, dy) in z.chunks_exact(c).zip(dy.chunks_exact(c)) {
                    for i in 0..c {
                        let behind = if normed { self.b[i] * z[i] + self.g[i] } else { 0.0 };
                        out[i] += f64::from(z[i] * (r * self.a[i] * dy[i] + behind));
                    }
                }
            });
        }
    }

    /// The factor of dy in the channels from `ch` on.
    ///
    /// # Safety
    /// `ch + LANES` must be at most the channels.
    #[inline(always)]
    pub(in crate::ops) unsafe fn factor<S: Simd>(&self, s: S, image: usize, ch: usize) -> S::V {
        // SAFETY: the caller's word.
        let a = unsafe { s.load(self.a.as_ptr().add(ch)) };
        self.r.map_or(a, |r| s.mul(s.splat(r[image]), a))
    }

    /// out = dz of some pixels of `image`, which begin at `first` in dy and z.
    #[inline(always)]
    pub(in crate::ops) fn form<S: Simd>(&self, s: S, image: usize, first: usize, out: &mut [f32]) {
        let (n, c) = (out.len(), self.a.len());
        let dy = &self.dy[first..][..n];
        let z = self.z.map(|z| &z[first..][..n]);
        assert!(n.is_multiple_of(c) && c.is_multiple_of(S::LANES));
        assert!(z.is_none() || (self.b.len() == c && self.g.len() == c));
        for v in (0..c).step_by(S::LANES) {
            // SAFETY: the lanes divide c, c divides n, and every slice is as long as checked above.
            unsafe {
                let av = self.factor(s, image, v);
                let affine = z.map(|z| (z.as_ptr(), s.load(self.b.as_ptr().add(v)), s.load(self.g.as_ptr().add(v))));
                for i in (v..n).step_by(c) {
                    let dyv = s.load(dy.as_ptr().add(i));
                    let d = match affine {
                        Some((z, bv, gv)) => s.fma(av, dyv, s.fma(bv, s.load(z.add(i)), gv)),
                        None => s.mul(av, dyv),
                    };
                    s.store(out.as_mut_ptr().add(i), d);
                }
            }
        }
    }
}

/// dx (if wanted) += relu'(x) sum_i conv^T(dz_i, w_i); dw_i = this block's weight gradient of convolution i, overwritten,
/// in the layout that [`unpack_dw`] reads (blocks' gradients may be added to each other in it).
pub fn backward(
    plan: &ConvPlan,
    filters: &[&PackedFilter],
    relu: bool,
    n: usize,
    x: &[f32],
    dz: &[Dz<'_>],
    dx: Option<&mut [f32]>,
    dw: &mut [&mut [f32]],
    scratch: &mut [f32],
) {
    let s = &plan.shape;
    assert_eq!(x.len(), n * s.in_len(), "x");
    assert_eq!((dz.len(), dw.len()), (filters.len(), filters.len()), "siblings");
    dz.iter().for_each(|d| d.check(n, s.out_len(), s.c_out_p()));
    assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "dx");
    assert!(dw.iter().all(|dw| dw.len() == plan.dw_len()), "dw");
    assert!(scratch.len() >= plan.scratch_len(n, filters.len()), "scratch");
    let mut scratch = Scratch::new(scratch);
    match &plan.backward {
        ConvMethod::Winograd(t) => t.backward(plan, filters, relu, n, x, dz, dx, dw, &mut scratch),
        ConvMethod::Direct(_, Some(p)) if n >= GROUP => p.backward(plan, filters, relu, n, x, dz, dx, dw, &mut scratch),
        ConvMethod::Direct(r, _) => r.backward(plan, filters, relu, n, x, dz, dx, dw, &mut scratch),
    }
}

/// The sum of the blocks' dw as a gradient in OIHW with true channels; `out_oihw` is overwritten.
pub fn unpack_dw(plan: &ConvPlan, dw: &[f32], out_oihw: &mut [f32]) {
    let s = &plan.shape;
    let (taps, len) = (s.k * s.k, s.matrix_len());
    assert_eq!((dw.len(), out_oihw.len()), (plan.dw_len(), s.c_out * s.c_in * taps), "dw, out");
    for o in 0..s.c_out {
        for c in 0..s.c_in {
            let from = plan.weight_index(o, c);
            for (t, w) in out_oihw[(o * s.c_in + c) * taps..][..taps].iter_mut().enumerate() {
                *w = dw[t * len + from];
            }
        }
    }
}

/// Scratch memory, cut piece by piece at the boundaries of cache lines.
pub(in crate::ops) struct Scratch<'a>(&'a mut [f32]);

/// f32s in a cache line.
const LINE: usize = 16;

impl<'a> Scratch<'a> {
    /// What aligning the first piece may cost.
    pub const SLACK: usize = LINE;

    pub fn new(memory: &'a mut [f32]) -> Self {
        let skip = memory.as_ptr().align_offset(64).min(memory.len());
        Self(&mut memory[skip..])
    }

    /// f32s that a piece takes up.
    pub const fn size(len: usize) -> usize {
        len.next_multiple_of(LINE)
    }

    pub fn take(&mut self, len: usize) -> &'a mut [f32] {
        let (piece, rest) = std::mem::take(&mut self.0).split_at_mut(Self::size(len));
        self.0 = rest;
        &mut piece[..len]
    }
}
