//! The definition in candle tensor algebra.

use candle_core::{Result, Tensor};

/// `max(x, 0)`; the gradient passes where `x > 0`.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    let zeros = x.zeros_like()?;
    x.gt(&zeros)?.where_cond(x, &zeros)
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
}
