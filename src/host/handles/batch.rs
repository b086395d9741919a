//! A batch as scripts hold it.

use crate::data;
use std::rc::Rc;

/// A batch.
#[derive(Clone)]
pub struct Batch(pub Rc<data::Batch>);
