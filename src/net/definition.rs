//! The readable pass of a network in candle tensor algebra: runs on every device, differentiable by candle's autograd in every
//! weight and mixing weight. The oracle of faster engines.

use super::graph::{AffineNorm, Graph, Op, PoolKind, Term, Value};
use super::ids::{MixId, ParamId, Table};
use super::{DropPath, Drops, Mode, Params, Pass, Paths};
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ops::poll::poll;
use crate::ops::{batch_norm, channels, conv, dropout, head, linear_sum, noise, pool, relu};
use candle_core::{DType, Tensor, Var};

/// Sees each live candidate's output in each cell: its mixing weight, `[b, c, h, w]`; `None` stands for zeros.
pub type Probe<'a> = &'a mut dyn FnMut(MixId, Option<&Tensor>) -> Result<()>;

/// Sees the value of a step (the value that it computes, its op, the first value that it reads, its own) and gives it, or another in its place.
pub type Watch<'a> = &'a dyn Fn(Value, &Op, &Tensor, Tensor) -> Result<Tensor>;

/// What measures of a network put in place of its own.
#[derive(Clone, Copy, Default)]
pub struct Given<'a> {
    /// In place of weights and buffers, in [`How::dtype`].
    pub weights: Option<&'a Table<ParamId, Tensor>>,
    /// What sees the steps that read something.
    pub watch: Option<Watch<'a>>,
}

/// How a pass is run.
#[derive(Clone, Copy, Debug)]
pub struct How<'a> {
    /// Which statistics batch norms use, and which candidates are computed.
    pub pass: Pass,
    /// What is left out.
    pub drops: Drops<'a>,
    /// Whether the auxiliary head is computed.
    pub auxiliary: bool,
    /// Whether gradients of the weights will be asked for; without, no graph of them is kept.
    pub track: bool,
    /// The type that it computes in: f64 as an oracle (parameters stay f32).
    pub dtype: DType,
    /// The seed of the draws of [`Op::Noise`], which follow besides from their place and the images.
    pub seed: u64,
}

/// Logits `[b, classes]` of `x: [b, 3, h, w]`, and those of the auxiliary head, in [`How::dtype`]; `mix`: the mixing weights,
/// `[n_mix]`.
pub fn forward(
    graph: &Graph,
    params: &Params,
    x: &Tensor,
    mix: &Tensor,
    how: How,
    probe: Option<Probe>,
) -> Result<(Tensor, Option<Tensor>)> {
    forward_given(graph, params, x, mix, how, probe, Given::default())
}

/// [`forward`] with what is `given` in place of the network's own.
pub fn forward_given(
    graph: &Graph,
    params: &Params,
    x: &Tensor,
    mix: &Tensor,
    how: How,
    mut probe: Option<Probe>,
    given: Given,
) -> Result<(Tensor, Option<Tensor>)> {
    let drawn = drawn(mix, graph.n_candidates, how.pass.paths)?;
    let needed = graph.needed(how.auxiliary, |coef| coef.mix().is_none_or(|i| drawn[i]));
    let mut last_use: Vec<usize> = (0..graph.steps.len()).collect();
    for (i, step) in graph.steps.iter().enumerate().filter(|(i, _)| needed[*i]) {
        step.op.inputs().iter().for_each(|x| last_use[x.0] = i);
    }
    let auxiliary = graph.auxiliary.filter(|_| how.auxiliary);
    let draws = graph.steps.iter().any(|s| matches!(s.op, Op::Noise { .. }));
    let draws = if draws { noise::key(x, how.seed)? } else { 0 };
    let (batch, _, h, w) = x.dims4()?;
    let (mix, sizes) = (mix.to_dtype(how.dtype)?, graph.sizes(h, w));
    let mut values: Vec<Option<Tensor>> = vec![None; graph.steps.len()];
    values[0] = Some(x.to_dtype(how.dtype)?);
    for (i, step) in graph.steps.iter().enumerate().skip(1).filter(|(i, _)| needed[*i]) {
        interrupt::check()?;
        let steps = Steps { graph, params, values: &values, how, given };
        let size = (batch, step.channels, sizes[i].0, sizes[i].1);
        values[i] = Some(match &step.op {
            Op::Sum { terms } => steps.sum(terms, &mix, &drawn, size, &mut probe)?,
            Op::Zero { .. } => Tensor::zeros(size, how.dtype, x.device())?,
            Op::Noise { place, .. } => {
                noise::draw(draws, place, &[size.0, size.1, size.2, size.3], x.device())?.to_dtype(how.dtype)?
            }
            op => steps.watched(Value(i), op)?,
        });
        // Without a graph, this frees what nothing reads any more.
        for read in step.op.inputs().iter().filter(|x| last_use[x.0] == i) {
            values[read.0] = None;
        }
    }
    let mut take = |value: Value| {
        let logits = values[value.0].take();
        logits.ok_or_else(|| Error::invalid("network", "no logits", "a step that computes them"))
    };
    Ok((take(graph.logits)?, auxiliary.map(take).transpose()?))
}

