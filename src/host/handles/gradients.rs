//! Gradients as scripts hold them: a vector over the weights of a supernet, and what flowed to tensors beside it.

use super::handle::Handle;
use super::space::CandidateHandle;
use super::tensor::TensorHandle;
use crate::error::Result;
use crate::host::script::errors::{Fallible, raise, raise_tensor, wrong};
use crate::host::script::value::shown;
use crate::net::gradients::Both;
use crate::net::graph::supernet::owners;
use crate::net::ids::{ParamId, Table};
use crate::net::{Gradients, Supernet, watched};
use crate::space::{Candidate, SearchSpace};
use candle_core::Tensor;
use rhai::{Array, Dynamic};
use std::rc::Rc;

/// A supernet and its copies: their weights are those of one network.
pub struct Family {
    space: Rc<SearchSpace>,
    /// Of each parameter, its candidate and block.
    owners: Table<ParamId, Option<(Candidate, usize)>>,
}

impl Family {
    /// That of a fresh supernet.
    pub fn of(net: &Supernet) -> Rc<Self> {
        let owners = owners(net.space(), net.config(), net.params().iter().map(|p| p.name.as_str()));
        Rc::new(Family { space: Rc::new(net.space().clone()), owners })
    }
}

/// What a backward pass left, or what was computed of that.
#[derive(Clone)]
pub struct GradientsHandle {
    /// The numbers.
    pub gradients: Rc<Gradients>,
    /// Whose weights they are of.
    pub family: Rc<Family>,
}

impl GradientsHandle {
    /// Of the weights of a network.
    pub fn new(gradients: Gradients, family: &Rc<Family>) -> Self {
        GradientsHandle { gradients: Rc::new(gradients), family: family.clone() }
    }

    fn with(&self, gradients: Gradients) -> Self {
        GradientsHandle { gradients: Rc::new(gradients), family: self.family.clone() }
    }

    /// Each number by itself.
    pub fn map(&self, f: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> Result<Self> {
        Ok(self.with(self.gradients.map(f)?))
    }

    /// Number by number with others of the same network.
    pub fn zip(&self, other: &Self, f: Both) -> Fallible<Self> {
        self.check(&other.family, "gradients")?;
        Ok(self.with(self.gradients.zip(&other.gradients, f)?))
    }

    /// The product of both vectors.
    pub fn dot(&self, other: &Self) -> Fallible<f64> {
        self.check(&other.family, "dot")?;
        Ok(self.gradients.dot(&other.gradients)?)
    }

    /// The length of the vector.
    pub fn norm(&self) -> Result<f64> {
        Ok(self.gradients.dot(&self.gradients)?.sqrt())
    }

    /// The cosine of the angle between both vectors; NaN where one is zero.
    pub fn cosine(&self, other: &Self) -> Fallible<f64> {
        Ok(self.dot(other)? / (self.norm()? * other.norm()?))
    }

    /// What flowed to a tensor.
    pub fn of_tensor(&self, tensor: &TensorHandle) -> Fallible<TensorHandle> {
        let found = self.gradients.graph.get(&tensor.0).cloned().map(TensorHandle::new);
        found.ok_or_else(|| independent("gradients.of", "this tensor"))
    }

    /// Those of the weights of a candidate: in every block of its cell type, or in one.
    pub fn of_candidate(&self, candidate: &CandidateHandle, block: Option<usize>) -> Result<Self> {
        let place = candidate.place_in(&self.family.space)?;
        let is_of = |owner: &Option<(Candidate, usize)>| {
            owner.is_some_and(|(c, b)| c == place && block.is_none_or(|block| b == block))
        };
        let owners = &self.family.owners;
        let own: Vec<ParamId> = owners.ids().filter(|i| is_of(&owners[*i])).collect();
        Ok(self.with(self.gradients.only(&own)))
    }

    /// An error for gradients of another network than `family`.
    pub fn check(&self, family: &Rc<Family>, what: &str) -> Fallible<()> {
        if Rc::ptr_eq(&self.family, family) {
            return Ok(());
        }
        Err(wrong(what, "gradients of another supernet", "those of this one, or of a copy: net.backward(loss)"))
    }
}

impl Handle for GradientsHandle {
    fn text(&self) -> String {
        match self.norm() {
            Ok(norm) => format!("gradients, norm {norm:.6e}"),
            Err(error) => error.to_string(),
        }
    }
}

fn independent(what: &str, tensor: &str) -> Box<rhai::EvalAltResult> {
    let expected = "a tensor that the loss was made of: the very one, as `let p = alpha.softmax(); net.loss(batch, p)`";
    wrong(what, format!("{tensor}, which the loss does not depend on"), expected)
}

/// The gradient of a loss with respect to a tensor, or to each of an array of them.
pub fn gradient(loss: &TensorHandle, of: &Dynamic) -> Fallible<Dynamic> {
    if loss.0.elem_count() != 1 {
        return Err(wrong("gradient, loss", format!("a tensor of shape {:?}", loss.0.dims()), "one number"));
    }
    let store = watched::backward(&loss.0).map_err(raise)?;
    let one = |value: &Dynamic, name: &str| match value.read_lock::<TensorHandle>() {
        Some(t) => {
            let found = store.get(&t.0).ok_or_else(|| independent("gradient", name))?;
            found.copy().map(|g| Dynamic::from(TensorHandle::new(g))).map_err(raise_tensor)
        }
        None => Err(wrong("gradient, of", shown(value), "a tensor, or an array of them")),
    };
    match of.read_lock::<Array>() {
        Some(items) => {
            let each = items.iter().enumerate().map(|(i, value)| one(value, &format!("tensor {i}")));
            each.collect::<Fallible<Array>>().map(Dynamic::from)
        }
        None => one(of, "this tensor"),
    }
}
