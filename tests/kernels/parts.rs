//! What several kernels read: images, gradients at outputs, windows.

use super::bench::Try;
use isdarts_host::ops::gpu::jobs::{Address, Gradient, Source, Window};

/// An image of `[pixels, c]` with `real` channels, zeros behind them.
pub fn image(t: &mut Try, pixels: usize, c: usize, real: usize) -> Vec<f32> {
    let mut x = t.numbers(pixels * c, 0., 1.);
    x.chunks_mut(c).for_each(|pixel| pixel[real..].fill(0.));
    x
}

/// Coefficients by channel, zeros behind the real ones.
fn coefficients(t: &mut Try, c: usize, real: usize, mean: f32) -> Vec<f32> {
    let mut a = t.numbers(c, mean, 0.4);
    a[real..].fill(0.);
    a
}

fn address_or_null(t: &mut Try, values: &Option<Vec<f32>>) -> Address {
    values.as_ref().map_or(0, |values| t.give(values))
}

/// What a convolution reads.
pub struct Read {
    pub source: Source,
    x: Vec<f32>,
    affine: Option<(Vec<f32>, Vec<f32>)>,
    c: usize,
}

impl Read {
    /// Of any kind; now and then with a NaN in it.
    pub fn draw(t: &mut Try, pixels: usize, c: usize, real: usize) -> Self {
        let mut x = image(t, pixels, c, real);
        if t.once_in(8) {
            let (pixel, ch) = (t.int(0, pixels - 1), t.int(0, real - 1));
            x[pixel * c + ch] = f32::NAN;
        }
        let affine = (!t.once_in(3)).then(|| (coefficients(t, c, real, 1.), coefficients(t, c, real, 0.2)));
        let [a, t0] = match &affine {
            Some((a, shift)) => [t.give(a), t.give(shift)],
            None => [0; 2],
        };
        let source = Source { x: t.give(&x), a, t: t0, relu: t.int(0, 1) as i32, unused: 0 };
        Read { source, x, affine, c }
    }

    /// Before the ReLU, as f32 has it.
    pub fn value(&self, at: usize) -> f32 {
        let ch = at % self.c;
        self.affine.as_ref().map_or(self.x[at], |(a, t)| a[ch].mul_add(self.x[at], t[ch]))
    }

    /// All of it as it is read.
    pub fn all(&self) -> Vec<f64> {
        let relu = |v: f32| if self.source.relu == 1 && v <= 0. { 0. } else { v as f64 };
        (0..self.x.len()).map(|at| relu(self.value(at))).collect()
    }

    /// The gradient behind the ReLU, as it comes through.
    pub fn mask(&self, dx: &mut [f64]) {
        let hidden = |at: &usize| self.source.relu == 1 && self.value(*at) <= 0.;
        (0..dx.len()).filter(hidden).for_each(|at| dx[at] = 0.);
    }
}

/// A gradient at an output of `[b, pixels, c]`.
pub struct Arriving {
    pub gradient: Gradient,
    dy: Vec<f32>,
    z: Option<Vec<f32>>,
    a: Vec<f32>,
    b: Vec<f32>,
    g: Vec<f32>,
    r: Option<Vec<f32>>,
    c: usize,
    pixels: usize,
}

impl Arriving {
    /// With z and r or without.
    pub fn draw(t: &mut Try, b: usize, pixels: usize, c: usize, real: usize) -> Self {
        let dy = image(t, b * pixels, c, real);
        let z = (!t.once_in(3)).then(|| image(t, b * pixels, c, real));
        let r = t.once_in(2).then(|| t.numbers(b, 1., 0.5));
        let [a, slope, g] = [1., 0., 0.1].map(|mean| coefficients(t, c, real, mean));
        let gradient = Gradient {
            dy: t.give(&dy),
            z: address_or_null(t, &z),
            a: t.give(&a),
            b: if z.is_some() { t.give(&slope) } else { 0 },
            g: if z.is_some() { t.give(&g) } else { 0 },
            r: address_or_null(t, &r),
        };
        Arriving { gradient, dy, z, a, b: slope, g, r, c, pixels }
    }

    /// The same without coefficients: `r dy`.
    pub fn plain(mut self) -> Self {
        self.gradient = Gradient { dy: self.gradient.dy, r: self.gradient.r, ..Gradient::default() };
        (self.z, self.a) = (None, vec![1.; self.c]);
        self
    }

    /// All of it.
    pub fn all(&self) -> Vec<f64> {
        let one = |at: usize| {
            let (ch, image) = (at % self.c, at / self.c / self.pixels);
            let r = self.r.as_ref().map_or(1., |r| r[image] as f64);
            let rest = |z: &Vec<f32>| self.b[ch] as f64 * z[at] as f64 + self.g[ch] as f64;
            self.a[ch] as f64 * r * self.dy[at] as f64 + self.z.as_ref().map_or(0., rest)
        };
        (0..self.dy.len()).map(one).collect()
    }
}

/// `ceil(a / b)`.
pub fn up(a: usize, b: usize) -> usize {
    a.div_ceil(b)
}

/// A window over `[b, h, w, c]` that makes `oc` channels.
pub fn window([b, h, w, c, oc]: [usize; 5], k: usize, stride: usize, dilation: usize, pad: usize) -> Option<Window> {
    let made = |n: usize| Some((n + 2 * pad).checked_sub(dilation * (k - 1) + 1)? / stride + 1);
    let (oh, ow) = (made(h)?, made(w)?);
    let [b, h, w, c, oc, k, stride, dilation, pad, oh, ow] =
        [b, h, w, c, oc, k, stride, dilation, pad, oh, ow].map(|n| n as i32);
    Some(Window { b, h, w, c, oh, ow, oc, k, stride, pad, dilation, unused: 0 })
}

/// Pixels of the input and of the output.
pub fn pixels(n: &Window) -> [usize; 2] {
    [n.b * n.h * n.w, n.b * n.oh * n.ow].map(|n| n as usize)
}

/// All pairs of an output's pixel and an input's that it sees, and under which tap.
pub fn taps(n: &Window, mut pair: impl FnMut(usize, usize, usize)) {
    for p in 0..n.b * n.oh * n.ow {
        let (image, y, x) = (p / (n.oh * n.ow), p / n.ow % n.oh, p % n.ow);
        for tap in 0..n.k * n.k {
            let iy = y * n.stride - n.pad + tap / n.k * n.dilation;
            let ix = x * n.stride - n.pad + tap % n.k * n.dilation;
            if (0..n.h).contains(&iy) && (0..n.w).contains(&ix) {
                pair(p as usize, ((image * n.h + iy) * n.w + ix) as usize, tap as usize);
            }
        }
    }
}

/// Some channels as stored, and how many of them are real.
pub fn channels(t: &mut Try, most: usize) -> (usize, usize) {
    let c = if t.once_in(4) { 4 } else { 8 * t.int(1, most / 8) };
    (c, c - t.int(0, (c - 2).min(6)))
}

/// An image's size: often one image, often odd.
pub fn size(t: &mut Try, most: usize) -> [usize; 3] {
    [t.pick(&[1, 1, 2, 3, 5]), t.int(1, most), t.int(1, most)]
}
