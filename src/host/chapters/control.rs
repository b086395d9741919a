//! The run itself: epochs, seeds, arguments, assertions.

use crate::error::Error;
use crate::host::run::{Epochs, Run, Stream};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::functions::functions;
use crate::host::script::races;
use crate::interrupt;
use rhai::{Dynamic, EvalAltResult, FnPtr, INT};
use serde_json::json;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Register the functions of the run.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("run");
    // The language's own would end a run as one that did its work, whatever the number.
    let end = |how: &str| Err::<(), _>(wrong(how, "a way to end the program", "`return`, or `throw` where it failed"));
    api.operator("exit", move || end("exit()"));
    api.operator("exit", move |_: Dynamic| end("exit(value)"));
    functions! { api, [host];
        /// 1, 2, ..., n, for `for`. After each turn the run is saved: every supernet with mask and optimiser,
        /// architecture parameters, run_state, random stream. Under --resume they are restored, and only what is left
        /// is gone through. Values that hold state are made before the loop; what a script itself must remember
        /// across turns lives in a run_state.
        ///
        /// ```rhai
        /// let sum = 0;
        /// for epoch in epochs(3) { sum += epoch; }
        /// assert(sum == 6);
        /// ```
        fn epochs(n: usize) -> Epochs { Epochs { host: host.clone(), n } }

        /// The seed of the run's random stream: that of --seed, or of the last set_seed.
        ///
        /// ```rhai
        /// set_seed(3);
        /// assert(seed() == 3);
        /// ```
        fn seed() -> usize { host.stream.borrow().seed() as usize }

        /// Begin the run's random stream anew: weights of supernets made from here on, splits, draws. For scripts
        /// that repeat a search.
        ///
        /// ```rhai
        /// set_seed(1);
        /// let a = random_genotype(space("darts"));
        /// set_seed(1);
        /// assert(a == random_genotype(space("darts")));
        /// ```
        fn set_seed(seed: usize) { *host.stream.borrow_mut() = Stream::new(seed as u64); }

        /// Uniform in 0..n, from the run's random stream.
        ///
        /// ```rhai
        /// assert(random_below(1) == 0);
        /// ```
        fn random_below(n: usize) -> Fallible<usize> {
            if n == 0 {
                return Err(wrong("random_below, n", n, "an integer of at least 1"));
            }
            let drawn = host.stream.borrow_mut().below(n);
            host.trace.draw("random_below", || Ok(json!({ "n": n, "value": drawn })))?;
            Ok(drawn)
        }

        /// Seconds that the run has taken so far, those before it was resumed among them.
        ///
        /// ```rhai
        /// assert(run_seconds() >= 0.0);
        /// ```
        fn run_seconds() -> f64 { host.clock.seconds() }

        /// Wait so long, an integer or a float; Ctrl-C ends it.
        ///
        /// ```rhai
        /// let before = run_seconds();
        /// sleep(0.01);
        /// assert(run_seconds() >= before + 0.01);
        /// ```
        fn sleep(seconds: f64) -> Fallible<()> { sleep(seconds) }
        // By its exact type, or else Rhai's own is called.
        fn sleep(seconds: INT) -> Fallible<()> { sleep(seconds as f64) }

        /// What stood after `--` on the command line.
        ///
        /// ```rhai
        /// assert(args().len == 0);
        /// ```
        fn args() -> Vec<String> { host.options.args.clone() }

        /// An error unless the condition holds.
        ///
        /// ```rhai
        /// assert(1 + 1 == 2, "arithmetic");
        /// ```
        fn assert(condition: bool) -> Fallible<()> { assert(condition, "assertion failed: got false, expected true") }
        fn assert(condition: bool, message: Dynamic) -> Fallible<()> { assert(condition, &message.to_string()) }

        /// The message of the error that a closure without parameters raises; an error if it raises none. For tests.
        ///
        /// ```rhai
        /// assert(error_of(|| space("nasbench")).contains("unknown"));
        /// ```
        fn error_of(#context, closure: FnPtr) -> Fallible<String> {
            match closure.call_within_context::<Dynamic>(&context, ()) {
                Err(error) => match error.unwrap_inner() {
                    EvalAltResult::ErrorTerminated(..) => Err(error),
                    EvalAltResult::ErrorRuntime(text, _) => Ok(text.to_string()),
                    EvalAltResult::ErrorDataRace(text, _) => Ok(races::describe(text)),
                    other => Ok(other.to_string()),
                },
                Ok(value) => Err(wrong("error_of", format!("the value {value}"), "an error")),
            }
        }
    }
}

/// Rhai's own sees no Ctrl-C.
fn sleep(seconds: f64) -> Fallible<()> {
    let wanted = Duration::try_from_secs_f64(seconds)
        .map_err(|_| wrong("sleep, seconds", seconds, "a number of at least 0 that a clock can hold"))?;
    let begin = Instant::now();
    while let Some(left) = wanted.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        interrupt::check()?;
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
    Ok(())
}

fn assert(holds: bool, message: &str) -> Fallible<()> {
    if holds { Ok(()) } else { Err(raise(Error::Script(message.to_string()))) }
}
