//! The weights of a learner as a vector, and the learner as it was: what second-order steps and rollbacks are made of.

use super::{Learner, TrainConfig};
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::net::Gradients;
use crate::search::{State, finite};

impl Learner {
    /// `w += factor d` of every weight; what is not finite is an error, and nothing has moved.
    pub fn add(&mut self, direction: &Gradients, factor: f64) -> Result<()> {
        let params = self.net.params();
        if direction.params.len() != params.len() {
            let got = format!("a direction of {} tensors", direction.params.len());
            return Err(Error::invalid("add", got, format!("one of this network's {}", params.len())));
        }
        let place = || format!("epoch {}, outside a step", self.training.epoch);
        let mut moved = vec![];
        for (param, d) in params.iter().zip(&direction.params) {
            let Some(d) = d else { continue };
            if d.shape() != param.var.shape() {
                let what = format!("add, `{}`", param.name);
                return Err(Error::invalid(what, format!("{:?}", d.dims()), format!("{:?}", param.var.dims())));
            }
            let value = (param.var.as_detached_tensor() + (d.to_device(param.var.device())? * factor)?)?;
            finite::check(|| format!("the weight `{}`", param.name), &value, place, String::new)?;
            moved.push((param, value));
        }
        moved.iter().try_for_each(|(param, value)| param.var.set(value))?;
        self.turns.used();
        self.trace.moved();
        Ok(())
    }

    /// The weights themselves, as a direction; buffers are none.
    pub fn weights(&self) -> Result<Gradients> {
        let params = self.net.params();
        let mut found = params.beside(|_| None);
        for i in self.training.optimiser.weights() {
            found[*i] = Some(params.at(*i).var.as_detached_tensor().copy()?);
        }
        Ok(Gradients { params: found, ..Default::default() })
    }

    /// The momentum of every weight.
    pub fn momentum(&self) -> Result<Gradients> {
        let params = self.training.optimiser.momentum(self.net.params())?;
        Ok(Gradients { params, ..Default::default() })
    }

    /// The learning rate that a step on `batch` has.
    pub fn learning_rate(&self, batch: &Batch, cfg: &TrainConfig) -> Result<f64> {
        cfg.check()?;
        Ok(self.step_by(batch, cfg).step.lr)
    }

    /// Weights, running statistics, momentum and mask.
    pub fn snapshot(&self) -> Result<State> {
        let mask = serde_json::to_value(self.net.mask()).map_err(|e| Error::invalid("snapshot", e, "plain data"))?;
        let mut state = State { tensors: Default::default(), json: serde_json::json!({ "mask": mask }) };
        self.training.optimiser.save(self.net.params(), &mut state)?;
        Ok(state)
    }

    /// Take a snapshot back, to the bit; epoch and statistics go on.
    pub fn take_back(&mut self, snapshot: &State) -> Result<()> {
        let mask = serde_json::from_value(snapshot.json["mask"].clone())
            .map_err(|e| Error::invalid("snapshot, mask", e, "a mask"))?;
        self.training.optimiser.restore(self.net.params(), snapshot)?;
        self.net.set_mask(mask)?;
        self.turns.used();
        self.trace.moved();
        Ok(())
    }
}
