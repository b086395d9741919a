//! The readable pass of an evaluation network in candle tensor algebra: runs on every device, differentiable by candle's
//! autograd; the oracle of the engine. May use: `ops::*::tensor`.

use super::graph::{Graph, Op, Value};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::net::layers::PoolKind;
use crate::net::{DropPath, Mode, Params};
use crate::ops::{batch_norm, conv, head, pool, relu};
use candle_core::{DType, Tensor, Var};

/// How a pass is run.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Which statistics batch norms use.
    pub mode: Mode,
    /// Drop path, in training.
    pub drop: Option<&'a DropPath>,
    /// Whether the auxiliary head is computed.
    pub auxiliary: bool,
    /// What it computes in: f64 as an oracle (parameters and results stay f32).
    pub dtype: DType,
}

/// Logits `[b, classes]` of `x: [b, 3, h, w]`, and those of the auxiliary head.
pub fn forward(graph: &Graph, params: &Params, x: &Tensor, how: How) -> Result<(Tensor, Option<Tensor>)> {
    let auxiliary = how.auxiliary;
    let wanted = graph.wanted(auxiliary);
    let mut last_use: Vec<usize> = (0..graph.steps.len()).collect();
    for (i, step) in graph.steps.iter().enumerate().filter(|(i, _)| wanted[*i]) {
        step.op.inputs().iter().for_each(|&x| last_use[x] = i);
    }
    let auxiliary = graph.auxiliary.filter(|_| auxiliary);
    let mut values: Vec<Option<Tensor>> = vec![None; graph.steps.len()];
    for (i, step) in graph.steps.iter().enumerate().filter(|(i, _)| wanted[*i]) {
        interrupt::check()?;
        let pass = Pass { params, values: &values, how };
        let value = if i == 0 { x.to_dtype(how.dtype)? } else { pass.step(&step.op)? };
        values[i] = Some(value);
        // Without a graph, this frees what nothing reads any more.
        for &read in step.op.inputs().iter().filter(|&&x| last_use[x] == i) {
            values[read] = None;
        }
    }
    let mut take = |value: Value| {
        let logits = values[value].take();
        let logits =
            logits.ok_or_else(|| Error::invalid("evaluation network", "no logits", "a step that computes them"))?;
        Ok::<_, Error>(logits.to_dtype(DType::F32)?)
    };
    Ok((take(graph.logits)?, auxiliary.map(take).transpose()?))
}

/// Logits of the auxiliary head from the image behind its first pool, which the engine computes.
pub fn auxiliary_head(graph: &Graph, params: &Params, pooled: Tensor, how: How) -> Result<Tensor> {
    let mut chain =
        vec![graph.auxiliary.ok_or_else(|| Error::invalid("evaluation network", "no auxiliary head", "one"))?];
    while !matches!(graph.steps[chain[chain.len() - 1]].op, Op::Pool { .. } | Op::Input) {
        chain.push(graph.steps[chain[chain.len() - 1]].op.inputs()[0]);
    }
    let mut values: Vec<Option<Tensor>> = vec![None; graph.steps.len()];
    let mut value = pooled;
    for pair in chain.windows(2).rev() {
        values[pair[1]] = Some(value);
        value = Pass { params, values: &values, how }.step(&graph.steps[pair[0]].op)?;
    }
    Ok(value.to_dtype(DType::F32)?)
}

struct Pass<'a> {
    params: &'a Params,
    values: &'a [Option<Tensor>],
    how: How<'a>,
}

