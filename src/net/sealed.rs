//! Weights files with a sum over all that is in them.
//!
//! The sum is the XXH3 (64 bits, in hex) of the file with [`BLANK`] in its place. It stands in the metadata: as entry
//! `isdarts-sum`, or as the last member of that name of the JSON object that is the one entry. Files of other programs have
//! none, and are taken as they are.

use crate::error::{Error, Result};
use safetensors::serialize;
use safetensors::tensor::View;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

const SUM: &str = "isdarts-sum";
/// Stands where the sum will.
const BLANK: &str = "isdarts?sum?here";

/// The bytes of a safetensors file of `tensors` with a sum, and with `entry`: its key, and a JSON object.
pub fn seal<S: AsRef<str> + Ord + std::fmt::Display, V: View>(
    tensors: impl IntoIterator<Item = (S, V)>,
    entry: Option<(&str, &str)>,
) -> Result<Vec<u8>> {
    // One entry: several would come in another order each time.
    let (key, value) = match entry {
        None => (SUM, BLANK.to_string()),
        Some((key, object)) => (key, format!("{},\"{SUM}\":\"{BLANK}\"}}", object.trim_end().trim_end_matches('}'))),
    };
    let metadata = HashMap::from([(key.to_string(), value)]);
    let bad = |e: String| Error::invalid("the weights", e, "tensors that safetensors can hold");
    let mut bytes = serialize(tensors, Some(metadata)).map_err(|e| bad(e.to_string()))?;
    let place = place(&bytes).ok_or_else(|| bad("a header without its sum".into()))?;
    let found = sum(&bytes, &place);
    bytes[place].copy_from_slice(found.as_bytes());
    Ok(bytes)
}

/// Whether `bytes`, read from `path`, have the sum that they say they have.
pub fn check(path: &Path, bytes: &[u8]) -> Result<()> {
    let Some(place) = place(bytes) else { return Ok(()) };
    let (found, written) = (sum(bytes, &place), String::from_utf8_lossy(&bytes[place]));
    match written == found {
        true => Ok(()),
        false => {
            let got = format!("bytes with sum {found} where {written} was written");
            let expected =
                "weights as they were saved; they are damaged, or another program changed them and kept the sum";
            Err(Error::file(path, got, expected))
        }
    }
}

/// Where the sum stands: the last of its name in the header.
fn place(bytes: &[u8]) -> Option<Range<usize>> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header = rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let named = header.windows(SUM.len()).rposition(|window| window == SUM.as_bytes())? + SUM.len();
    let skipped = header[named..].iter().take_while(|b| br#"\":"#.contains(b)).count();
    let begin = 8 + named + skipped;
    (begin + BLANK.len() <= 8 + header.len()).then_some(begin..begin + BLANK.len())
}

fn sum(bytes: &[u8], place: &Range<usize>) -> String {
    let mut sum = Xxh3::new();
    sum.update(&bytes[..place.start]);
    sum.update(BLANK.as_bytes());
    sum.update(&bytes[place.end..]);
    format!("{:016x}", sum.digest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    #[test]
    fn every_changed_bit_and_every_cut_is_found() {
        let tensor = Tensor::new(&[1.5f32, f32::NAN], &Device::Cpu).unwrap();
        let path = Path::new("w.safetensors");
        for entry in [None, Some(("about", "{\"classes\":[\"isdarts-sum\"]}"))] {
            let bytes = seal([("w", &tensor), ("a.b", &tensor)], entry).unwrap();
            assert_eq!(bytes, seal([("w", &tensor), ("a.b", &tensor)], entry).unwrap());
            check(path, &bytes).unwrap();
            for at in 8..bytes.len() {
                let mut other = bytes.clone();
                other[at] ^= 4;
                let known = place(&other) == place(&bytes);
                assert!(check(path, &other).is_err() || !known, "byte {at} of {}", String::from_utf8_lossy(&bytes));
            }
            let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
            let metadata = header.metadata().as_ref().unwrap();
            assert!(
                entry.is_none_or(
                    |(key, _)| metadata[key].starts_with("{\"classes\":[\"isdarts-sum\"],\"isdarts-sum\":\"")
                )
            );
        }
        check(path, &serialize([("w", &tensor)], None).unwrap()).unwrap();
    }
}
