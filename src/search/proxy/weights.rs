//! Proxies made of gradients of weights.

use super::seen::Seen;
use super::{Images, Subject};
use crate::error::{Error, Result};
use crate::net::definition::Given;
use crate::net::graph::{Op, PoolKind, Role, Value};
use crate::net::ids::{ParamId, Table};
use crate::net::{Drops, Mode};
use crate::search::loss::cross_entropy;
use candle_core::{DType, Tensor, Var};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// How far the weights are moved for the product of Hessian and gradient, as a part of their norm.
const STEP: f64 = 1e-6;

/// Gradients of the loss, those of layers alone.
pub fn gradients(subject: &Subject, images: &Images) -> Result<Vec<(ParamId, Vec<f32>)>> {
    let network = subject.network;
    let logits =
        network.forward(None, &images.x, subject.mix.as_ref(), Mode::Batch.into(), Drops::default(), false)?.logits;
    let all = network.backward(&cross_entropy(&logits, &images.y, 0.0)?)?.params;
    let of = |weight: ParamId| all[weight].as_ref().map(|g| Ok((weight, g.flatten_all()?.to_vec1()?)));
    subject.layers().into_iter().filter_map(|layer| of(layer.weight)).collect()
}

/// `|g|_2` of each layer.
pub fn grad_norm(subject: &Subject, gradients: &[(ParamId, Vec<f32>)]) -> Table<ParamId, f64> {
    let mut numbers = subject.network.params().beside(|_| 0.0);
    for (weight, gradient) in gradients {
        numbers[*weight] = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    }
    numbers
}

/// `sum |w g|` of each layer.
pub fn snip(subject: &Subject, gradients: &[(ParamId, Vec<f32>)]) -> Result<Table<ParamId, f64>> {
    let params = subject.network.params();
    let mut numbers = params.beside(|_| 0.0);
    for (weight, gradient) in gradients {
        let w = params.at(*weight).var.flatten_all()?.to_vec1::<f32>()?;
        numbers[*weight] = w.iter().zip(gradient).map(|(w, g)| (f64::from(*w) * f64::from(*g)).abs()).sum();
    }
    Ok(numbers)
}

/// `sum over layers of log sum_w mean |g| / std g` over batches.
pub fn zico(batches: &[Seen]) -> Result<f64> {
    let mut seen: BTreeMap<ParamId, Vec<&[f32]>> = BTreeMap::new();
    for (weight, gradient) in batches.iter().flat_map(|seen| &seen.gradients) {
        seen.entry(*weight).or_default().push(gradient);
    }
    let n = batches.len() as f64;
    let ratio = |gradients: &[&[f32]], i: usize| {
        let of = || gradients.iter().map(|g| f64::from(g[i]));
        // Told by their bits: the deviation of equal numbers may be off by a rounding, and the ratio is then out of all bounds.
        if gradients.iter().all(|g| g[i] == gradients[0][i]) {
            return 0.0;
        }
        let mean = of().sum::<f64>() / n;
        let deviation = (of().map(|g| (g - mean).powi(2)).sum::<f64>() / n).sqrt();
        of().map(f64::abs).sum::<f64>() / n / deviation
    };
    let sums = seen.values().map(|gradients| (0..gradients[0].len()).map(|i| ratio(gradients, i)).sum::<f64>());
    let sums: Vec<f64> = sums.filter(|sum| *sum != 0.0).collect();
    if sums.is_empty() {
        return Err(Error::invalid("proxy zico", "batches of the same gradients", "batches that differ"));
    }
    Ok(sums.iter().map(|sum| sum.ln()).sum())
}

/// The parameters in f64; those of layers are variables, which the first list names.
fn variables(
    subject: &Subject,
    value: impl Fn(&Tensor) -> candle_core::Result<Tensor>,
) -> Result<(Vec<(ParamId, Var)>, Table<ParamId, Tensor>)> {
    let layers: Vec<ParamId> = subject.layers().into_iter().map(|layer| layer.weight).collect();
    let (params, mut variables, mut all) = (subject.network.params(), vec![], Table::default());
    for i in params.ids() {
        let param = params.at(i);
        let given = value(&param.var.as_detached_tensor().to_dtype(DType::F64)?)?;
        if param.role == Role::Weight && layers.contains(&i) {
            let variable = Var::from_tensor(&given)?;
            all.push(variable.as_tensor().clone());
            variables.push((i, variable));
        } else {
            all.push(given);
        }
    }
    Ok((variables, all))
}

