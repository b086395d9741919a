//! Data sets as scripts hold them.

use super::handle::Handle;
use crate::data::{Dataset, Splits};
use crate::error::Result;
use crate::host::show::{Look, pictures};
use std::rc::Rc;

/// The two sets of a data source.
#[derive(Clone)]
pub struct DataSource(pub Rc<Splits>);

impl Handle for DataSource {
    fn text(&self) -> String {
        format!("{}, {} for testing", self.0.train.describe(), self.0.test.len())
    }

    fn look(&self, look: &Look) -> Result<String> {
        Ok(format!("{}\n{} images for testing", pictures::data(&self.0.train, look), self.0.test.len()))
    }
}

/// A set of images.
#[derive(Clone)]
pub struct Data(pub Rc<Dataset>);

impl Data {
    /// A handle.
    pub fn new(data: Dataset) -> Self {
        Data(Rc::new(data))
    }
}

impl Handle for Data {
    fn text(&self) -> String {
        self.0.describe()
    }

    fn look(&self, look: &Look) -> Result<String> {
        Ok(pictures::data(&self.0, look))
    }
}
