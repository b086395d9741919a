//! Weights and images that need not be recorded: numbers of a hash, which Python computes too (`value` and `initial` of
//! `tests/golden_eval/record.py`).

use candle_core::{Device, Tensor};

/// `n` numbers in [-1, 1): the finaliser of MurmurHash3 of `i + salt * 0x9e3779b9`.
pub fn value(salt: u64, n: usize) -> Vec<f32> {
    let one = |i: u64| {
        let mut z = (i + salt * 0x9e37_79b9) as u32;
        z = (z ^ (z >> 16)).wrapping_mul(0x85eb_ca6b);
        z = (z ^ (z >> 13)).wrapping_mul(0xc2b2_ae35);
        (f64::from(z ^ (z >> 16)) / 2f64.powi(31) - 1.) as f32
    };
    (0..n as u64).map(one).collect()
}

/// A parameter or running statistic: of the size that its kind has in a network.
pub fn initial(name: &str, shape: &[usize], salt: u64) -> Tensor {
    let scale = |v: f32| match shape {
        [_] if name.ends_with("weight") || name.ends_with("running_var") => 1. + 0.2 * v,
        [_] => 0.1 * v,
        _ => (f64::from(v) / (shape[1..].iter().product::<usize>() as f64).sqrt()) as f32,
    };
    let values = value(salt, shape.iter().product()).into_iter().map(scale).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}
