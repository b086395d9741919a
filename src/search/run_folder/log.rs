//! A table (or a file of records) that grows by whole rows, and that only this process writes to.

use crate::error::{Error, Result};
use crate::files;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::PathBuf;
use xxhash_rust::xxh3::Xxh3;

/// A CSV file, and what this process knows to be in it.
pub(super) struct Log {
    path: PathBuf,
    header: &'static [&'static str],
    length: u64,
    /// Rows up to `length`, without the header. No field has a line end in it.
    rows: usize,
    /// The sum of the bytes up to `length`.
    sum: Xxh3,
}

impl Log {
    /// Make the file where there is none. One that holds something is cut back by [`Log::restore`] before it grows.
    pub(super) fn open(path: PathBuf, header: &'static [&'static str]) -> Result<Self> {
        files::open_plain(&path, OpenOptions::new().create(true).append(true))?;
        Ok(Log { path, header, length: 0, rows: 0, sum: Xxh3::new() })
    }

    /// How many rows there are, without the header.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Add rows by one write for all: a kill leaves whole rows, or a tail that resuming cuts off.
    pub(super) fn append<const N: usize>(&mut self, rows: &[[String; N]]) -> Result<()> {
        let bad = |e: String| Error::file(&self.path, e, "rows");
        let mut csv = csv::Writer::from_writer(vec![]);
        if self.length == 0 {
            csv.write_record(self.header).map_err(|e| bad(e.to_string()))?;
        }
        rows.iter().try_for_each(|row| csv.write_record(row)).map_err(|e| bad(e.to_string()))?;
        let bytes = csv.into_inner().map_err(|e| bad(e.to_string()))?;
        self.grow(&bytes)?;
        self.rows += rows.len();
        Ok(())
    }

    /// Whether nothing was written yet.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Add bytes.
    pub(super) fn grow(&mut self, bytes: &[u8]) -> Result<()> {
        self.whole(OpenOptions::new().append(true))?.write_all(bytes).map_err(Error::io("write", &self.path))?;
        self.length += bytes.len() as u64;
        self.sum.update(bytes);
        Ok(())
    }

    /// The file, if it is as long as this process left it.
    fn whole(&self, options: &mut OpenOptions) -> Result<File> {
        let file = files::open_plain(&self.path, options)?;
        let found = file.metadata().map_err(Error::io("read", &self.path))?.len();
        match found == self.length {
            true => Ok(file),
            false => Err(self.changed(format!("{found} bytes"), self.length)),
        }
    }

    fn changed(&self, got: String, length: u64) -> Error {
        let expected = format!("the {length} bytes that the run wrote; something else changed them since");
        Error::file(&self.path, got, expected)
    }

    /// Length and sum for the checkpoint. What they measure is on the disk when this returns.
    pub(super) fn state(&self) -> Result<Value> {
        self.whole(OpenOptions::new().append(true))?.sync_data().map_err(Error::io("write", &self.path))?;
        Ok(json!({ "length": self.length, "sum": hex(&self.sum) }))
    }

    /// Cut back to what it was when [`Log::state`] gave `state` (`null`: to nothing).
    ///
    /// # Errors
    /// A file that is shorter than that, or holds something else.
    pub(super) fn restore(&mut self, state: &Value) -> Result<()> {
        let bad = || Error::invalid("log in the checkpoint", state, "its length and sum");
        let (length, sum) = match state {
            Value::Null => (0, hex(&Xxh3::new())),
            _ => (state["length"].as_u64().ok_or_else(bad)?, state["sum"].as_str().ok_or_else(bad)?.to_string()),
        };
        let mut file = files::open_plain(&self.path, OpenOptions::new().read(true).write(true))?;
        let mut bytes = vec![];
        (&mut file).take(length).read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        let mut found = Xxh3::new();
        found.update(&bytes);
        if (bytes.len() as u64) < length {
            return Err(self.changed(format!("{} bytes", bytes.len()), length));
        }
        if hex(&found) != sum {
            return Err(self.changed(format!("{length} bytes with sum {}", hex(&found)), length));
        }
        file.set_len(length).map_err(Error::io("write", &self.path))?;
        (self.length, self.sum) = (length, found);
        self.rows = bytes.iter().filter(|b| **b == b'\n').count().saturating_sub(1);
        Ok(())
    }

    /// Whether all that this process knows of is there, when the run is over.
    pub(super) fn check(&self) -> Result<()> {
        let (mut file, mut bytes) = (self.whole(OpenOptions::new().read(true))?, vec![]);
        file.read_to_end(&mut bytes).map_err(Error::io("read", &self.path))?;
        let mut found = Xxh3::new();
        found.update(&bytes);
        match hex(&found) == hex(&self.sum) {
            true => Ok(()),
            false => Err(self.changed("other bytes".into(), self.length)),
        }
    }
}

fn hex(sum: &Xxh3) -> String {
    format!("{:016x}", sum.digest())
}
