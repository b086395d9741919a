//! The end of a network: batch norm, ReLU, mean over the pixels, linear.
//!
//! `p[n, c] = mean over pixels of relu(a[c] x + t[c])`, `logits = p W^T + bias`. `a`, `t` hold the batch norm.

pub mod tensor;

use super::relu::relu;
use super::vectorized;

/// `p[n, c]` of a block: `x: [n, pixels, c]`.
pub fn pool(x: &[f32], a: &[f32], t: &[f32], pixels: usize, p: &mut [f32]) {
    let c = a.len();
    for (x, p) in x.chunks_exact(pixels * c).zip(p.chunks_exact_mut(c)) {
        vectorized!({
            p.fill(0.0);
            for x in x.chunks_exact(c) {
                for i in 0..c {
                    p[i] += relu(a[i] * x[i] + t[i]);
                }
            }
            for p in p {
                *p /= pixels as f32;
            }
        });
    }
}

/// The same without norm and ReLU: `p[n, c] = mean over pixels of x[c]`.
pub fn mean(x: &[f32], c: usize, pixels: usize, p: &mut [f32]) {
    for (x, p) in x.chunks_exact(pixels * c).zip(p.chunks_exact_mut(c)) {
        p.fill(0.0);
        for x in x.chunks_exact(c) {
            p.iter_mut().zip(x).for_each(|(p, x)| *p += x);
        }
        p.iter_mut().for_each(|p| *p /= pixels as f32);
    }
}

/// The gradient of that mean, overwritten: `dn = dp / pixels`.
pub fn mean_backward(c: usize, pixels: usize, dp: &[f32], dn: &mut [f32]) {
    for (dp, dn) in dp.chunks_exact(c).zip(dn.chunks_exact_mut(pixels * c)) {
        let scaled: Vec<f32> = dp.iter().map(|d| d / pixels as f32).collect();
        dn.chunks_exact_mut(c).for_each(|dn| dn.copy_from_slice(&scaled));
    }
}

/// The gradient that reaches the batch norm: `dn = 0` where `a x + t <= 0`, else (NaN, too) `dp / pixels`; `dn: [n, pixels, c]`, overwritten.
pub fn pool_backward(x: &[f32], a: &[f32], t: &[f32], pixels: usize, dp: &[f32], dn: &mut [f32]) {
    let c = a.len();
    for ((x, dp), dn) in x.chunks_exact(pixels * c).zip(dp.chunks_exact(c)).zip(dn.chunks_exact_mut(pixels * c)) {
        let scaled: Vec<f32> = dp.iter().map(|d| d / pixels as f32).collect();
        vectorized!({
            for (x, dn) in x.chunks_exact(c).zip(dn.chunks_exact_mut(c)) {
                for i in 0..c {
                    dn[i] = if a[i] * x[i] + t[i] <= 0.0 { 0.0 } else { scaled[i] };
                }
            }
        });
    }
}

/// `logits[n, k] = bias[k] + sum_c p[n, c] w[k, c]`; `p` has `cp >= c` channels a row.
pub fn linear(p: &[f32], cp: usize, w: &[f32], bias: &[f32], logits: &mut [f32]) {
    let c = w.len() / bias.len();
    for (p, y) in p.chunks_exact(cp).zip(logits.chunks_exact_mut(bias.len())) {
        for ((y, w), b) in y.iter_mut().zip(w.chunks_exact(c)).zip(bias) {
            *y = (f64::from(*b) + p.iter().zip(w).map(|(&p, &w)| f64::from(p) * f64::from(w)).sum::<f64>()) as f32;
        }
    }
}

/// Gradients of [`linear`]: `dp[n, cp]`, `dw[k, c]`, `dbias[k]`, all overwritten.
pub fn linear_backward(p: &[f32], cp: usize, w: &[f32], dy: &[f32], dp: &mut [f32], dw: &mut [f32], db: &mut [f32]) {
    let c = w.len() / db.len();
    dw.fill(0.0);
    db.fill(0.0);
    dp.fill(0.0);
    for ((p, dp), dy) in p.chunks_exact(cp).zip(dp.chunks_exact_mut(cp)).zip(dy.chunks_exact(db.len())) {
        for (k, &d) in dy.iter().enumerate() {
            db[k] += d;
            for i in 0..c {
                dp[i] += d * w[k * c + i];
                dw[k * c + i] += d * p[i];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    /// `sum of g * logits` in f64, from the definition.
    fn value(x: &[f64], a: &[f64], t: &[f64], w: &[f64], b: &[f64], g: &[f64], pixels: usize, c: usize) -> f64 {
        let (n, k) = (x.len() / pixels / c, b.len());
        let pooled = |n: usize, i: usize| {
            (0..pixels).map(|p| (a[i] * x[(n * pixels + p) * c + i] + t[i]).max(0.0)).sum::<f64>() / pixels as f64
        };
        (0..n * k).map(|r| g[r] * (b[r % k] + (0..c).map(|i| pooled(r / k, i) * w[r % k * c + i]).sum::<f64>())).sum()
    }

    #[test]
    fn the_head_and_its_gradients_equal_differences_of_the_definition() {
        let (n, pixels, c, k) = (3, 5, 8, 4);
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
        let mut draw = |len: usize| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (x, a, t, w, b, g) = (draw(n * pixels * c), draw(c), draw(c), draw(k * c), draw(k), draw(n * k));
        let (mut p, mut y) = (vec![0.0; n * c], vec![0.0; n * k]);
        pool(&x, &a, &t, pixels, &mut p);
        linear(&p, c, &w, &b, &mut y);
        let wide = |v: &[f32]| v.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        let all = [&x, &a, &t, &w, &b, &g].map(|v| wide(v));
        let f = |x: &[f64], w: &[f64], b: &[f64]| value(x, &all[1], &all[2], w, b, &all[5], pixels, c);
        let got: f64 = y.iter().zip(&g).map(|(&y, &g)| f64::from(y) * f64::from(g)).sum();
        assert!((got - f(&all[0], &all[3], &all[4])).abs() < 1e-5);

        let (mut dp, mut dw, mut db, mut dn) = (vec![0.0; n * c], vec![0.0; k * c], vec![0.0; k], vec![0.0; x.len()]);
        linear_backward(&p, c, &w, &g, &mut dp, &mut dw, &mut db);
        pool_backward(&x, &a, &t, pixels, &dp, &mut dn);
        let slope = |v: &[f64], i: usize, f: &dyn Fn(&[f64]) -> f64| {
            let at =
                |e: f64| f(&v.iter().enumerate().map(|(j, &v)| if j == i { v + e } else { v }).collect::<Vec<_>>());
            (at(1e-5) - at(-1e-5)) / 2e-5
        };
        for i in 0..x.len() {
            let want = slope(&all[0], i, &|x| f(x, &all[3], &all[4]));
            assert!((f64::from(dn[i] * a[i % c]) - want).abs() < 1e-5);
        }
        for i in 0..k * c {
            assert!((f64::from(dw[i]) - slope(&all[3], i, &|w| f(&all[0], w, &all[4]))).abs() < 1e-5);
        }
        for i in 0..k {
            assert!((f64::from(db[i]) - slope(&all[4], i, &|b| f(&all[0], &all[3], b))).abs() < 1e-5);
        }
    }
}
