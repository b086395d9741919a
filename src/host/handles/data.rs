//! Data sets as scripts hold them.

use crate::data::{Dataset, Splits};
use std::rc::Rc;

/// The two sets of a data source.
#[derive(Clone)]
pub struct Source(pub Rc<Splits>);

/// A set of images.
#[derive(Clone)]
pub struct Data(pub Rc<Dataset>);

impl Data {
    /// A handle.
    pub fn new(data: Dataset) -> Self {
        Data(Rc::new(data))
    }
}
