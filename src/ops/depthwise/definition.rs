//! What a separable convolution and its gradients are, in plain loops and f64: what the kernels are checked against.

use super::SeparableShape;

/// Calls `f(d index, x index, depthwise weight index)` for every product of one block: NHWC with stored channels.
fn products(s: &SeparableShape, n: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (ho, wo) = s.out_hw();
    let c_p = s.c_in_p();
    for (image, oy, ox) in (0..n).flat_map(|i| (0..ho).flat_map(move |y| (0..wo).map(move |x| (i, y, x)))) {
        for (ky, kx) in (0..s.k).flat_map(|y| (0..s.k).map(move |x| (y, x))) {
            let at = |o: usize, k: usize, size: usize| {
                (o * s.stride + k * s.dilation).checked_sub(s.dilation * (s.k / 2)).filter(|&i| i < size)
            };
            let Some((iy, ix)) = at(oy, ky, s.h).zip(at(ox, kx, s.w)) else { continue };
            for c in 0..s.c_in {
                let d = ((image * ho + oy) * wo + ox) * c_p + c;
                f(d, ((image * s.h + iy) * s.w + ix) * c_p + c, (c * s.k + ky) * s.k + kx);
            }
        }
    }
}

/// ReLU in f64; NaN stays NaN.
fn read(x: f32, relu: bool) -> f64 {
    if relu && x < 0.0 { 0.0 } else { f64::from(x) }
}

fn depthwise(s: &SeparableShape, relu: bool, n: usize, x: &[f32], v: &[f32]) -> Vec<f64> {
    let mut d = vec![0.0; n * s.pixels() * s.c_in_p()];
    products(s, n, |di, xi, vi| d[di] += read(x[xi], relu) * f64::from(v[vi]));
    d
}

/// z: `[n, ho, wo, c_out_p]`.
pub fn forward(s: &SeparableShape, relu: bool, n: usize, x: &[f32], v: &[f32], w: &[f32]) -> Vec<f64> {
    let d = depthwise(s, relu, n, x, v);
    let mut z = vec![0.0; n * s.out_len()];
    for (d, z) in d.chunks(s.c_in_p()).zip(z.chunks_mut(s.c_out_p())) {
        for (o, c) in (0..s.c_out).flat_map(|o| (0..s.c_in).map(move |c| (o, c))) {
            z[o] += d[c] * f64::from(w[o * s.c_in + c]);
        }
    }
    z
}

/// The gradients of x, the depthwise and the 1x1 weights of one convolution that receives `dz`.
pub fn backward(
    s: &SeparableShape,
    relu: bool,
    n: usize,
    x: &[f32],
    v: &[f32],
    w: &[f32],
    dz: &[f64],
) -> [Vec<f64>; 3] {
    let d = depthwise(s, relu, n, x, v);
    let (mut dd, mut dw) = (vec![0.0; d.len()], vec![0.0; w.len()]);
    for ((d, dd), dz) in d.chunks(s.c_in_p()).zip(dd.chunks_mut(s.c_in_p())).zip(dz.chunks(s.c_out_p())) {
        for (o, c) in (0..s.c_out).flat_map(|o| (0..s.c_in).map(move |c| (o, c))) {
            dd[c] += dz[o] * f64::from(w[o * s.c_in + c]);
            dw[o * s.c_in + c] += dz[o] * d[c];
        }
    }
    let (mut dx, mut dv) = (vec![0.0; x.len()], vec![0.0; v.len()]);
    products(s, n, |di, xi, vi| {
        dv[vi] += dd[di] * read(x[xi], relu);
        if !(relu && x[xi] <= 0.0) {
            dx[xi] += dd[di] * f64::from(v[vi]);
        }
    });
    [dx, dv, dw]
}
