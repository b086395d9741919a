//! Tells data of other classes than a network has.

use crate::data::Dataset;
use crate::error::{Error, Result};

/// An error for data of other than `classes` classes.
pub(super) fn check_data(data: &Dataset, classes: usize) -> Result<()> {
    if data.n_classes() == classes {
        return Ok(());
    }
    let expected = format!(
        "{classes}, as the supernet has: those of the data that was opened last when it was made, or its setting `classes`"
    );
    Err(Error::invalid(format!("classes of {}", data.name), data.n_classes(), expected))
}
