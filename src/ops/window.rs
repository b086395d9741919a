//! The sliding window that convolutions and pools share, as shifted and strided views.

use candle_core::{Result, Tensor};

/// A square window that slides over both image axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Side, in taps.
    pub kernel: usize,
    /// Steps between outputs.
    pub stride: usize,
    /// Pixels added before the first (and, as far as needed, after the last).
    pub padding: usize,
    /// Steps between taps.
    pub dilation: usize,
}

impl Window {
    /// Odd `kernel`, padded so that stride 1 keeps the size.
    pub fn same(kernel: usize, stride: usize, dilation: usize) -> Self {
        Window { kernel, stride, padding: dilation * (kernel / 2), dilation }
    }

    /// Outputs along an axis of `n` pixels: `(n + 2 padding - dilation (kernel - 1) - 1) / stride + 1`.
    pub fn outputs(&self, n: usize) -> usize {
        (n + 2 * self.padding).checked_sub(self.dilation * (self.kernel - 1) + 1).map_or(0, |r| r / self.stride + 1)
    }

    /// What each tap sees of `x: [b, c, h, w]`: `kernel^2` tensors `[b, c, oh, ow]`, row by row; `fill` beyond the border.
    pub fn taps(&self, x: &Tensor, fill: f32) -> Result<Vec<Tensor>> {
        Self::taps_of(self, self, x, fill)
    }

    /// [`Window::taps`] of a rectangular window: one window goes down the rows, one across the columns.
    pub fn taps_of(down: &Window, across: &Window, x: &Tensor, fill: f32) -> Result<Vec<Tensor>> {
        let x = across.pad(&down.pad(x, 2, fill)?, 3, fill)?;
        let mut taps = Vec::with_capacity(down.kernel * across.kernel);
        for row in 0..down.kernel {
            let rows = down.tap(&x, 2, row)?;
            for column in 0..across.kernel {
                taps.push(across.tap(&rows, 3, column)?);
            }
        }
        Ok(taps)
    }

    /// Length along an axis that makes every tap's strided slice fit.
    fn padded(&self, n: usize) -> usize {
        self.dilation * (self.kernel - 1) + self.stride * self.outputs(n)
    }

    fn pad(&self, x: &Tensor, dim: usize, fill: f32) -> Result<Tensor> {
        let n = x.dim(dim)?;
        let right = self.padded(n).saturating_sub(n + self.padding);
        let side = |n: usize| {
            let mut shape = x.dims().to_vec();
            shape[dim] = n;
            Tensor::full(fill, shape, x.device())?.to_dtype(x.dtype())
        };
        match (self.padding, right) {
            (0, 0) => Ok(x.clone()),
            (0, r) => Tensor::cat(&[x, &side(r)?], dim),
            (l, 0) => Tensor::cat(&[&side(l)?, x], dim),
            (l, r) => Tensor::cat(&[&side(l)?, x, &side(r)?], dim),
        }
    }

    fn tap(&self, padded: &Tensor, dim: usize, tap: usize) -> Result<Tensor> {
        let n = padded.dim(dim)?;
        let outputs = (n - self.dilation * (self.kernel - 1)) / self.stride;
        let slice = padded.narrow(dim, tap * self.dilation, outputs * self.stride)?;
        if self.stride == 1 {
            return Ok(slice);
        }
        let mut split = slice.dims().to_vec();
        split[dim] = outputs;
        split.insert(dim + 1, self.stride);
        slice.reshape(split)?.narrow(dim + 1, 0, 1)?.squeeze(dim + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn every_tap_sees_the_pixel_that_the_formula_names() -> Result<()> {
        for (kernel, stride, dilation, h, w) in
            [(3, 1, 1, 5, 4), (3, 2, 1, 5, 4), (3, 2, 1, 6, 7), (5, 2, 2, 7, 9), (1, 2, 1, 5, 4), (3, 2, 1, 1, 2)]
        {
            let window = Window::same(kernel, stride, dilation);
            let x = Tensor::arange(1f32, (h * w + 1) as f32, &Device::Cpu)?.reshape((1, 1, h, w))?;
            let image = x.reshape((h, w))?.to_vec2::<f32>()?;
            let taps = window.taps(&x, -7.)?;
            for (tap, seen) in taps.iter().enumerate() {
                let seen = seen.squeeze(0)?.squeeze(0)?.to_vec2::<f32>()?;
                assert_eq!((seen.len(), seen[0].len()), (window.outputs(h), window.outputs(w)));
                for (i, row) in seen.iter().enumerate() {
                    for (j, &value) in row.iter().enumerate() {
                        let at = |o: usize, t: usize| (o * stride + t * dilation).checked_sub(window.padding);
                        let pixel = at(i, tap / kernel).zip(at(j, tap % kernel));
                        let want = pixel.and_then(|(r, c)| image.get(r)?.get(c).copied()).unwrap_or(-7.);
                        assert_eq!(value, want, "{window:?} {h}x{w} tap {tap} at {i},{j}");
                    }
                }
            }
        }
        Ok(())
    }
}
