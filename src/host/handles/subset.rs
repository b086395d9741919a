//! Comparison subsets of a supernet.

use super::net::Net;
use crate::space::{Candidate as Place, ComparisonSubset};
use rhai::{Array, Dynamic};
use std::rc::Rc;

/// A comparison subset of a live supernet.
#[derive(Clone)]
pub struct Subset {
    /// The candidates.
    pub subset: Rc<ComparisonSubset>,
    /// Whose mask tells which are alive.
    pub net: Net,
}

impl Subset {
    /// The candidates alive now.
    pub fn alive(&self) -> Vec<Place> {
        self.subset.alive(&self.net.mask())
    }
}

/// The comparison subsets of a supernet.
pub fn subsets(net: &Net) -> Array {
    let handle = |s| Dynamic::from(Subset { subset: Rc::new(s), net: net.clone() });
    net.space().comparison_subsets().into_iter().map(handle).collect()
}
