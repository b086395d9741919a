//! Draws from N(0, 1) of any shape, the same again for the same images, seed and place: a batch that is run twice (a
//! backward pass that runs forward again, a resumed run) sees the same noise, and a new batch sees new noise.
//! Source: `NoiseOp` of RobustDARTS. No gradient flows into it.

use candle_core::{Device, Result, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// The key that the draws for these images follow from.
pub fn key(images: &Tensor, seed: u64) -> Result<u64> {
    let mut hash = Xxh3::with_seed(seed);
    for value in images.flatten_all()?.to_vec1::<f32>()? {
        hash.update(&value.to_bits().to_le_bytes());
    }
    Ok(hash.digest())
}

/// A tensor of draws for a place in the network.
pub fn draw(key: u64, place: &str, shape: &[usize], device: &Device) -> Result<Tensor> {
    let mut random = ChaCha8Rng::seed_from_u64(xxh3_64_with_seed(place.as_bytes(), key));
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| normal(&mut random)).collect();
    Tensor::from_vec(values, shape, device)
}

/// A normal draw (Box and Muller).
fn normal(random: &mut impl Rng) -> f32 {
    let (u, v): (f64, f64) = (1.0 - random.random::<f64>(), random.random());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(key: u64, place: &str) -> Vec<f32> {
        draw(key, place, &[4, 8, 32, 32], &Device::Cpu).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn draws_are_standard_normal() {
        let values = draws(7, "cells.0");
        let n = values.len() as f64;
        let moment = |k: i32| values.iter().map(|v| f64::from(*v).powi(k)).sum::<f64>() / n;
        // Four standard errors: those of the first, second and fourth moment are 1, sqrt 2 and sqrt 96, over sqrt n.
        for (k, expected, spread) in [(1, 0.0, 1.0), (2, 1.0, 2f64.sqrt()), (4, 3.0, 96f64.sqrt())] {
            assert!((moment(k) - expected).abs() < 4.0 * spread / n.sqrt(), "moment {k}: {}", moment(k));
        }
    }

    #[test]
    fn the_same_images_seed_and_place_give_the_same_draws_and_others_give_others() {
        let images = |value: f32| Tensor::full(value, (2, 3, 4, 4), &Device::Cpu).unwrap();
        let [a, b, c] = [(1.0, 5), (1.5, 5), (1.0, 6)].map(|(value, seed)| key(&images(value), seed).unwrap());
        assert_eq!(a, key(&images(1.0), 5).unwrap());
        assert!(a != b && a != c);
        assert_eq!(draws(a, "cells.0"), draws(a, "cells.0"));
        assert!(draws(a, "cells.0") != draws(a, "cells.1") && draws(a, "cells.0") != draws(b, "cells.0"));
    }
}
