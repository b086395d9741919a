//! Snapshots of supernets, architecture parameters and variables as scripts hold them.

use super::handle::{Handle, Saved, Tensors};
use crate::error::{Error, Result};
use crate::search::State;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// What a value was at one moment, what its optimiser remembers among it.
#[derive(Clone)]
pub struct Snapshot(pub Rc<State>);

impl Handle for Snapshot {
    fn text(&self) -> String {
        let numbers: usize = self.0.tensors.values().map(|t| t.elem_count()).sum();
        format!("snapshot: {numbers} numbers")
    }
}

impl Saved for Snapshot {
    const TAG: &'static str = "$snapshot";

    fn pack(&self, what: &str, tensors: Option<&mut Tensors>) -> Result<Option<Value>> {
        let Some(tensors) = tensors else { return Ok(None) };
        let named = |name: &String| format!("{what}/{name}");
        tensors.extend(self.0.tensors.iter().map(|(name, tensor)| (named(name), tensor.clone())));
        Ok(Some(json!({ "$snapshot": what, "state": self.0.json })))
    }

    fn unpack(map: &Map<String, Value>, tensors: &Tensors) -> Result<Self> {
        let name = map.get("$snapshot").and_then(Value::as_str).unwrap_or_default();
        let prefix = format!("{name}/");
        let own = tensors.iter().filter_map(|(k, t)| Some((k.strip_prefix(&prefix)?.to_string(), t.clone())));
        let tensors: Tensors = own.collect();
        let json = map.get("state").cloned().filter(|_| !tensors.is_empty());
        let json = json.ok_or_else(|| Error::invalid("a saved snapshot", "no tensors of it", name))?;
        Ok(Snapshot(Rc::new(State { tensors, json })))
    }
}