/// `sum |w dR/dw|` of each layer: in f64, for R is a product over the layers.
pub fn synflow(subject: &Subject, images: &Images) -> Result<Table<ParamId, f64>> {
    let (variables, weights) = variables(subject, Tensor::abs)?;
    let no_norms =
        |_: Value, op: &Op, x: &Tensor, y: Tensor| Ok(if matches!(op, Op::Norm { .. }) { x.clone() } else { y });
    let (_, c, h, w) = images.x.dims4()?;
    let ones = Tensor::ones((1, c, h, w), DType::F64, images.x.device())?;
    let given = Given { weights: Some(&weights), watch: Some(&no_norms) };
    let logits = subject.network.measured(&ones, subject.mix.as_ref(), Mode::Eval, DType::F64, given)?;
    let gradients = logits.sum_all()?.backward()?;
    let mut numbers = weights.beside(|_| 0.0);
    for (i, variable) in variables {
        if let Some(gradient) = gradients.get(&variable) {
            numbers[i] = (variable.as_tensor() * gradient)?.abs()?.sum_all()?.to_scalar()?;
        }
    }
    Ok(numbers)
}

/// What each ReLU and each maximum lets through: of one pass for all, so that between them the loss is smooth in the weights. With
/// moving gates a difference of gradients counts the units that switch, which the Hessian of autograd does not.
#[derive(Default)]
struct Gates(RefCell<BTreeMap<Value, Vec<Tensor>>>);

impl Gates {
    fn watch(&self, i: Value, op: &Op, x: &Tensor, y: Tensor) -> Result<Tensor> {
        let taps = |fill| match op {
            Op::Relu { .. } => Ok(vec![x.clone()]),
            Op::Pool { kind: PoolKind::Maximum, window, .. } => window.taps(x, fill),
            _ => Ok(vec![]),
        };
        let mut gates = self.0.borrow_mut();
        if let Some(gates) = gates.get(&i) {
            let through =
                taps(0.0)?.iter().zip(gates).map(|(tap, gate)| tap * gate).collect::<candle_core::Result<Vec<_>>>()?;
            return Ok(through[1..].iter().try_fold(through[0].clone(), |sum, tap| sum + tap)?);
        }
        let (mut open, mut free) = (vec![], y.ones_like()?.detach());
        for tap in taps(f32::NEG_INFINITY)? {
            let here = match op {
                Op::Relu { .. } => tap.gt(0.0)?,
                // The first of equals.
                _ => tap.eq(&y)?,
            };
            let here = (here.to_dtype(DType::F64)? * &free)?.detach();
            free = (free - &here)?;
            open.push(here);
        }
        if !open.is_empty() {
            gates.insert(i, open);
        }
        Ok(y)
    }
}

/// `-sum w (H g)` of each layer; H g is the central difference of gradients, in f64, with the gates of the middle.
pub fn grasp(subject: &Subject, images: &Images) -> Result<Table<ParamId, f64>> {
    let gates = Gates::default();
    let watch = |i: Value, op: &Op, x: &Tensor, y: Tensor| gates.watch(i, op, x, y);
    // Gradients of the layers at weights moved by `step` times `along`.
    let at = |step: f64, along: &BTreeMap<ParamId, Tensor>| -> Result<BTreeMap<ParamId, (Tensor, Tensor)>> {
        let (mut variables, mut weights) = variables(subject, |w| Ok(w.clone()))?;
        for (i, variable) in &mut variables {
            if let Some(direction) = along.get(i) {
                *variable = Var::from_tensor(&(variable.as_detached_tensor() + (direction * step)?)?)?;
                weights[*i] = variable.as_tensor().clone();
            }
        }
        let given = Given { weights: Some(&weights), watch: Some(&watch) };
        let logits = subject.network.measured(&images.x, subject.mix.as_ref(), Mode::Batch, DType::F64, given)?;
        let gradients = cross_entropy(&logits, &images.y, 0.0)?.backward()?;
        let with = |(i, var): (ParamId, Var)| gradients.get(&var).map(|g| (i, (var.as_detached_tensor(), g.clone())));
        Ok(variables.into_iter().filter_map(with).collect())
    };
    let middle = at(0.0, &BTreeMap::new())?;
    let norm = |of: fn(&(Tensor, Tensor)) -> &Tensor| -> Result<f64> {
        let squares = middle.values().map(|pair| Ok(of(pair).sqr()?.sum_all()?.to_scalar::<f64>()?));
        Ok(squares.sum::<Result<f64>>()?.sqrt())
    };
    let (weights, gradient) = (norm(|pair| &pair.0)?, norm(|pair| &pair.1)?);
    if gradient == 0.0 {
        return Ok(subject.network.params().beside(|_| 0.0));
    }
    let step = STEP * weights / gradient;
    let along = middle.iter().map(|(i, (_, g))| (*i, g.clone())).collect();
    let (above, below) = (at(step, &along)?, at(-step, &along)?);
    let mut numbers = subject.network.params().beside(|_| 0.0);
    for (i, (w, _)) in &middle {
        if let (Some((_, above)), Some((_, below))) = (above.get(i), below.get(i)) {
            numbers[*i] = -(w * (above - below)?)?.sum_all()?.to_scalar::<f64>()? / (2.0 * step);
        }
    }
    Ok(numbers)
}
