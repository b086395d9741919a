//! Packed weights of one separable convolution.

use super::SeparablePlan;
use crate::ops::conv::filter::Lines;
use crate::ops::conv::gemm::panel_index;

/// The depthwise weights as `[tap, c]` (four channels: twice), the 1x1 ones in the panels of [`crate::ops::conv::gemm`] for both directions;
/// padded channels hold zeros.
#[derive(Clone, Debug)]
pub struct SeparableFilter {
    taps: Lines,
    forward: Lines,
    /// In place of `forward` in an exact plan: `[c_in_p, c_out_p]`.
    exact: Vec<f64>,
    transposed: Lines,
}

impl SeparablePlan {
    /// Where 1x1 weight (o, c) lies in the packed matrix.
    pub(super) fn weight_index(&self, o: usize, c: usize) -> usize {
        panel_index(self.shape.c_in_p(), self.shape.c_out_p(), self.level_out.lanes(), c, o)
    }

    fn transposed_index(&self, o: usize, c: usize) -> usize {
        panel_index(self.shape.c_out_p(), self.shape.c_in_p(), self.level_in.lanes(), o, c)
    }
}

impl SeparableFilter {
    /// Room for the weights of `plan`, all zeros.
    pub fn new(plan: &SeparablePlan) -> Self {
        let s = &plan.shape;
        let matrix = s.c_in_p() * s.c_out_p();
        let taps = Lines::zeros(s.taps() * s.tap_len());
        let (forward, exact) = if plan.exact { (0, matrix) } else { (matrix, 0) };
        Self { taps, forward: Lines::zeros(forward), exact: vec![0.0; exact], transposed: Lines::zeros(matrix) }
    }

    /// Takes over the weights, `[c, 1, k, k]` and `[c_out, c, 1, 1]` with true channels. Allocates nothing.
    pub fn pack(&mut self, plan: &SeparablePlan, depthwise: &[f32], pointwise: &[f32]) {
        let (s, taps) = (&plan.shape, plan.shape.taps());
        assert_eq!((depthwise.len(), pointwise.len()), (s.c_in * taps, s.c_out * s.c_in), "weights");
        // Padded channels are not reached and stay zero.
        for (i, v) in depthwise.iter().enumerate() {
            let tap = &mut self.taps.get_mut()[i % taps * s.tap_len()..][..s.tap_len()];
            tap.iter_mut().skip(i / taps).step_by(s.c_in_p()).for_each(|to| *to = *v);
        }
        let (forward, transposed) = (self.forward.get_mut(), self.transposed.get_mut());
        for (i, w) in pointwise.iter().enumerate() {
            let (o, c) = (i / s.c_in, i % s.c_in);
            if plan.exact {
                self.exact[c * s.c_out_p() + o] = f64::from(*w);
            } else {
                forward[plan.weight_index(o, c)] = *w;
            }
            transposed[plan.transposed_index(o, c)] = *w;
        }
    }

    pub(super) fn taps(&self) -> &[f32] {
        self.taps.get()
    }

    pub(super) fn forward(&self) -> &[f32] {
        self.forward.get()
    }

    pub(super) fn exact(&self) -> &[f64] {
        &self.exact
    }

    pub(super) fn transposed(&self) -> &[f32] {
        self.transposed.get()
    }
}
