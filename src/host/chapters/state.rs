//! `run_state`: what a script itself must remember.

use crate::host::handles::Handle;
use crate::host::handles::state::RunState;
use crate::host::run::Run;
use crate::host::script::api::Api;
use crate::host::script::errors::Fallible;
use crate::host::script::functions::functions;
use rhai::Map;
use std::rc::Rc;

/// Register `run_state`.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("run");
    // It is saved itself, so it is not in the registry of what it may hold.
    api.value::<RunState>(RunState::text);
    api.indexed(|s: &mut RunState, key: &str| s.get(key), |s: &mut RunState, key: &str, value| s.set(key, value));
    functions! { api, [host];
        /// A map whose values are saved after every turn of an epochs loop, and restored by --resume: for what a
        /// strategy itself must remember (a best score, a history). Made before the loop. It holds numbers, text,
        /// bool, genotypes, masks, importances, candidates, tensors, and arrays and maps of these.
        ///
        /// ```rhai
        /// let state = run_state(#{ best: 0.0, history: [] });
        /// for epoch in epochs(3) {
        ///     state.best = epoch * 0.5;
        ///     state.history.push(epoch);
        /// }
        /// assert(state.best == 1.5 && state.history == [1, 2, 3]);
        /// ```
        fn run_state(map: Map) -> Fallible<RunState> { RunState::new(&host, map) }

        fn keys(&state: RunState) -> Vec<String> { state.keys() }
    }
}