/// Logits of the auxiliary head from the image behind its first pool, which the engine computes.
pub fn auxiliary_head(graph: &Graph, params: &Params, pooled: Tensor, how: How) -> Result<Tensor> {
    let mut chain = vec![graph.auxiliary.ok_or_else(|| Error::invalid("network", "no auxiliary head", "one"))?];
    while !matches!(graph.op(chain[chain.len() - 1]), Op::Pool { .. } | Op::Input) {
        chain.push(graph.op(chain[chain.len() - 1]).inputs()[0]);
    }
    let mut values: Vec<Option<Tensor>> = vec![None; graph.steps.len()];
    let mut value = pooled;
    for pair in chain.windows(2).rev() {
        values[pair[1].0] = Some(value);
        value = Steps { graph, params, values: &values, how, given: Given::default() }.step(graph.op(pair[0]))?;
    }
    Ok(value)
}

/// For each mixing weight, whether what it weighs is computed; the first `candidates` are candidates'.
fn drawn(mix: &Tensor, candidates: usize, paths: Paths) -> Result<Table<MixId, bool>> {
    if paths == Paths::All {
        return Ok(Table::filled(mix.elem_count(), true));
    }
    let weights = mix.to_dtype(DType::F32)?.to_vec1::<f32>()?.into_iter().enumerate();
    Ok(weights.map(|(i, weight)| i >= candidates || weight != 0.0).collect())
}

struct Steps<'a> {
    graph: &'a Graph,
    params: &'a Params,
    values: &'a [Option<Tensor>],
    how: How<'a>,
    given: Given<'a>,
}

