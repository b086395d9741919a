//! 2-D convolution (cross-correlation), NCHW at the interface.
//!
//! `y[b, o, i, j] = sum over c, u, v of w[o, c, u, v] x[b, c, s i + d u - p, s j + d v - p]`, zeros beyond the border.
//! Full: `w: [co, ci, k, k]`. Depthwise: `w: [c, 1, k, k]`, channel `o` reads channel `o` only.

pub mod tensor;
