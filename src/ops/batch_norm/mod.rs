//! Batch normalisation over the channels of `x: [b, c, h, w]` (Ioffe & Szegedy 2015, as PyTorch's `BatchNorm2d`).
//!
//! `y = (x - mean) / sqrt(var + eps) * weight + bias`, `eps = 1e-5`, with `mean` and the biased `var` per channel over
//! batch and pixels, or running ones: `running = 0.9 running + 0.1 batch`, where the variance that enters is unbiased.
//! The batch norms of candidates have no `weight`, `bias` nor running statistics.

pub mod tensor;

/// Added to the variance.
pub const EPS: f64 = 1e-5;
/// Share of the batch's statistics in the running ones.
pub const MOMENTUM: f64 = 0.1;
