//! The optimisers of architecture parameters. A few hundred numbers, so plain loops, on the host, in f32 as PyTorch.

use super::ArchConfig;
use crate::error::Result;
use crate::search::settings::{Given, SettingValue, named};
use candle_core::{Tensor, Var};
use serde::Serialize;

/// Which optimiser; both add the decay to the gradient, `g += decay w`, before anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ArchOptimiser {
    /// Adam (Kingma and Ba, 2015), as `torch.optim.Adam`:
    /// `m <- b1 m + (1 - b1) g; v <- b2 v + (1 - b2) g^2; w -= lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)`.
    #[default]
    #[serde(rename = "adam")]
    Adam,
    /// Plain momentum, as `torch.optim.SGD`: `m <- mu m + g; w -= lr m`.
    #[serde(rename = "sgd")]
    Sgd,
}

impl SettingValue for ArchOptimiser {
    fn of(given: &Given) -> std::result::Result<Self, String> {
        named(given, &[("adam", ArchOptimiser::Adam), ("sgd", ArchOptimiser::Sgd)])
    }
}

/// What an optimiser remembers of one variable.
#[derive(Clone)]
pub(in crate::search) struct Moments {
    pub m: Vec<f32>,
    pub v: Vec<f32>,
    pub t: i32,
}

impl Moments {
    pub fn new(n: usize) -> Self {
        Moments { m: vec![0.0; n], v: vec![0.0; n], t: 0 }
    }

    /// What one step with the gradient `scale g` makes of `w`.
    pub fn step(&mut self, w: &Var, g: &Tensor, cfg: &ArchConfig, scale: f64) -> Result<Tensor> {
        self.t += 1;
        let mut values: Vec<f32> = w.flatten_all()?.to_vec1()?;
        let gradient: Vec<f32> = g.flatten_all()?.to_vec1()?;
        let (decay, scale) = (cfg.arch_weight_decay as f32, scale as f32);
        let gradient = gradient.into_iter().zip(&values).map(|(g, w)| scale * g + decay * w).collect();
        match cfg.arch_optimiser {
            ArchOptimiser::Adam => self.adam(&mut values, gradient, cfg),
            ArchOptimiser::Sgd => self.sgd(&mut values, gradient, cfg),
        }
        Ok(Tensor::from_vec(values, w.shape(), w.device())?)
    }

    fn adam(&mut self, values: &mut [f32], gradient: Vec<f32>, cfg: &ArchConfig) {
        let b2 = cfg.arch_beta2 as f32;
        // Of f64: 1 - 0.999 is 1.3e-5 off in f32.
        let (rest1, rest2) = ((1.0 - cfg.arch_beta1) as f32, (1.0 - cfg.arch_beta2) as f32);
        let rate = (cfg.arch_lr / (1.0 - cfg.arch_beta1.powi(self.t))) as f32;
        let root = (1.0 - cfg.arch_beta2.powi(self.t)).sqrt() as f32;
        let epsilon = cfg.arch_epsilon as f32;
        for (((w, m), v), g) in values.iter_mut().zip(&mut self.m).zip(&mut self.v).zip(gradient) {
            *m += rest1 * (g - *m);
            *v = b2 * *v + rest2 * g * g;
            *w -= rate * *m / (v.sqrt() / root + epsilon);
        }
    }

    fn sgd(&mut self, values: &mut [f32], gradient: Vec<f32>, cfg: &ArchConfig) {
        let (lr, mu) = (cfg.arch_lr as f32, cfg.arch_momentum as f32);
        for ((w, m), g) in values.iter_mut().zip(&mut self.m).zip(gradient) {
            *m = mu * *m + g;
            *w -= lr * *m;
        }
    }
}
