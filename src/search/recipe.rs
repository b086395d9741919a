//! Whose settings a found network is trained with from scratch.
//!
//! - `paper`: IS-DARTS (He et al., AAAI 2024). Nesterov momentum and 5 epochs of warm-up; its authors' `basic-main.py` (that of
//!   AutoDL-Projects) has batches of 96 and cutout 16, a cosine by epochs, drop path 0.2, auxiliary 0.4. Their file of optimiser
//!   settings is not published: 600 epochs, decay 3e-4 and clip 5 are quark0's. (AutoDL-Projects' `NAS-CIFAR.config`: 300
//!   epochs, decay 5e-4; its program does not clip.) On ImageNet `NAS-IMAGENET.config` of AutoDL-Projects, clip as quark0.
//!   The paper trains no cell of NAS-Bench-201, but reads the table: `nas-bench-201`.
//! - `quark0`: Liu et al., 2019, as quark0/darts `cnn/train.py` and `train_imagenet.py` run it: plain momentum, no warm-up, a
//!   cosine by epochs (ImageNet: 0.97 an epoch).
//! - `nas-bench-201`: Dong & Yang, 2020, `200E.config` of AutoDL-Projects, which made the table: batch 256, lr 0.1, Nesterov, a
//!   cosine by epochs over 200, crop and flip alone, no clipping.
//!
//! A recipe may be asked for with another network than its own; what that network has not (auxiliary head, paths that may be
//! dropped) is then off. Sides other than the original's: cutout of half the side; no auxiliary head where the images are not
//! of the size that it is made for.

use super::EvalConfig;
use super::trainer_config::Schedule;
use crate::error::{Error, Result};
use crate::net::subnet::{Family, SubnetConfig};
use serde::Serialize;

/// Whose settings a network is trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Recipe {
    /// Those of the IS-DARTS paper.
    #[serde(rename = "paper")]
    Paper,
    /// Those of quark0/darts.
    #[serde(rename = "quark0")]
    Quark0,
    /// Those that made the NAS-Bench-201 table.
    #[serde(rename = "nas-bench-201")]
    NasBench201,
}

impl Recipe {
    pub(super) const ALL: [Recipe; 3] = [Recipe::Paper, Recipe::Quark0, Recipe::NasBench201];

    /// Its name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Recipe::Paper => "paper",
            Recipe::Quark0 => "quark0",
            Recipe::NasBench201 => "nas-bench-201",
        }
    }

    /// Its authors.
    pub fn whose(self) -> &'static str {
        match self {
            Recipe::Paper => "IS-DARTS, AAAI 2024",
            Recipe::Quark0 => "DARTS, quark0/darts",
            Recipe::NasBench201 => "NAS-Bench-201, AutoDL-Projects",
        }
    }

    /// By name.
    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|recipe| recipe.name() == name);
        found.ok_or_else(|| Error::unknown_name("recipe", name, Self::ALL.map(Self::name)))
    }

    /// The one that a network is trained with, where none is named.
    pub fn usual(family: Family) -> Self {
        match family {
            Family::NasBench201 => Recipe::NasBench201,
            Family::Cifar | Family::ImageNet => Recipe::Paper,
        }
    }

    /// Its settings for a network and images of `side` pixels.
    pub fn settings(self, family: Family, side: usize) -> EvalConfig {
        let SubnetConfig { channels, cells, .. } = SubnetConfig::usual(family, 1, 0);
        let head = match family {
            Family::Cifar => (32..=40).contains(&side),
            Family::ImageNet => (193..=256).contains(&side),
            Family::NasBench201 => false,
        };
        let cifar = EvalConfig {
            recipe: self,
            network: family.name().into(),
            channels,
            cells,
            epochs: 600,
            warmup: 0,
            batch_size: 96,
            lr: 0.025,
            lr_min: 0.0,
            schedule: Schedule::Epoch,
            momentum: 0.9,
            nesterov: false,
            weight_decay: 3e-4,
            clip: 5.0,
            augment: true,
            photo: false,
            cutout: side / 2,
            drop_path: if family == Family::NasBench201 { 0.0 } else { 0.2 },
            auxiliary: if head { 0.4 } else { 0.0 },
            auxiliary_skip: false,
            pool_norm: false,
            label_smoothing: 0.0,
        };
        let imagenet = EvalConfig {
            epochs: 250,
            batch_size: 128,
            lr: 0.1,
            weight_decay: 3e-5,
            photo: true,
            cutout: 0,
            drop_path: 0.0,
            label_smoothing: 0.1,
            ..cifar.clone()
        };
        match (self, family) {
            (Recipe::Quark0, Family::ImageNet) => EvalConfig { schedule: Schedule::Exponential, ..imagenet },
            (Recipe::Quark0, _) => cifar,
            (Recipe::Paper, Family::ImageNet) => EvalConfig { nesterov: true, warmup: 5, ..imagenet },
            (Recipe::Paper, Family::Cifar) => EvalConfig { nesterov: true, warmup: 5, ..cifar },
            (Recipe::NasBench201, _) | (Recipe::Paper, Family::NasBench201) => EvalConfig {
                epochs: 200,
                batch_size: 256,
                lr: 0.1,
                nesterov: true,
                weight_decay: 5e-4,
                clip: 0.0,
                cutout: 0,
                drop_path: 0.0,
                auxiliary: 0.0,
                ..cifar
            },
        }
    }
}
