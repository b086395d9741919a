//! Depthwise-separable convolution: ReLU, depthwise k x k, then 1x1, on the CPU; one block of images on one thread.
//!
//! d[n, y, x, c] = sum_(ky, kx) relu?(x)[n, y s + ky e - p, x s + kx e - p, c] v[c, ky, kx],   p = e (k - 1) / 2, k odd
//! z[n, y, x, o] = sum_c d[n, y, x, c] w[o, c],                                                 no bias
//!
//! with stride s and dilation e. Shapes as in [`crate::ops::conv`]: NHWC, padded channels, `ho = ceil(h / s)`. Convolutions
//! that read the same image with the same stride are computed together ("siblings"): each image is copied once, with its
//! ReLU, into a frame of zeros as wide as the widest kernel needs, and stays in cache for all of them. d goes from the depthwise
//! kernel to the matrix product of the 1x1 a few rows at a time, in the first-level cache, and is computed again in the backward
//! pass rather than kept.
//!
//! The depthwise kernel ([`kernel`]) holds eight pixels in registers over all taps. The input gradient is the same kernel
//! over the taps that reach a pixel, one phase (y mod s, x mod s) after the other; so no inserted zero is multiplied. Four channels
//! would fill half a vector: at stride 1, two pixels of them share one.
//!
//! As in [`crate::ops::conv`], the forward pass of a small layer, and of every layer in strict mode, is exact: d and z are
//! summed in f64 and rounded once each.

#[cfg(test)]
mod definition;
mod filter;
mod frame;
pub mod gpu;
mod kernel;
mod pointwise;
mod tap_gradient;
#[cfg(test)]
mod tests;

pub use filter::SeparableFilter;

use crate::ops::conv::copy::AddGradient;
use crate::ops::conv::{Dz, SMALL, Scratch};
use crate::ops::simd::Level;
use crate::ops::{padded, vectorized};
use frame::Frame;
use kernel::{DepthwiseTap, FormGradient, Gather, SlidingWindow};
use pointwise::{Pointwise, PointwiseFilterGradient, PointwiseInputGradient};
use std::ops::Range;
use tap_gradient::TapGradient;

/// A separable convolution: k x k taps, stride s, dilation e; input h x w, c_in to c_out true channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeparableShape {
    /// Taps a side, odd.
    pub k: usize,
    /// Stride.
    pub stride: usize,
    /// Distance between taps.
    pub dilation: usize,
    /// True input channels.
    pub c_in: usize,
    /// True output channels.
    pub c_out: usize,
    /// Input height in pixels.
    pub h: usize,
    /// Input width in pixels.
    pub w: usize,
}

impl SeparableShape {
    /// Output height and width.
    pub fn out_hw(&self) -> (usize, usize) {
        (self.h.div_ceil(self.stride), self.w.div_ceil(self.stride))
    }
    /// Input channels as stored.
    pub fn c_in_p(&self) -> usize {
        padded(self.c_in)
    }
    /// Output channels as stored.
    pub fn c_out_p(&self) -> usize {
        padded(self.c_out)
    }
    /// Weights of a tap as stored: those of four channels stand twice, for vectors of two pixels.
    fn tap_len(&self) -> usize {
        self.c_in_p().max(8)
    }
    /// Multiply-adds of one image, true channels.
    pub fn macs(&self) -> u64 {
        (self.pixels() * self.c_in * (self.taps() + self.c_out)) as u64
    }
    fn pad(&self) -> usize {
        self.dilation * (self.k / 2)
    }
    fn taps(&self) -> usize {
        self.k * self.k
    }
    fn pixels(&self) -> usize {
        let (ho, wo) = self.out_hw();
        ho * wo
    }
    /// Output rows that are computed together: some 64 pixels, which stay in the first-level cache between the kernels.
    fn band_rows(&self) -> usize {
        let (ho, wo) = self.out_hw();
        (64 / wo).clamp(1, ho)
    }
    /// All output rows, band by band.
    fn bands(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (rows, band) = (self.out_hw().0, self.band_rows());
        (0..rows).step_by(band).map(move |y| y..(y + band).min(rows))
    }
    fn in_len(&self) -> usize {
        self.h * self.w * self.c_in_p()
    }
    fn out_len(&self) -> usize {
        self.pixels() * self.c_out_p()
    }
}

