//! What the taps of a window see, as one step of candle's graph: where the definition of a convolution takes its time. A view for
//! each tap would cost a pass over memory for each, and on the way back one of the whole image.

use crate::ops::window::Window;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::ops::{AddAssign, Range};

/// What the taps see of `x: [c, b, h, w]`, row by row, zeros beyond the border: `[taps, c, b, oh, ow]`. One window goes down the
/// rows, one across the columns.
pub fn seen(down: Window, across: Window, x: &Tensor) -> Result<Tensor> {
    let (c, b, h, w) = x.dims4()?;
    if !x.device().is_cpu() {
        return Tensor::stack(&Window::taps_of(&down, &across, x, 0.)?, 0);
    }
    let (x, places) = (x.contiguous()?, Places { planes: c * b, image: (h, w), down, across });
    let seen = x.apply_op1(Seen { places, back: false })?;
    seen.reshape((places.taps(), c, b, down.outputs(h), across.outputs(w)))
}

/// Where the taps look.
#[derive(Clone, Copy)]
struct Places {
    planes: usize,
    image: (usize, usize),
    down: Window,
    across: Window,
}

impl Places {
    fn taps(&self) -> usize {
        self.down.kernel * self.across.kernel
    }

    /// Numbers of the images, and of what all taps see of them.
    fn sizes(&self) -> (usize, usize) {
        let (h, w) = self.image;
        (self.planes * h * w, self.taps() * self.planes * self.down.outputs(h) * self.across.outputs(w))
    }

    /// Calls `f` with each run of outputs, as places in what is seen, and the first pixel that they see; further ones are
    /// `across.stride` apart.
    fn runs(&self, mut f: impl FnMut(Range<usize>, usize)) {
        let (h, w) = self.image;
        let (oh, ow) = (self.down.outputs(h), self.across.outputs(w));
        for tap in 0..self.taps() {
            let (row, column) = (tap / self.across.kernel, tap % self.across.kernel);
            let (rows, columns) = (inside(&self.down, h, row), inside(&self.across, w, column));
            if columns.is_empty() {
                continue;
            }
            for plane in 0..self.planes {
                for i in rows.clone() {
                    let to = ((tap * self.planes + plane) * oh + i) * ow;
                    let from = (plane * h + pixel(&self.down, i, row)) * w + pixel(&self.across, columns.start, column);
                    f(to + columns.start..to + columns.end, from);
                }
            }
        }
    }
}

/// The pixel that a tap sees for an output; it is there.
fn pixel(window: &Window, output: usize, tap: usize) -> usize {
    output * window.stride + tap * window.dilation - window.padding
}

/// The outputs for which a tap sees one of `n` pixels.
fn inside(window: &Window, n: usize, tap: usize) -> Range<usize> {
    let (shift, stride) = (tap * window.dilation, window.stride);
    let first = window.padding.saturating_sub(shift).div_ceil(stride);
    let end = (n + window.padding).saturating_sub(shift).div_ceil(stride).min(window.outputs(n));
    first.min(end)..end
}

/// From images to what is seen, or back: the sum of what arrives at each pixel.
struct Seen {
    places: Places,
    back: bool,
}

impl Seen {
    fn run<T: Copy + Default + AddAssign>(&self, from: &[T]) -> Vec<T> {
        let (images, seen) = self.places.sizes();
        let stride = self.places.across.stride;
        let mut to = vec![T::default(); if self.back { images } else { seen }];
        self.places.runs(|run, first| match (self.back, stride) {
            (false, 1) => to[run.clone()].copy_from_slice(&from[first..first + run.len()]),
            (false, _) => {
                to[run].iter_mut().zip(from[first..].iter().step_by(stride)).for_each(|(to, from)| *to = *from);
            }
            (true, _) => {
                to[first..].iter_mut().step_by(stride).zip(&from[run]).for_each(|(to, from)| *to += *from);
            }
        });
        to
    }
}

impl CustomOp1 for Seen {
    fn name(&self) -> &'static str {
        "seen"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (begin, end) =
            layout.contiguous_offsets().ok_or_else(|| candle_core::Error::Msg("seen: strides".into()))?;
        let seen = match storage {
            CpuStorage::F32(values) => CpuStorage::F32(self.run(&values[begin..end])),
            CpuStorage::F64(values) => CpuStorage::F64(self.run(&values[begin..end])),
            _ => candle_core::bail!("seen: got another type, expected f32 or f64"),
        };
        let (images, all) = self.places.sizes();
        Ok((seen, Shape::from(if self.back { images } else { all })))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let back = Seen { places: self.places, back: true };
        gradient.contiguous()?.apply_op1_no_bwd(&back)?.reshape(x.shape()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::noise;
    use candle_core::{DType, Device, Var};

    #[test]
    fn it_is_the_views_of_all_taps_and_their_gradient() -> Result<()> {
        for (k, s, d, h, w) in
            [(3, 1, 1, 5, 4), (3, 2, 1, 5, 6), (5, 2, 2, 7, 9), (1, 2, 1, 5, 4), (7, 1, 1, 2, 3), (3, 2, 1, 1, 2)]
        {
            for across in [Window::same(k, s, d), Window { kernel: 1, padding: 0, ..Window::same(k, s, d) }] {
                let down = Window::same(k, s, d);
                let draw = |place, shape: &[usize]| noise::draw(1, place, shape, &Device::Cpu)?.to_dtype(DType::F64);
                let x = Var::from_tensor(&draw("x", &[2, 3, h, w])?)?;
                let (got, want) =
                    (seen(down, across, &x)?, Tensor::stack(&Window::taps_of(&down, &across, &x, 0.)?, 0)?);
                let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f64>();
                assert_eq!((got.dims(), flat(&got)?), (want.dims(), flat(&want)?));
                let probe = draw("probe", want.dims())?;
                let [got, want] = [got, want].map(|t| (t * &probe).and_then(|t| t.backward()));
                let apart = (got?.get(&x).unwrap() - want?.get(&x).unwrap())?.abs()?.max_all()?.to_scalar::<f64>()?;
                assert!(apart < 1e-14, "{down:?} {across:?}: {apart}");
            }
        }
        Ok(())
    }
}
