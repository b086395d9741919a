//! Direct convolution of any kernel, stride, padding and dilation: matrix products over rows of a zero-padded copy of one
//! image.
//!
//! The input gradient of stride s is s x s independent products, one for each phase (iy mod s, ix mod s) of the input
//! pixels: in a phase, the taps that reach it are fixed, so no product with an inserted zero is computed.

use super::copy::{AddGradient, PadGradient, PadInput};
use super::gemm::{GemmTap, Operand, Product, nn, tn};
use super::{ConvPlan, ConvShape, Dz, PackedFilter, Scratch};
use crate::ops::simd::{Kernel, Simd};

/// Where rows and taps lie in the padded copies of one image.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// The padded input: height, width; the pixel (0, 0) of the image is at (pad, pad).
    x_hw: (usize, usize),
    /// For each output pixel, its first input value.
    x: Vec<u32>,
    taps: Vec<GemmTap>,
    /// The padded output gradient: height, width, and where its pixel (0, 0) is.
    dz_hw: (usize, usize),
    dz_at: (usize, usize),
    /// For each output pixel, its place in the padded output gradient.
    dz: Vec<u32>,
    phases: Vec<Phase>,
}

/// Input pixels that are reached by the same taps.
#[derive(Clone, Debug)]
struct Phase {
    taps: Vec<GemmTap>,
    /// For each pixel of the phase, its row of the padded output gradient and of the image.
    dz: Vec<u32>,
    x: Vec<u32>,
}

impl Rows {
    pub fn new(s: &ConvShape) -> Self {
        let (ho, wo) = s.out_hw();
        let (cip, cop) = (s.c_in_p(), s.c_out_p());
        let reach = (s.k - 1) * s.dilation + 1;
        let x_hw = (((ho - 1) * s.stride + reach).max(s.h + s.pad), ((wo - 1) * s.stride + reach).max(s.w + s.pad));
        let at = |y: usize, x: usize, width: usize, c: usize| ((y * width + x) * c) as u32;
        let x = grid(ho, wo).map(|(y, x)| at(y * s.stride, x * s.stride, x_hw.1, cip)).collect();
        let taps = grid(s.k, s.k)
            .enumerate()
            .map(|(t, (ky, kx))| GemmTap {
                a: (ky * s.dilation * x_hw.1 + kx * s.dilation) * cip,
                b: t * s.matrix_len(),
            })
            .collect();

        let (ys, xs) = (reached(s, s.h, ho), reached(s, s.w, wo));
        let dz_at = (ys.before, xs.before);
        let dz_hw = (ys.size, xs.size);
        let dz = grid(ho, wo).map(|(y, x)| at(y + dz_at.0, x + dz_at.1, dz_hw.1, cop)).collect();
        let phases = grid(s.stride, s.stride)
            .map(|(py, px)| Phase {
                taps: grid(s.k, s.k)
                    .enumerate()
                    .filter_map(|(t, (ky, kx))| {
                        let (y, x) = (ys.offset(s, py, ky)?, xs.offset(s, px, kx)?);
                        Some(GemmTap { a: (y * dz_hw.1 + x) * cop, b: t * s.matrix_len() })
                    })
                    .collect(),
                dz: phase(s, py, px).map(|(y, x)| at(y / s.stride, x / s.stride, dz_hw.1, cop)).collect(),
                x: phase(s, py, px).map(|(y, x)| at(y, x, s.w, cip)).collect(),
            })
            .collect();
        Self { x_hw, x, taps, dz_hw, dz_at, dz, phases }
    }

    fn x_len(&self, s: &ConvShape) -> usize {
        self.x_hw.0 * self.x_hw.1 * s.c_in_p()
    }

    fn dz_len(&self, s: &ConvShape) -> usize {
        self.dz_hw.0 * self.dz_hw.1 * s.c_out_p()
    }

