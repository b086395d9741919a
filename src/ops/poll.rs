//! `y = x`, and a place in the graph where a backward pass can stop: candle's own has none, and may take seconds.

use crate::interrupt;
use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor};

struct Poll;

fn check() -> Result<()> {
    if interrupt::requested() { Err(Error::Msg("interrupted".into())) } else { Ok(()) }
}

impl CustomOp1 for Poll {
    fn name(&self) -> &'static str {
        "poll"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        check()?;
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        check()?;
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        check()?;
        Ok(Some(gradient.clone()))
    }
}

/// `x`; an error, here and in a backward pass that comes by, once a stop was asked for ([`interrupt::requested`]). It copies
/// `x`, so it is for what is small: the weights of a layer.
pub fn poll(x: &Tensor) -> Result<Tensor> {
    check()?;
    // The copy is of a whole storage: a part of one is made one of its own first.
    let whole = x.is_contiguous() && x.layout().start_offset() == 0;
    if whole { x.apply_op1(Poll) } else { x.force_contiguous()?.apply_op1(Poll) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn a_value_and_its_gradient_pass_unchanged() -> Result<()> {
        let x = Var::new(&[[1f32, 2., 3.], [4., 5., 6.]], &Device::Cpu)?;
        for (dim, start, len, expected) in [
            (0, 0, 2, [[2f32, 4., 6.], [8., 10., 12.]]),
            (0, 1, 1, [[0., 0., 0.], [8., 10., 12.]]),
            (1, 1, 2, [[0., 4., 6.], [0., 10., 12.]]),
        ] {
            let part = x.narrow(dim, start, len)?;
            let y = poll(&part)?;
            assert_eq!(y.to_vec2::<f32>()?, part.to_vec2::<f32>()?);
            let gradients = (&y * &y)?.backward()?;
            assert_eq!(gradients.get(&x).unwrap().to_vec2::<f32>()?, expected);
        }
        Ok(())
    }
}
