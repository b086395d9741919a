//! Proxies that look at images inside the network, or at gradients with respect to them.

use super::spectrum::eigenvalues;
use super::{Images, Subject};
use crate::error::{Error, Result};
use crate::net::definition::{Given, Watch};
use crate::net::graph::{Op, Role, Value};
use crate::net::ids::{ParamId, Table};
use crate::net::{Mode, Params};
use crate::ops::noise;
use crate::search::loss::cross_entropy;
use candle_core::{DType, Tensor, Var};
use std::cell::RefCell;

/// Added to eigenvalues.
const K: f64 = 1e-5;
/// Below this part of the largest, an eigenvalue is 0 but for rounding.
const SINGULAR: f64 = 1e-13;
/// A gradient that deviates from its mean by less than this part of itself is the same everywhere but for rounding, in f32.
const SAME: f64 = 1e-6;
/// The second image's share in zen.
const MIXUP: f64 = 1e-2;
/// How far a pass moves running statistics, as PyTorch has it.
const MOMENTUM: f64 = 0.1;

/// The logits of a watched pass, by the statistics of the batch.
fn watched(
    subject: &Subject,
    x: &Tensor,
    dtype: DType,
    weights: Option<&Table<ParamId, Tensor>>,
    watch: Watch,
) -> Result<Tensor> {
    let given = Given { weights, watch: Some(watch) };
    subject.network.measured(x, subject.mix.as_ref(), Mode::Batch, dtype, given)
}

/// [`super::seen::Seen::fisher`] by the definition. An output is multiplied by 1 for each image and channel; the gradient of that 1 is
/// `sum over pixels a dL/da`.
pub fn fisher(subject: &Subject, images: &Images) -> Result<Table<ParamId, f64>> {
    let ones: RefCell<Vec<(ParamId, Var)>> = RefCell::default();
    let layers = subject.layers();
    let watch = |i: Value, _: &Op, _: &Tensor, y: Tensor| {
        let Some(layer) = layers.iter().find(|layer| layer.step == i) else { return Ok(y) };
        let mut shape = y.dims().to_vec();
        shape[2..].fill(1);
        let one = Var::ones(shape, y.dtype(), y.device())?;
        let y = y.broadcast_mul(one.as_tensor())?;
        ones.borrow_mut().push((layer.weight, one));
        Ok(y)
    };
    let logits = watched(subject, &images.x, DType::F32, None, &watch)?;
    let gradients = cross_entropy(&logits, &images.y, 0.0)?.backward()?;
    let mut numbers = subject.network.params().beside(|_| 0.0);
    for (weight, one) in ones.into_inner() {
        let Some(gradient) = gradients.get(&one) else { continue };
        let squares: f64 = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?.to_scalar()?;
        numbers[weight] = fisher_of(subject.network.params(), weight, squares, images.x.dim(0)?);
    }
    Ok(numbers)
}

/// The number of a layer, from the squares of `sum over pixels of a dL/da`, summed over channels and images.
pub fn fisher_of(params: &Params, weight: ParamId, squares: f64, images: usize) -> f64 {
    let shape = params.at(weight).var.dims();
    shape[1..].iter().product::<usize>() as f64 * 0.5 * squares / images as f64
}

fn same_at_all_pixels() -> Error {
    Error::invalid("proxy jacob_cov", "an image whose gradient is the same at all pixels", "gradients that differ")
}

/// [`super::seen::Seen::inputs`] by the definition, in f64.
pub fn inputs(subject: &Subject, images: &Images) -> Result<Tensor> {
    let x = Var::from_tensor(&images.x.to_dtype(DType::F64)?)?;
    let given = Given::default();
    let logits = subject.network.measured(&x, subject.mix.as_ref(), Mode::Batch, DType::F64, given)?;
    let gradients = logits.sum_all()?.backward()?;
    Ok(gradients.get(&x).ok_or_else(same_at_all_pixels)?.flatten_from(1)?)
}

