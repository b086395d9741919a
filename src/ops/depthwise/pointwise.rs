//! The 1x1 convolution of a band of depthwise outputs, and its gradients.

use super::SeparableShape;
use super::frame::Frame;
use crate::ops::conv::gemm::{GemmTap, Operand, Product, nn, tn};
use crate::ops::simd::{Kernel, Simd};
use std::ops::Range;

/// z = d w of a band; adds its sum and sum of squares to stats.
pub(super) struct Pointwise<'a, T> {
    pub shape: &'a SeparableShape,
    pub d: &'a [T],
    pub w: &'a [T],
    pub z: &'a mut [f32],
    pub stats: &'a mut [f64],
}

/// The matrix of a 1x1 convolution is a single tap.
const ONE: [GemmTap; 1] = [GemmTap { a: 0, b: 0 }];

impl<T: Operand> Kernel for Pointwise<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (k, cols) = (self.shape.c_in_p(), self.shape.c_out_p());
        let rows = self.z.len() / cols;
        let product = Product { taps: &ONE, k: self.shape.c_in, b_rows: k, cols, rows, accumulate: false };
        assert!(self.d.len() == rows * k && self.z.len() == rows * cols && self.w.len() >= k * cols);
        // SAFETY: the lengths are checked above.
        unsafe {
            let (d, w, z) = (self.d.as_ptr(), self.w.as_ptr(), self.z.as_mut_ptr());
            T::product(s, product, (d, |r| r * k), w, (z, |r| r * cols), self.stats);
        }
    }
}

/// dw += d^T dz of a band.
pub(super) struct PointwiseFilterGradient<'a> {
    pub shape: &'a SeparableShape,
    pub d: &'a [f32],
    pub dz: &'a [f32],
    pub dw: &'a mut [f32],
}

impl Kernel for PointwiseFilterGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (k, cols) = (self.shape.c_in_p(), self.shape.c_out_p());
        let rows = self.dz.len() / cols;
        let product = Product { taps: &ONE, k, b_rows: k, cols, rows, accumulate: true };
        assert!(self.d.len() == rows * k && self.dz.len() == rows * cols && self.dw.len() == k * cols);
        // SAFETY: the lengths are checked above.
        unsafe {
            let (d, dz, dw) = (self.d.as_ptr(), self.dz.as_ptr(), self.dw.as_mut_ptr());
            tn(s, product, (d, |r| r * k), (dz, |r| r * cols), dw);
        }
    }
}

/// dd = dz w^T of some rows of an image, written row by row into its frame. This multiplies what is in cache, so it asks
/// meanwhile for what comes `next` from memory: dy and z of the rows behind.
pub(super) struct PointwiseInputGradient<'a> {
    pub shape: &'a SeparableShape,
    pub dz: &'a [f32],
    pub w: &'a [f32],
    pub dd: &'a mut [f32],
    pub frame: Frame,
    pub rows: Range<usize>,
    pub next: [&'a [f32]; 2],
}

impl Kernel for PointwiseInputGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (cols, b_rows, wo) = (self.shape.c_in_p(), self.shape.c_out_p(), self.shape.out_hw().1);
        let product = Product { taps: &ONE, k: self.shape.c_out, b_rows, cols, rows: wo, accumulate: false };
        assert!(self.dz.len() == self.rows.len() * wo * b_rows && self.dd.len() == self.frame.len());
        assert!(self.w.len() >= b_rows * cols && self.rows.end <= self.frame.h && wo == self.frame.w);
        for (i, y) in self.rows.enumerate() {
            let to = self.frame.at(y + self.frame.border, self.frame.border);
            // SAFETY: the lengths are checked above, and the frame holds a row of wo pixels from `to`.
            unsafe {
                let (dz, dd) = (self.dz.as_ptr().add(i * wo * b_rows), self.dd.as_mut_ptr().add(to));
                let row = |r| {
                    let ahead = (i * wo + r) * b_rows;
                    for pixel in self.next.iter().filter_map(|next| next.get(ahead..ahead + b_rows)) {
                        pixel.iter().step_by(16).for_each(|line| s.prefetch(line));
                    }
                    r * b_rows
                };
                nn(s, product, (dz, row), self.w.as_ptr(), (dd, |r| r * cols), None);
            }
        }
    }
}
