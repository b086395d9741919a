//! Architecture parameters as scripts hold them.

use super::importance::Importance;
use super::net::Net;
use super::tensor::T;
use crate::error::Result;
use crate::host::run::Host;
use crate::host::run::settings::{Taker, config};
use crate::host::script::errors::{Fallible, raise};
use crate::search::{ArchParams, Stateful, arch::ArchConfig};
use rhai::{Array, Dynamic, Map};
use std::cell::RefCell;
use std::rc::Rc;

/// Architecture parameters of a supernet, with their optimiser; clones are the same.
#[derive(Clone)]
pub struct Alpha {
    /// The parameters.
    pub params: Rc<RefCell<ArchParams>>,
    /// Of this supernet.
    pub net: Net,
}

impl Alpha {
    pub(crate) fn new(host: &Host, net: &Net, cfg: &Map) -> Fallible<Self> {
        let config: ArchConfig = config(host, cfg, Taker::Search)?;
        let seed = host.stream.borrow_mut().next_seed();
        let learner = net.learner.borrow();
        let params = ArchParams::new(&net.space(), config, seed, learner.net.device());
        let params = params.and_then(|p| p.traced(learner.trace.clone())).map_err(raise)?;
        let params = Rc::new(RefCell::new(params));
        host.register_state(&(params.clone() as Rc<RefCell<dyn Stateful>>));
        Ok(Alpha { params, net: net.clone() })
    }

    pub(crate) fn softmax(&self) -> Result<Array> {
        let tensors = self.params.borrow().softmax(self.net.learner.borrow().net.mask())?;
        Ok(tensors.into_iter().map(|t| Dynamic::from(T::new(t))).collect())
    }

    /// The softmax over live candidates.
    pub fn importance(&self) -> Result<Importance> {
        let table = self.params.borrow().importance(self.net.learner.borrow().net.mask())?;
        Ok(Importance { table: Rc::new(table), score: None, space: self.net.space() })
    }
}
