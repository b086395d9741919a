//! Settings of training a found network from scratch, with the literature's defaults.

use super::TrainConfig;
use super::settings::pick;
use crate::error::{Error, Result};
use crate::net::subnet::{Family, SubnetConfig};
use crate::space::Topology;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Settings of `train_genotype`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// The skeleton: `cifar`, `imagenet`, `nas-bench-201`; empty: the one that suits the cells and the images.
    pub network: String,
    /// C; 0: as the literature has it (36; ImageNet 48; NAS-Bench-201 16).
    pub channels: usize,
    /// DARTS cells in all (0: 20; ImageNet 14); NAS-Bench-201: cells a stage, N (0: 5).
    pub cells: usize,
    /// E, those of the warm-up among them.
    pub epochs: usize,
    /// Epochs in which the learning rate rises from 0 to `lr`, step by step.
    pub warmup: usize,
    /// Images a batch.
    pub batch_size: usize,
    /// Learning rate after the warm-up.
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    pub lr_min: f64,
    /// Nesterov momentum.
    pub momentum: f64,
    /// L2 added to the gradient.
    pub weight_decay: f64,
    /// Largest norm of all gradients together; 0 = no clipping.
    pub clip: f64,
    /// Augment training images.
    pub augment: bool,
    /// Augment as photographs: a random resized crop in place of the padded one, colour jitter, light.
    pub photo: bool,
    /// Side of cutout in pixels; 0 = none.
    pub cutout: usize,
    /// Probability at the end of training that a path is dropped; it grows linearly from 0, epoch by epoch.
    pub drop_path: f64,
    /// Weight of the auxiliary head's loss; 0 = no such head.
    pub auxiliary: f64,
    /// Label smoothing.
    pub label_smoothing: f64,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self::usual(Family::Cifar, 32)
    }
}

impl EvalConfig {
    /// What the literature trains with, for images of `side` pixels.
    ///
    /// - CIFAR (Liu et al., 2019; here 5 epochs of warm-up and 595): batch 96, lr 0.025, decay 3e-4, clip 5, cutout of half
    ///   the side (16 of 32), drop path 0.2, auxiliary 0.4 where the images have the 32 pixels that its head is made for.
    /// - ImageNet: 250 epochs, batch 128, lr 0.1, decay 3e-5, clip 5, auxiliary 0.4, label smoothing 0.1; a random part of
    ///   each picture, colours and light changed.
    /// - NAS-Bench-201 (Dong & Yang, 2020): 200 epochs, batch 256, lr 0.1, decay 5e-4, no clipping, crop and flip alone.
    pub fn usual(family: Family, side: usize) -> Self {
        let cifar = EvalConfig {
            network: family.name().into(),
            channels: 0,
            cells: 0,
            epochs: 600,
            warmup: 5,
            batch_size: 96,
            lr: 0.025,
            lr_min: 0.0,
            momentum: 0.9,
            weight_decay: 3e-4,
            clip: 5.0,
            augment: true,
            photo: false,
            cutout: side / 2,
            drop_path: 0.2,
            auxiliary: if (32..=40).contains(&side) { 0.4 } else { 0.0 },
            label_smoothing: 0.0,
        };
        match family {
            Family::Cifar => cifar,
            Family::ImageNet => EvalConfig {
                epochs: 250,
                batch_size: 128,
                lr: 0.1,
                weight_decay: 3e-5,
                photo: true,
                cutout: 0,
                drop_path: 0.0,
                auxiliary: if (193..=256).contains(&side) { 0.4 } else { 0.0 },
                label_smoothing: 0.1,
                ..cifar
            },
            Family::NasBench201 => EvalConfig {
                epochs: 200,
                warmup: 0,
                batch_size: 256,
                lr: 0.1,
                weight_decay: 5e-4,
                clip: 0.0,
                cutout: 0,
                drop_path: 0.0,
                auxiliary: 0.0,
                ..cifar
            },
        }
    }

    /// The settings of a map over the usual ones of the network that it names, or else that suits `topology` and images of
    /// `side` pixels. Keys of others are left alone.
    pub fn of_map(map: &Value, topology: Topology, side: usize) -> Result<Self> {
        let named = map.get("network").and_then(Value::as_str).filter(|name| !name.is_empty());
        let family = match named {
            Some(name) => Family::parse(name)?,
            None if topology == Topology::NasBench201 => Family::NasBench201,
            None if side >= 128 => Family::ImageNet,
            None => Family::Cifar,
        };
        let what = "settings of training";
        let usual =
            serde_json::to_value(Self::usual(family, side)).map_err(|e| Error::invalid(what, e, "plain data"))?;
        let mut merged = usual.clone();
        if let (Value::Object(merged), Value::Object(map)) = (&mut merged, map) {
            merged.extend(map.iter().filter(|(k, _)| *k != "network").map(|(k, v)| (k.clone(), v.clone())));
        }
        let config: EvalConfig = pick(what, &merged)?;
        config.check()?;
        Ok(config)
    }

