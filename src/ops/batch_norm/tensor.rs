//! The definition in candle tensor algebra.

use super::{EPS, MOMENTUM};
use candle_core::{Result, Tensor, Var};

/// Mean and biased variance per channel, both `[1, c, 1, 1]`.
fn statistics(x: &Tensor) -> Result<(Tensor, Tensor)> {
    // Axis by axis, so that each sum is short and its f32 rounding small.
    let mean_of = |t: &Tensor| t.mean_keepdim(3)?.mean_keepdim(2)?.mean_keepdim(0);
    let mean = mean_of(x)?;
    let var = mean_of(&x.broadcast_sub(&mean)?.sqr()?)?;
    Ok((mean, var))
}

fn normalise(x: &Tensor, mean: &Tensor, var: &Tensor) -> Result<Tensor> {
    x.broadcast_sub(mean)?.broadcast_div(&(var + EPS)?.sqrt()?)
}

fn per_channel(t: &Tensor) -> Result<Tensor> {
    t.reshape((1, t.elem_count(), 1, 1))
}

/// Without affine part, by the batch's statistics: `x: [b, c, h, w]`, the same shape out.
pub fn batch_norm(x: &Tensor) -> Result<Tensor> {
    let (mean, var) = statistics(x)?;
    normalise(x, &mean, &var)
}

/// With affine part, by the batch's statistics; moves the running ones. All of `weight`, `bias`, `running_*` are `[c]`.
/// An error for a batch of a single value per channel, whose unbiased variance does not exist.
pub fn batch_norm_train(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    running_mean: &Var,
    running_var: &Var,
) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    let n = b * h * w;
    if n < 2 {
        candle_core::bail!("batch norm in train mode: got {b} x {h} x {w} values a channel, expected at least 2")
    }
    let (mean, var) = statistics(x)?;
    let step = |running: &Var, batch: Tensor| {
        running.set(&((running.as_detached_tensor() * (1. - MOMENTUM))? + (batch.detach().reshape(c)? * MOMENTUM)?)?)
    };
    step(running_mean, mean.clone())?;
    step(running_var, (&var * (n as f64 / (n - 1) as f64))?)?;
    normalise(x, &mean, &var)?.broadcast_mul(&per_channel(weight)?)?.broadcast_add(&per_channel(bias)?)
}

/// With affine part, by the running statistics.
pub fn batch_norm_eval(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    running_mean: &Tensor,
    running_var: &Tensor,
) -> Result<Tensor> {
    normalise(x, &per_channel(running_mean)?, &per_channel(running_var)?)?
        .broadcast_mul(&per_channel(weight)?)?
        .broadcast_add(&per_channel(bias)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn running_statistics_move_by_a_tenth_with_the_unbiased_variance() -> Result<()> {
        let device = Device::Cpu;
        let x = Tensor::new(&[1f32, 2., 3., 6.], &device)?.reshape((2, 1, 2, 1))?;
        let one = |v: f32| Tensor::new(&[v], &device);
        let (weight, bias) = (one(2.)?, one(1.)?);
        let (mean, var) = (Var::new(&[10f32], &device)?, Var::new(&[20f32], &device)?);
        let y = batch_norm_train(&x, &weight, &bias, &mean, &var)?.flatten_all()?.to_vec1::<f32>()?;
        // Batch: mean 3, sum of squares 14, biased variance 3.5, unbiased 14 / 3.
        assert!((mean.to_vec1::<f32>()?[0] - (9. + 0.3)).abs() < 1e-6);
        assert!((var.to_vec1::<f32>()?[0] - (18. + 14. / 30.)).abs() < 1e-5);
        for (got, x) in y.iter().zip([1f32, 2., 3., 6.]) {
            assert!((got - (1. + 2. * (x - 3.) / 3.50001f32.sqrt())).abs() < 1e-5);
        }
        let eval = batch_norm_eval(&x, &weight, &bias, &one(1.)?, &one(4.)?)?.flatten_all()?.to_vec1::<f32>()?;
        assert!((eval[3] - 6.).abs() < 1e-4);
        Ok(())
    }

    #[test]
    fn one_value_a_channel_is_refused_in_train_mode() -> Result<()> {
        let v = Var::new(&[1f32], &Device::Cpu)?;
        let x = Tensor::ones((1, 1, 1, 1), candle_core::DType::F32, &Device::Cpu)?;
        assert!(batch_norm_train(&x, &v, &v, &v, &v).unwrap_err().to_string().contains("at least 2"));
        Ok(())
    }
}
