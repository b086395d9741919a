//! Norms as the last block of a job makes them, from the numbers that the job wrote.

use super::Outcome;
use super::bench::{Try, near, near_beside, untouched};
use isdarts_host::ops::gpu::jobs::{Norm, NormGradient};

const EPSILON: f64 = 1e-5;

/// A norm on its way forward, over images of `c` channels.
pub struct Forward {
    pub norm: Norm,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    mean: Vec<f32>,
    var: Vec<f32>,
    bias: Vec<f32>,
    c: usize,
}

impl Forward {
    /// Of any kind.
    pub fn draw(t: &mut Try, c: usize, real: usize) -> Self {
        let [gamma, beta, mean] = [1., 0., 0.].map(|mean| t.numbers(real, mean, 0.5));
        let var: Vec<f32> = t.numbers(real, 0., 1.).iter().map(|v| v.abs() + 0.1).collect();
        // Biases count where they are not finite.
        let (first, mut bias) = (t.int(0, real), t.numbers(real, 0., 1.));
        let biased = t.once_in(4);
        if biased {
            let ch = t.int(0, real - 1);
            bias[ch] = f32::INFINITY;
        }
        let norm = Norm {
            kind: t.int(0, 2) as i32,
            channels: real as i32,
            gamma: t.give(&gamma),
            beta: t.give(&beta),
            running_mean: t.give(&mean),
            running_var: t.give(&var),
            new_mean: t.out::<f32>("new_mean", real),
            new_var: t.out::<f32>("new_var", real),
            bias: if biased { [t.give(&bias[..first]), t.give(&bias[first..])] } else { [0; 2] },
            first: first as i32,
            mean: t.out::<f64>("mean", c),
            istd: t.out::<f64>("istd", c),
            a: t.out::<f32>("a", c),
            t: t.out::<f32>("t", c),
            ..Norm::default()
        };
        if !biased {
            bias.fill(0.);
        }
        Forward { norm, gamma, beta, mean, var, bias, c }
    }

    /// Against the numbers `z`.
    pub fn check(&self, t: &Try, z: &[f32]) -> Outcome {
        let (n, c, count) = (&self.norm, self.c, (z.len() / self.c) as f64);
        let [mut means, mut istds, mut a, mut shift] = [(); 4].map(|()| vec![0f64; c]);
        let (mut new_mean, mut new_var) = (vec![], vec![]);
        for ch in 0..n.channels as usize {
            if n.kind == 0 {
                (istds[ch], a[ch]) = (1., 1.);
                continue;
            }
            let sum = |f: &dyn Fn(f64) -> f64| z.iter().skip(ch).step_by(c).map(|v| f(*v as f64)).sum::<f64>() / count;
            let mut mean = sum(&|v| v);
            let mut var = sum(&|v| (v - mean).powi(2));
            new_mean.push(0.9 * self.mean[ch] as f64 + 0.1 * mean);
            new_var.push(0.9 * self.var[ch] as f64 + 0.1 * var * count / if count > 2. { count - 1. } else { 1. });
            if n.kind == 2 && t.pass.mode == 2 {
                (mean, var) = (self.mean[ch] as f64, self.var[ch] as f64);
            }
            let (gamma, beta) = if n.kind == 2 { (self.gamma[ch] as f64, self.beta[ch] as f64) } else { (1., 0.) };
            (means[ch], istds[ch]) = (mean, 1. / (var + EPSILON).sqrt());
            a[ch] = gamma * istds[ch];
            shift[ch] = beta - a[ch] * mean + 0. * self.bias[ch] as f64;
        }
        near("mean", &t.made::<f64>(n.mean), &means, 1e-9)?;
        near("istd", &t.made::<f64>(n.istd), &istds, 1e-7)?;
        near("a", &t.made::<f32>(n.a), &a, 1e-6)?;
        near("t", &t.made::<f32>(n.t), &shift, 1e-6)?;
        let news = [("new_mean", t.made::<f32>(n.new_mean), new_mean), ("new_var", t.made::<f32>(n.new_var), new_var)];
        news.iter().try_for_each(|(what, got, want)| match n.kind == 2 && t.pass.mode == 0 {
            true => near(what, got, want, 1e-6),
            false => untouched(what, got),
        })
    }
}

