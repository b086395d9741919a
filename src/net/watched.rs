//! Tensors in the middle of a computation whose gradients a backward pass keeps: candle keeps those of variables alone.

use crate::error::Result;
use crate::interrupt;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, TensorId};
use std::cell::RefCell;

thread_local! {
    /// What the watched tensors of the backward pass under way have got.
    static SEEN: RefCell<Vec<(TensorId, Tensor)>> = const { RefCell::new(Vec::new()) };
}

/// The same numbers, as a tensor whose gradient [`backward`] keeps; a variable, and what remembers nothing, as it is.
pub fn watch(t: &Tensor) -> candle_core::Result<Tensor> {
    if t.is_variable() || !t.track_op() || t.dtype() != DType::F32 {
        return Ok(t.clone());
    }
    let t = t.contiguous()?;
    let at_begin = t.layout().start_offset() == 0;
    if at_begin { t.apply_op1(Watch) } else { t.affine(1.0, 0.0)?.apply_op1(Watch) }
}

/// Backward from a loss: the gradients of variables and of watched tensors.
pub fn backward(loss: &Tensor) -> Result<GradStore> {
    SEEN.take();
    let store = loss.backward();
    let seen = SEEN.take();
    let mut store = store.map_err(interrupt::or)?;
    seen.into_iter().for_each(|(id, gradient)| drop(store.insert_id(id, gradient)));
    Ok(store)
}

struct Watch;

impl CustomOp1 for Watch {
    fn name(&self) -> &'static str {
        "watched"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let values = &storage.as_slice::<f32>()?[..layout.shape().elem_count()];
        Ok((CpuStorage::F32(values.to_vec()), layout.shape().clone()))
    }

    #[cfg(feature = "cuda")]
    fn cuda_fwd(
        &self,
        storage: &candle_core::CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, out: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        SEEN.with_borrow_mut(|seen| seen.push((out.id(), gradient.clone())));
        Ok(Some(gradient.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn the_gradient_of_what_lies_between_variable_and_loss_is_kept() {
        let x = Var::from_vec(vec![1f32, 2.0, 3.0], 3, &Device::Cpu).unwrap();
        let y = watch(&x.sqr().unwrap().narrow(0, 1, 2).unwrap()).unwrap();
        let z = watch(&(&y * 3.0).unwrap()).unwrap();
        let store = backward(&(z.sqr().unwrap().sum_all().unwrap() + y.sum_all().unwrap()).unwrap()).unwrap();
        let of = |t: &Tensor| store.get(t).unwrap().to_vec1::<f32>().unwrap();
        // z = 3 x^2; dz = 2 z; dy = 3 dz + 1; dx = 2 x dy.
        assert_eq!(of(&z), [24.0, 54.0]);
        assert_eq!(of(&y), [73.0, 163.0]);
        assert_eq!(of(&x), [0.0, 292.0, 978.0]);
        assert!(watch(&x).unwrap().is_variable() && !watch(&x.detach()).unwrap().track_op());
    }
}
