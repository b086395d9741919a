//! Architecture parameters as scripts hold them.

use super::genotype::GenotypeHandle;
use super::handle::Handle;
use super::importance::Importance;
use super::supernet::SupernetHandle;
use super::tensor::TensorHandle;
use crate::error::Result;
use crate::host::run::Run;
use crate::host::run::settings::{Taker, config, typed};
use crate::host::script::errors::Fallible;
use crate::host::show::{Look, tables};
use crate::search::{ArchParams, State, Stateful, arch::ArchConfig};
use rhai::Map;
use std::cell::RefCell;
use std::rc::Rc;

/// Architecture parameters of a supernet, with their optimiser; clones are the same.
#[derive(Clone)]
pub struct ArchitectureParameters {
    /// The parameters.
    pub params: Rc<RefCell<ArchParams>>,
    /// The supernet that they are of.
    pub net: SupernetHandle,
}

impl ArchitectureParameters {
    pub(crate) fn new(host: &Run, net: &SupernetHandle, cfg: &Map) -> Fallible<Self> {
        let config: ArchConfig = config(&host.settings, cfg, Taker::Search)?;
        let seed = host.stream.borrow_mut().next_seed();
        Ok(Self::of(host, net, config, seed)?)
    }

    /// As `:save` saved them, their settings in `cfg`.
    pub(crate) fn restored(host: &Run, net: &SupernetHandle, cfg: &Map, state: State) -> Result<Self> {
        let restored = Self::of(host, net, typed(cfg)?, 0)?;
        restored.params.borrow_mut().restore(state)?;
        Ok(restored)
    }

    fn of(host: &Run, net: &SupernetHandle, config: ArchConfig, seed: u64) -> Result<Self> {
        let learner = net.learner.borrow();
        let params = ArchParams::new(&net.space(), config, seed, learner.net.device());
        let params = params.and_then(|p| p.traced(learner.trace.clone()))?;
        let params = Rc::new(RefCell::new(params));
        host.live.add(&(params.clone() as Rc<RefCell<dyn Stateful>>));
        Ok(ArchitectureParameters { params, net: net.clone() })
    }

    /// One tensor per cell type: the softmax over live candidates.
    pub(crate) fn softmax(&self) -> Fallible<Vec<TensorHandle>> {
        let tensors = self.params.borrow().softmax(self.net.learner.borrow().net.mask())?;
        tensors.into_iter().map(|t| TensorHandle::of(&[], || Ok(t))).collect()
    }

    /// The genotype that they choose.
    pub(crate) fn genotype(&self) -> Result<GenotypeHandle> {
        let learner = self.net.learner.borrow();
        let found = self.params.borrow().genotype(&self.net.space(), learner.net.mask())?;
        learner.trace.genotype(&found)?;
        Ok(GenotypeHandle(found))
    }

    /// The softmax over live candidates.
    pub fn importance(&self) -> Result<Importance> {
        let table = self.params.borrow().importance(self.net.learner.borrow().net.mask())?;
        Ok(Importance { table: Rc::new(table), score: None, space: self.net.space() })
    }
}

impl Handle for ArchitectureParameters {
    fn text(&self) -> String {
        self.look(&Look::PLAIN).unwrap_or_else(|error| error.to_string())
    }

    fn look(&self, look: &Look) -> Result<String> {
        let softmax = self.importance()?;
        let table = tables::importance(&softmax.space, &softmax.table, false, look);
        Ok(format!("architecture parameters, softmax\n{table}"))
    }
}
