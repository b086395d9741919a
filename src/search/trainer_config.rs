//! Settings of training a found network from scratch; whose defaults they are: [`super::recipe`].

use super::TrainConfig;
use super::recipe::Recipe;
use super::settings::{Given, Givens, SettingValue, named, over, settings};
use crate::error::Result;
use crate::net::subnet::{Family, SubnetConfig};
use crate::space::Topology;
use serde::Serialize;

settings! {
    /// Settings of `train_genotype`.
    pub struct EvalConfig {
        /// Whose settings they are, where none is given: `paper`, `quark0` or `nas-bench-201`.
        recipe: Recipe, Any;
        /// The skeleton: `cifar`, `imagenet`, `nas-bench-201`; empty: the one that suits the cells and the images.
        network: String, Any;
        /// C; 0: the recipe's.
        channels: usize, Any;
        /// DARTS cells in all; NAS-Bench-201: cells a stage, N; 0: the recipe's.
        cells: usize, Any;
        /// Epochs in all, those of the warm-up among them; 0: the recipe's.
        epochs: usize, AtLeastOne;
        /// Epochs in which the learning rate rises from 0 to `lr`, step by step.
        warmup: usize, Any;
        /// Images a batch; 0: the recipe's.
        batch_size: usize, AtLeastOne;
        /// Learning rate after the warm-up.
        lr: f64, NotNegative;
        /// Learning rate at the end.
        lr_min: f64, NotNegative;
        /// How it falls after the warm-up: `step`, `epoch` or `exponential`.
        schedule: Schedule, Any;
        /// Momentum.
        momentum: f64, BelowOne;
        /// Nesterov's momentum, or plain.
        nesterov: bool, Any;
        /// L2 added to the gradient.
        weight_decay: f64, NotNegative;
        /// Largest norm of all gradients together; 0: no clipping.
        clip: f64, NotNegative;
        /// Augment training images.
        augment: bool, Any;
        /// Augment as photographs: a random resized crop in place of the padded one, colour jitter, light.
        photo: bool, Any;
        /// Side of cutout in pixels; 0: none.
        cutout: usize, Any;
        /// Probability at the end of training that a path is dropped; it grows linearly from 0, epoch by epoch.
        drop_path: f64, BelowOne;
        /// Weight of the auxiliary head's loss; 0: no such head.
        auxiliary: f64, NotNegative;
        /// A skip beside each op of the cells (DARTS-Bench-Suite, all_skip).
        auxiliary_skip: bool, Any;
        /// An affine batch norm behind each pool of the cells (DARTS-Bench-Suite).
        pool_norm: bool, Any;
        /// Label smoothing.
        label_smoothing: f64, BelowOne;
    }
}

impl SettingValue for Recipe {
    fn of(given: &Given) -> std::result::Result<Self, String> {
        named(given, &Recipe::ALL.map(|recipe| (recipe.name(), recipe)))
    }
}

impl SettingValue for Schedule {
    fn of(given: &Given) -> std::result::Result<Self, String> {
        let all = [("step", Schedule::Step), ("epoch", Schedule::Epoch), ("exponential", Schedule::Exponential)];
        named(given, &all)
    }
}

/// How the learning rate falls after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// By a cosine, step by step.
    Step,
    /// By a cosine, epoch by epoch.
    Epoch,
    /// To 0.97 of it, epoch by epoch, as quark0/darts trains on ImageNet.
    Exponential,
}

/// Settings of which 0 cannot be meant.
const NEVER_ZERO: [&str; 4] = ["channels", "cells", "epochs", "batch_size"];

impl Default for EvalConfig {
    fn default() -> Self {
        Recipe::Paper.settings(Family::Cifar, 32)
    }
}

impl EvalConfig {
    /// The settings of a map over those of the recipe that it names (or else of the usual one) for the network that it names,
    /// or else that suits `topology` and images of `side` pixels. Keys of others are left alone.
    pub fn of_map(map: &Givens, topology: Topology, side: usize) -> Result<Self> {
        let family = match name_in(map, "network") {
            Some(name) => Family::parse(name)?,
            None if topology == Topology::NasBench201 => Family::NasBench201,
            None if side >= 128 => Family::ImageNet,
            None => Family::Cifar,
        };
        let recipe = name_in(map, "recipe").map_or(Ok(Recipe::usual(family)), Recipe::parse)?;
        let given = map.iter().filter(|(key, value)| is_given(key, value));
        let given = given.map(|(key, value)| (key.as_str(), value.clone()));
        let config = over(recipe.settings(family, side), "settings of training", given)?;
        config.check()?;
        Ok(config)
    }

