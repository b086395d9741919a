//! Direct convolution of images of a few pixels: matrix products over the same pixel of several images.
//!
//! Fast where most pixels lie at an edge, because a pixel's product has only the taps that lie within the image ([`super::direct`]
//! multiplies the zeros around it, 20 of 36 in a 2x2 image), because its rows are the images of a group, however few pixels an image
//! has, and because weight gradients are loaded and stored once for a group.

use super::copy::{AddGradient, PadGradient, PadInput};
use super::direct::grid;
use super::gemm::{GemmTap, Operand, Product, nn, tn};
use super::{ConvPlan, ConvShape, Dz, PackedFilter, Scratch};
use crate::ops::simd::{Kernel, Simd};

/// Images of one product: the rows that it holds in registers.
pub(super) const GROUP: usize = 8;
/// Pixels of an image up to which this is faster.
const PIXELS: usize = 64;
/// Values between two images, so that the same pixel of all does not fall into one set of the cache.
const APART: usize = 16;

/// Which input pixels meet which output pixels, as places within an image.
#[derive(Clone, Debug)]
pub(super) struct Positions {
    /// For each output pixel, the input pixels it reads, each with its tap.
    read: Vec<Vec<GemmTap>>,
    /// For each input pixel, the output pixels that read it, each with its tap.
    readers: Vec<Vec<GemmTap>>,
    /// For each tap, (input pixel, output pixel).
    pairs: Vec<Vec<(u32, u32)>>,
}

impl Positions {
    /// The positions of a shape; none where images are large.
    pub fn new(s: &ConvShape) -> Option<Self> {
        let (ho, wo) = s.out_hw();
        if (ho * wo).max(s.h * s.w) > PIXELS {
            return None;
        }
        let (mut read, mut readers) = (vec![vec![]; ho * wo], vec![vec![]; s.h * s.w]);
        let mut pairs = vec![vec![]; s.k * s.k];
        for (q, (oy, ox)) in grid(ho, wo).enumerate() {
            for (t, (ky, kx)) in grid(s.k, s.k).enumerate() {
                let (y, x) = (oy * s.stride + ky * s.dilation, ox * s.stride + kx * s.dilation);
                if (s.pad..s.pad + s.h).contains(&y) && (s.pad..s.pad + s.w).contains(&x) {
                    let p = (y - s.pad) * s.w + x - s.pad;
                    let (from, to, b) = (p * s.c_in_p(), q * s.c_out_p(), t * s.matrix_len());
                    read[q].push(GemmTap { a: from, b });
                    readers[p].push(GemmTap { a: to, b });
                    pairs[t].push((from as u32, to as u32));
                }
            }
        }
        Some(Self { read, readers, pairs })
    }

    pub fn scratch_len(s: &ConvShape) -> usize {
        let (x, dz) = (GROUP * (s.in_len() + APART), GROUP * (s.out_len() + APART));
        [2 * x, dz, GROUP * s.in_len()].iter().map(|&l| Scratch::size(l)).sum::<usize>() + Scratch::SLACK
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
        let len = GROUP * (plan.shape.in_len() + APART);
        if plan.exact {
            let copy = bytemuck::cast_slice_mut::<f32, f64>(scratch.take(2 * len));
            self.forward_in(plan, filters, PackedFilter::exact, relu, n, x, z, stats, copy);
        } else {
            self.forward_in(plan, filters, PackedFilter::forward, relu, n, x, z, stats, scratch.take(len));
        }
    }

