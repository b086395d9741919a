//! Tells data of other classes than a network has.

use crate::data::{Batch, Dataset};
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

/// An error for a label that is none of `classes` classes.
pub(super) fn check_batch(batch: &Batch, classes: usize) -> Result<()> {
    match batch.y.iter().find(|label| **label as usize >= classes) {
        None => Ok(()),
        Some(label) => {
            let expected = format!("0 to {}, by the classes of the supernet", classes - 1);
            Err(Error::invalid("label of a batch", label, expected))
        }
    }
}
