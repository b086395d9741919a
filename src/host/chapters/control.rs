//! The run itself: epochs, seeds, arguments, assertions.

use crate::error::Error;
use crate::host::run::{Epochs, Host, Stream};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::races;
use crate::host::script::value::count;
use crate::interrupt;
use rhai::{Array, Dynamic, INT};
use serde_json::json;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Register the functions of the run.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("run");
    api.value::<Epochs>("Epochs", |e| format!("epochs 1 to {}", e.n));
    api.iterable::<Epochs, INT>();
    let h = host.clone();
    api.def(
        [
            "epochs",
            "epochs(n) -> Epochs",
            "1, 2, ..., n, for `for`. After each turn the run is saved: every supernet with mask and optimiser, \
             architecture parameters, run_state, random stream. Under --resume they are restored, and only what is \
             left is gone through. Values that hold state are made before the loop; what a script itself must remember \
             across turns lives in a run_state.",
            "let sum = 0;\nfor epoch in epochs(3) { sum += epoch; }\nassert(sum == 6);",
        ],
        move |n: INT| -> Fallible<Epochs> { Ok(Epochs { host: h.clone(), n: count(n, "epochs")? }) },
    );
    let h = host.clone();
    api.def(
        [
            "seed",
            "seed() -> integer",
            "The seed of the run's random stream: that of --seed, or of the last set_seed.",
            "set_seed(3);\nassert(seed() == 3);",
        ],
        move || h.stream.borrow().seed() as INT,
    );
    let h = host.clone();
    api.def(
        [
            "set_seed",
            "set_seed(seed)",
            "Begin the run's random stream anew: weights of supernets made from here on, splits, draws. For scripts \
             that repeat a search.",
            "set_seed(1);\nlet a = random_genotype(space(\"darts\"));\nset_seed(1);\n\
             assert(a == random_genotype(space(\"darts\")));",
        ],
        move |seed: INT| -> Fallible<()> {
            *h.stream.borrow_mut() = Stream::new(count(seed, "seed")? as u64);
            Ok(())
        },
    );
    let h = host.clone();
    api.def(
        [
            "random_below",
            "random_below(n) -> integer",
            "Uniform in 0..n, from the run's random stream.",
            "assert(random_below(1) == 0);",
        ],
        move |n: INT| match count(n, "n")? {
            0 => Err(wrong("random_below, n", n, "an integer of at least 1")),
            n => {
                let drawn = h.stream.borrow_mut().below(n);
                h.trace.draw("random_below", || Ok(json!({ "n": n, "value": drawn }))).map_err(raise)?;
                Ok(drawn as INT)
            }
        },
    );
    let h = host.clone();
    api.def(
        [
            "run_seconds",
            "run_seconds() -> float",
            "Seconds that the run has taken so far, those before it was resumed among them.",
            "assert(run_seconds() >= 0.0);",
        ],
        move || h.seconds(),
    );
    api.def(
        [
            "sleep",
            "sleep(seconds)",
            "Wait so long, an integer or a float; Ctrl-C ends it.",
            "let before = run_seconds();\nsleep(0.01);\nassert(run_seconds() >= before + 0.01);",
        ],
        sleep,
    );
    api.also("sleep", |seconds: INT| sleep(seconds as f64));
    let h = host.clone();
    api.def(
        ["args", "args() -> [string]", "What stood after `--` on the command line.", "assert(args().len == 0);"],
        move || h.options.args.iter().map(|a| Dynamic::from(a.clone())).collect::<Array>(),
    );
    api.def(
        [
            "assert",
            "assert(condition)\nassert(condition, message)",
            "An error unless the condition holds.",
            "assert(1 + 1 == 2, \"arithmetic\");",
        ],
        |holds: bool| assert(holds, "assertion failed: got false, expected true"),
    );
    api.also("assert", |holds: bool, message: Dynamic| assert(holds, &message.to_string()));
    api.def(
        [
            "error_of",
            "error_of(closure) -> string",
            "The message of the error that a closure without parameters raises; an error if it raises none. For tests.",
            "assert(error_of(|| space(\"nasbench\")).contains(\"unknown\"));",
        ],
        |context: rhai::NativeCallContext, closure: rhai::FnPtr| -> Fallible<String> {
            match closure.call_within_context::<Dynamic>(&context, ()) {
                Err(error) => match error.unwrap_inner() {
                    rhai::EvalAltResult::ErrorTerminated(..) => Err(error),
                    rhai::EvalAltResult::ErrorRuntime(text, _) => Ok(text.to_string()),
                    rhai::EvalAltResult::ErrorDataRace(text, _) => Ok(races::describe(text)),
                    other => Ok(other.to_string()),
                },
                Ok(value) => Err(wrong("error_of", format!("the value {value}"), "an error")),
            }
        },
    );
}

/// Rhai's own sees no Ctrl-C.
fn sleep(seconds: f64) -> Fallible<()> {
    let wanted = Duration::try_from_secs_f64(seconds)
        .map_err(|_| wrong("sleep, seconds", seconds, "a number of at least 0 that a clock can hold"))?;
    let begin = Instant::now();
    while let Some(left) = wanted.checked_sub(begin.elapsed()).filter(|left| !left.is_zero()) {
        interrupt::check().map_err(raise)?;
        std::thread::sleep(left.min(Duration::from_millis(20)));
    }
    Ok(())
}

fn assert(holds: bool, message: &str) -> Fallible<()> {
    if holds { Ok(()) } else { Err(raise(Error::Script(message.to_string()))) }
}