impl Steps<'_> {
    fn value(&self, x: Value) -> Result<&Tensor> {
        self.values[x.0]
            .as_ref()
            .ok_or_else(|| Error::invalid("network", format!("step {} too late", x.0), "it before"))
    }

    fn weight(&self, id: ParamId) -> Result<Tensor> {
        if let Some(weights) = self.given.weights {
            return Ok(weights[id].clone());
        }
        let var = &self.params.at(id).var;
        let weight = if self.how.track { var.as_tensor().clone() } else { var.as_detached_tensor() };
        // Every step with weights is a place to stop at, on the way there and back.
        Ok(poll(&weight).map_err(interrupt::or)?.to_dtype(self.how.dtype)?)
    }

    /// A step, and what is made of it by who watches.
    fn watched(&self, i: Value, op: &Op) -> Result<Tensor> {
        let value = self.step(op)?;
        match (self.given.watch, op.inputs().first()) {
            (Some(watch), Some(x)) => watch(i, op, self.value(*x)?, value),
            _ => Ok(value),
        }
    }

    fn step(&self, op: &Op) -> Result<Tensor> {
        Ok(match op {
            Op::Input | Op::Sum { .. } | Op::Zero { .. } | Op::Noise { .. } => {
                return Err(Error::invalid("network", format!("{op:?} here"), "a step of one value"));
            }
            Op::Relu { x } => relu::tensor::relu(self.value(*x)?)?,
            Op::Conv { x, weight, cancelled, down, across, depthwise } => {
                let (x, weight) = (self.value(*x)?, self.filter(*weight, *cancelled)?);
                match depthwise {
                    true => conv::tensor::depthwise_conv2d(x, &weight, *down),
                    false => conv::tensor::conv2d_of(x, &weight, *down, *across),
                }
                .map_err(interrupt::or)?
            }
            Op::Norm { x, affine: None } => batch_norm::tensor::batch_norm(self.value(*x)?)?,
            Op::Norm { x, affine: Some(norm) } => self.affine(self.value(*x)?, norm)?,
            Op::Pool { x, kind: PoolKind::Average, window } => pool::tensor::avg_pool(self.value(*x)?, *window)?,
            Op::Pool { x, kind: PoolKind::Maximum, window } => pool::tensor::max_pool(self.value(*x)?, *window)?,
            Op::Offset { x } => {
                let x = self.value(*x)?;
                let (_, _, h, w) = x.dims4()?;
                x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?.narrow(2, 1, h)?.narrow(3, 1, w)?.contiguous()?
            }
            Op::Concat { xs } => {
                let xs: Vec<&Tensor> = xs.iter().map(|x| self.value(*x)).collect::<Result<_>>()?;
                Tensor::cat(&xs, 1)?
            }
            Op::First { x, channels } => self.value(*x)?.narrow(1, 0, *channels)?,
            Op::Shuffle { first, rest, groups } => {
                channels::tensor::shuffle(self.value(*first)?, self.value(*rest)?, *groups)?
            }
            &Op::Dropout { x, place, behind } => {
                let x = self.value(x)?;
                match self.how.drops.values.and_then(|values| values.mask(place, behind)) {
                    Some(mask) => dropout::tensor::dropout(x, mask)?,
                    None => x.clone(),
                }
            }
            Op::Mean { x } => head::tensor::global_mean(self.value(*x)?)?,
            Op::Flatten { x } => self.value(*x)?.flatten_from(1)?,
            Op::Linear { x, weight, bias } => {
                head::tensor::linear(self.value(*x)?, &self.weight(*weight)?, &self.weight(*bias)?)?
            }
        })
    }

    /// A convolution's weights. A cancelled bias is left out, unless it is not finite, which the weights of the channel then
    /// are, too.
    fn filter(&self, weight: ParamId, cancelled: Option<ParamId>) -> Result<Tensor> {
        let weight = self.weight(weight)?;
        let Some(bias) = cancelled else { return Ok(weight) };
        let bias = self.params.at(bias).var.as_detached_tensor().to_dtype(self.how.dtype)?;
        Ok(weight.broadcast_add(&(bias.reshape(((), 1, 1, 1))? * 0.0)?)?)
    }

    fn affine(&self, x: &Tensor, norm: &AffineNorm) -> Result<Tensor> {
        let (gamma, beta) = (self.weight(norm.gamma)?, self.weight(norm.beta)?);
        let (mean, var) = (&self.params.at(norm.mean).var, &self.params.at(norm.var).var);
        Ok(match self.how.pass.mode {
            Mode::Train => batch_norm::tensor::batch_norm_train(x, &gamma, &beta, mean, var)?,
            Mode::Batch => batch_norm::tensor::batch_norm_affine(x, &gamma, &beta)?,
            Mode::Eval => {
                // Copies: a later pass in train mode moves the running statistics under this graph.
                let copy = |v: &Var| v.as_detached_tensor().copy()?.to_dtype(self.how.dtype);
                batch_norm::tensor::batch_norm_eval(x, &gamma, &beta, &copy(mean)?, &copy(var)?)?
            }
        })
    }

    /// The sum of the terms that are drawn; [`Paths`] says what becomes of the others.
    fn sum(
        &self,
        terms: &[Term],
        mix: &Tensor,
        drawn: &Table<MixId, bool>,
        size: (usize, usize, usize, usize),
        probe: &mut Option<Probe>,
    ) -> Result<Tensor> {
        let (mut sum, mut ghosts): (Option<Tensor>, Option<Tensor>) = (None, None);
        for &Term { x, coef } in terms {
            let weight = coef.mix().map(|i| mix.narrow(0, i.0, 1)).transpose()?;
            if coef.mix().is_some_and(|i| !drawn[i]) {
                if let (Paths::DrawnWithGhosts, Some(weight)) = (self.how.pass.paths, weight) {
                    ghosts = Some(ghosts.map_or(Ok(weight.clone()), |ghosts| ghosts + &weight)?);
                }
                continue;
            }
            let y = Some(self.value(x)?).filter(|_| !matches!(self.graph.op(x), Op::Zero { .. }));
            if let (Some(probe), Some(mix)) = (probe.as_mut(), coef.candidate(self.graph.n_candidates)) {
                probe(mix, y)?;
            }
            let Some(y) = y else { continue };
            let y = match (coef.image(), self.how.drops.paths) {
                (Some(path), Some(drop)) => &self.dropped(y, drop, path)?,
                _ => y,
            };
            sum = Some(match (weight, sum) {
                (Some(weight), sum) => linear_sum::tensor::add_weighted(sum, y, &weight)?,
                (None, Some(sum)) => (sum + y)?,
                (None, None) => y.clone(),
            });
        }
        // Nothing but zeros: of the size that the sum has.
        let sum = sum.map_or_else(|| Tensor::zeros(size, self.how.dtype, mix.device()), Ok)?;
        Ok(match ghosts {
            Some(ghosts) => sum.broadcast_add(&ghosts.reshape((1, 1, 1, 1))?)?,
            None => sum,
        })
    }

    /// `x * mask / keep`, image by image.
    fn dropped(&self, x: &Tensor, drop: &DropPath, path: usize) -> Result<Tensor> {
        let scale: Vec<f32> = drop.factors(path).collect();
        Ok(x.broadcast_mul(&Tensor::from_vec(scale, (x.dim(0)?, 1, 1, 1), x.device())?.to_dtype(x.dtype())?)?)
    }
}

#[cfg(test)]
mod tests;