    /// The network of these settings.
    pub fn subnet(&self, classes: usize, seed: u64) -> Result<SubnetConfig> {
        let usual = SubnetConfig::usual(Family::parse(&self.network)?, classes, seed);
        let or = |given: usize, usual: usize| if given == 0 { usual } else { given };
        Ok(SubnetConfig {
            channels: or(self.channels, usual.channels),
            cells: or(self.cells, usual.cells),
            auxiliary: self.auxiliary > 0.0,
            ..usual
        })
    }

    /// An error for the first value out of range.
    pub fn check(&self) -> Result<()> {
        let EvalConfig { epochs, batch_size, lr, lr_min, momentum, weight_decay, clip, .. } = *self;
        TrainConfig { epochs, batch_size, lr, lr_min, momentum, weight_decay, clip, ..TrainConfig::default() }
            .check()?;
        let below = |what: &str, v: f64, limit: f64, expected: &str| match v >= 0.0 && v < limit {
            false => Err(Error::invalid(format!("setting `{what}`"), v, expected)),
            true => Ok(()),
        };
        below("drop_path", self.drop_path, 1.0, "0 or more, and less than 1")?;
        below("label_smoothing", self.label_smoothing, 1.0, "0 or more, and less than 1")?;
        below("auxiliary", self.auxiliary, f64::INFINITY, "a finite number, 0 or more")
    }

    /// Learning rate of a step (`epoch` from 1, `index` from 0, `steps` in an epoch): `lr (t + 1) / W` in the `W` steps of
    /// the warm-up, then the cosine of [`TrainConfig::learning_rate`] over the steps that are left.
    pub fn learning_rate(&self, epoch: usize, index: usize, steps: usize) -> f64 {
        let warmup = self.warmup.min(self.epochs);
        if epoch <= warmup {
            return self.lr * ((epoch.max(1) - 1) * steps + index + 1) as f64 / (warmup * steps) as f64;
        }
        let (lr, lr_min, epochs) = (self.lr, self.lr_min, self.epochs - warmup);
        TrainConfig { lr, lr_min, epochs, ..TrainConfig::default() }.learning_rate(epoch - warmup, index, steps)
    }

    /// Probability that a path is kept in `epoch` (from 1): `1 - drop_path (epoch - 1) / E`.
    pub fn keep_path(&self, epoch: usize) -> f64 {
        1.0 - self.drop_path * (epoch.saturating_sub(1) as f64 / self.epochs.max(1) as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_learning_rate_rises_step_by_step_then_falls_by_a_cosine_to_the_end() {
        let cfg = EvalConfig { epochs: 12, warmup: 2, lr: 1.0, lr_min: 0.0, ..Default::default() };
        for (epoch, index, lr) in
            [(1, 0, 0.05), (1, 9, 0.5), (2, 9, 1.0), (3, 0, 1.0), (8, 0, 0.5), (12, 9, 0.000246720), (13, 0, 0.0)]
        {
            let got = cfg.learning_rate(epoch, index, 10);
            assert!((got - lr).abs() < 1e-8, "epoch {epoch}, step {index}: {got}, expected {lr}");
        }
        assert_eq!([1, 7, 13].map(|e| EvalConfig { drop_path: 0.2, ..cfg.clone() }.keep_path(e)), [1.0, 0.9, 0.8]);
    }

    #[test]
    fn a_map_goes_over_the_usual_settings_of_the_network_that_suits() {
        let of = |map: Value, topology, side| EvalConfig::of_map(&map, topology, side);
        let nas = of(json!({"epochs": 3, "iim_samples": 7}), Topology::NasBench201, 32).unwrap();
        assert_eq!((nas.epochs, nas.batch_size, nas.lr, nas.network.as_str()), (3, 256, 0.1, "nas-bench-201"));
        let cifar = of(json!({"network": ""}), Topology::Darts, 16).unwrap();
        assert_eq!((cifar.cutout, cifar.auxiliary, cifar.drop_path), (8, 0.0, 0.2));
        assert_eq!(of(json!({}), Topology::Darts, 224).unwrap(), EvalConfig::usual(Family::ImageNet, 224));
        for (map, message) in [
            (json!({"network": "cifr"}), "unknown network `cifr`, did you mean `cifar`?"),
            (json!({"drop_path": 1.0}), "setting `drop_path`: got 1, expected 0 or more, and less than 1"),
            (json!({"epochs": "x"}), "setting `epochs`: got \"x\" (a text), expected a whole number"),
        ] {
            let error = of(map, Topology::Darts, 32).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
