//! Between script values, JSON and Rust numbers.

use super::errors::{Fallible, wrong};
use super::genotype::Genotype;
use super::shrink::Importance;
use super::space::{Candidate, Mask, Space};
use super::tensor::T;
use crate::error::{Error, Result};
use crate::space::{PerCandidate, SearchSpace};
use candle_core::Tensor;
use rhai::{Array, Dynamic, Map};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

/// The kind of a value in the words of messages.
pub fn kind(value: &Dynamic) -> String {
    let name = value.type_name();
    match name.rsplit("::").next().unwrap_or(name) {
        "i64" => "integer",
        "f64" => "float",
        "()" => "nothing",
        "Net" => "Supernet",
        "T" => "Tensor",
        "Alpha" => "ArchitectureParameters",
        "Source" => "DataSource",
        "Grads" => "Gradients",
        "BatchList" => "Batches",
        "PairList" => "Pairs",
        other => other,
    }
    .to_string()
}

/// A value as messages show it: its kind and, where short, its text.
pub fn shown(value: &Dynamic) -> String {
    match value.type_name() {
        "string" => format!("string \"{value}\""),
        "i64" | "f64" | "bool" => format!("{} {value}", kind(value)),
        _ => kind(value),
    }
}

/// An integer or float as a float.
pub fn float(value: &Dynamic, what: &str) -> Fallible<f64> {
    match value.as_float() {
        Ok(x) => Ok(x),
        Err(_) => value.as_int().map(|x| x as f64).map_err(|_| wrong(what, shown(value), "a number")),
    }
}

/// An integer of at least 0.
pub fn count(value: i64, what: &str) -> Fallible<usize> {
    usize::try_from(value).map_err(|_| wrong(what, value, "an integer of at least 0"))
}

/// Plain JSON as a script value.
pub fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(b) => (*b).into(),
        Value::Number(n) => n.as_i64().map_or_else(|| n.as_f64().unwrap_or(f64::NAN).into(), Dynamic::from),
        Value::String(s) => s.clone().into(),
        Value::Array(items) => items.iter().map(from_json).collect::<Array>().into(),
        Value::Object(map) => map.iter().map(|(k, v)| (k.as_str().into(), from_json(v))).collect::<Map>().into(),
    }
}

/// A script value as plain JSON (settings, the manifest); what has no JSON form is an error that names `what`.
pub fn to_json(value: &Dynamic, what: &str) -> Result<Value> {
    pack(value, what, None)
}

/// A script value with everything in it, tensors put aside into `tensors`; [`unpack`] gives it back to the bit.
pub fn pack(value: &Dynamic, what: &str, mut tensors: Option<&mut BTreeMap<String, Tensor>>) -> Result<Value> {
    let value = value.flatten_clone();
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(x) = value.as_bool() {
        return Ok(json!(x));
    }
    if let Ok(x) = value.as_int() {
        return Ok(json!(x));
    }
    if let Ok(x) = value.as_float() {
        return Ok(if x.is_finite() { json!(x) } else { json!({"$float": x.to_bits()}) });
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return Ok(json!(text.as_str()));
    }
    if let Some(items) = value.read_lock::<Array>() {
        let each = items.iter().enumerate().map(|(i, v)| pack(v, &format!("{what}[{i}]"), tensors.as_deref_mut()));
        return Ok(Value::Array(each.collect::<Result<_>>()?));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let each =
            map.iter().map(|(k, v)| Ok((k.to_string(), pack(v, &format!("{what}.{k}"), tensors.as_deref_mut())?)));
        return Ok(Value::Object(each.collect::<Result<_>>()?));
    }
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
    if let (Some(tensor), Some(tensors)) = (value.read_lock::<T>(), tensors) {
        tensors.insert(what.to_string(), tensor.0.detach());
        return Ok(json!({"$tensor": what}));
    }
    let expected =
        "a number, text, bool, genotype, mask, importance, space, candidate, tensor, or an array or map of these";
    Err(Error::invalid(what, kind(&value), expected))
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
