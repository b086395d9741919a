//! Rectifier: `y = max(x, 0)`, any shape. Its gradient at 0 is 0, as in PyTorch (candle's own `relu` has 1 there). NaN stays
//! NaN and lets the gradient pass, as in PyTorch's `threshold_backward`: a network that has left the range of numbers says so.

pub mod tensor;

/// `max(x, 0)` of one number; `f32::max` would make 0 of NaN.
#[inline(always)]
pub fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
