//! Packed weights of one convolution: what the forward pass and the input gradient multiply by.

use super::{ConvMethod, ConvPlan, LINE, winograd};
use crate::ops::simd::Level;

/// Memory that starts on a cache line.
#[derive(Clone, Debug)]
pub(in crate::ops) struct Lines(Vec<Line>);

#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(in crate::ops) struct Line([f32; LINE]);

impl Lines {
    pub fn zeros(len: usize) -> Self {
        Self(vec![Line([0.0; LINE]); len.div_ceil(LINE)])
    }
    pub fn get(&self) -> &[f32] {
        // SAFETY: a Line is 16 f32s and nothing else.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * LINE) }
    }
    pub fn get_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `get`.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * LINE) }
    }
}

/// Packed weights of one convolution: forward form and input-gradient form. One matrix a tap (direct) or a point
/// (Winograd), in the panels of [`super::gemm`]; padded channels hold zeros.
#[derive(Clone, Debug)]
pub struct PackedFilter {
    forward: Lines,
    /// In place of `forward` in an exact plan: `[tap][c_in_p][c_out_p]`.
    exact: Vec<f64>,
    transposed: Lines,
    /// Winograd only: the taps as they were before the transform.
    taps: Lines,
}

impl PackedFilter {
    /// Room for the weights of `plan`, all zeros.
    pub fn new(plan: &ConvPlan) -> Self {
        let (taps, len) = (plan.shape.k * plan.shape.k, plan.shape.matrix_len());
        let matrices = |method: &ConvMethod| if let ConvMethod::Winograd(_) = method { winograd::POINTS } else { taps };
        let any = [&plan.forward, &plan.backward].iter().any(|m| matches!(m, ConvMethod::Winograd(_)));
        Self {
            forward: Lines::zeros(if plan.exact { 0 } else { matrices(&plan.forward) * len }),
            exact: vec![0.0; if plan.exact { taps * len } else { 0 }],
            transposed: Lines::zeros(matrices(&plan.backward) * len),
            taps: Lines::zeros(if any { taps * len } else { 0 }),
        }
    }

    /// Takes over the weights, `[c_out, c_in, k, k]` with true channels. Allocates nothing.
    pub fn pack(&mut self, plan: &ConvPlan, w_oihw: &[f32]) {
        let s = &plan.shape;
        let (taps, len) = (s.k * s.k, s.matrix_len());
        assert_eq!(w_oihw.len(), s.c_out * s.c_in * taps, "weights");
        // Padded channels are not reached and stay zero.
        let scatter = |to: &mut [f32], index: &dyn Fn(usize, usize) -> usize| {
            for o in 0..s.c_out {
                for c in 0..s.c_in {
                    let at = index(o, c);
                    for (t, w) in w_oihw[(o * s.c_in + c) * taps..][..taps].iter().enumerate() {
                        to[t * len + at] = *w;
                    }
                }
            }
        };
        let g = self.taps.get_mut();
        let mut fill = |method: &ConvMethod, level: Level, to: &mut [f32], index: &dyn Fn(usize, usize) -> usize| {
            if let ConvMethod::Winograd(_) = method {
                g.fill(0.0);
                scatter(g, index);
                winograd::transform_filter(level, len, g, to);
            } else {
                scatter(to, index);
            }
        };
        if plan.exact {
            for (at, w) in w_oihw.chunks_exact(taps).enumerate() {
                let (o, c) = (at / s.c_in, at % s.c_in);
                for (t, &w) in w.iter().enumerate() {
                    self.exact[t * len + c * s.c_out_p() + o] = f64::from(w);
                }
            }
        } else {
            fill(&plan.forward, plan.level_out, self.forward.get_mut(), &|o, c| plan.weight_index(o, c));
        }
        fill(&plan.backward, plan.level_in, self.transposed.get_mut(), &|o, c| plan.transposed_index(o, c));
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