/// See [`super::Proxy::JacobCov`], of the images' gradients.
pub fn jacob_cov(rows: &Tensor) -> Result<f64> {
    let length = |rows: &Tensor| rows.sqr()?.sum_keepdim(1)?.sqrt();
    let whole = length(rows)?;
    let rows = rows.broadcast_sub(&rows.mean_keepdim(1)?)?;
    let lengths = length(&rows)?;
    let flat = (&whole * SAME)?.ge(&lengths)?.flatten_all()?.to_vec1::<u8>()?;
    if flat.contains(&1) {
        return Err(same_at_all_pixels());
    }
    let rows = rows.broadcast_div(&lengths)?;
    let correlations = rows.matmul(&rows.t()?.contiguous()?)?.flatten_all()?.to_vec1::<f64>()?;
    Ok(-eigenvalues(correlations, rows.dim(0)?).iter().map(|v| (v + K).ln() + (v + K).recip()).sum::<f64>())
}

/// [`super::seen::Seen::agreed`] by the definition.
pub fn agreed(subject: &Subject, images: &Images) -> Result<Vec<f64>> {
    let n = images.x.dim(0)?;
    let agreed: RefCell<Vec<f64>> = RefCell::new(vec![0.0; n * n]);
    let watch = |_: Value, op: &Op, x: &Tensor, y: Tensor| {
        if matches!(op, Op::Relu { .. }) {
            let codes: Vec<Vec<u64>> = x.flatten_from(1)?.to_vec2::<f32>()?.iter().map(|row| code(row)).collect();
            let units = x.elem_count() / n;
            let mut agreed = agreed.borrow_mut();
            for (i, a) in codes.iter().enumerate() {
                for (j, b) in codes.iter().enumerate() {
                    let differ: u32 = a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum();
                    agreed[i * n + j] += (units - differ as usize) as f64;
                }
            }
        }
        Ok(y)
    };
    watched(subject, &images.x, DType::F32, None, &watch)?;
    Ok(agreed.into_inner())
}

/// See [`super::Proxy::Naswot`], of the numbers of ReLUs that `n` images agree on.
pub fn naswot(agreed: &[f64], n: usize) -> Result<f64> {
    let values = eigenvalues(agreed.to_vec(), n);
    let largest = values.iter().fold(0.0, |largest: f64, v| largest.max(v.abs()));
    if values.iter().any(|v| v.abs() <= SINGULAR * largest) {
        let got = "images that all ReLUs see alike, so that the determinant is 0";
        return Err(Error::invalid("proxy naswot", got, "images that differ"));
    }
    Ok(values.iter().map(|v| v.abs().ln()).sum())
}

/// A bit for each unit that is on.
fn code(row: &[f32]) -> Vec<u64> {
    row.chunks(64).map(|part| part.iter().fold(0, |bits, x| bits << 1 | u64::from(*x > 0.0))).collect()
}

/// What zen draws: all weights, an image and the one that is mixed in.
pub struct Draws {
    /// Weights of layers normal, biases 0, norms 1 and 0.
    pub weights: Table<ParamId, Tensor>,
    /// As the images of the batch.
    pub x: [Tensor; 2],
}

impl Draws {
    /// By `seed`.
    pub fn of(subject: &Subject, images: &Images, seed: u64) -> Result<Self> {
        let device = images.x.device();
        let layers: Vec<ParamId> = subject.layers().into_iter().map(|layer| layer.weight).collect();
        let (params, mut weights) = (subject.network.params(), Table::default());
        for i in params.ids() {
            let param = params.at(i);
            weights.push(match param.role {
                Role::Weight if layers.contains(&i) => noise::draw(seed, &param.name, param.var.dims(), device)?,
                Role::Weight if param.name.ends_with(".bias") => param.var.zeros_like()?.detach(),
                Role::Weight => param.var.ones_like()?.detach(),
                Role::Buffer => param.var.as_detached_tensor(),
            });
        }
        let image = |place| noise::draw(seed, place, images.x.dims(), device);
        Ok(Draws { weights, x: [image("x")?, image("x'")?] })
    }
}

