//! `run_state`: what a script itself must remember across the turns of an epochs loop, saved and restored with the
//! rest.

use crate::error::{Error, Result};
use crate::host::handles::saved::{pack, unpack};
use crate::host::run::Host;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise};
use crate::search::{State, Stateful};
use rhai::{Array, Dynamic, Map};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The remembered values.
struct Memory(Map);

impl Stateful for Memory {
    fn kind(&self) -> &'static str {
        "run_state"
    }

    fn state(&self) -> Result<State> {
        let mut tensors = BTreeMap::new();
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

impl RunState {
    fn get(&self, key: &str) -> Fallible<Dynamic> {
        let memory = self.0.borrow();
        let known = memory.0.keys().map(|k| k.as_str());
        memory.0.get(key).cloned().ok_or_else(|| raise(Error::unknown_name("run_state property", key, known)))
    }

    /// Set a property: checked now, so that a value that cannot be saved is an error where it is set.
    fn set(&self, key: &str, value: Dynamic) -> Fallible<()> {
        pack(&value, &format!("run_state.{key}"), Some(&mut BTreeMap::new())).map_err(raise)?;
        self.0.borrow_mut().0.insert(key.into(), value);
        Ok(())
    }
}

/// Register `run_state`.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("run");
    api.value::<RunState>("RunState", |s| format!("run_state {:?}", Dynamic::from(s.0.borrow().0.clone())));
    let h = host.clone();
    api.def(
        [
            "run_state",
            "run_state(map) -> RunState",
            "A map whose values are saved after every turn of an epochs loop, and restored by --resume: for what a \
             strategy itself must remember (a best score, a history). Made before the loop. It holds numbers, text, \
             bool, genotypes, masks, importances, candidates, tensors, and arrays and maps of these.",
            "let state = run_state(#{ best: 0.0, history: [] });\nfor epoch in epochs(3) {\n    state.best = epoch * \
             0.5;\n    state.history.push(epoch);\n}\nassert(state.best == 1.5 && state.history == [1, 2, 3]);",
        ],
        move |map: Map| -> Fallible<RunState> {
            let state = RunState(Rc::new(RefCell::new(Memory(Map::new()))));
            map.into_iter().try_for_each(|(key, value)| state.set(&key, value))?;
            h.register_state(&(state.0.clone() as Rc<RefCell<dyn Stateful>>));
            Ok(state)
        },
    );
    api.indexed(|s: &mut RunState, key: &str| s.get(key), |s: &mut RunState, key: &str, value| s.set(key, value));
    api.also("keys", |s: &mut RunState| s.0.borrow().0.keys().map(|k| k.to_string().into()).collect::<Array>());
}
