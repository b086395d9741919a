//! The run's random stream: what scripts draw from; saved with every checkpoint.

use crate::error::{Error, Result};
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::Distribution;
use serde::{Deserialize, Serialize};

/// A seeded stream of random numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    seed: u64,
    rng: ChaCha8Rng,
}

impl Stream {
    /// Begins a stream.
    pub fn new(seed: u64) -> Self {
        Stream { seed, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The seed it began with.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A seed for something else (a supernet's weights).
    pub fn next_seed(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Uniform in 0..n.
    pub fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n.max(1))
    }

    /// Uniform in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        // 53 random bits, moved half a step off 0, so that a logarithm of it is finite
        ((self.rng.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let (radius, angle) = (self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
    }

    /// From Gamma(`shape`, 1): by rejection (Marsaglia and Tsang, 2000), `shape` above 0. Never 0: a logarithm of it is finite.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        let drawn = rand_distr::Gamma::new(shape, 1.0).map_or(f64::NAN, |gamma| gamma.sample(&mut self.rng));
        if drawn < f64::MIN_POSITIVE { f64::MIN_POSITIVE } else { drawn }
    }

    /// Standard Gumbel: `-ln(-ln u)`.
    pub fn gumbel(&mut self) -> f64 {
        -(-self.uniform().ln()).ln()
    }

    /// The stream as it stands, for the checkpoint.
    pub fn to_json(&self) -> Result<serde_json::Value> {
        serde_json::to_value(self).map_err(|e| Error::invalid("random stream", e, "JSON"))
    }

    /// Reads the stream of a checkpoint.
    pub fn from_json(value: &serde_json::Value) -> Result<Self> {
        serde_json::from_value(value.clone())
            .map_err(|e| Error::invalid("random stream in the checkpoint", e, "a stream"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_goes_on_where_its_json_was_taken() {
        let mut stream = Stream::new(3);
        stream.next_seed();
        let mut other = Stream::from_json(&stream.to_json().unwrap()).unwrap();
        assert_eq!(stream.seed(), other.seed());
        assert_eq!(
            (0..9).map(|_| stream.next_seed()).collect::<Vec<_>>(),
            (0..9).map(|_| other.next_seed()).collect::<Vec<_>>()
        );
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let mut stream = Stream::new(0);
        let moments = |draw: &mut dyn FnMut() -> f64| {
            let xs: Vec<f64> = (0..20_000).map(|_| draw()).collect();
            let mean = xs.iter().sum::<f64>() / xs.len() as f64;
            (mean, xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / xs.len() as f64)
        };
        let cases = [("uniform", 0.5, 1.0 / 12.0), ("normal", 0.0, 1.0), ("gumbel", 0.5772, 1.6449)];
        for (name, mean, variance) in cases {
            let (m, v) = moments(&mut || match name {
                "uniform" => stream.uniform(),
                "normal" => stream.normal(),
                _ => stream.gumbel(),
            });
            assert!((m - mean).abs() < 0.03 && (v - variance).abs() < 0.06, "{name}: {m} {v}");
        }
    }
}