/// A norm on its way back.
pub struct Back {
    pub norm: NormGradient,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    pub mean: Vec<f64>,
    istd: Vec<f64>,
    mix: f64,
    entries: usize,
}

impl Back {
    /// Of any kind; `entries` of its part of the weight's gradient, if any.
    pub fn draw(t: &mut Try, c: usize, real: usize, entries: usize) -> Self {
        let kind = t.int(0, 2) as i32;
        let wide = |v: Vec<f32>| v.into_iter().map(f64::from).collect::<Vec<_>>();
        let (gamma, beta) = (t.numbers(real, 1., 0.5), t.numbers(real, 0., 0.5));
        let (mut mean, mut istd) = (wide(t.numbers(c, 0.3, 0.5)), wide(t.numbers(c, 1., 0.3)));
        // Not numbers of an f32.
        mean.iter_mut().for_each(|v| *v *= 1.0 + 1e-9);
        if kind == 0 {
            mean.fill(0.);
            istd.fill(1.);
        }
        let mix = t.once_in(2).then(|| t.numbers(1, 0.7, 0.3));
        let with = kind == 2;
        let norm = NormGradient {
            kind,
            channels: real as i32,
            mean: t.give(&mean),
            istd: t.give(&istd),
            gamma: t.give(&gamma),
            beta: t.give(&beta),
            mix: mix.as_ref().map_or(0, |mix| t.give(mix)),
            a: t.out::<f32>("a", c),
            b: t.out::<f32>("b", c),
            g: t.out::<f32>("g", c),
            dgamma: if with { t.out::<f32>("dgamma", real) } else { 0 },
            dbeta: if with { t.out::<f32>("dbeta", real) } else { 0 },
            dmix: if entries > 0 { t.out::<f64>("dmix", entries) } else { 0 },
        };
        Back { norm, gamma, beta, mean, istd, mix: mix.map_or(1., |mix| mix[0] as f64), entries }
    }

    /// Against the sums over `count` values of r dy and of r dy (z - mean), by channel. An entry of `dmix` has 64 channels.
    pub fn check(&self, t: &Try, sum: &[f64], along: &[f64], count: f64, tolerance: f64) -> Outcome {
        let (n, c) = (&self.norm, self.mean.len());
        let [mut a, mut b, mut g] = [(); 3].map(|()| vec![0f64; c]);
        let (mut dgamma, mut dbeta, mut dmix, mut squares) = (vec![], vec![], vec![0f64; self.entries], 0f64);
        for ch in 0..n.channels as usize {
            let affine = n.kind == 2;
            let gamma = if affine { self.gamma[ch] as f64 } else { 1. };
            let beta = if affine { self.beta[ch] as f64 } else { 0. };
            let of_batch = n.kind == 1 || affine && t.pass.mode != 2;
            let (zhat, scale) = (self.istd[ch] * along[ch], self.mix * gamma * self.istd[ch]);
            a[ch] = scale;
            if of_batch {
                b[ch] = -scale * self.istd[ch] * zhat / count;
                g[ch] = scale * (self.istd[ch] * self.mean[ch] * zhat - sum[ch]) / count;
            }
            dgamma.push(self.mix * zhat);
            dbeta.push(self.mix * sum[ch]);
            if self.entries > 0 {
                dmix[ch / 64] += gamma * zhat + beta * sum[ch];
                squares += (gamma * zhat).powi(2) + (beta * sum[ch]).powi(2);
            }
        }
        for (what, made, want) in [("a", n.a, &a), ("b", n.b, &b), ("g", n.g, &g)] {
            near(what, &t.made::<f32>(made), want, tolerance)?;
        }
        if n.dgamma != 0 {
            near("dgamma", &t.made::<f32>(n.dgamma), &dgamma, tolerance)?;
            near("dbeta", &t.made::<f32>(n.dbeta), &dbeta, tolerance)?;
        }
        if n.dmix == 0 {
            return Ok(());
        }
        near_beside("dmix", &t.made::<f64>(n.dmix), &dmix, squares.sqrt(), tolerance)
    }
}
