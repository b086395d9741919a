//! The GPU engine, on a CPU: the tests of the engine, of golden runs, of options, of drawn paths and of skips beside ops, with the
//! emulator in the GPU's place.
//! `ISDARTS_GOLDEN` names a folder with more golden runs.

#[path = "engine.rs"]
mod engine;
#[path = "golden.rs"]
mod golden;
#[path = "golden_eval.rs"]
mod golden_eval;
#[path = "options.rs"]
mod options;
#[path = "paths.rs"]
mod paths;
#[path = "bench_suite/skips.rs"]
mod skips;

use engine::{Case, compare};
use isdarts_host::net::Mode;
use std::process::Command;

#[ctor::ctor]
fn emulate() {
    isdarts_host::ops::gpu::emulate();
}

/// Small layers are summed in f64; this is not one.
#[test]
fn a_layer_that_is_not_small_goes_by_tensor_cores_and_equals_the_definition() -> isdarts_host::Result<()> {
    compare(&Case { channels: 16, cells: 1, batch: 3, size: 32, alive: 0.5, strict: false }, 5, Mode::Train)
}

/// The emulator has each buffer between guards; a card has all of a pass in one piece of memory, where what is done with makes room.
#[test]
fn buffers_that_lie_where_a_card_has_them_give_the_same() {
    let again = Command::new(std::env::current_exe().unwrap())
        .env("ISDARTS_EMULATOR", "packed")
        .args(["--test-threads", "1", "paths::", "engine::two", "golden::the_default"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stdout);
    assert!(again.status.success() && said.contains("8 passed"), "{said}\n{}", String::from_utf8_lossy(&again.stderr));
}