/// How a shape is computed: with which vectors, and whether forward in f64.
#[derive(Clone, Debug)]
pub struct SeparablePlan {
    shape: SeparableShape,
    level_in: Level,
    level_out: Level,
    /// Of the taps.
    level_taps: Level,
    exact: bool,
}

impl SeparablePlan {
    /// The way for batches of `images` on this machine; `strict` is always exact.
    ///
    /// # Panics
    /// If the shape has a zero in it, or k is even.
    pub fn new(shape: SeparableShape, images: usize, strict: bool) -> Self {
        Self::with(shape, strict || shape.macs() * images as u64 <= SMALL, Level::best())
    }

    /// The same with the vectors of `level` (or narrower, if they do not divide the channels).
    fn with(shape: SeparableShape, exact: bool, level: Level) -> Self {
        let s = &shape;
        assert!([s.k % 2, s.stride, s.dilation, s.c_in, s.c_out, s.h, s.w].iter().all(|&n| n > 0), "{s:?}");
        let pairs = s.stride == 1 && s.w.is_multiple_of(2);
        let level_taps = level.dividing(if pairs { s.tap_len() } else { s.c_in_p() });
        let (level_in, level_out) = (level.dividing(s.c_in_p()), level.dividing(s.c_out_p()));
        Self { shape, level_in, level_out, level_taps, exact }
    }

    /// The shape.
    pub fn shape(&self) -> &SeparableShape {
        &self.shape
    }

    /// f32s of the weight gradient of a block.
    pub fn dw_len(&self) -> usize {
        (self.shape.taps() + self.shape.c_out_p()) * self.shape.c_in_p()
    }

    /// The block's sums of weight gradients as gradients of the depthwise weights `[c, 1, k, k]` and the 1x1 weights
    /// `[c_out, c, 1, 1]`; both overwritten.
    pub fn unpack_dw(&self, dw: &[f32], depthwise: &mut [f32], pointwise: &mut [f32]) {
        let s = &self.shape;
        let (taps, c) = (s.taps(), s.c_in_p());
        let (v, w) = dw.split_at(taps * c);
        for (i, g) in depthwise.iter_mut().enumerate() {
            *g = v[i % taps * c + i / taps];
        }
        for (i, g) in pointwise.iter_mut().enumerate() {
            *g = w[self.weight_index(i / s.c_in, i % s.c_in)];
        }
    }
}

/// The frames around the images of siblings, and their scratch memory.
struct SeparableWork<'a> {
    input: Frame,
    /// The image in its frame.
    x: &'a mut [f32],
    /// The frame of the gradient that arrives at d.
    output: Frame,
    dd: &'a mut [f32],
    /// d of a band of rows.
    d: &'a mut [f32],
    /// The same in f64, where the plan is exact.
    wide: &'a mut [f64],
    /// The gradient at z of a band.
    dz: &'a mut [f32],
    /// Gradient of relu(x).
    gx: &'a mut [f32],
}

impl<'a> SeparableWork<'a> {
    fn frames(plans: &[&SeparablePlan]) -> (Frame, Frame) {
        let s = &plans[0].shape;
        let border = plans.iter().map(|p| p.shape.pad()).max().unwrap_or(0);
        let (ho, wo) = s.out_hw();
        let c = s.c_in_p();
        (Frame { h: s.h, w: s.w, c, border }, Frame { h: ho, w: wo, c, border })
    }

    fn sizes(plans: &[&SeparablePlan], backward: bool) -> [usize; 6] {
        let (input, output) = Self::frames(plans);
        let s = &plans[0].shape;
        let band = s.band_rows() * s.out_hw().1;
        let out = plans.iter().map(|p| band * p.shape.c_out_p()).max().unwrap_or(0);
        let only = |len: usize| if backward { len } else { 0 };
        let d = band * s.c_in_p();
        let wide = if plans.iter().any(|p| p.exact) && !backward { 2 * d } else { 0 };
        [input.len(), only(output.len()), d, wide, only(out), only(s.in_len())]
    }

