//! Whether numbers are finite: neither NaN nor infinite.

use super::vectorized;
use candle_core::{DType, Device, Result, Tensor};

/// Whether every number of `x` is.
pub fn all_finite(x: &[f32]) -> bool {
    // 0 x is 0, or NaN; and sums of NaN stay NaN.
    vectorized!({
        let mut lanes = [0f32; 16];
        let (chunks, rest) = x.as_chunks::<16>();
        for chunk in chunks {
            lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += 0.0 * x);
        }
        lanes.iter().sum::<f32>() == 0.0 && rest.iter().all(|x| x.is_finite())
    })
}

/// The first number of a tensor that is not finite. On other devices than the CPU one sum of `0 x` is brought over first.
pub fn not_finite(x: &Tensor) -> Result<Option<f32>> {
    let x = x.to_dtype(DType::F32)?;
    if !x.device().is_cpu() && x.affine(0.0, 0.0)?.sum_all()?.to_scalar::<f32>()? == 0.0 {
        return Ok(None);
    }
    let values: Vec<f32> = x.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?;
    Ok(if all_finite(&values) { None } else { values.into_iter().find(|v| !v.is_finite()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_that_is_not_finite_is_found_wherever_it_is() -> Result<()> {
        for n in [1, 15, 16, 17, 40] {
            let numbers: Vec<f32> = (0..n).map(|i| [f32::MAX, -f32::MAX, 0.0, -1e-40][i % 4]).collect();
            assert!(all_finite(&numbers), "{n}");
            for (at, bad) in (0..n).zip([f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().cycle()) {
                let mut numbers = numbers.clone();
                numbers[at] = bad;
                assert!(!all_finite(&numbers), "{bad} at {at} of {n}");
                let found = not_finite(&Tensor::new(&numbers[..], &Device::Cpu)?)?;
                assert_eq!(found.map(f32::to_bits), Some(bad.to_bits()));
            }
        }
        assert_eq!(not_finite(&Tensor::zeros((3, 0), DType::F32, &Device::Cpu)?)?, None);
        Ok(())
    }
}
