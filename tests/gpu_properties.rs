//! Each kernel of the GPU by itself, on the emulator, against plain loops in f64 (`kernels/`), in every arithmetic.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kernels;

use isdarts_host::ops::gpu::emulated::{Emulated, Schedule};
use isdarts_host::ops::gpu::jobs::SIZES;
use isdarts_host::ops::gpu::{Arithmetic, Gpu, Launch, Unit, download, units};
use kernels::{check, compiler};

/// Tries of each property.
const TRIES: u64 = 260;

fn holds(family: &str, arithmetic: Arithmetic) {
    if compiler() {
        let made = check(family, &units(arithmetic).unwrap(), arithmetic, 0..TRIES);
        made.unwrap_or_else(|what| panic!("{family}, {arithmetic:?}: {what}"));
    }
}

macro_rules! families {
    ($($test:ident: $family:literal $arithmetic:ident;)+) => {$(
        #[test]
        fn $test() {
            holds($family, Arithmetic::$arithmetic);
        }
    )+};
}

families! {
    convolutions_in_f32: "conv" Single;
    convolutions_in_two_parts: "conv" Split;
    convolutions_with_sums_in_f64: "conv" Exact;
    separable_convolutions_in_f32: "separable" Single;
    separable_convolutions_in_two_parts: "separable" Split;
    separable_convolutions_with_sums_in_f64: "separable" Exact;
    launches_that_are_two_at_once: "side by side" Single;
    nodes_made_of_others: "derive" Single;
    pools_before_a_norm: "pool" Single;
    norms_of_an_image: "moments" Single;
    sums_of_terms: "fill" Single;
    sums_of_terms_in_f64: "fill" Exact;
    gradients_of_nodes_in_f64: "gather" Exact;
    gradients_of_mixing_weights: "mix" Single;
    gradients_of_nodes: "gather" Single;
    heads_and_losses: "head" Single;
    scores: "score" Single;
    steps_of_the_optimiser: "sgd" Single;
}

/// The names of the structs that `jobs.cuh` has in this unit.
fn structs(unit: &Unit) -> Vec<String> {
    let jobs = unit.text.split("#line 1 ").find(|file| file.starts_with("\"gpu/jobs.cuh\"")).unwrap();
    jobs.split("\nstruct ").skip(1).map(|rest| rest.split([' ', '{']).next().unwrap().to_string()).collect()
}

#[test]
fn structs_have_the_same_size_on_both_sides() {
    if !compiler() {
        return;
    }
    let rows: Vec<String> =
        SIZES.iter().enumerate().map(|(i, (name, _))| format!("y[{i}] = sizeof({name});")).collect();
    let body = format!("int* y = jobs[0].y;\nif (threadIdx.x == 0) {{ {} }}", rows.join("\n"));
    let text = format!("struct SizesJob {{ int* y; }};\nKERNEL(sizes, SizesJob, 1) {{ {body} }}");
    let unit = Unit::new("sizes.cu", &text, Arithmetic::Single);
    let names: Vec<&str> = SIZES.iter().map(|(name, _)| *name).collect();
    assert_eq!(structs(&unit), names);
    let gpu = Emulated::of(vec![unit], Arithmetic::Single, Schedule::Forward);
    let (sizes, job, work) =
        (gpu.alloc("sizes", 4 * names.len()).unwrap(), gpu.alloc("job", 8).unwrap(), gpu.alloc("work", 8).unwrap());
    gpu.upload(job.address(), &sizes.address().to_le_bytes()).unwrap();
    gpu.zero(work.address(), 8).unwrap();
    let launch = Launch { kernel: "sizes", jobs: job.address(), work: work.address(), blocks: 1, shared: 0 };
    gpu.launch(&[launch], 0).unwrap();
    let made: Vec<i32> = download(&gpu, sizes.address(), names.len()).unwrap();
    for ((name, rust), cpp) in SIZES.iter().zip(made) {
        assert_eq!(*rust as i32, cpp, "{name}");
    }
}
