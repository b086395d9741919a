//! Rows of metrics.csv.

use super::{METRICS, RunFolder};
use crate::error::{Error, Result};
use crate::files;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

/// What a network did in an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricsRow {
    /// The label of the search.
    pub search: String,
    /// The epoch of its loop, 1-based.
    pub epoch: usize,
    /// The network's number among those alive.
    pub net: usize,
    /// Mean training loss.
    pub loss: f64,
    /// Fraction of the training images that were right.
    pub accuracy: f64,
    /// Learning rate of the last step.
    pub lr: f64,
    /// Images trained on.
    pub images: usize,
    /// Seconds of the epoch.
    pub seconds: f64,
    /// The number of the row, 1-based; 0 in a file of before there was such a column.
    #[serde(default)]
    pub step: usize,
}

impl MetricsRow {
    /// All but the names of search and network. A number that is not finite is `null`.
    pub fn numbers(&self) -> Value {
        let mut all = serde_json::json!(self);
        for key in ["search", "net"] {
            all.as_object_mut().map(|map| map.shift_remove(key));
        }
        all
    }
}

impl RunFolder {
    /// The rows of metrics.csv in `folder`; one that a kill cut off in the middle is not among them.
    pub fn read_metrics(folder: &Path) -> Result<Vec<MetricsRow>> {
        let path = folder.join(METRICS.0);
        let bytes = files::read(&path).map_err(Error::io("read", &path))?;
        let whole = &bytes[..bytes.iter().rposition(|b| *b == b'\n').map_or(0, |end| end + 1)];
        let rows = csv::Reader::from_reader(whole).into_deserialize();
        rows.collect::<std::result::Result<_, _>>().map_err(|e| Error::file(&path, e, "rows of metrics"))
    }
}
