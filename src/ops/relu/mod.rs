//! Rectifier: `y = max(x, 0)`, any shape. Its gradient at 0 is 0, as in PyTorch (candle's own `relu` has 1 there).

pub mod tensor;