    fn new(plans: &[&SeparablePlan], backward: bool, memory: &'a mut [f32]) -> Self {
        let (input, output) = Self::frames(plans);
        let mut scratch = Scratch::new(memory);
        let [x, dd, d, wide, dz, gx] = Self::sizes(plans, backward).map(|len| scratch.take(len));
        input.clear_border(x);
        if backward {
            output.clear_border(dd);
        }
        SeparableWork { input, x, output, dd, d, wide: bytemuck::cast_slice_mut(wide), dz, gx }
    }
}

/// f32s of scratch that [`forward`] or [`backward`] of these siblings needs.
pub fn scratch_len(plans: &[&SeparablePlan], backward: bool) -> usize {
    SeparableWork::sizes(plans, backward).iter().map(|&l| Scratch::size(l)).sum::<usize>() + Scratch::SLACK
}

fn check(plans: &[&SeparablePlan], filters: &[&SeparableFilter], n: usize, x: &[f32], scratch: usize, backward: bool) {
    let s = &plans[0].shape;
    let like = |p: &&SeparablePlan| {
        let t = &p.shape;
        (t.c_in, t.stride, t.h, t.w) == (s.c_in, s.stride, s.h, s.w)
    };
    assert!(plans.iter().all(like), "siblings");
    assert_eq!((filters.len(), x.len()), (plans.len(), n * s.in_len()), "filters, x");
    assert!(scratch >= scratch_len(plans, backward), "scratch");
}

/// z_i of siblings that read the same x (at least one).
///
/// x: `[n, h, w, c_in_p]`; z_i: `[n, ho, wo, c_out_p]`, overwritten; stats_i: `2 c_out_p`, overwritten with the sum and the
/// sum of squares of z_i over the block for each channel. NaN in x reaches every z that reads it.
pub fn forward(
    plans: &[&SeparablePlan],
    filters: &[&SeparableFilter],
    relu: bool,
    n: usize,
    x: &[f32],
    z: &mut [&mut [f32]],
    stats: &mut [&mut [f64]],
    scratch: &mut [f32],
) {
    check(plans, filters, n, x, scratch.len(), false);
    assert!((z.len(), stats.len()) == (plans.len(), plans.len()), "siblings");
    assert!(plans.iter().zip(&*z).all(|(p, z)| z.len() == n * p.shape.out_len()), "z");
    assert!(plans.iter().zip(&*stats).all(|(p, t)| t.len() == 2 * p.shape.c_out_p()), "stats");
    let mut work = SeparableWork::new(plans, false, scratch);
    let taps: Vec<_> = plans.iter().map(|plan| plan.taps_of(&work.input)).collect();
    let in_len = plans[0].shape.in_len();
    stats.iter_mut().for_each(|t| t.fill(0.0));
    for image in 0..n {
        work.input.fill(plans[0].level_in, relu, &x[image * in_len..][..in_len], work.x);
        for (i, (plan, filter)) in plans.iter().zip(filters).enumerate() {
            let (len, row) = (plan.shape.out_len(), plan.shape.out_len() / plan.shape.out_hw().0);
            let z = &mut z[i][image * len..][..len];
            for rows in plan.shape.bands() {
                plan.depthwise(filter, &taps[i], &mut work, rows.clone());
                plan.pointwise(filter, &mut work, &mut z[rows.start * row..rows.end * row], stats[i]);
            }
        }
    }
}

