//! Memory of a device, and which of its addresses are anybody's.

use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A piece of a device's memory, free again when dropped. What it holds at first is not said; on the emulator it is NaN.
pub struct Memory {
    address: u64,
    len: usize,
    owner: Arc<dyn Free>,
}

/// Who takes memory back.
pub(super) trait Free: Send + Sync {
    /// What starts at `address` is not used any more.
    fn free(&self, address: u64);
}

impl Memory {
    pub(super) fn new(address: u64, len: usize, owner: Arc<dyn Free>) -> Self {
        Memory { address, len, owner }
    }

    /// Where it begins: at a multiple of 256.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.owner.free(self.address);
    }
}

/// A piece of memory that is in use.
pub(super) struct Block {
    /// What it is for.
    pub what: String,
    /// Bytes.
    pub len: usize,
}

/// All of a device's memory that is in use, by address.
#[derive(Default)]
pub(super) struct Blocks(Mutex<BTreeMap<u64, Block>>);

impl Blocks {
    /// To read or change.
    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Block>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Check that all of `len` bytes from `address` on are in use, for `what` is done with them.
    pub fn check(&self, what: &str, address: u64, len: usize) -> Result<()> {
        let blocks = self.lock();
        let before = blocks.range(..=address).next_back();
        if before.is_some_and(|(start, block)| address + len as u64 <= start + block.len as u64) {
            return Ok(());
        }
        let near = before.map_or("none before it".to_string(), |(start, block)| {
            format!(
                "the last before it, {}, has {} bytes and begins {} before it",
                block.what,
                block.len,
                address - start
            )
        });
        Err(Error::invalid(
            what,
            format!("{len} bytes at {address:#x}"),
            format!("bytes of one piece of memory ({near})"),
        ))
    }
}