    pub fn scratch_len(&self, s: &ConvShape) -> usize {
        [2 * self.x_len(s), self.dz_len(s), s.in_len()].iter().map(|&l| Scratch::size(l)).sum::<usize>()
            + Scratch::SLACK
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
        let copy_len = self.x_len(&plan.shape);
        if plan.exact {
            let copy = bytemuck::cast_slice_mut::<f32, f64>(scratch.take(2 * copy_len));
            self.forward_in(plan, filters, PackedFilter::exact, relu, n, x, z, stats, copy);
        } else {
            let copy = scratch.take(copy_len);
            self.forward_in(plan, filters, PackedFilter::forward, relu, n, x, z, stats, copy);
        }
    }

    /// With operands in `T`; `copy` holds one padded image.
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
        if self.x_hw != (s.h, s.w) {
            copy.fill(T::zeroed());
        }
        for image in 0..n {
            let x = &x[image * s.in_len()..][..s.in_len()];
            plan.level_in.run(PadInput { shape: s, to: (s.pad, s.pad), width: self.x_hw.1, relu, x, copy });
            for (i, filter) in filters.iter().enumerate() {
                plan.level_out.run(DirectForward {
                    rows: self,
                    shape: s,
                    x: copy,
                    w: weights(filter),
                    z: &mut z[i][image * s.out_len()..][..s.out_len()],
                    stats: stats[i],
                });
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
        let copy = scratch.take(self.x_len(s));
        let dz_copy = scratch.take(self.dz_len(s));
        let gradient = scratch.take(s.in_len());
        // What no image reaches.
        if self.x_hw != (s.h, s.w) {
            copy.fill(0.0);
        }
        if self.dz_hw != s.out_hw() {
            dz_copy.fill(0.0);
        }
        if n == 0 {
            dw.iter_mut().for_each(|dw| dw.fill(0.0));
        }
        for image in 0..n {
            let x = &x[image * s.in_len()..][..s.in_len()];
            plan.level_in.run(PadInput { shape: s, to: (s.pad, s.pad), width: self.x_hw.1, relu, x, copy });
            if self.phases.iter().any(|p| p.taps.is_empty()) {
                gradient.fill(0.0);
            }
            for (i, filter) in filters.iter().enumerate() {
                let (dz, to, width) = (dz[i], self.dz_at, self.dz_hw.1);
                plan.level_out.run(PadGradient { shape: s, dz, image, to, width, copy: dz_copy });
                let accumulate = image > 0;
                plan.level_out.run(DirectFilterGradient {
                    rows: self,
                    shape: s,
                    x: copy,
                    dz: dz_copy,
                    dw: dw[i],
                    accumulate,
                });
                if dx.is_some() {
                    let w = filter.transposed();
                    let accumulate = i > 0;
                    plan.level_in.run(DirectInputGradient {
                        rows: self,
                        shape: s,
                        dz: dz_copy,
                        w,
                        gradient,
                        accumulate,
                    });
                }
            }
            if let Some(dx) = dx.as_deref_mut().filter(|_| !filters.is_empty()) {
                let dx = &mut dx[image * s.in_len()..][..s.in_len()];
                plan.level_in.run(AddGradient { relu, x, gradient, dx });
            }
        }
    }
}

/// (0, 0), (0, 1), ...
pub(super) fn grid(h: usize, w: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..h).flat_map(move |y| (0..w).map(move |x| (y, x)))
}

/// The input pixels with (y mod s, x mod s) = (py, px).
fn phase(s: &ConvShape, py: usize, px: usize) -> impl Iterator<Item = (usize, usize)> {
    let (h, w, stride) = (s.h, s.w, s.stride);
    (py..h).step_by(stride).flat_map(move |y| (px..w).step_by(stride).map(move |x| (y, x)))
}

/// In one direction: how far the input gradient reaches over the edges of the output gradient.
struct Reached {
    /// Zeros before the first output pixel.
    before: usize,
    /// Zeros, output pixels, zeros.
    size: usize,
}

