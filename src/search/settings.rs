//! Settings: a struct of them says of each its name, type, default, range and meaning, in one place. Defaults, checks, the
//! words of errors and the table of the manual follow from that; and so does what is taken of a map.

use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// What a setting may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// Anything of its type.
    Any,
    /// A whole number from 1.
    AtLeastOne,
    /// A number from 0; steps compute in single precision.
    NotNegative,
    /// A number that is neither infinite nor NaN.
    Finite,
    /// A number from 0 that is below 1.
    BelowOne,
}

impl Range {
    /// In words; empty where anything goes.
    pub fn words(self) -> &'static str {
        match self {
            Range::Any => "",
            Range::AtLeastOne => "at least 1",
            Range::NotNegative => "a finite number, 0 or more",
            Range::Finite => "a finite number",
            Range::BelowOne => "0 or more, and less than 1",
        }
    }

    fn holds(self, x: f64) -> bool {
        match self {
            Range::Any => true,
            Range::AtLeastOne => x >= 1.0,
            Range::NotNegative => x >= 0.0 && x < f64::from(f32::MAX),
            Range::Finite => x.is_finite(),
            Range::BelowOne => (0.0..1.0).contains(&x),
        }
    }
}

/// What is known of a setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Its name in maps.
    pub name: &'static str,
    /// What it means.
    pub text: &'static str,
    /// What it may be.
    pub range: Range,
    /// Its value, of a number.
    pub number: Option<f64>,
}

/// A struct of settings.
pub trait Settings {
    /// Their names, in order.
    const NAMES: &'static [&'static str];

    /// All of them, with their values here.
    fn all(&self) -> Vec<Setting>;
}

/// An error for the first value out of range.
pub(crate) fn check(settings: &impl Settings) -> Result<()> {
    let outside = |s: &Setting| s.number.filter(|x| !s.range.holds(*x)).map(|x| (s.name, x, s.range));
    match settings.all().iter().find_map(outside) {
        Some((name, x, range)) => Err(Error::invalid(format!("setting `{name}`"), x, range.words())),
        None => Ok(()),
    }
}

/// A value whose range may be checked.
pub trait Ranged {
    /// As a number, if it is one.
    fn number(&self) -> Option<f64> {
        None
    }
}

