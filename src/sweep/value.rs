//! Values of settings as text: what `--set KEY=VALUE` means, and lists of such values.

use serde_json::Value;

/// What a text reads as: JSON where it is a number, a bool or a list; other numbers of Rust (`.5`, `1.`); else the text.
pub fn parse(text: &str) -> Value {
    let digits = text.contains(|c: char| c.is_ascii_digit());
    match serde_json::from_str(text) {
        Ok(parsed @ (Value::Number(_) | Value::Bool(_) | Value::Array(_))) => parsed,
        _ => match text.parse::<f64>() {
            Ok(number) if digits && number.is_finite() => number.into(),
            _ => text.into(),
        },
    }
}

/// The text that [`read`] takes back: a value as [`parse`] reads it, in quotes where that would read it as something else.
pub fn write(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() && !text.starts_with('"') && parse(text) == *value => text.clone(),
        other => other.to_string(),
    }
}

/// What [`write`] wrote.
pub fn read(text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(quoted @ Value::String(_)) => quoted,
        _ => parse(text),
    }
}

/// A value for people: a text without quotes.
pub fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// The values of `a,b,c`, of the range `0..3` (0, 1, 2, 3), or of both by turns. A comma in brackets divides nothing.
pub fn list(text: &str) -> Vec<Value> {
    let mut depth = 0i32;
    let parts = text.split(|c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    });
    parts.flat_map(|part| range(part.trim()).unwrap_or_else(|| vec![parse(part.trim())])).collect()
}

/// The whole numbers of `0..3`, both ends among them.
pub fn range(text: &str) -> Option<Vec<Value>> {
    let (first, last) = text.split_once("..")?;
    let (first, last): (i64, i64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last - first < 1_000_000).then(|| (first..=last).map(Value::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_the_plainest_thing_that_its_text_reads_as() {
        for (text, value) in [
            ("3", json!(3)),
            ("-3", json!(-3)),
            ("0.5", json!(0.5)),
            (".5", json!(0.5)),
            ("1e-3", json!(0.001)),
            ("true", json!(true)),
            ("[1, 2]", json!([1, 2])),
            ("cifar10", json!("cifar10")),
            ("inf", json!("inf")),
            ("", json!("")),
            ("null", json!("null")),
        ] {
            assert_eq!(parse(text), value, "{text}");
        }
    }

    #[test]
    fn every_value_comes_back_as_what_it_was() {
        for value in
            [json!(3), json!(0.1), json!(1.0), json!(true), json!("a, b"), json!("3"), json!(""), json!("\"x\"")]
        {
            assert_eq!(read(&write(&value)), value, "{value} as {}", write(&value));
        }
    }

    #[test]
    fn lists_have_commas_and_ranges_have_both_their_ends() {
        for (text, values) in [
            ("a,b", json!(["a", "b"])),
            ("0..3", json!([0, 1, 2, 3])),
            ("0..1,7", json!([0, 1, 7])),
            ("[1, 2],[3]", json!([[1, 2], [3]])),
            ("0.5", json!([0.5])),
            ("../a", json!(["../a"])),
            ("3..1", json!(["3..1"])),
        ] {
            assert_eq!(Value::from(list(text)), values, "{text}");
        }
    }
}
