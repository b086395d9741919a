//! No engine: the command lines, one a task, for GNU parallel, xargs, PBS, HTCondor.

use super::{command, quoted};
use crate::error::Result;
use crate::sweep::{Folder, Row};

/// A line for each task.
///
/// # Errors
/// Those of [`command`].
pub fn lines(folder: &Folder, rows: &[Row]) -> Result<Vec<String>> {
    let line = |row: &Row| Ok(command(folder, row)?.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
    rows.iter().map(line).collect()
}
