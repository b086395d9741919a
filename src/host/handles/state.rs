//! `run_state`: what a script itself must remember across the turns of an epochs loop, saved and restored with the rest.

use super::handle::{Handle, Tensors};
use super::saved::{pack, unpack};
use crate::error::{Error, Result};
use crate::host::run::Run;
use crate::host::script::errors::{Fallible, raise};
use crate::search::{State, Stateful};
use rhai::{Dynamic, Map};
use std::cell::RefCell;
use std::rc::Rc;

/// The remembered values.
struct Memory(Map);

impl Stateful for Memory {
    fn kind(&self) -> &'static str {
        "run_state"
    }

    fn state(&self) -> Result<State> {
        let mut tensors = Tensors::new();
        let json = pack(&Dynamic::from(self.0.clone()), "run_state", Some(&mut tensors))?;
        Ok(State { tensors, json })
    }

    fn restore(&mut self, state: State) -> Result<()> {
        let map = unpack(&state.json, &state.tensors)?;
        self.0 = map.try_cast::<Map>().ok_or_else(|| Error::invalid("run_state", &state.json, "a map"))?;
        Ok(())
    }
}

/// A map that is saved with every checkpoint; clones are the same one.
#[derive(Clone)]
pub struct RunState(Rc<RefCell<Memory>>);

impl Handle for RunState {
    fn text(&self) -> String {
        format!("run_state {:?}", Dynamic::from(self.0.borrow().0.clone()))
    }
}

impl RunState {
    /// Makes one that holds a map and is saved with the run of `host`.
    pub fn new(host: &Run, map: Map) -> Fallible<Self> {
        let state = RunState(Rc::new(RefCell::new(Memory(Map::new()))));
        map.into_iter().try_for_each(|(key, value)| state.set(&key, value))?;
        host.live.add(&(state.0.clone() as Rc<RefCell<dyn Stateful>>));
        Ok(state)
    }

    /// Names of its properties.
    pub fn keys(&self) -> Vec<String> {
        self.0.borrow().0.keys().map(|key| key.to_string()).collect()
    }

    /// A property.
    pub fn get(&self, key: &str) -> Fallible<Dynamic> {
        let memory = self.0.borrow();
        let known = memory.0.keys().map(|k| k.as_str());
        memory.0.get(key).cloned().ok_or_else(|| raise(Error::unknown_name("run_state property", key, known)))
    }

    /// Set a property: checked now, so that a value that cannot be saved is an error where it is set.
    pub fn set(&self, key: &str, value: Dynamic) -> Fallible<()> {
        pack(&value, &format!("run_state.{key}"), Some(&mut Tensors::new()))?;
        self.0.borrow_mut().0.insert(key.into(), value);
        Ok(())
    }
}
