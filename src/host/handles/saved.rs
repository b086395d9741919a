//! Script values as JSON, for checkpoints and `:save`: [`unpack`] gives back to the bit what [`pack`] packed.

use super::handle::Tensors;
use super::registry;
use crate::error::{Error, Result};
use crate::host::script::value::{from_json, json_of, kind};
use rhai::{Array, Dynamic, Map};
use serde_json::Value;

/// A script value as JSON without tensors (the settings in the manifest); what has no JSON form is an error that names `what`.
pub fn to_json(value: &Dynamic, what: &str) -> Result<Value> {
    pack(value, what, None)
}

/// A script value with everything in it; tensors are put aside into `tensors`.
pub fn pack(value: &Dynamic, what: &str, mut tensors: Option<&mut Tensors>) -> Result<Value> {
    json_of(value, what, &mut |value, what| {
        let packing = registry::entry(value).and_then(|entry| entry.saved.as_ref());
        let packed = packing.map_or(Ok(None), |packing| (packing.pack)(value, what, tensors.as_deref_mut()))?;
        packed.ok_or_else(|| {
            let expected =
                "a number, text, bool, genotype, mask, importance, space, candidate, tensor, or an array or map of these";
            Error::invalid(what, kind(value), expected)
        })
    })
}

/// Gives back what [`pack`] packed.
pub fn unpack(value: &Value, tensors: &Tensors) -> Result<Dynamic> {
    Ok(match value {
        Value::Array(items) => items.iter().map(|v| unpack(v, tensors)).collect::<Result<Array>>()?.into(),
        Value::Object(map) => {
            if let Some(bits) = map.get("$float").and_then(Value::as_u64) {
                return Ok(f64::from_bits(bits).into());
            }
            if let Some(packing) = registry::packing(map) {
                return (packing.unpack)(map, tensors);
            }
            let each = map.iter().map(|(k, v)| Ok((k.as_str().into(), unpack(v, tensors)?)));
            each.collect::<Result<Map>>()?.into()
        }
        plain => from_json(plain),
    })
}
