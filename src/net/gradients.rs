//! What a backward pass left, as a vector: sums, multiples, norms and products.

use super::ids::{ParamId, Table};
use crate::error::{Error, Result};
use candle_core::Tensor;
use candle_core::backprop::GradStore;

/// What a backward pass left; or any other direction in the space of the weights.
#[derive(Default)]
pub struct Gradients {
    /// The gradients of the weights; `None` where nothing flowed (count it as zero).
    pub params: Table<ParamId, Option<Tensor>>,
    /// The gradients of everything else in the graph: of architecture parameters.
    pub graph: GradStore,
}

/// What two tensors of one shape come to.
pub type Both = fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>;

impl Gradients {
    /// Each number by itself; what is zero stays so.
    pub fn map(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        let params = self.params.iter().map(|g| g.as_ref().map(&f).transpose());
        let mut graph = GradStore::default();
        for id in self.graph.get_ids() {
            if let Some(g) = self.graph.get_id(*id) {
                graph.insert_id(*id, f(g)?);
            }
        }
        Ok(Gradients { params: params.collect::<candle_core::Result<_>>()?, graph })
    }

    /// Number by number with those of another direction; where neither has one, it stays so. An error for those of another
    /// network.
    pub fn zip(&self, other: &Gradients, f: Both) -> Result<Self> {
        let one = |a: Option<&Tensor>, b: Option<&Tensor>| {
            Ok(Some(match (a, b) {
                (Some(a), Some(b)) => f(a, &b.to_device(a.device())?)?,
                (Some(a), None) => f(a, &a.zeros_like()?)?,
                (None, Some(b)) => f(&b.zeros_like()?, b)?,
                (None, None) => return Ok(None),
            }))
        };
        let pairs = self.pairs(other)?;
        let params = pairs.into_iter().map(|(a, b)| one(a, b)).collect::<candle_core::Result<_>>()?;
        let mut graph = GradStore::default();
        for id in self.graph.get_ids().chain(other.graph.get_ids()) {
            if graph.get_id(*id).is_none()
                && let Some(g) = one(self.graph.get_id(*id), other.graph.get_id(*id))?
            {
                graph.insert_id(*id, g);
            }
        }
        Ok(Gradients { params, graph })
    }

    /// The product of the gradients of the weights of both: the sum of `a b`, in f64.
    pub fn dot(&self, other: &Gradients) -> Result<f64> {
        let mut sum = 0.0;
        for (a, b) in self.pairs(other)? {
            let (Some(a), Some(b)) = (a, b) else { continue };
            let (a, b) = (a.flatten_all()?.to_vec1::<f32>()?, b.flatten_all()?.to_vec1::<f32>()?);
            sum += a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        }
        Ok(sum)
    }

    /// The sum of the gradients of the weights, in f64.
    pub fn sum(&self) -> Result<f64> {
        let one = |g: &Tensor| Ok(g.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).sum::<f64>());
        self.params.iter().flatten().map(one).sum()
    }

    /// Those of these parameters alone.
    pub fn only(&self, these: &[ParamId]) -> Self {
        let mut params = self.params.beside(|_| None);
        these.iter().for_each(|&i| params[i] = self.params[i].clone());
        Gradients { params, graph: GradStore::default() }
    }

    fn pairs<'a>(&'a self, other: &'a Gradients) -> Result<Vec<(Option<&'a Tensor>, Option<&'a Tensor>)>> {
        let pairs: Vec<_> = self.params.iter().zip(&other.params).map(|(a, b)| (a.as_ref(), b.as_ref())).collect();
        let fit = |(a, b): &(Option<&Tensor>, Option<&Tensor>)| a.zip(*b).is_none_or(|(a, b)| a.shape() == b.shape());
        if self.params.len() != other.params.len() || !pairs.iter().all(fit) {
            let got = format!("those of networks of {} and {} tensors", self.params.len(), other.params.len());
            return Err(Error::invalid("gradients", got, "gradients of one network, or of its copies"));
        }
        Ok(pairs)
    }
}
