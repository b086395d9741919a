//! The definition in candle tensor algebra.

use super::{EPS, MOMENTUM};
use candle_core::{Result, Tensor, Var};

/// `[b, c, h, w]` to `[c, b, h, w]` and back: sums over the last axes, and their gradients, are what candle is fast on.
fn swap(x: &Tensor) -> Result<Tensor> {
    x.transpose(0, 1)?.contiguous()
}

/// `[c]` as `[c, 1, 1, 1]`.
fn column(t: &Tensor) -> Result<Tensor> {
    t.reshape((t.elem_count(), 1, 1, 1))
}

/// Per channel of `x: [c, b, h, w]`, axis by axis: short sums keep the rounding of f32 small.
fn mean(x: &Tensor) -> Result<Tensor> {
    x.mean_keepdim(3)?.mean_keepdim(2)?.mean_keepdim(1)
}

/// `x: [c, b, h, w]` less its mean, divided by its standard deviation; the mean and the biased variance, `[c, 1, 1, 1]`.
fn normalised(x: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let m = mean(x)?;
    let centred = x.broadcast_sub(&m)?;
    let var = mean(&centred.sqr()?)?;
    Ok((centred.broadcast_div(&(&var + EPS)?.sqrt()?)?, m, var))
}

fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.broadcast_mul(&column(weight)?)?.broadcast_add(&column(bias)?)
}

/// Batch norm without affine part, by the batch's statistics: `x: [b, c, h, w]`, the same shape out.
pub fn batch_norm(x: &Tensor) -> Result<Tensor> {
    swap(&normalised(&swap(x)?)?.0)
}

/// Batch norm with affine part, by the batch's statistics; moves the running ones, where they are finite. All of `weight`, `bias`, `running_*` are `[c]`.
/// An error for a batch of a single value per channel, whose unbiased variance does not exist.
pub fn batch_norm_train(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    running_mean: &Var,
    running_var: &Var,
) -> Result<Tensor> {
    let n = check(x)?;
    let (y, mean, var) = normalised(&swap(x)?)?;
    let step = |running: &Var, batch: &Tensor| {
        let batch = (batch.detach().flatten_all()? * MOMENTUM)?.to_dtype(running.dtype())?;
        let old = running.as_detached_tensor();
        let new = ((&old * (1. - MOMENTUM))? + batch)?;
        // What is not finite does not move them: 0 x is 0, or NaN.
        running.set(&(&new * 0.)?.eq(0.)?.where_cond(&new, &old)?)
    };
    step(running_mean, &mean)?;
    step(running_var, &(var * (n as f64 / (n - 1) as f64))?)?;
    swap(&affine(&y, weight, bias)?)
}

/// Batch norm with affine part, by the batch's statistics; no running ones move. Its errors are those of [`batch_norm_train`].
pub fn batch_norm_affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    check(x)?;
    swap(&affine(&normalised(&swap(x)?)?.0, weight, bias)?)
}

/// How many values a channel has; one has no variance.
fn check(x: &Tensor) -> Result<usize> {
    let (b, _, h, w) = x.dims4()?;
    let n = b * h * w;
    if n < 2 {
        candle_core::bail!("batch norm in train mode: got {b} x {h} x {w} values a channel, expected at least 2")
    }
    Ok(n)
}

/// Batch norm with affine part, by the running statistics.
pub fn batch_norm_eval(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    running_mean: &Tensor,
    running_var: &Tensor,
) -> Result<Tensor> {
    let y = swap(x)?.broadcast_sub(&column(running_mean)?)?.broadcast_div(&column(&(running_var + EPS)?.sqrt()?)?)?;
    swap(&affine(&y, weight, bias)?)
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
        let still = batch_norm_affine(&x, &weight, &bias)?.flatten_all()?.to_vec1::<f32>()?;
        assert_eq!(still, y);
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
