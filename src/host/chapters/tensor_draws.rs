//! Draws whose distribution has parameters that gradients flow to, along the path of the draw.

use super::tensor_elements::moving;
use crate::host::handles::tensor::TensorHandle;
use crate::host::run::Run;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise_tensor, wrong};
use crate::host::script::functions::functions;
use crate::ops::special::gamma_gradient;
use candle_core::{D, Tensor};
use std::rc::Rc;

/// Draws from Gamma(`a`, 1) for each `a`, and how each moves with it.
fn gammas(host: &Run, name: &str, of: &TensorHandle) -> Fallible<(Vec<f64>, Vec<f64>)> {
    let shapes = of.0.detach().flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(raise_tensor)?;
    if let Some(bad) = shapes.iter().find(|a| !(**a > 0.0 && a.is_finite())) {
        return Err(wrong(format!("{name}, concentration"), bad, "finite numbers above 0"));
    }
    let mut stream = host.stream.borrow_mut();
    let draws: Vec<f64> = shapes.iter().map(|a| stream.gamma(f64::from(*a))).collect();
    let slopes = shapes.iter().zip(&draws).map(|(a, z)| gamma_gradient(f64::from(*a), *z)).collect();
    Ok((draws, slopes))
}

fn like(of: &TensorHandle, values: impl Iterator<Item = f64>) -> candle_core::Result<Tensor> {
    // What f32 would make 0 stays a number with a logarithm.
    let single = |v: f64| (v as f32).max(f32::MIN_POSITIVE);
    Tensor::from_vec(values.map(single).collect(), of.0.shape(), of.0.device())
}

fn signed(of: &TensorHandle, values: impl Iterator<Item = f64>) -> candle_core::Result<Tensor> {
    Tensor::from_vec(values.map(|v| v as f32).collect::<Vec<_>>(), of.0.shape(), of.0.device())
}

fn gamma(host: &Run, of: &TensorHandle) -> Fallible<TensorHandle> {
    let (draws, slopes) = gammas(host, "gamma_like", of)?;
    let value = like(of, draws.into_iter()).map_err(raise_tensor)?;
    host.trace.draw_tensor("gamma_like", &value)?;
    of.map(|a| if a.track_op() { moving(&value, a, &signed(of, slopes.into_iter())?) } else { Ok(value) })
}

/// Gammas divided by the sum of their row, `x = g / s`: `dx_i = (dg_i - x_i sum_j dg_j) / s`.
fn dirichlet(host: &Run, of: &TensorHandle) -> Fallible<TensorHandle> {
    let last = of.0.dims().last().copied().unwrap_or(0).max(1);
    let (draws, slopes) = gammas(host, "dirichlet", of)?;
    let sums: Vec<f64> = draws.chunks(last).flat_map(|row| std::iter::repeat_n(row.iter().sum(), last)).collect();
    let value = like(of, draws.iter().zip(&sums).map(|(g, s)| g / s)).map_err(raise_tensor)?;
    host.trace.draw_tensor("dirichlet", &value)?;
    of.map(|a| {
        if !a.track_op() {
            return Ok(value);
        }
        let zero = value.zeros_like()?;
        let dg = moving(&zero, a, &signed(of, slopes.iter().zip(&sums).map(|(d, s)| d / s))?)?;
        &value + (&dg - value.broadcast_mul(&dg.sum_keepdim(D::Minus1)?)?)?
    })
}

/// Register the draws.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    functions! { api, [host];
        /// Draws from Gamma(a, 1) for each number a of the tensor, from the run's random stream; gradients flow to the
        /// a along the draw (implicit reparametrisation, as torch.distributions.Gamma.rsample).
        ///
        /// ```rhai
        /// let a = variable(tensor([0.5, 2.0, 30.0])).value;
        /// let g = gamma_like(a);
        /// assert(g.min() > 0 && gradient(g.sum(), a).min() > 0);
        /// ```
        fn gamma_like(concentration: TensorHandle) -> Fallible<TensorHandle> { gamma(&host, &concentration) }

        /// Draws from the Dirichlet distribution with each row of the tensor as its concentration, from the run's random
        /// stream: rows that sum to 1; gradients flow to the concentration along the draw, as by
        /// torch.distributions.Dirichlet.rsample. DrNAS: dirichlet(alpha.values[0].elu() + 1).
        ///
        /// ```rhai
        /// let p = dirichlet(tensor([[1.0, 1.0, 1.0], [0.1, 5.0, 5.0]]));
        /// assert((p.sum(1) - 1.0).abs().max() < 1e-6);
        /// ```
        fn dirichlet(concentration: TensorHandle) -> Fallible<TensorHandle> { dirichlet(&host, &concentration) }
    }
}
