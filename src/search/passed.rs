//! What supernets and evaluation networks learn by: a forward pass whose logits and loss were looked at, and what is dropped in it.

use super::{finite, loss};
use crate::error::{Error, Result};
use crate::net::{DropPath, Logits, Params};
use candle_core::{D, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Logits and loss of a batch, all of them finite.
pub(super) struct Passed {
    /// What the network gave.
    pub out: Logits,
    /// The mean loss, a scalar in the graph.
    pub loss: Tensor,
}

/// What an error names where numbers are not finite.
pub(super) struct Where<'a> {
    /// The parameters of the network.
    pub params: &'a Params,
    /// The images.
    pub x: &'a Tensor,
    /// The mixing weights, if any.
    pub mixing: &'a [Tensor],
    /// "epoch 3, step 5".
    pub place: &'a dyn Fn() -> String,
}

impl Passed {
    /// The loss of [`loss::total`]. [`Error::Diverged`] where the logits or the loss are not finite; an error for a label that is
    /// none of the network's classes.
    pub fn of(out: Logits, y: &[u32], auxiliary: f64, smoothing: f64, at: &Where) -> Result<Self> {
        let all = [("the logits", Some(&out.logits)), ("the logits of the auxiliary head", out.auxiliary.as_ref())];
        for (what, logits) in all {
            let Some(logits) = logits else { continue };
            finite::check(|| what.into(), logits, at.place, || finite::cause(at.params, at.x, at.mixing))?;
        }
        let classes = out.logits.dim(D::Minus1)?;
        if let Some(class) = y.iter().find(|class| **class as usize >= classes) {
            let expected = format!("0 to {}: the network has {classes} classes", classes - 1);
            return Err(Error::invalid("label of a batch", class, expected));
        }
        let y = Tensor::from_slice(y, y.len(), out.logits.device())?;
        let loss = loss::total(&out, &y, auxiliary, smoothing)?;
        finite::check(|| "the loss".into(), &loss, at.place, || " (logits too far apart)".into())?;
        Ok(Passed { out, loss })
    }

    /// Number of images whose largest logit is their class's.
    pub fn right(&self, y: &[u32]) -> Result<usize> {
        let found: Vec<u32> = self.out.logits.argmax(D::Minus1)?.to_vec1()?;
        Ok(found.iter().zip(y).filter(|(a, b)| a == b).count())
    }
}

/// Which paths are kept for which images, `[paths][images]`: where `kept` is true of a uniform draw from [0, 1), which has the
/// probability `keep`. The draws are those of stream number `pass` of `seed`.
pub(super) fn drop_paths(
    (seed, pass): (u64, u64),
    (paths, images): (usize, usize),
    keep: f64,
    kept: impl Fn(f64) -> bool,
) -> DropPath {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(pass);
    let mut mask = || (0..images).map(|_| f32::from(u8::from(kept(random.random())))).collect();
    DropPath { keep, masks: (0..paths).map(|_| mask()).collect() }
}