    /// With operands in `T`; `copy` holds a group of images.
    fn forward_in<T: Operand>(
        &self,
        plan: &ConvPlan,
        filters: &[&PackedFilter],
        weights: fn(&PackedFilter) -> &[T],
        relu: bool,
        n: usize,
        x: &[f32],
        z: &mut [&mut [f32]],
        stats: &mut [&mut [f64]],
        copy: &mut [T],
    ) {
        let s = &plan.shape;
        for first in (0..n).step_by(GROUP) {
            let images = GROUP.min(n - first);
            let x = &x[first * s.in_len()..][..images * s.in_len()];
            gather(plan, relu, x, copy);
            for (i, filter) in filters.iter().enumerate() {
                let z = &mut z[i][first * s.out_len()..][..images * s.out_len()];
                let (w, stats) = (weights(filter), &mut *stats[i]);
                plan.level_out.run(PositionsForward { positions: self, shape: s, images, x: copy, w, z, stats });
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
        let copy = scratch.take(GROUP * (s.in_len() + APART));
        let dz_copy = scratch.take(GROUP * (s.out_len() + APART));
        let gradient = scratch.take(GROUP * s.in_len());
        for first in (0..n).step_by(GROUP) {
            let images = GROUP.min(n - first);
            let x = &x[first * s.in_len()..][..images * s.in_len()];
            gather(plan, relu, x, copy);
            if images < GROUP {
                // Weight gradients sum over whole groups.
                copy[images * (s.in_len() + APART)..].fill(0.0);
                dz_copy.fill(0.0);
            }
            if self.readers.iter().any(|r| r.is_empty()) {
                gradient.fill(0.0);
            }
            for (i, filter) in filters.iter().enumerate() {
                for (at, to) in dz_copy.chunks_exact_mut(s.out_len() + APART).take(images).enumerate() {
                    let image = first + at;
                    plan.level_out.run(PadGradient {
                        shape: s,
                        dz: dz[i],
                        image,
                        to: (0, 0),
                        width: s.out_hw().1,
                        copy: to,
                    });
                }
                let (x, dz, accumulate) = (&*copy, &*dz_copy, first > 0);
                plan.level_out.run(PositionsFilterGradient { positions: self, shape: s, x, dz, dw: dw[i], accumulate });
                if dx.is_some() {
                    let (w, accumulate) = (filter.transposed(), i > 0);
                    plan.level_in.run(PositionsInputGradient {
                        positions: self,
                        shape: s,
                        images,
                        dz,
                        w,
                        gradient,
                        accumulate,
                    });
                }
            }
            if let Some(dx) = dx.as_deref_mut().filter(|_| !filters.is_empty()) {
                let (gradient, dx) = (&gradient[..x.len()], &mut dx[first * s.in_len()..][..x.len()]);
                plan.level_in.run(AddGradient { relu, x, gradient, dx });
            }
        }
    }
}

/// copy = relu?(x), images apart.
fn gather<T: Operand>(plan: &ConvPlan, relu: bool, x: &[f32], copy: &mut [T]) {
    let shape = &plan.shape;
    for (x, copy) in x.chunks_exact(shape.in_len()).zip(copy.chunks_exact_mut(shape.in_len() + APART)) {
        plan.level_in.run(PadInput { shape, to: (0, 0), width: shape.w, relu, x, copy });
    }
}

/// z of a group of images and one convolution.
struct PositionsForward<'a, T> {
    positions: &'a Positions,
    shape: &'a ConvShape,
    images: usize,
    x: &'a [T],
    w: &'a [T],
    z: &'a mut [f32],
    stats: &'a mut [f64],
}

impl<T: Operand> Kernel for PositionsForward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c, len) = (self.shape.c_out_p(), self.shape.out_len());
        let apart = self.shape.in_len() + APART;
        for (q, taps) in self.positions.read.iter().enumerate() {
            let (k, b_rows) = (self.shape.c_in, self.shape.c_in_p());
            let product = Product { taps, k, b_rows, cols: c, rows: self.images, accumulate: false };
            // SAFETY: `Positions` names only places within an image; z holds every output pixel of the images.
            unsafe {
                let (a, w, z) = (self.x.as_ptr(), self.w.as_ptr(), self.z.as_mut_ptr());
                T::product(s, product, (a, |r| r * apart), w, (z, |r| r * len + q * c), self.stats);
            }
        }
    }
}

/// dw of one convolution (+)= the part of a group of images.
struct PositionsFilterGradient<'a> {
    positions: &'a Positions,
    shape: &'a ConvShape,
    x: &'a [f32],
    dz: &'a [f32],
    dw: &'a mut [f32],
    accumulate: bool,
}

impl Kernel for PositionsFilterGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (x_apart, dz_apart) = (self.shape.in_len() + APART, self.shape.out_len() + APART);
        for (t, pairs) in self.positions.pairs.iter().enumerate() {
            let product = Product {
                taps: &[GemmTap { a: 0, b: t * self.shape.matrix_len() }],
                k: self.shape.c_in_p(),
                b_rows: self.shape.c_in_p(),
                cols: self.shape.c_out_p(),
                rows: pairs.len() * GROUP,
                accumulate: self.accumulate,
            };
            let x = |r: usize| pairs[r / GROUP].0 as usize + r % GROUP * x_apart;
            let dz = |r: usize| pairs[r / GROUP].1 as usize + r % GROUP * dz_apart;
            // SAFETY: `Positions` names only places within an image; `backward` has checked dw's length.
            unsafe { tn(s, product, (self.x.as_ptr(), x), (self.dz.as_ptr(), dz), self.dw.as_mut_ptr()) }
        }
    }
}

/// The gradient of relu(x), a group of images, (+)= one convolution's part.
struct PositionsInputGradient<'a> {
    positions: &'a Positions,
    shape: &'a ConvShape,
    images: usize,
    dz: &'a [f32],
    w: &'a [f32],
    gradient: &'a mut [f32],
    accumulate: bool,
}

impl Kernel for PositionsInputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (c, len) = (self.shape.c_in_p(), self.shape.in_len());
        let apart = self.shape.out_len() + APART;
        for (p, taps) in self.positions.readers.iter().enumerate().filter(|(_, taps)| !taps.is_empty()) {
            let (k, b_rows, accumulate) = (self.shape.c_out, self.shape.c_out_p(), self.accumulate);
            let product = Product { taps, k, b_rows, cols: c, rows: self.images, accumulate };
            // SAFETY: `Positions` names only places within an image; the gradient holds every input pixel of the images.
            unsafe {
                let (a, w, out) = (self.dz.as_ptr(), self.w.as_ptr(), self.gradient.as_mut_ptr());
                nn(s, product, (a, |r| r * apart), w, (out, |r| r * len + p * c), None);
            }
        }
    }
}