/// See [`super::Proxy::Zen`]: running variances as the two passes leave them.
pub fn zen(subject: &Subject, images: &Images, draws: &Draws) -> Result<f64> {
    let [x, other] = &draws.x;
    let xs = [x, &(x + (other * MIXUP)?)?];
    let (features, variances) = match zen_on_engine(subject, xs, draws)? {
        Some(found) => found,
        None => zen_by_definition(subject, xs, draws)?,
    };
    let apart: f64 = features[0].iter().zip(&features[1]).map(|(a, b)| f64::from((a - b).abs())).sum();
    let scale = |variances: &Vec<f64>| 0.5 * (variances.iter().sum::<f64>() / variances.len() as f64).ln();
    Ok((apart / images.x.dim(0)? as f64).ln() + variances.iter().map(scale).sum::<f64>())
}

/// Features of two passes, and the running variances that these leave.
type Passed = ([Vec<f32>; 2], Vec<Vec<f64>>);

fn zen_on_engine(subject: &Subject, xs: [&Tensor; 2], draws: &Draws) -> Result<Option<Passed>> {
    let mut weights = draws.weights.clone();
    let mut features: [Vec<f32>; 2] = Default::default();
    for (x, features) in xs.into_iter().zip(&mut features) {
        let moved = subject.network.look(x, subject.mix.as_ref(), |mut look| {
            let running = look.forward(&weights, Mode::Train)?.running;
            *features = look.features();
            Ok(running)
        })?;
        let Some(moved) = moved else { return Ok(None) };
        for (i, values) in moved {
            weights[i] = Tensor::from_vec(values, weights[i].shape(), x.device())?;
        }
    }
    let mut variances = vec![];
    for step in &subject.network.graph().steps {
        if let Op::Norm { affine: Some(norm), .. } = step.op {
            variances.push(weights[norm.var].to_dtype(DType::F64)?.to_vec1()?);
        }
    }
    Ok(Some((features, variances)))
}

fn zen_by_definition(subject: &Subject, xs: [&Tensor; 2], draws: &Draws) -> Result<Passed> {
    let running: RefCell<Vec<(ParamId, Vec<f64>)>> = RefCell::default();
    let features: RefCell<Vec<Tensor>> = RefCell::default();
    let params = subject.network.params();
    let watch = |_: Value, op: &Op, x: &Tensor, y: Tensor| {
        if let Op::Mean { .. } = op {
            features.borrow_mut().push(x.clone());
        }
        if let Op::Norm { affine: Some(norm), .. } = op {
            let channels = x.transpose(0, 1)?.flatten_from(1)?.to_dtype(DType::F64)?;
            // Unbiased, as running variances are.
            let batch = channels.var(1)?.to_vec1::<f64>()?;
            let mut running = running.borrow_mut();
            let at = match running.iter().position(|(at, _)| *at == norm.var) {
                Some(at) => at,
                None => {
                    let old = params.at(norm.var).var.as_detached_tensor().to_dtype(DType::F64)?;
                    running.push((norm.var, old.to_vec1()?));
                    running.len() - 1
                }
            };
            running[at].1.iter_mut().zip(batch).for_each(|(old, new)| *old += MOMENTUM * (new - *old));
        }
        Ok(y)
    };
    for x in xs {
        watched(subject, x, DType::F32, Some(&draws.weights), &watch)?;
    }
    let features = features.into_inner();
    let features = [0, 1].map(|i| features[i].flatten_all()?.to_vec1());
    let [a, b] = features;
    Ok(([a?, b?], running.into_inner().into_iter().map(|(_, variances)| variances).collect()))
}