fn reached(s: &ConvShape, size_in: usize, size_out: usize) -> Reached {
    // Input pixel i = s m + phase meets tap k in output pixel m + offset(phase, k).
    let met = |i: usize, k: usize| offset(s, i % s.stride, k).map(|o| (i / s.stride) as isize + o);
    let all = || (0..size_in).flat_map(|i| (0..s.k).filter_map(move |k| met(i, k)));
    // Offsets are from pixel 0 of a phase, which may not exist or may lie before what is met.
    let offsets = (0..s.stride).flat_map(|p| (0..s.k).filter_map(move |k| offset(s, p, k)));
    let before = offsets.min().unwrap_or(0).min(0).unsigned_abs();
    let last = all().max().unwrap_or(0).max(size_out as isize - 1);
    Reached { before, size: before + last as usize + 1 }
}

/// The output pixel in which input pixel `phase` meets tap `k`, if it does.
fn offset(s: &ConvShape, phase: usize, k: usize) -> Option<isize> {
    let distance = (phase + s.pad) as isize - (k * s.dilation) as isize;
    (distance % s.stride as isize == 0).then_some(distance / s.stride as isize)
}

impl Reached {
    fn offset(&self, s: &ConvShape, phase: usize, k: usize) -> Option<usize> {
        offset(s, phase, k).map(|o| (o + self.before as isize) as usize)
    }
}

/// z of one image and one convolution.
struct DirectForward<'a, T> {
    rows: &'a Rows,
    shape: &'a ConvShape,
    x: &'a [T],
    w: &'a [T],
    z: &'a mut [f32],
    stats: &'a mut [f64],
}

impl<T: Operand> Kernel for DirectForward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let c = self.shape.c_out_p();
        let product = Product {
            taps: &self.rows.taps,
            k: self.shape.c_in,
            b_rows: self.shape.c_in_p(),
            cols: c,
            rows: self.rows.x.len(),
            accumulate: false,
        };
        let x = |r: usize| self.rows.x[r] as usize;
        // SAFETY: `Rows` names only places within the copy; z holds a row of c for each output pixel.
        unsafe {
            let (a, w, z) = (self.x.as_ptr(), self.w.as_ptr(), self.z.as_mut_ptr());
            T::product(s, product, (a, x), w, (z, |r| r * c), self.stats);
        }
    }
}

/// dw of one convolution (+)= one image's part.
struct DirectFilterGradient<'a> {
    rows: &'a Rows,
    shape: &'a ConvShape,
    x: &'a [f32],
    dz: &'a [f32],
    dw: &'a mut [f32],
    accumulate: bool,
}

impl Kernel for DirectFilterGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let product = Product {
            taps: &self.rows.taps,
            k: self.shape.c_in_p(),
            b_rows: self.shape.c_in_p(),
            cols: self.shape.c_out_p(),
            rows: self.rows.x.len(),
            accumulate: self.accumulate,
        };
        let x = |r: usize| self.rows.x[r] as usize;
        let dz = |r: usize| self.rows.dz[r] as usize;
        // SAFETY: `Rows` names only places within the copies; `backward` has checked dw's length.
        unsafe { tn(s, product, (self.x.as_ptr(), x), (self.dz.as_ptr(), dz), self.dw.as_mut_ptr()) }
    }
}

/// The gradient of relu(x), one image, (+)= one convolution's part.
struct DirectInputGradient<'a> {
    rows: &'a Rows,
    shape: &'a ConvShape,
    dz: &'a [f32],
    w: &'a [f32],
    gradient: &'a mut [f32],
    accumulate: bool,
}

impl Kernel for DirectInputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for phase in self.rows.phases.iter().filter(|p| !p.taps.is_empty()) {
            let product = Product {
                taps: &phase.taps,
                k: self.shape.c_out,
                b_rows: self.shape.c_out_p(),
                cols: self.shape.c_in_p(),
                rows: phase.x.len(),
                accumulate: self.accumulate,
            };
            let dz = |r: usize| phase.dz[r] as usize;
            let x = |r: usize| phase.x[r] as usize;
            // SAFETY: `Rows` names only places within the copy and the image.
            unsafe {
                let (a, w, out) = (self.dz.as_ptr(), self.w.as_ptr(), self.gradient.as_mut_ptr());
                nn(s, product, (a, dz), w, (out, x), None);
            }
        }
    }
}
