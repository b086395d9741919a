//! State that survives: what is saved after every epoch, atomically, and how it comes back.

use crate::error::Result;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::path::Path;

/// The whole state of one value: tensors and plain data.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// Named tensors.
    pub tensors: BTreeMap<String, Tensor>,
    /// Everything else.
    pub json: serde_json::Value,
}

/// A value that can be saved and restored to the same bits.
pub trait Stateful {
    /// "supernet", "arch", "run_state", ...: checked on restore.
    fn kind(&self) -> &'static str;
    /// Its state now.
    fn state(&self) -> Result<State>;
    /// Take a state back; an error if it does not fit.
    fn restore(&mut self, state: State) -> Result<()>;
}

/// Write `states` (and `meta`) to the folder `dir`, atomically: temporary file, fsync, rename. After a crash at any
/// moment the folder holds the old checkpoint or the new one.
pub fn save(_dir: &Path, _states: &[(String, State)], _meta: &serde_json::Value) -> Result<()> {
    todo!()
}

/// Read it back; `None` if there is none. A damaged one is an error that names the file.
#[allow(clippy::type_complexity)]
pub fn load(_dir: &Path) -> Result<Option<(Vec<(String, State)>, serde_json::Value)>> {
    todo!()
}
