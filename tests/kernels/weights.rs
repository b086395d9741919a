//! Weights of convolutions, as a network holds them and as plain loops read them.

use super::bench::Try;
use isdarts_host::ops::conv::gpu::packed_len;
use isdarts_host::ops::gpu::jobs::{Address, PackJob};

/// Of a convolution. Kinds as in `PackJob`: 0 dense, 1 two halves, 2 depthwise.
pub struct Weights {
    /// Packs them.
    pub job: PackJob,
    /// `[tap][input][output]`, zero where there is none; depthwise `[tap][channel]`.
    pub full: Vec<f64>,
}

/// Where the weight of output o, input i and a tap stands: which array, and at which place. Both halves see as many inputs.
pub fn place(kind: i32, [taps, ci, co]: [usize; 3], o: usize, i: usize, tap: usize) -> Option<(usize, usize)> {
    let (first, seen) = (co / 2, ci / 2);
    match (kind, o < first) {
        (0, _) => Some((0, (o * ci + i) * taps + tap)),
        (2, _) => (o == i).then_some((0, i * taps + tap)),
        (_, true) => (i < seen).then_some((0, o * seen + i)),
        (_, false) => (seen..2 * seen).contains(&i).then(|| (1, (o - first) * seen + i - seen)),
    }
}

/// Numbers in each of its arrays.
pub fn lens(kind: i32, [taps, ci, co]: [usize; 3]) -> [usize; 2] {
    match kind {
        0 => [taps * ci * co, 0],
        2 => [taps * ci, 0],
        _ => [co / 2 * (ci / 2), (co - co / 2) * (ci / 2)],
    }
}

impl Weights {
    /// Of `ci` inputs and `co` outputs, as stored `ci_p` and `co_p`; packed for the way back, too, if it is asked for.
    pub fn draw(t: &mut Try, kind: i32, k: usize, [ci, co]: [usize; 2], [ci_p, co_p]: [usize; 2], back: bool) -> Self {
        t.always();
        let taps = k * k;
        let shape = [taps, ci, co];
        let w = lens(kind, shape).map(|n| t.numbers(n, 0., 1. / k as f32));
        let mut full = vec![0f64; taps * ci * if kind == 2 { 1 } else { co }];
        for tap in 0..taps {
            for i in 0..ci {
                for o in if kind == 2 { i..i + 1 } else { 0..co } {
                    let at = if kind == 2 { tap * ci + i } else { (tap * ci + i) * co + o };
                    full[at] = place(kind, shape, o, i, tap).map_or(0., |(half, place)| w[half][place] as f64);
                }
            }
        }
        let packed = packed_len(k, ci_p, co_p);
        let (forward, backward): (Address, Address) = match kind {
            2 => (t.out::<f32>("packed taps", taps * ci_p), 0),
            _ => (t.out::<f32>("packed", packed), if back { t.out::<f32>("packed back", packed) } else { 0 }),
        };
        let [k, ci, co, ci_p, co_p] = [k, ci, co, ci_p, co_p].map(|n| n as i32);
        let job = PackJob { kind, k, ci, co, ci_p, co_p, w: [t.give(&w[0]), t.give(&w[1])], forward, backward };
        Weights { job, full }
    }
}
