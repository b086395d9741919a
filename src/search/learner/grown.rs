//! A larger supernet that goes on from a smaller one.

use super::Learner;
use crate::error::{Error, Result};
use crate::net::{Supernet, SupernetConfig, grow};
use crate::search::Stateful;
use crate::space::SearchSpace;
use candle_core::Tensor;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// What became of the parameters, and those that were widened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Taken over as they are.
    pub kept: usize,
    /// Widened.
    pub widened: usize,
    /// Fresh.
    pub fresh: usize,
}

impl Learner {
    /// A learner of a supernet of `space` and `config` (its seed is that of fresh weights) that begins at these weights, as
    /// [`grow`] says, at this momentum, mask and epoch, with the same candidates frozen, with this seed of batches. Weights that were widened move by up to `noise` of
    /// themselves: copies that stay equal would learn the same.
    ///
    /// # Errors
    /// Another wiring or number of classes, fewer channels, cells or nodes; what [`Supernet::new`] refuses.
    pub fn grown(&self, space: SearchSpace, config: SupernetConfig, noise: f64) -> Result<(Learner, Growth)> {
        if !(0.0..1.0).contains(&noise) {
            return Err(Error::invalid("growth of a supernet, noise", noise, "0 or more, and less than 1"));
        }
        let (old_space, old_config) = (self.net.space(), self.net.config());
        grow::check((&space, &config), (old_space, old_config))?;
        let net = Supernet::new(space.clone(), config, self.net.device())?;
        let mut grown = Learner::new(net, self.training.seed);
        let (old, mut state) = (self.state()?, grown.state()?);
        let mut random = ChaCha8Rng::seed_from_u64(config.seed);
        let mut growth = Growth::default();
        // In order, so that the noise is the same each time.
        for p in grown.net.params().iter() {
            let shape = p.var.dims();
            let source = grow::source((&space, &config), (old_space, old_config), &p.name);
            for kind in ["net", "momentum"] {
                let from = source.as_ref().and_then(|name| old.tensors.get(&format!("{kind}/{name}")));
                let from = from.filter(|from| grow::fits(shape, from.dims(), &config, old_config));
                let Some(to) = state.tensors.get_mut(&format!("{kind}/{}", p.name)) else { continue };
                let equal = from.map(|from| from.dims() == shape);
                if let Some(from) = from {
                    *to = grow::widened(from, shape)?;
                }
                if kind == "momentum" {
                    continue;
                }
                match equal {
                    Some(true) => growth.kept += 1,
                    Some(false) => {
                        growth.widened += 1;
                        // Running statistics stay those of the channels.
                        if shape.len() > 1 {
                            *to = moved(to, noise, &mut random)?;
                        }
                    }
                    None => growth.fresh += 1,
                }
            }
        }
        grown.training.optimiser.restore(grown.net.params(), &state)?;
        grown.net.set_mask(grow::mask(&space, old_space, self.net.mask()))?;
        let mut frozen = BTreeSet::new();
        for c in space.candidates() {
            let Some(from) = grow::candidate((&space, old_space), c) else { continue };
            let blocks = grown.blocks_of(c, None)?.into_iter();
            frozen.extend(
                blocks.filter(|k| self.frozen.contains(&(from, grow::block(&config, old_config, *k)))).map(|k| (c, k)),
            );
        }
        grown.freeze(frozen)?;
        (grown.training.epoch, grown.entered, grown.stats) = (self.training.epoch, self.entered, self.stats);
        Ok((grown, growth))
    }
}

fn moved(weight: &Tensor, noise: f64, random: &mut impl Rng) -> Result<Tensor> {
    let factors: Vec<f32> =
        (0..weight.elem_count()).map(|_| (1.0 + noise * random.random_range(-1.0..=1.0)) as f32).collect();
    Ok((weight * Tensor::from_vec(factors, weight.shape(), weight.device())?)?)
}
