//! Random streams of the data layer: each use has its own ChaCha8 stream, so that no draw moves another.

use rand::seq::SliceRandom;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a stream is for.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// The order of an epoch.
    Shuffle = 1,
    /// Crops, flips and cutouts of an epoch.
    Augment = 2,
    /// Which images of a class `limit` keeps.
    Limit = 3,
    /// Which images of a class go to the first part of a split.
    Split = 4,
    /// Which images `take` takes.
    Take = 5,
}

/// The generator of (`seed`, `purpose`, `key`); `key` is an epoch or a class.
pub(super) fn stream(seed: u64, purpose: Purpose, key: u64) -> ChaCha8Rng {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = purpose as u8;
    bytes[16..24].copy_from_slice(&key.to_le_bytes());
    ChaCha8Rng::from_seed(bytes)
}

/// `items` in the order of that generator.
pub(super) fn shuffled(mut items: Vec<u32>, seed: u64, purpose: Purpose, key: u64) -> Vec<u32> {
    items.shuffle(&mut stream(seed, purpose, key));
    items
}

/// A whole number in `0..n`, uniform up to 2^-32. Always one draw of the generator.
pub(super) fn below(rng: &mut impl RngCore, n: usize) -> usize {
    ((u64::from(rng.next_u32()) * n as u64) >> 32) as usize
}
