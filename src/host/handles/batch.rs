//! A batch as scripts hold it.

use super::handle::Handle;
use crate::data::Batch;
use std::rc::Rc;

/// A batch.
#[derive(Clone)]
pub struct BatchHandle(pub Rc<Batch>);

impl Handle for BatchHandle {
    fn text(&self) -> String {
        format!("batch {} of {}: {} images", self.0.index + 1, self.0.total, self.0.shape.0)
    }
}