    /// What a person should know before the training: what the recipe sets beside what `map` gives, and a warm-up that is
    /// all there is.
    pub fn told(&self, map: &Givens) -> Vec<String> {
        let all = serde_json::to_value(self).unwrap_or_default();
        let names = ["recipe", "network"];
        let set = all.as_object().into_iter().flatten().filter(|(key, _)| {
            !names.contains(&key.as_str()) && !map.get(key.as_str()).is_some_and(|value| is_given(key, value))
        });
        let set: Vec<String> =
            set.map(|(key, value)| format!("{key} {}", value.to_string().trim_matches('"'))).collect();
        let mut lines = vec![format!("recipe {} ({}): {}", self.recipe.name(), self.recipe.whose(), set.join(", "))];
        if self.epochs <= self.warmup {
            let rises = "the learning rate only rises: a warm-up of";
            let warmup = if self.warmup == 1 { "1 epoch".to_string() } else { format!("{} epochs", self.warmup) };
            lines.push(format!("{rises} {warmup}, {} in all (warmup: 0 starts at lr)", self.epochs));
        }
        lines
    }

    /// The network of these settings.
    pub fn subnet(&self, classes: usize, seed: u64) -> Result<SubnetConfig> {
        let family = Family::parse(&self.network)?;
        let (channels, cells, auxiliary) = (self.channels, self.cells, self.auxiliary > 0.0);
        let (auxiliary_skip, pool_norm) = (self.auxiliary_skip, self.pool_norm);
        Ok(SubnetConfig { family, channels, cells, auxiliary, classes, seed, auxiliary_skip, pool_norm })
    }

    /// Learning rate of a step (`epoch` from 1, `index` from 0, `steps` in an epoch): `lr (t + 1) / W` in the `W` steps of
    /// the warm-up (AutoDL-Projects counts `t` from 0: its first step has the rate 0), then the cosine of
    /// [`TrainConfig::learning_rate`] over the steps that are left, or over the epochs, or `lr 0.97^epoch`.
    pub fn learning_rate(&self, epoch: usize, index: usize, steps: usize) -> f64 {
        let warmup = self.warmup.min(self.epochs);
        if epoch <= warmup {
            return self.lr * ((epoch.max(1) - 1) * steps + index + 1) as f64 / (warmup * steps) as f64;
        }
        let (lr, lr_min, epochs, epoch) = (self.lr, self.lr_min, self.epochs - warmup, epoch - warmup);
        let cosine = TrainConfig { lr, lr_min, epochs, ..TrainConfig::default() };
        match self.schedule {
            Schedule::Step => cosine.learning_rate(epoch, index, steps),
            Schedule::Epoch => cosine.learning_rate(epoch, 0, 1),
            Schedule::Exponential => (lr * 0.97f64.powi(epoch as i32 - 1)).max(lr_min),
        }
    }

    /// Probability that a path is kept in `epoch` (from 1): `1 - drop_path (epoch - 1) / E`.
    pub fn keep_path(&self, epoch: usize) -> f64 {
        1.0 - self.drop_path * (epoch.saturating_sub(1) as f64 / self.epochs.max(1) as f64).min(1.0)
    }
}

/// Whether a map's value is one, and not the word for "the recipe's".
fn is_given(key: &str, value: &Given) -> bool {
    match key {
        "recipe" | "network" => false,
        _ => !(NEVER_ZERO.contains(&key) && *value == Given::Whole(0)),
    }
}

