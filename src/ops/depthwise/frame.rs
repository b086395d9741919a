//! An image inside a border of zeros.

use crate::ops::simd::{Kernel, Level, Simd};

/// `[h + 2 border, w + 2 border, c]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub h: usize,
    pub w: usize,
    pub c: usize,
    pub border: usize,
}

impl Frame {
    /// f32s of a row.
    pub fn row(&self) -> usize {
        (self.w + 2 * self.border) * self.c
    }

    pub fn len(&self) -> usize {
        (self.h + 2 * self.border) * self.row()
    }

    /// Where pixel (y, x), counted from the corner of the border, begins.
    pub fn at(&self, y: usize, x: usize) -> usize {
        y * self.row() + x * self.c
    }

    /// The border of `frame` = 0.
    pub fn clear_border(&self, frame: &mut [f32]) {
        let mut done = 0;
        for y in 0..self.h {
            let inside = self.at(y + self.border, self.border);
            frame[done..inside].fill(0.0);
            done = inside + self.w * self.c;
        }
        frame[done..self.len()].fill(0.0);
    }

    /// The inside of `frame` = relu?(x), one image.
    pub fn fill(&self, level: Level, relu: bool, x: &[f32], frame: &mut [f32]) {
        let line = self.w * self.c;
        for (y, x) in x.chunks_exact(line).enumerate() {
            let row = &mut frame[self.at(y + self.border, self.border)..][..line];
            if relu { level.run(Relu { x, row }) } else { row.copy_from_slice(x) }
        }
    }
}

struct Relu<'a> {
    x: &'a [f32],
    row: &'a mut [f32],
}

impl Kernel for Relu<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.x.len() == self.row.len() && self.x.len().is_multiple_of(S::LANES));
        for i in (0..self.x.len()).step_by(S::LANES) {
            // SAFETY: i + LANES is within both, which are equally long.
            unsafe { s.store(self.row.as_mut_ptr().add(i), s.relu(s.load(self.x.as_ptr().add(i)))) }
        }
    }
}
