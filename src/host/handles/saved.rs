//! Handles as JSON, for checkpoints and `:save`: [`unpack`] gives back to the bit what [`pack`] packed.

use super::genotype::Genotype;
use super::importance::Importance;
use super::space::{Candidate, Mask, Space};
use super::tensor::T;
use crate::error::{Error, Result};
use crate::host::script::value::{from_json, json_of, kind};
use crate::space::{PerCandidate, SearchSpace};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Map};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A script value as JSON without tensors (the settings in the manifest); what has no JSON form is an error that names `what`.
pub fn to_json(value: &Dynamic, what: &str) -> Result<Value> {
    pack(value, what, None)
}

/// A script value with everything in it; tensors are put aside into `tensors`.
pub fn pack(value: &Dynamic, what: &str, mut tensors: Option<&mut BTreeMap<String, Tensor>>) -> Result<Value> {
    json_of(value, what, &mut |value, what| {
        if let Some(genotype) = value.read_lock::<Genotype>() {
            let space = serde_json::to_value(&genotype.0.space).map_err(|e| Error::invalid(what, e, "a space"))?;
            return Ok(json!({"$genotype": genotype.0.to_string(), "space": space}));
        }
        if let Some(mask) = value.read_lock::<Mask>() {
            return Ok(json!({"$mask": plain(mask.alive.table(), what)?, "space": plain(&*mask.space, what)?}));
        }
        if let Some(importance) = value.read_lock::<Importance>() {
            // Bits, for JSON has no infinities and no NaN.
            let bits = |table: &PerCandidate<f64>| plain(&table.map(|x| x.to_bits()), what);
            let score = importance.score.as_deref().map(bits).transpose()?;
            return Ok(
                json!({"$importance": bits(&importance.table)?, "score": score, "space": plain(&*importance.space, what)?}),
            );
        }
        if let Some(space) = value.read_lock::<Space>() {
            return Ok(json!({"$space": plain(&*space.0, what)?}));
        }
        if let Some(candidate) = value.read_lock::<Candidate>() {
            return Ok(json!({"$candidate": plain(&candidate.place, what)?, "space": plain(&*candidate.space, what)?}));
        }
        if let (Some(tensor), Some(tensors)) = (value.read_lock::<T>(), tensors.as_deref_mut()) {
            tensors.insert(what.to_string(), tensor.0.detach());
            return Ok(json!({"$tensor": what}));
        }
        let expected =
            "a number, text, bool, genotype, mask, importance, space, candidate, tensor, or an array or map of these";
        Err(Error::invalid(what, kind(value), expected))
    })
}

fn plain(value: &impl serde::Serialize, what: &str) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::invalid(what, e, "plain data"))
}

/// What stands under `$kind`, for the types that belong to a space.
fn of_space(map: &serde_json::Map<String, Value>) -> Result<Option<Dynamic>> {
    fn parse<T: serde::de::DeserializeOwned>(kind: &str, value: &Value) -> Result<T> {
        serde_json::from_value(value.clone()).map_err(|e| Error::invalid(format!("a saved {kind}"), e, "its data"))
    }
    let named = |space: &Value| parse::<SearchSpace>("space", space).map(Rc::new);
    if let Some(name) = map.get("$space") {
        return Ok(Some(Dynamic::from(Space(named(name)?))));
    }
    let Some(space) = map.get("space") else { return Ok(None) };
    if let Some(alive) = map.get("$mask") {
        let (alive, space) = (crate::space::Mask::from_table(parse("mask", alive)?), named(space)?);
        alive.check_shape(&space)?;
        return Ok(Some(Dynamic::from(Mask { alive, space })));
    }
    if let Some(importance) = map.get("$importance") {
        let space = named(space)?;
        let table = |bits: &Value| -> Result<Rc<PerCandidate<f64>>> {
            let table = parse::<PerCandidate<u64>>("importance", bits)?.map(|bits| f64::from_bits(*bits));
            table.check_shape(&space, "a saved importance").map(|()| Rc::new(table))
        };
        let score = map.get("score").filter(|s| !s.is_null()).map(table).transpose()?;
        return Ok(Some(Dynamic::from(Importance { table: table(importance)?, score, space: space.clone() })));
    }
    if let Some(place) = map.get("$candidate") {
        let (place, space) = (parse("candidate", place)?, named(space)?);
        space.check(place)?;
        return Ok(Some(Dynamic::from(Candidate { place, space })));
    }
    Ok(None)
}

/// What [`pack`] packed.
pub fn unpack(value: &Value, tensors: &BTreeMap<String, Tensor>) -> Result<Dynamic> {
    Ok(match value {
        Value::Array(items) => items.iter().map(|v| unpack(v, tensors)).collect::<Result<Array>>()?.into(),
        Value::Object(map) => {
            if let Some(bits) = map.get("$float").and_then(Value::as_u64) {
                return Ok(f64::from_bits(bits).into());
            }
            if let Some(text) = map.get("$genotype").and_then(Value::as_str) {
                let space = serde_json::from_value(map.get("space").cloned().unwrap_or_default());
                let space = space.map_err(|e| Error::invalid("checkpoint, genotype", e, "its space"))?;
                return Ok(Dynamic::from(Genotype(crate::space::Genotype::parse_in(&space, text)?)));
            }
            if let Some(name) = map.get("$tensor").and_then(Value::as_str) {
                let tensor = tensors.get(name).ok_or_else(|| Error::invalid("checkpoint", "no tensor", name))?;
                return Ok(Dynamic::from(T::new(tensor.clone())));
            }
            if let Some(value) = of_space(map)? {
                return Ok(value);
            }
            let each = map.iter().map(|(k, v)| Ok((k.as_str().into(), unpack(v, tensors)?)));
            each.collect::<Result<Map>>()?.into()
        }
        plain => from_json(plain),
    })
}
