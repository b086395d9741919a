//! Properties of the GPU's kernels: each kernel by itself, on the emulator, over shapes drawn from a seed, against plain loops in
//! f64. Both schedules make the same bits; counters are zero after a launch; what is not written stays as it was.

mod bench;
mod conv;
mod derive;
mod fill;
mod gather;
mod head;
mod norm;
mod parts;
mod separable;
mod sgd;
mod side_by_side;
mod weights;

use bench::{Output, Try, require};
use isdarts_host::ops::gpu::emulated::{Emulated, Schedule};
use isdarts_host::ops::gpu::{Arithmetic, Gpu, Launch, Unit};
use rayon::ThreadPoolBuilder;
use std::ops::Range;

/// Nothing, or what is wrong.
pub type Outcome = Result<(), String>;
/// Looks at what jobs made.
pub type Check = Box<dyn FnOnce(&Try) -> Outcome>;
/// What holds for the jobs that a try draws.
pub type Property = fn(&mut Try) -> Outcome;

/// All properties, by family of kernels.
pub const FAMILIES: [(&str, &[(&str, Property)]); 12] = [
    ("conv", conv::PROPERTIES),
    ("separable", separable::PROPERTIES),
    ("side by side", side_by_side::PROPERTIES),
    ("derive", derive::DERIVE),
    ("pool", derive::POOL),
    ("moments", derive::MOMENTS),
    ("fill", fill::PROPERTIES),
    ("mix", fill::MIX),
    ("gather", gather::PROPERTIES),
    ("head", head::PROPERTIES),
    ("score", head::SCORE),
    ("sgd", sgd::PROPERTIES),
];

/// Try the properties of a family from these seeds with these texts; the first one that does not hold.
pub fn check(family: &str, units: &[Unit], arithmetic: Arithmetic, seeds: Range<u64>) -> Outcome {
    let (_, properties) = FAMILIES.iter().find(|(name, _)| *name == family).expect("a family");
    let device = |schedule| Emulated::of(units.to_vec(), arithmetic, schedule);
    let devices = [Schedule::Forward, Schedule::Reversed].map(device);
    let run = || {
        let both = |seed: u64| properties.iter().map(move |property| (seed, property));
        seeds.flat_map(both).try_for_each(|(seed, (name, property))| {
            tried(property, &devices, seed).map_err(|what| format!("{name} {seed}: {what}"))
        })
    };
    // One thread: blocks run in their order, or the other way round, and faults show each time.
    ThreadPoolBuilder::new().num_threads(1).build().expect("one thread").install(run)
}

fn tried(property: &Property, devices: &[Emulated; 2], seed: u64) -> Outcome {
    let outputs = |gpu| {
        let mut t = Try::new(gpu, seed);
        property(&mut t).map(|()| t.outputs())
    };
    let [one, other]: [Vec<Output>; 2] =
        [outputs(&devices[0])?, outputs(&devices[1]).map_err(|what| format!("reversed: {what}"))?];
    one.iter().zip(&other).try_for_each(|(one, other)| {
        require(one.made == other.made, || format!("{} has other bits in the other schedule", one.what))
    })?;
    devices.iter().try_for_each(|gpu| gpu.synchronize().map_err(|error| error.to_string()))
}

/// Without a C++ compiler there is nothing to test, and the test says so.
pub fn compiler() -> bool {
    let unit = Unit::new("none.cu", "\nKERNEL(none, Pass, 1) {}", Arithmetic::Single);
    let gpu = Emulated::of(vec![unit], Arithmetic::Single, Schedule::Forward);
    match gpu.graph(&[Launch { kernel: "none", jobs: 0, work: 0, blocks: 1, shared: 0 }], 0) {
        Ok(_) => true,
        Err(error) => {
            assert!(error.to_string().contains("got no C++ compiler"), "{error}");
            println!("SKIPPED: {error}");
            false
        }
    }
}
