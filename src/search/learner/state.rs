//! What a learner saves and takes back.

use super::Learner;
use crate::error::{Error, Result};
use crate::net::SupernetConfig;
use crate::search::{State, Stateful};

impl Stateful for Learner {
    fn kind(&self) -> &'static str {
        "supernet"
    }

    /// Weights, buffers and momentum; mask, epoch, seed; space and size, which [`Learner::restore`] compares.
    fn state(&self) -> Result<State> {
        let mut state = State {
            tensors: Default::default(),
            json: serde_json::json!({
                "space": self.net.space().name(),
                "config": json(self.net.config())?,
                "mask": json(self.net.mask())?,
                "seed": self.training.seed,
                "epoch": self.training.epoch,
                "entered": self.entered,
                "stats": json(&self.stats)?,
                "frozen": json(&self.frozen)?,
            }),
        };
        self.training.optimiser.save(self.net.params(), &mut state)?;
        Ok(state)
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let saved = &state.json;
        let config: SupernetConfig = parse("config", saved["config"].clone())?;
        let compared = [
            ("space", saved["space"].clone(), self.net.space().name().into()),
            ("config", json(&config)?, json(self.net.config())?),
        ];
        for (what, got, here) in compared {
            if got != here {
                let expected = format!("{here}, as the script makes it");
                return Err(Error::invalid(format!("supernet of the checkpoint, {what}"), got, expected));
            }
        }
        let field = |name: &str| saved.get(name).cloned().unwrap_or_default();
        let mask = parse("mask", field("mask"))?;
        let (seed, epoch) = (parse("seed", field("seed"))?, parse("epoch", field("epoch"))?);
        let (entered, stats) = (parse("entered", field("entered"))?, parse("stats", field("stats"))?);

        let frozen = if saved["frozen"].is_null() { Default::default() } else { parse("frozen", field("frozen"))? };
        self.training.optimiser.restore(self.net.params(), &state)?;
        self.net.set_mask(mask)?;
        self.freeze(frozen)?;
        (self.training.seed, self.training.epoch, self.entered, self.stats) = (seed, epoch, entered, stats);
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(value).map_err(|e| Error::invalid("state of the supernet", e, "plain data"))
}

fn parse<T: serde::de::DeserializeOwned>(what: &str, value: serde_json::Value) -> Result<T> {
    serde_json::from_value(value)
        .map_err(|e| Error::invalid(format!("supernet of the checkpoint, {what}"), e, "its value"))
}