impl Ranged for usize {
    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl Ranged for f64 {
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Ranged for bool {}

impl Ranged for String {}

/// Defines a struct of settings: `key: type = default, range;` for each, under what it means. Without `= default` the struct
/// has a `Default` of its own.
macro_rules! settings {
    ($(#[$about:meta])* pub struct $name:ident {
        $($(#[doc = $doc:expr])* $key:ident: $ty:ty = $default:expr, $range:ident;)*
    }) => {
        $crate::search::settings::settings! {
            $(#[$about])*
            pub struct $name { $($(#[doc = $doc])* $key: $ty, $range;)* }
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $($key: $default,)* }
            }
        }
    };
    ($(#[$about:meta])* pub struct $name:ident { $($(#[doc = $doc:expr])* $key:ident: $ty:ty, $range:ident;)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($(#[doc = $doc])* pub $key: $ty,)*
        }

        impl $name {
            /// An error for the first value out of range.
            pub fn check(&self) -> $crate::error::Result<()> {
                $crate::search::settings::check(self)
            }
        }

        impl $crate::search::settings::Settings for $name {
            const NAMES: &'static [&'static str] = &[$(stringify!($key)),*];

            fn all(&self) -> Vec<$crate::search::settings::Setting> {
                vec![$($crate::search::settings::Setting {
                    name: stringify!($key),
                    text: concat!($($doc),*).trim_ascii(),
                    range: $crate::search::settings::Range::$range,
                    number: $crate::search::settings::Ranged::number(&self.$key),
                }),*]
            }
        }
    };
}
pub(crate) use settings;

/// The settings struct of a map, defaults where a key is missing. Takes only the keys that `T` knows: a strategy's map
/// holds settings of several structs and its own; that someone knows each key is for the host to check, which sees them
/// all. A wrong type is an error that names the key, what was got and what was expected; `what` says whose settings it is.
pub fn pick<T: Settings + DeserializeOwned>(what: &str, value: &Value) -> Result<T> {
    let mut map = as_map(what, value.clone())?;
    map.retain(|key, _| T::NAMES.contains(&key.as_str()));
    read(what, map)
}

fn as_map(what: &str, value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(map) => Ok(map),
        other => Err(Error::invalid(what, show(&other), "a map of settings")),
    }
}

fn read<T: DeserializeOwned>(what: &str, map: Map<String, Value>) -> Result<T> {
    serde_json::from_value(Value::Object(map.clone())).map_err(|error| {
        // Once more key by key: serde's own error does not name the key.
        for (key, value) in map {
            let single = Value::Object(Map::from_iter([(key.clone(), value.clone())]));
            if let Err(e) = serde_json::from_value::<T>(single) {
                return Error::invalid(format!("{what}: setting `{key}`"), show(&value), expected(&e.to_string()));
            }
        }
        Error::invalid(what, error, "settings")
    })
}

/// A value with its kind: `"abc"` (a text), `1.5` (a number).
fn show(value: &Value) -> String {
    let kind = match value {
        Value::Null => return "nothing".into(),
        Value::Bool(_) => "a bool",
        Value::Number(n) if n.is_f64() => "a number with a fraction",
        Value::Number(_) => "a whole number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    };
    format!("{value} ({kind})")
}

/// What serde expected, in the words of people who write scripts.
fn expected(message: &str) -> String {
    let expected = message.rsplit_once("expected ").map_or(message, |(_, e)| e);
    match expected.split(" at line").next().unwrap_or(expected) {
        "usize" | "u64" | "u32" => "a whole number, 0 or more".into(),
        "i64" | "isize" => "a whole number".into(),
        "f64" | "f32" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a string" => "a text".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::TrainConfig;
    use serde_json::json;

    #[test]
    fn a_missing_key_takes_its_default_and_a_whole_number_does_for_a_fraction() {
        let cfg: TrainConfig = pick("train", &json!({"lr": 1, "epochs": 7, "augment": false})).unwrap();
        assert_eq!(cfg, TrainConfig { lr: 1.0, epochs: 7, augment: false, ..Default::default() });
    }

    #[test]
    fn what_is_wrong_with_a_setting_is_said_in_words() {
        for (map, message) in [
            (json!({"lr": "abc"}), "train: setting `lr`: got \"abc\" (a text), expected a number"),
            (
                json!({"epochs": 1.5}),
                "train: setting `epochs`: got 1.5 (a number with a fraction), expected a whole number",
            ),
            (
                json!({"epochs": -3}),
                "train: setting `epochs`: got -3 (a whole number), expected a whole number, 0 or more",
            ),
            (json!({"augment": 1}), "train: setting `augment`: got 1 (a whole number), expected true or false"),
            (json!([1]), "train: got [1] (a list), expected a map of settings"),
        ] {
            let error = pick::<TrainConfig>("train", &map).unwrap_err().to_string();
            assert!(error.starts_with(message), "{map}: {error}");
        }
    }

    #[test]
    fn picking_leaves_the_keys_of_others_alone() {
        let map = json!({"lr": 0.5, "iim_samples": 200});
        assert_eq!(pick::<TrainConfig>("train", &map).unwrap().lr, 0.5);
        assert!(TrainConfig::NAMES.contains(&"lr"));
    }

    #[test]
    fn ranges_refuse_what_lies_outside_and_nothing_else() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        for (range, inside, outside) in [
            (Range::Any, &[-1.0, 0.0, inf][..], &[][..]),
            (Range::AtLeastOne, &[1.0, 7.0], &[0.0]),
            (Range::NotNegative, &[0.0, 1e30], &[-1e-9, 1e39, inf, nan]),
            (Range::Finite, &[-1e30, 0.0], &[inf, nan]),
            (Range::BelowOne, &[0.0, 0.999], &[-0.1, 1.0, nan]),
        ] {
            assert!(inside.iter().all(|x| range.holds(*x)) && !outside.iter().any(|x| range.holds(*x)), "{range:?}");
        }
    }
}