/// The name that a map gives, if it is not the empty one.
fn name_in<'a>(map: &'a Givens, key: &str) -> Option<&'a str> {
    match map.get(key) {
        Some(Given::Text(name)) if !name.is_empty() => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map<const N: usize>(pairs: [(&str, Given); N]) -> Givens {
        pairs.map(|(name, given)| (name.to_string(), given)).into()
    }

    fn text(text: &str) -> Given {
        Given::Text(text.into())
    }

    #[test]
    fn the_learning_rate_rises_step_by_step_then_falls_by_a_cosine_to_the_end() {
        let schedule = Schedule::Step;
        let cfg = EvalConfig { epochs: 12, warmup: 2, lr: 1.0, lr_min: 0.0, schedule, ..Default::default() };
        for (epoch, index, lr) in
            [(1, 0, 0.05), (1, 9, 0.5), (2, 9, 1.0), (3, 0, 1.0), (8, 0, 0.5), (12, 9, 0.000246720), (13, 0, 0.0)]
        {
            let got = cfg.learning_rate(epoch, index, 10);
            assert!((got - lr).abs() < 1e-8, "epoch {epoch}, step {index}: {got}, expected {lr}");
        }
        for (schedule, epoch, index, lr) in [
            (Schedule::Epoch, 1, 9, 0.5),
            (Schedule::Epoch, 3, 9, 1.0),
            (Schedule::Epoch, 8, 9, 0.5),
            (Schedule::Epoch, 12, 0, 0.02447174),
            (Schedule::Exponential, 3, 9, 1.0),
            (Schedule::Exponential, 5, 0, 0.9409),
        ] {
            let got = EvalConfig { schedule, ..cfg.clone() }.learning_rate(epoch, index, 10);
            assert!((got - lr).abs() < 1e-8, "{schedule:?}, epoch {epoch}, step {index}: {got}, expected {lr}");
        }
        assert_eq!([1, 7, 13].map(|e| EvalConfig { drop_path: 0.2, ..cfg.clone() }.keep_path(e)), [1.0, 0.9, 0.8]);
    }

    #[test]
    fn a_map_goes_over_the_usual_settings_of_the_network_that_suits() {
        let of = |map: Givens, topology, side| EvalConfig::of_map(&map, topology, side);
        let nas = of(map([("epochs", Given::Whole(3)), ("iim_samples", Given::Whole(7))]), Topology::NasBench201, 32)
            .unwrap();
        assert_eq!((nas.epochs, nas.batch_size, nas.lr, nas.network.as_str()), (3, 256, 0.1, "nas-bench-201"));
        let cifar = of(map([("network", text(""))]), Topology::Darts, 16).unwrap();
        assert_eq!((cifar.cutout, cifar.auxiliary, cifar.drop_path), (8, 0.0, 0.2));
        assert_eq!(of(map([]), Topology::Darts, 224).unwrap(), Recipe::Paper.settings(Family::ImageNet, 224));
        let other = of(
            map([("recipe", text("quark0")), ("batch_size", Given::Whole(0)), ("clip", Given::Whole(0))]),
            Topology::Darts,
            32,
        )
        .unwrap();
        assert_eq!((other.nesterov, other.warmup, other.batch_size, other.clip), (false, 0, 96, 0.0));
        for (map, message) in [
            (map([("network", text("cifr"))]), "unknown network `cifr`, did you mean `cifar`?"),
            (map([("recipe", text("quark"))]), "unknown recipe `quark`, did you mean `quark0`?"),
            (
                map([("schedule", text("cosine"))]),
                "setting `schedule`: got \"cosine\" (a text), expected one of `step`, `epoch`, `exp",
            ),
            (
                map([("drop_path", Given::Fraction(1.0))]),
                "setting `drop_path`: got 1, expected 0 or more, and less than 1",
            ),
            (map([("epochs", text("x"))]), "setting `epochs`: got \"x\" (a text), expected a whole number"),
        ] {
            let error = of(map, Topology::Darts, 32).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn what_the_recipe_sets_is_told_and_a_warm_up_that_is_all() {
        let given = map([
            ("epochs", Given::Whole(4)),
            ("channels", Given::Whole(8)),
            ("cells", Given::Whole(0)),
            ("lr", Given::Fraction(0.1)),
        ]);
        let told = EvalConfig::of_map(&given, Topology::Darts, 32).unwrap().told(&given);
        assert_eq!(told.len(), 2);
        assert!(
            told[0].starts_with("recipe paper (")
                && told[0].contains("cells 20, warmup 5, batch_size 96, lr_min 0.0, ")
        );
        assert!(
            told[0].contains("schedule epoch, momentum 0.9, nesterov true") && !told[0].contains("lr 0.1"),
            "{told:?}"
        );
        assert!(told[1].contains("only rises: a warm-up of 5 epochs, 4 in all"), "{told:?}");
        let given = map([("epochs", Given::Whole(6))]);
        assert_eq!(EvalConfig::of_map(&given, Topology::Darts, 32).unwrap().told(&given).len(), 1);
    }
}
