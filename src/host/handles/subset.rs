//! Comparison subsets of a supernet.

use super::handle::Handle;
use super::supernet::SupernetHandle;
use crate::error::Result;
use crate::host::show::{Look, found};
use crate::space::{Candidate, ComparisonSubset};
use std::rc::Rc;

/// A comparison subset of a live supernet.
#[derive(Clone)]
pub struct Subset {
    /// The candidates.
    pub subset: Rc<ComparisonSubset>,
    /// Whose mask tells which are alive.
    pub net: SupernetHandle,
}

impl Subset {
    /// All comparison subsets of a supernet.
    pub fn all(net: &SupernetHandle) -> Vec<Self> {
        let subsets = net.space().comparison_subsets();
        subsets.into_iter().map(|subset| Subset { subset: Rc::new(subset), net: net.clone() }).collect()
    }

    /// The candidates alive now.
    pub fn alive(&self) -> Vec<Candidate> {
        self.subset.alive(&self.net.mask())
    }
}

impl Handle for Subset {
    fn text(&self) -> String {
        format!("{} ({} alive, keeps {})", self.subset.name, self.alive().len(), self.subset.keep)
    }

    fn look(&self, look: &Look) -> Result<String> {
        Ok(found::subset(&self.subset, &self.net.space(), &self.alive(), look))
    }
}
