//! Script values, JSON and Rust numbers.

use super::errors::{Fallible, wrong};
use crate::error::{Error, Result};
use rhai::{Array, Dynamic, Map};
use serde_json::{Value, json};

/// The name of a type in scripts and messages, by its path in Rust. Of a handle it is its own name, without the `Handle` that
/// tells it from what it holds.
pub fn name_of(path: &str) -> &str {
    match path.rsplit("::").next().unwrap_or(path) {
        "i64" => "integer",
        "f64" => "float",
        "()" => "nothing",
        name => name.strip_suffix("Handle").unwrap_or(name),
    }
}

/// The kind of a value in the words of messages.
pub fn kind(value: &Dynamic) -> &str {
    name_of(value.type_name())
}

/// A value as messages show it: its kind and, where short, its text.
pub fn shown(value: &Dynamic) -> String {
    match value.type_name() {
        "string" => format!("string \"{value}\""),
        "i64" | "f64" | "bool" => format!("{} {value}", kind(value)),
        _ => kind(value).to_string(),
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
    json_of(value, what, &mut |value, what| {
        Err(Error::invalid(what, kind(value), "a number, text, bool, or an array or map of these"))
    })
}

/// A script value as JSON, in which `other` says what stands for a value that is neither plain nor an array or map.
pub fn json_of(value: &Dynamic, what: &str, other: &mut dyn FnMut(&Dynamic, &str) -> Result<Value>) -> Result<Value> {
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
        let each = items.iter().enumerate().map(|(i, v)| json_of(v, &format!("{what}[{i}]"), other));
        return Ok(Value::Array(each.collect::<Result<_>>()?));
    }
    if let Some(map) = value.read_lock::<Map>() {
        let each = map.iter().map(|(k, v)| Ok((k.to_string(), json_of(v, &format!("{what}.{k}"), other)?)));
        return Ok(Value::Object(each.collect::<Result<_>>()?));
    }
    other(&value, what)
}