/// dx (if wanted) += the gradient of x through all siblings; dw_i = this block's weight gradient of sibling i, overwritten, in
/// the layout that [`SeparablePlan::unpack_dw`] reads (blocks' gradients may be added to each other in it).
pub fn backward(
    plans: &[&SeparablePlan],
    filters: &[&SeparableFilter],
    relu: bool,
    n: usize,
    x: &[f32],
    dz: &[Dz<'_>],
    mut dx: Option<&mut [f32]>,
    dw: &mut [&mut [f32]],
    scratch: &mut [f32],
) {
    check(plans, filters, n, x, scratch.len(), true);
    assert!((dz.len(), dw.len()) == (plans.len(), plans.len()), "siblings");
    for ((plan, dz), dw) in plans.iter().zip(dz).zip(&*dw) {
        dz.check(n, plan.shape.out_len(), plan.shape.c_out_p());
        assert_eq!(dw.len(), plan.dw_len(), "dw");
    }
    assert!(dx.as_ref().is_none_or(|dx| dx.len() == x.len()), "dx");
    let mut work = SeparableWork::new(plans, true, scratch);
    let taps: Vec<_> = plans.iter().map(|plan| plan.taps_of(&work.input)).collect();
    let phases: Vec<_> = plans.iter().map(|plan| plan.phases(&work.output)).collect();
    let in_len = plans[0].shape.in_len();
    let mut tap_sums: Vec<Vec<f64>> = plans.iter().map(|p| vec![0.0; p.shape.taps() * p.shape.c_in_p()]).collect();
    dw.iter_mut().for_each(|dw| dw.fill(0.0));
    for image in 0..n {
        let x = &x[image * in_len..][..in_len];
        work.input.fill(plans[0].level_in, relu, x, work.x);
        for (i, (plan, filter)) in plans.iter().zip(filters).enumerate() {
            let (_, pointwise) = dw[i].split_at_mut(tap_sums[i].len());
            for rows in plan.shape.bands() {
                plan.depthwise(filter, &taps[i], &mut work, rows.clone());
                plan.pointwise_backward(filter, &dz[i], image, rows, pointwise, &mut work);
            }
            plan.tap_gradient(&mut work, &mut tap_sums[i]);
            if dx.is_some() {
                plan.input_gradient(filter, &phases[i], i > 0, &mut work);
            }
        }
        if let Some(dx) = dx.as_deref_mut() {
            let dx = &mut dx[image * in_len..][..in_len];
            plans[0].level_in.run(AddGradient { relu, x, gradient: work.gx, dx });
        }
    }
    for (dw, sums) in dw.iter_mut().zip(&tap_sums) {
        dw.iter_mut().zip(sums).for_each(|(d, &s)| *d = s as f32);
    }
}

impl SeparablePlan {
    /// d of some rows of the image in the frame.
    fn depthwise(
        &self,
        filter: &SeparableFilter,
        taps: &[DepthwiseTap],
        work: &mut SeparableWork<'_>,
        rows: Range<usize>,
    ) {
        let (s, c, wo) = (&self.shape, self.shape.c_in_p(), self.shape.out_hw().1);
        let x_row = s.stride * work.input.row();
        let gather = Gather {
            taps,
            v: filter.taps(),
            x: &work.x[rows.start * x_row..],
            x_step: (x_row, s.stride * c),
            out: work.d,
            out_step: (wo * c, c),
            rows: rows.len(),
            cols: wo,
            c,
            accumulate: false,
            exact: self.exact,
            window: self.window(),
        };
        self.level_taps.run(gather);
    }

    fn window(&self) -> Option<SlidingWindow> {
        let s = &self.shape;
        (s.stride == 1).then_some(SlidingWindow { k: s.k, dilation: s.dilation })
    }

    /// The taps that output (0, 0) reads from the frame.
    fn taps_of(&self, frame: &Frame) -> Vec<DepthwiseTap> {
        let s = &self.shape;
        let first = frame.border - s.pad();
        let at = |t: usize| frame.at(first + t / s.k * s.dilation, first + t % s.k * s.dilation);
        (0..s.taps()).map(|t| DepthwiseTap { x: at(t), v: t * s.tap_len() }).collect()
    }

    /// Input pixels by what they are met by: pixel `s m + phase` meets tap k in output pixel `m + (phase + p - e k) / s`.
    fn phases(&self, output: &Frame) -> Vec<Phase> {
        let (s, v) = (&self.shape, self.shape.tap_len());
        let met = |phase: usize, k: usize| {
            let distance = (phase + s.pad()) as isize - (k * s.dilation) as isize;
            let whole = distance % s.stride as isize == 0;
            whole.then_some((distance / s.stride as isize + output.border as isize) as usize)
        };
        let places = (0..s.stride.min(s.h)).flat_map(|y| (0..s.stride.min(s.w)).map(move |x| (y, x)));
        let phase = |(y, x): (usize, usize)| {
            let tap = |t: usize| Some(DepthwiseTap { x: output.at(met(y, t / s.k)?, met(x, t % s.k)?), v: t * v });
            // The last tap meets the first pixel.
            Phase { y, x, taps: (0..s.taps()).rev().filter_map(tap).collect() }
        };
        places.map(phase).collect()
    }

    /// z = d w of a band, and its sums.
    fn pointwise(&self, filter: &SeparableFilter, work: &mut SeparableWork<'_>, z: &mut [f32], stats: &mut [f64]) {
        let shape = &self.shape;
        let d = &work.d[..z.len() / shape.c_out_p() * shape.c_in_p()];
        if self.exact {
            let wide = &mut work.wide[..d.len()];
            vectorized!(wide.iter_mut().zip(d).for_each(|(wide, &d)| *wide = f64::from(d)));
            self.level_out.run(Pointwise { shape, d: wide, w: filter.exact(), z, stats });
        } else {
            self.level_out.run(Pointwise { shape, d, w: filter.forward(), z, stats });
        }
    }

    /// The gradient at z of some rows of one image, from it dw (+=) of the 1x1 and the gradient at d in its frame.
    fn pointwise_backward(
        &self,
        filter: &SeparableFilter,
        dz: &Dz<'_>,
        image: usize,
        rows: Range<usize>,
        dw: &mut [f32],
        work: &mut SeparableWork<'_>,
    ) {
        let (s, (ho, wo)) = (&self.shape, self.shape.out_hw());
        let pixels = rows.len() * wo;
        let (d, d_z) = (&work.d[..pixels * s.c_in_p()], &mut work.dz[..pixels * s.c_out_p()]);
        let first = (image * ho + rows.start) * wo * s.c_out_p();
        self.level_out.run(FormGradient { dz, image, first, c: s.c_out_p(), out: d_z });
        self.level_out.run(PointwiseFilterGradient { shape: s, d, dz: d_z, dw });
        let w = filter.transposed();
        let next = [dz.dy, dz.z.unwrap_or(&[])].map(|from| from.get(first + d_z.len()..).unwrap_or(&[]));
        let (dd, frame) = (&mut *work.dd, work.output);
        self.level_in.run(PointwiseInputGradient { shape: s, dz: d_z, w, dd, frame, rows, next });
    }

    /// sums += the gradient of the depthwise weights, `[tap, c]`.
    fn tap_gradient(&self, work: &mut SeparableWork<'_>, sums: &mut [f64]) {
        let (s, c) = (&self.shape, self.shape.c_in_p());
        let (ho, wo) = s.out_hw();
        let first = work.input.border - s.pad();
        let gradient = TapGradient {
            k: s.k,
            tap_step: (s.dilation * work.input.row(), s.dilation * c),
            x: &work.x[work.input.at(first, first)..],
            x_step: (s.stride * work.input.row(), s.stride * c),
            dd: &work.dd[work.output.at(work.output.border, work.output.border)..],
            dd_step: (work.output.row(), c),
            rows: ho,
            cols: wo,
            c,
            window: self.window().map(|w| w.dilation),
            sums,
        };
        self.level_taps.run(gradient);
    }

    /// gx (+)= the gradient of relu(x).
    fn input_gradient(
        &self,
        filter: &SeparableFilter,
        phases: &[Phase],
        accumulate: bool,
        work: &mut SeparableWork<'_>,
    ) {
        let (s, c) = (&self.shape, self.shape.c_in_p());
        for phase in phases {
            let gather = Gather {
                taps: &phase.taps,
                v: filter.taps(),
                x: work.dd,
                x_step: (work.output.row(), c),
                out: &mut work.gx[(phase.y * s.w + phase.x) * c..],
                out_step: (s.stride * s.w * c, s.stride * c),
                rows: (s.h - phase.y).div_ceil(s.stride),
                cols: (s.w - phase.x).div_ceil(s.stride),
                c,
                accumulate,
                exact: false,
                window: self.window(),
            };
            self.level_taps.run(gather);
        }
    }
}

/// The input pixels (y mod s, x mod s) of a stride, and the taps that meet the first of them.
struct Phase {
    y: usize,
    x: usize,
    taps: Vec<DepthwiseTap>,
}
