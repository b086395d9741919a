//! What a dense convolution and its gradients are, in plain loops and f64: what the fast kernels are checked against.

use super::ConvShape;

/// Calls `f(z index, x index, weight index)` for every product of one block: x and z in NHWC with stored channels, the
/// weights in OIHW with true channels.
fn products(s: &ConvShape, n: usize, mut f: impl FnMut(usize, usize, usize)) {
    let (ho, wo) = s.out_hw();
    let (cip, cop) = (s.c_in_p(), s.c_out_p());
    for (image, oy, ox) in (0..n).flat_map(|i| (0..ho).flat_map(move |y| (0..wo).map(move |x| (i, y, x)))) {
        for (ky, kx) in (0..s.k).flat_map(|y| (0..s.k).map(move |x| (y, x))) {
            let (iy, ix) = (oy * s.stride + ky * s.dilation, ox * s.stride + kx * s.dilation);
            if iy < s.pad || ix < s.pad || iy - s.pad >= s.h || ix - s.pad >= s.w {
                continue;
            }
            let x_at = ((image * s.h + iy - s.pad) * s.w + ix - s.pad) * cip;
            let z_at = ((image * ho + oy) * wo + ox) * cop;
            for (o, c) in (0..s.c_out).flat_map(|o| (0..s.c_in).map(move |c| (o, c))) {
                f(z_at + o, x_at + c, ((o * s.c_in + c) * s.k + ky) * s.k + kx);
            }
        }
    }
}

/// ReLU in f64; NaN stays NaN.
fn relu(x: f32) -> f64 {
    if x < 0.0 { 0.0 } else { f64::from(x) }
}

/// z = conv(relu?(x), w): `[n, ho, wo, c_out_p]`.
pub fn forward(s: &ConvShape, relu_first: bool, n: usize, x: &[f32], w_oihw: &[f32]) -> Vec<f64> {
    let mut z = vec![0.0; n * s.out_len()];
    products(s, n, |zi, xi, wi| {
        let x = if relu_first { relu(x[xi]) } else { f64::from(x[xi]) };
        z[zi] += x * f64::from(w_oihw[wi]);
    });
    z
}

/// The gradients (x: `[n, h, w, c_in_p]`, weights: OIHW) of one convolution that receives `dz`.
pub fn backward(
    s: &ConvShape,
    relu_first: bool,
    n: usize,
    x: &[f32],
    w_oihw: &[f32],
    dz: &[f64],
) -> (Vec<f64>, Vec<f64>) {
    let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w_oihw.len()]);
    products(s, n, |zi, xi, wi| {
        let passes = !(relu_first && x[xi] <= 0.0);
        dw[wi] += dz[zi] * if relu_first { relu(x[xi]) } else { f64::from(x[xi]) };
        if passes {
            dx[xi] += dz[zi] * f64::from(w_oihw[wi]);
        }
    });
    (dx, dw)
}