impl Pass<'_> {
    fn value(&self, x: Value) -> Result<&Tensor> {
        self.values[x]
            .as_ref()
            .ok_or_else(|| Error::invalid("evaluation network", format!("step {x} too late"), "it before"))
    }

    fn param(&self, position: usize) -> Result<Tensor> {
        Ok(self.params.at(position).var.as_tensor().to_dtype(self.how.dtype)?)
    }

    fn all(&self, xs: &[Value]) -> Result<Vec<Tensor>> {
        xs.iter().map(|&x| self.value(x).cloned()).collect()
    }

    fn step(&self, op: &Op) -> Result<Tensor> {
        Ok(match op {
            Op::Input => return Err(Error::invalid("evaluation network", "a second input", "one")),
            Op::Relu { x } => relu::tensor::relu(self.value(*x)?)?,
            Op::Conv { x, weight, window, depthwise: false } => {
                conv::tensor::conv2d(self.value(*x)?, &self.param(*weight)?, *window).map_err(interrupt::or)?
            }
            Op::Conv { x, weight, window, depthwise: true } => {
                conv::tensor::depthwise_conv2d(self.value(*x)?, &self.param(*weight)?, *window)
                    .map_err(interrupt::or)?
            }
            Op::LongConv { x, weight, down, across } => {
                conv::tensor::conv2d_of(self.value(*x)?, &self.param(*weight)?, *down, *across)
                    .map_err(interrupt::or)?
            }
            Op::Norm { x, norm } => {
                let (x, gamma, beta) = (self.value(*x)?, self.param(norm.gamma)?, self.param(norm.beta)?);
                let (mean, var) = (&self.params.at(norm.mean).var, &self.params.at(norm.var).var);
                match self.how.mode {
                    Mode::Train => batch_norm::tensor::batch_norm_train(x, &gamma, &beta, mean, var)?,
                    Mode::Batch => batch_norm::tensor::batch_norm_affine(x, &gamma, &beta)?,
                    Mode::Eval => {
                        // Copies: a later pass in train mode moves the running statistics under this graph.
                        let copy = |v: &Var| v.as_detached_tensor().copy()?.to_dtype(self.how.dtype);
                        batch_norm::tensor::batch_norm_eval(x, &gamma, &beta, &copy(mean)?, &copy(var)?)?
                    }
                }
            }
            Op::Pool { x, kind: PoolKind::Average, window } => pool::tensor::avg_pool(self.value(*x)?, *window)?,
            Op::Pool { x, kind: PoolKind::Maximum, window } => pool::tensor::max_pool(self.value(*x)?, *window)?,
            Op::Offset { x } => {
                let x = self.value(*x)?;
                let (_, _, h, w) = x.dims4()?;
                x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.narrow(2, 1, h)?.narrow(3, 1, w)?.contiguous()?
            }
            Op::Zero { x, stride } => {
                let x = self.value(*x)?;
                let (b, c, h, w) = x.dims4()?;
                Tensor::zeros((b, c, h.div_ceil(*stride), w.div_ceil(*stride)), x.dtype(), x.device())?
            }
            Op::Concat { xs } => Tensor::cat(&self.all(xs)?, 1)?,
            Op::Sum { xs } => {
                let mut all = self.all(xs)?.into_iter();
                let first =
                    all.next().ok_or_else(|| Error::invalid("sum of an evaluation network", "nothing", "a term"))?;
                all.try_fold(first, |sum, x| sum + x)?
            }
            Op::DropPath { x, index } => match self.how.drop {
                Some(drop) if self.how.mode == Mode::Train => self.drop_path(self.value(*x)?, drop, *index)?,
                _ => self.value(*x)?.clone(),
            },
            Op::Mean { x } => head::tensor::global_mean(self.value(*x)?)?,
            Op::Flatten { x } => self.value(*x)?.flatten_from(1)?,
            Op::Linear { x, weight, bias } => {
                head::tensor::linear(self.value(*x)?, &self.param(*weight)?, &self.param(*bias)?)?
            }
        })
    }

    /// `x * mask / keep`, image by image.
    fn drop_path(&self, x: &Tensor, drop: &DropPath, index: usize) -> Result<Tensor> {
        let scale: Vec<f32> = drop.factors(index).collect();
        Ok(x.broadcast_mul(&Tensor::from_vec(scale, (x.dim(0)?, 1, 1, 1), x.device())?.to_dtype(x.dtype())?)?)
    }
}
