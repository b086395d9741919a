//! What goes into the matrix products of [`super::direct`] and [`super::positions`], and what comes out of them: copies of one
//! image, and the gradient of the input added up.

use super::gemm::Operand;
use super::{ConvShape, Dz};
use crate::ops::simd::{Kernel, Simd};

/// copy = relu?(x), one image, inside its border of zeros: its first pixel goes to row and column `to`.
pub(super) struct PadInput<'a, T> {
    pub shape: &'a ConvShape,
    pub to: (usize, usize),
    pub width: usize,
    pub relu: bool,
    pub x: &'a [f32],
    pub copy: &'a mut [T],
}

impl<T: Operand> Kernel for PadInput<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let line = self.shape.w * self.shape.c_in_p();
        for (y, from) in self.x.chunks_exact(line).enumerate() {
            let to = ((y + self.to.0) * self.width + self.to.1) * self.shape.c_in_p();
            let to = &mut self.copy[to..][..line];
            for i in (0..line).step_by(S::LANES) {
                // SAFETY: the lanes divide the channels, so i + LANES <= line.
                unsafe {
                    let v = s.load(from.as_ptr().add(i));
                    T::store(s, to.as_mut_ptr().add(i), if self.relu { s.relu(v) } else { v });
                }
            }
        }
    }
}

/// copy = dz of one image, inside its border of zeros: its first pixel goes to row and column `to`.
pub(super) struct PadGradient<'a> {
    pub shape: &'a ConvShape,
    pub dz: Dz<'a>,
    pub image: usize,
    pub to: (usize, usize),
    pub width: usize,
    pub copy: &'a mut [f32],
}

impl Kernel for PadGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (ho, wo) = self.shape.out_hw();
        let c = self.shape.c_out_p();
        for y in 0..ho {
            let from = (self.image * ho + y) * wo * c;
            let to = ((y + self.to.0) * self.width + self.to.1) * c;
            self.dz.form(s, self.image, from, &mut self.copy[to..][..wo * c]);
        }
    }
}

/// dx += relu'(x) gradient
pub(in crate::ops) struct AddGradient<'a> {
    pub relu: bool,
    pub x: &'a [f32],
    pub gradient: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Kernel for AddGradient<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.x.len() == self.dx.len() && self.gradient.len() == self.dx.len());
        for i in (0..self.dx.len()).step_by(S::LANES) {
            // SAFETY: the lanes divide the channels and so the lengths, which are equal.
            unsafe {
                let g = s.load(self.gradient.as_ptr().add(i));
                let g = if self.relu { s.relu_grad(s.load(self.x.as_ptr().add(i)), g) } else { g };
                let dx = self.dx.as_mut_ptr().add(i);
                s.store(dx, s.add(s.load(dx), g));
            }
        }
    }
}
