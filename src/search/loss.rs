//! The loss that networks are trained on.

use crate::error::Result;
use crate::net::Logits;
use candle_core::{D, Tensor};

/// Mean cross-entropy of `logits: [b, classes]` with smoothed labels: `-sum_k q_k log p_k`, where `q` is `1 - smoothing` at
/// the class `y` and `smoothing / classes` everywhere on top (Szegedy et al., 2016; `label_smoothing` of PyTorch).
pub fn cross_entropy(logits: &Tensor, y: &Tensor, smoothing: f64) -> Result<Tensor> {
    if smoothing == 0.0 {
        return Ok(candle_nn::loss::cross_entropy(logits, y)?);
    }
    let log_p = candle_nn::ops::log_softmax(logits, D::Minus1)?;
    let right = log_p.gather(&y.unsqueeze(1)?, 1)?.mean_all()?;
    let smooth = log_p.mean_all()?;
    Ok(((right * (smoothing - 1.0))? - (smooth * smoothing)?)?)
}

/// The cross-entropy of the logits, plus `weight` times that of the auxiliary head's logits.
pub fn total(out: &Logits, y: &Tensor, weight: f64, smoothing: f64) -> Result<Tensor> {
    let loss = cross_entropy(&out.logits, y, smoothing)?;
    match &out.auxiliary {
        Some(auxiliary) => Ok((loss + (cross_entropy(auxiliary, y, smoothing)? * weight)?)?),
        None => Ok(loss),
    }
}
