//! The readable definition, on any device: the oracle of the kernel's tests.

use super::Step;
use crate::error::Result;
use candle_core::{Tensor, Var};

/// The new weight and the new momentum; no gradient or no momentum is zero.
pub fn update(w: &Var, m: Option<&Tensor>, g: Option<&Tensor>, step: &Step) -> Result<(Tensor, Tensor)> {
    let w = w.as_detached_tensor();
    let decay = (&w * step.weight_decay)?;
    let d = match g {
        Some(g) => (g.detach() * step.scale)?.add(&decay)?,
        None => decay,
    };
    let m = match m {
        Some(m) => ((m * step.momentum)? + &d)?,
        None => d.clone(),
    };
    let direction = if step.nesterov { (&d + (&m * step.momentum)?)? } else { m.clone() };
    Ok(((w - (direction * step.lr)?)?, m))
}
