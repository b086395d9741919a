//! `:save` and `:load`: the variables of a session in a folder, and back.
//!
//! The folder is a checkpoint as runs write it (one safetensors file): one state a variable. Plain data, genotypes, masks,
//! importances and tensors go in as they are, a supernet with its weights, momentum, mask and epoch, architecture parameters with
//! their optimiser and the name of their supernet. What was saved there before under other names stays.

use super::{LAST, Session};
use crate::error::{Error, Result};
use crate::host::handles::arch::ArchitectureParameters;
use crate::host::handles::saved::{pack, unpack};
use crate::host::handles::supernet::SupernetHandle;
use crate::host::script::value::{from_json, kind};
use crate::search::{State, Stateful, checkpoint};
use rhai::{Dynamic, Map};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

/// What `:save` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedNames {
    /// Names of the variables saved.
    pub saved: Vec<String>,
    /// Names of those that were saved there before, and stay.
    pub stay: Vec<String>,
    /// Names of those that cannot be saved, with the reason.
    pub left: Vec<String>,
}

/// The key under which a state names the one that it is no use without: another name of a supernet, its parameters.
const SAME: &str = "$same";
const OF: &str = "$of";

impl Session {
    /// Save the variables `names` (all, if there are none) to the folder `dir`. Of all, those that cannot be saved are
    /// left out; one that is named and cannot be is an error. With architecture parameters goes their supernet.
    pub fn save(&self, dir: &Path, names: &[&str]) -> Result<SavedNames> {
        let variables = self.variables();
        let known = || variables.keys().map(String::as_str).filter(|name| *name != LAST);
        if let Some(unknown) = names.iter().find(|name| !variables.contains_key(**name)) {
            return Err(Error::unknown_name("variable", unknown, known()));
        }
        let value = |name: &str| variables[name].flatten_clone();
        let net = |name: &str| value(name).try_cast::<SupernetHandle>();
        let alpha = |name: &str| value(name).try_cast::<ArchitectureParameters>();
        let is_of = |name: &str, of: &SupernetHandle| net(name).is_some_and(|n| Rc::ptr_eq(&n.learner, &of.learner));
        let named = |name: &str| names.is_empty() || names.contains(&name);
        let needed = |name: &str| names.iter().filter_map(|n| alpha(n)).any(|alpha| is_of(name, &alpha.net));
        let chosen: Vec<&str> = known().filter(|name| named(name) || needed(name)).collect();
        let mut result = SavedNames::default();
        let (mut states, mut nets) = (Vec::new(), Vec::<(SupernetHandle, String)>::new());
        // A supernet stands before what is no use without it.
        let (first, then): (Vec<&str>, Vec<&str>) = chosen.into_iter().partition(|name| net(name).is_some());
        for name in first.into_iter().chain(then) {
            let first_name = |net: &SupernetHandle| {
                nets.iter().find(|(known, _)| Rc::ptr_eq(&known.learner, &net.learner)).map(|(_, name)| name.clone())
            };
            let state = if let Some(net) = net(name) {
                match first_name(&net) {
                    // Two names of one supernet stay that.
                    Some(first) => Ok(State { json: json!({SAME: first}), ..State::default() }),
                    None => {
                        nets.push((net.clone(), name.to_string()));
                        let state = net.learner.borrow().state()?;
                        let json =
                            json!({"$supernet": state.json, "space": *net.space(), "batch_size": net.batch_size});
                        Ok(State { json, ..state })
                    }
                }
            } else if let Some(alpha) = alpha(name) {
                match first_name(&alpha.net) {
                    Some(of) => {
                        let params = alpha.params.borrow();
                        let state = params.state()?;
                        let json = json!({OF: of, "arch": state.json, "settings": params.config()});
                        Ok(State { json, ..state })
                    }
                    None => Err(Error::invalid(name, "a supernet without a name", "`let net = ...` of their supernet")),
                }
            } else {
                let mut tensors = BTreeMap::new();
                pack(&value(name), name, Some(&mut tensors)).map(|json| State { tensors, json })
            };
            match state {
                Ok(state) => {
                    states.push((name.to_string(), state));
                    result.saved.push(name.to_string());
                }
                Err(error) if names.contains(&name) => return Err(error),
                Err(_) if alpha(name).is_some() => result.left.push(format!("{name} (its supernet has no name)")),
                Err(_) => result.left.push(format!("{name} ({})", kind(&value(name)))),
            }
        }
        if states.is_empty() {
            return Err(Error::invalid(":save", "no variable that holds data", "at least one"));
        }
        let (before, meta) = checkpoint::load(dir)?.unwrap_or_else(|| (Vec::new(), json!({"saved by": "the prompt"})));
        if meta["saved by"] != "the prompt" {
            return Err(Error::file(dir, "the checkpoint of a run", "a folder that :save wrote, or an empty one"));
        }
        for (name, state) in before {
            if states.iter().any(|(new, _)| *new == name) {
                continue;
            }
            let base = state.json.get(SAME).or(state.json.get(OF)).and_then(Value::as_str);
            if let Some(base) = base.filter(|base| result.saved.iter().any(|new| new == base)) {
                let got = format!("`{name}` there, which belongs to the `{base}` that this would replace");
                return Err(Error::file(dir, got, "another folder, or both names saved together"));
            }
            result.stay.push(name.clone());
            states.push((name, state));
        }
        checkpoint::save(dir, &states, &json!({"saved by": "the prompt"}))?;
        result.saved.sort();
        result.stay.sort();
        Ok(result)
    }

    /// Take saved variables back; their names. An error leaves the session as it was.
    pub fn load(&mut self, dir: &Path) -> Result<Vec<String>> {
        let Some((states, _)) = checkpoint::load(dir)? else {
            return Err(Error::file(dir, "no saved variables", "a folder that :save wrote"));
        };
        let mut values: Vec<(String, Dynamic)> = Vec::new();
        for (name, state) in states {
            let before = |first: &str| {
                let found = values.iter().find(|(known, _)| known == first).map(|(_, value)| value.clone());
                found.ok_or_else(|| Error::invalid(format!("saved variable `{name}`"), first, "one saved before it"))
            };
            let value = if let Some(first) = state.json.get(SAME).and_then(Value::as_str) {
                before(first)?
            } else if let Some(of) = state.json.get(OF).and_then(Value::as_str) {
                let Some(net) = before(of)?.try_cast::<SupernetHandle>() else {
                    return Err(Error::invalid(format!("saved variable `{name}`"), of, "the name of a supernet"));
                };
                let (cfg, json) = (from_json(&state.json["settings"]), state.json["arch"].clone());
                let cfg = cfg.try_cast::<Map>().unwrap_or_default();
                let state = State { json, ..state };
                Dynamic::from(ArchitectureParameters::restored(&self.scripts.host, &net, &cfg, state)?)
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
        let mut names: Vec<String> = values.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        values.into_iter().for_each(|(name, value)| self.assign(&name, value));
        Ok(names)
    }
}
