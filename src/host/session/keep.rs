//! `:save` and `:load`: the variables of a session in a folder, and back.
//!
//! The folder is a checkpoint as runs write it (one safetensors file): one state a variable. Plain data, genotypes, masks,
//! importances and tensors go in as they are, a supernet with its weights, momentum, mask and epoch.

use super::{LAST, Session};
use crate::error::{Error, Result};
use crate::host::handles::saved::{pack, unpack};
use crate::host::handles::supernet::SupernetHandle;
use crate::host::script::value::kind;
use crate::search::{State, Stateful, checkpoint};
use rhai::Dynamic;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// What `:save` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedNames {
    /// Names of the variables saved.
    pub saved: Vec<String>,
    /// Names and kinds of those that hold no data of their own.
    pub left: Vec<String>,
}

impl Session {
    /// Save the variables `names` (all, if there are none) to the folder `dir`. Of all, those that cannot be saved are
    /// left out; one that is named and cannot be is an error.
    pub fn save(&self, dir: &Path, names: &[&str]) -> Result<SavedNames> {
        let variables = self.variables();
        let known = || variables.keys().map(String::as_str).filter(|name| *name != LAST);
        if let Some(unknown) = names.iter().find(|name| !variables.contains_key(**name)) {
            return Err(Error::unknown_name("variable", unknown, known()));
        }
        let mut result = SavedNames::default();
        let (mut states, mut nets) = (Vec::new(), Vec::<(SupernetHandle, String)>::new());
        for name in known().filter(|name| names.is_empty() || names.contains(name)) {
            let value = variables[name].flatten_clone();
            let state = match value.read_lock::<SupernetHandle>() {
                Some(net) => match nets.iter().find(|(other, _)| Rc::ptr_eq(&other.learner, &net.learner)) {
                    // Two names of one supernet stay that.
                    Some((_, first)) => State { json: json!({"$same": first}), ..State::default() },
                    None => {
                        nets.push((net.clone(), name.to_string()));
                        let state = net.learner.borrow().state()?;
                        State {
                            json: json!({"$supernet": state.json, "space": *net.space(), "batch_size": net.batch_size}),
                            ..state
                        }
                    }
                },
                None => {
                    let mut tensors = BTreeMap::new();
                    match pack(&value, name, Some(&mut tensors)) {
                        Ok(json) => State { tensors, json },
                        Err(error) if names.contains(&name) => return Err(error),
                        Err(_) => {
                            result.left.push(format!("{name} ({})", kind(&value)));
                            continue;
                        }
                    }
                }
            };
            states.push((name.to_string(), state));
            result.saved.push(name.to_string());
        }
        if states.is_empty() {
            return Err(Error::invalid(":save", "no variable that holds data", "at least one"));
        }
        checkpoint::save(dir, &states, &json!({"saved by": "the prompt"}))?;
        Ok(result)
    }

    /// Take saved variables back; their names. An error leaves the session as it was.
    pub fn load(&mut self, dir: &Path) -> Result<Vec<String>> {
        let Some((states, _)) = checkpoint::load(dir)? else {
            return Err(Error::file(dir, "no saved variables", "a folder that :save wrote"));
        };
        let mut values: Vec<(String, Dynamic)> = Vec::new();
        for (name, state) in states {
            let value = if let Some(first) = state.json.get("$same").and_then(Value::as_str) {
                let found = values.iter().find(|(known, _)| known == first).map(|(_, value)| value.clone());
                found.ok_or_else(|| Error::invalid(format!("saved variable `{name}`"), first, "one saved before it"))?
            } else if let Some(json) = state.json.get("$supernet") {
                let batch_size = state.json["batch_size"].as_u64().unwrap_or(64) as usize;
                let bad =
                    |e: serde_json::Error| Error::invalid(format!("saved variable `{name}`"), e, "a search space");
                let space = serde_json::from_value(state.json["space"].clone()).map_err(bad)?;
                let json = json.clone();
                let net = SupernetHandle::restored(&self.scripts.host, space, State { json, ..state }, batch_size)?;
                Dynamic::from(net)
            } else {
                unpack(&state.json, &state.tensors)?
            };
            values.push((name, value));
        }
        let names = values.iter().map(|(name, _)| name.clone()).collect();
        values.into_iter().for_each(|(name, value)| self.assign(&name, value));
        Ok(names)
    }
}
