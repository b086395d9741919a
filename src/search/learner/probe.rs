//! A number of each candidate's output, whatever it is.

use super::Learner;
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::interrupt;
use crate::ops::iim;
use crate::space::{Candidate, PerCandidate};
use candle_core::{D, DType, Tensor};

/// What is taken of the output `[b, c, h, w]` of a candidate, beside the sum `[b, c, h, w]` of the node that it goes into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The variance of all its numbers (divided by their count).
    Variance,
    /// The L2 norm of an image's output, mean over the images.
    Norm,
    /// The mean of the absolute numbers.
    MeanAbs,
    /// The IIM, `1 / score` (Iim in `space`), of this batch.
    Iim,
    /// The cosine of an image's output with the node's sum, mean over the images; 0 where one of them is zero.
    Similarity,
}

/// All of them, by their names.
pub const STATISTICS: [(&str, Statistic); 5] = [
    ("variance", Statistic::Variance),
    ("norm", Statistic::Norm),
    ("mean_abs", Statistic::MeanAbs),
    ("iim", Statistic::Iim),
    ("similarity", Statistic::Similarity),
];

impl Statistic {
    /// By its name; an unknown one is an error with the nearest.
    pub fn by_name(name: &str) -> Result<Self> {
        let found = STATISTICS.iter().find(|(known, _)| *known == name).map(|(_, statistic)| *statistic);
        found.ok_or_else(|| Error::unknown_name("statistic", name, STATISTICS.iter().map(|(name, _)| *name)))
    }

    /// Of a candidate's output and of the node's sum; zeros are an output as any other. For [`Statistic::Iim`] the score.
    pub fn of(self, output: &Tensor, node: &Tensor) -> Result<f64> {
        let (output, node) = (output.to_dtype(DType::F64)?, node.to_dtype(DType::F64)?);
        let dot = |a: &Tensor, b: &Tensor| (a.flatten_from(1)? * b.flatten_from(1)?)?.sum(D::Minus1)?.to_vec1::<f64>();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        Ok(match self {
            Statistic::Variance => {
                let rest = output.broadcast_sub(&output.mean_all()?)?;
                rest.sqr()?.mean_all()?.to_scalar::<f64>()?
            }
            Statistic::Norm => mean(dot(&output, &output)?.into_iter().map(f64::sqrt).collect()),
            Statistic::MeanAbs => output.abs()?.mean_all()?.to_scalar::<f64>()?,
            Statistic::Iim => iim::tensor::score_sum(&output.to_dtype(DType::F32)?)? / output.dim(0)? as f64,
            Statistic::Similarity => {
                let (with, own, of_node) = (dot(&output, &node)?, dot(&output, &output)?, dot(&node, &node)?);
                let cosine =
                    |i: usize| if own[i] * of_node[i] > 0.0 { with[i] / (own[i] * of_node[i]).sqrt() } else { 0.0 };
                mean((0..with.len()).map(cosine).collect())
            }
        })
    }
}

impl Learner {
    /// Each live candidate's output in each cell, beside the sum of the node that it goes into, on a batch in eval mode, by the
    /// definition on every device: what a kernel has no place for.
    pub fn outputs(&self, batch: &Batch, mixing: Option<&[Tensor]>) -> Result<Vec<(Candidate, Tensor, Tensor)>> {
        interrupt::check()?;
        self.net.params().check_finite()?;
        let own = self.net.mask_mixing()?;
        self.trace.batch("measure", self.training.epoch, batch, None)?;
        self.net.outputs(&self.input(batch)?, mixing.unwrap_or(&own))
    }
}

/// The mean over cells and batches of numbers of candidates; NaN where there is none.
#[derive(Clone)]
pub struct Means {
    sums: PerCandidate<f64>,
    weights: PerCandidate<f64>,
}

impl Means {
    /// Of candidates as in `like`.
    pub fn new(like: &crate::space::SearchSpace) -> Self {
        Means { sums: PerCandidate::filled(like, 0.0), weights: PerCandidate::filled(like, 0.0) }
    }

    /// Another number, with so many images.
    pub fn add(&mut self, candidate: Candidate, value: f64, images: usize) {
        *self.sums.get_mut(candidate) += value * images as f64;
        *self.weights.get_mut(candidate) += images as f64;
    }

    /// The means.
    pub fn table(&self) -> PerCandidate<f64> {
        let mut table = self.sums.clone();
        for (candidate, weight) in self.weights.iter() {
            *table.get_mut(candidate) = self.sums.get(candidate) / weight;
        }
        table
    }
}
