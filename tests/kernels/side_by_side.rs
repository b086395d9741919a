//! Launches that are two at once: what each makes alone.

use super::bench::Try;
use super::{Outcome, Property, derive, gather, separable};

/// Of these kernels.
pub const PROPERTIES: &[(&str, Property)] = &[
    ("separable and pools", separable_and_pools),
    ("separable and derived", separable_and_derived),
    ("taps and gather", taps_and_gather),
];

fn separable_and_pools(t: &mut Try) -> Outcome {
    let (packs, jobs, check) = separable::drawn_forward(t);
    let (pools, check_pools) = derive::drawn_pools(t);
    let [first, second] = [t.launch(&jobs), t.launch(&pools)];
    let launches = [t.launch(&packs), t.side_by_side("separable_and_pools", first, second)];
    t.run(&launches)?;
    check(t)?;
    check_pools(t)
}

fn separable_and_derived(t: &mut Try) -> Outcome {
    let (packs, jobs, check) = separable::drawn_forward(t);
    let (nodes, check_nodes) = derive::drawn(t);
    let [first, second] = [t.launch(&jobs), t.launch(&nodes)];
    let launches = [t.launch(&packs), t.side_by_side("separable_and_derived", first, second)];
    t.run(&launches)?;
    check(t)?;
    check_nodes(t)
}

fn taps_and_gather(t: &mut Try) -> Outcome {
    let (jobs, check) = separable::drawn_taps(t);
    let (nodes, check_nodes) = gather::drawn(t);
    let [first, second] = [t.launch(&jobs), t.launch(&nodes)];
    let launch = t.side_by_side("taps_and_gather", first, second);
    t.run(&[launch])?;
    check(t)?;
    check_nodes(t)
}
