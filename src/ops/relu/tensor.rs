//! The definition in candle tensor algebra.

use candle_core::{Result, Tensor};

/// `max(x, 0)`; the gradient passes but where `x <= 0`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    x.le(&zeros)?.where_cond(&zeros, x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn no_gradient_flows_at_zero() -> Result<()> {
        let x = Var::new(&[-1f32, 0., 2.], &Device::Cpu)?;
        let y = relu(&x)?;
        assert_eq!(y.to_vec1::<f32>()?, [0., 0., 2.]);
        assert_eq!(y.backward()?.get(&x).unwrap().to_vec1::<f32>()?, [0., 0., 1.]);
        Ok(())
    }

    /// Recorded: `torch.relu` and its gradient on the same numbers.
    #[test]
    fn what_is_not_finite_passes_as_in_pytorch() -> Result<()> {
        let x = Var::new(&[f32::NAN, f32::INFINITY, f32::NEG_INFINITY], &Device::Cpu)?;
        let y = relu(&x)?;
        let values = y.to_vec1::<f32>()?;
        assert!(values[0].is_nan() && values[1..] == [f32::INFINITY, 0.0], "{values:?}");
        assert_eq!((y * 3.)?.backward()?.get(&x).unwrap().to_vec1::<f32>()?, [3., 3., 0.]);
        for (x, y) in x.to_vec1::<f32>()?.into_iter().zip(values) {
            assert_eq!(super::super::relu(x).to_bits(), y.to_bits());
        }
        Ok(())
    }
}
