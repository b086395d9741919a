//! Long tensors in few numbers, and first weights by a formula: the twins of `sketch` in `tests/peer/replay.py` and of
//! `first_weights` in `tests/peer/golden.py`.

/// The finaliser of SplitMix64 (Steele et al., 2014).
pub fn splitmix(z: u64) -> u64 {
    let z = z.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The norm of a tensor, and two sums of it under fixed random signs, whose deviation is about the norm of its deviation.
pub fn sketch(values: &[f64]) -> [f64; 3] {
    let sign = |i: usize, k: u64| if splitmix(2 * i as u64 + k + 1) & 1 == 0 { 1.0 } else { -1.0 };
    let sum = |k| values.iter().enumerate().map(|(i, v)| v * sign(i, k)).sum();
    [values.iter().map(|v| v * v).sum::<f64>().sqrt(), sum(0), sum(1)]
}
