//! The CPU kernel: one pass over weight, momentum and gradient, nothing allocated.

use super::Step;
use crate::error::Result;
use crate::ops::vectorized;
use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Tensor, Var};
use std::cell::RefCell;

/// The update of one weight, as a candle in-place op on it. The momentum is a buffer of the optimiser's own: candle lends
/// one tensor for writing at a time, and a second pass over memory would cost as much as the first.
struct Update<'a> {
    momentum: RefCell<&'a mut [f32]>,
    step: &'a Step,
}

/// `w`, `m` <- the step of [`super`] with gradient `g`.
pub(super) fn update(w: &Var, m: &mut [f32], g: Option<&Tensor>, step: &Step) -> Result<()> {
    let op = Update { momentum: RefCell::new(m), step };
    match g {
        Some(g) if g.is_contiguous() => w.inplace_op2(g, &op)?,
        Some(g) => w.inplace_op2(&g.contiguous()?, &op)?,
        None => w.inplace_op1(&op)?,
    }
    Ok(())
}

impl Update<'_> {
    fn run(&self, w: &mut [f32], g: impl Iterator<Item = f32>) {
        let Step { lr, momentum, nesterov, weight_decay, scale } = *self.step;
        let (lr, mu, decay, scale) = (lr as f32, momentum as f32, weight_decay as f32, scale as f32);
        // The direction: shares of `d` and of the momentum.
        let (of_d, of_m) = if nesterov { (1.0, mu) } else { (0.0, 1.0) };
        let mut m = self.momentum.borrow_mut();
        vectorized!({
            for ((w, m), g) in w.iter_mut().zip(m.iter_mut()).zip(g) {
                let d = scale * g + decay * *w;
                *m = mu * *m + d;
                *w -= lr * (of_d * d + of_m * *m);
            }
        });
    }
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu_fwd(&self, w: &mut CpuStorage, w_layout: &Layout) -> candle_core::Result<()> {
        self.run(slice_mut(w, w_layout)?, std::iter::repeat(0.0));
        Ok(())
    }
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn cpu_fwd(
        &self,
        w: &mut CpuStorage,
        w_layout: &Layout,
        g: &CpuStorage,
        g_layout: &Layout,
    ) -> candle_core::Result<()> {
        let w = slice_mut(w, w_layout)?;
        let g = slice(g, g_layout)?;
        if g.len() != w.len() {
            candle_core::bail!("sgd: a gradient of {} numbers for a weight of {}", g.len(), w.len());
        }
        self.run(w, g.iter().copied());
        Ok(())
    }
}

/// Sum of squares in f64, in eight interleaved partial sums so that it vectorises.
pub(super) fn sum_of_squares(g: &Tensor) -> Result<f64> {
    if !g.is_contiguous() {
        return sum_of_squares(&g.contiguous()?);
    }
    let (storage, layout) = g.storage_and_layout();
    let candle_core::Storage::Cpu(storage) = &*storage else { unreachable!("called for CPU tensors only") };
    let values = slice(storage, layout)?;
    Ok(vectorized!({
        let mut partial = [0f64; 8];
        let (chunks, rest) = values.as_chunks::<8>();
        for chunk in chunks {
            for (p, v) in partial.iter_mut().zip(chunk) {
                *p += f64::from(*v) * f64::from(*v);
            }
        }
        partial.iter().sum::<f64>() + rest.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>()
    }))
}

fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> candle_core::Result<&'a [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or(candle_core::Error::Msg("sgd: not contiguous".into()))?;
    Ok(&storage.as_slice::<f32>()?[start..end])
}

fn slice_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> candle_core::Result<&'a mut [f32]> {
    let (start, end) = layout.contiguous_offsets().ok_or(candle_core::Error::Msg("sgd: not contiguous".into()))?;
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[start..end]),
        _ => Err(candle_core::Error::Msg("sgd: weights are f32".into())),
    }
}
