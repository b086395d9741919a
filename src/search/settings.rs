//! Settings: a struct of them says of each its name, type, default, range and meaning, in one place. Defaults, checks, the
//! words of errors and the table of the manual follow from that; and so does what is taken of a map.

use crate::error::{Error, Result};
use std::collections::BTreeMap;

/// What someone gives for a setting, before its type is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction, infinite or NaN.
    Fraction(f64),
    /// A text.
    Text(String),
    /// What no setting is, in words: `an array`.
    Other(String),
}

/// Settings as they are given, by name.
pub type Givens = BTreeMap<String, Given>;

impl std::fmt::Display for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Given::Bool(x) => write!(f, "{x} (a bool)"),
            Given::Whole(x) => write!(f, "{x} (a whole number)"),
            Given::Fraction(x) => write!(f, "{x:?} (a number with a fraction)"),
            Given::Text(x) => write!(f, "{x:?} (a text)"),
            Given::Other(kind) => write!(f, "{kind}"),
        }
    }
}

impl From<&serde_json::Value> for Given {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Bool(x) => Given::Bool(*x),
            Value::Number(x) => {
                x.as_i64().map_or_else(|| Given::Fraction(x.as_f64().unwrap_or(f64::NAN)), Given::Whole)
            }
            Value::String(x) => Given::Text(x.clone()),
            Value::Null => Given::Other("nothing".into()),
            Value::Array(_) => Given::Other("an array".into()),
            Value::Object(_) => Given::Other("a map".into()),
        }
    }
}

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

    /// Take what is given for a setting. An error, what was expected, for a value of another type; false for a name that is
    /// none of [`Settings::NAMES`].
    fn set(&mut self, name: &str, given: &Given) -> std::result::Result<bool, String>;
}

/// An error for the first value out of range.
pub(crate) fn check(settings: &impl Settings) -> Result<()> {
    let outside = |s: &Setting| s.number.filter(|x| !s.range.holds(*x)).map(|x| (s.name, x, s.range));
    match settings.all().iter().find_map(outside) {
        Some((name, x, range)) => Err(Error::invalid(format!("setting `{name}`"), x, range.words())),
        None => Ok(()),
    }
}

/// `settings` with what is given of them. Takes only the names that `T` knows: a strategy's map holds settings of several structs
/// and its own; that someone knows each name is for the host to check, which sees them all. A wrong type is an error that
/// names the setting, what was got and what was expected; `what` says whose settings they are.
pub fn over<'a, T: Settings>(
    mut settings: T,
    what: &str,
    given: impl IntoIterator<Item = (&'a str, Given)>,
) -> Result<T> {
    for (name, value) in given {
        if let Err(expected) = settings.set(name, &value) {
            return Err(Error::invalid(format!("{what}: setting `{name}`"), value, expected));
        }
    }
    Ok(settings)
}

/// The value of a setting.
pub trait SettingValue: Sized {
    /// As a number, if it is one, whose range may be checked.
    fn number(&self) -> Option<f64> {
        None
    }

    /// From what is given, or what was expected.
    fn of(given: &Given) -> std::result::Result<Self, String>;
}

impl SettingValue for usize {
    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }

    fn of(given: &Given) -> std::result::Result<Self, String> {
        let whole = if let Given::Whole(x) = given { usize::try_from(*x).ok() } else { None };
        whole.ok_or_else(|| "a whole number, 0 or more".into())
    }
}

impl SettingValue for f64 {
    fn number(&self) -> Option<f64> {
        Some(*self)
    }

    fn of(given: &Given) -> std::result::Result<Self, String> {
        match given {
            Given::Whole(x) => Ok(*x as f64),
            Given::Fraction(x) => Ok(*x),
            _ => Err("a number".into()),
        }
    }
}

impl SettingValue for bool {
    fn of(given: &Given) -> std::result::Result<Self, String> {
        if let Given::Bool(x) = given { Ok(*x) } else { Err("true or false".into()) }
    }
}

impl SettingValue for String {
    fn of(given: &Given) -> std::result::Result<Self, String> {
        if let Given::Text(x) = given { Ok(x.clone()) } else { Err("a text".into()) }
    }
}

/// The one of `all` that is given by its name.
pub(crate) fn named<T: Copy>(given: &Given, all: &[(&str, T)]) -> std::result::Result<T, String> {
    let found = |text: &str| all.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    let value = if let Given::Text(text) = given { found(text) } else { None };
    value.ok_or_else(|| {
        format!("one of {}", all.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", "))
    })
}

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
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
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
                    number: $crate::search::settings::SettingValue::number(&self.$key),
                }),*]
            }

            fn set(
                &mut self,
                name: &str,
                given: &$crate::search::settings::Given,
            ) -> std::result::Result<bool, String> {
                match name {
                    $(stringify!($key) => self.$key = $crate::search::settings::SettingValue::of(given)?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}
pub(crate) use settings;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::TrainConfig;

    fn train(given: &[(&'static str, Given)]) -> Result<TrainConfig> {
        over(TrainConfig::default(), "train", given.iter().cloned())
    }

    #[test]
    fn what_is_not_given_keeps_its_default_and_a_whole_number_does_for_a_fraction() {
        let given = [("lr", Given::Whole(1)), ("epochs", Given::Whole(7)), ("augment", Given::Bool(false))];
        let expected = TrainConfig { lr: 1.0, epochs: 7, augment: false, ..Default::default() };
        assert_eq!(train(&given).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_with_a_setting_is_said_in_words() {
        let (whole, number) = ("expected a whole number, 0 or more", "expected a number");
        for (name, given, got, expected) in [
            ("lr", Given::Text("abc".into()), "\"abc\" (a text)", number),
            ("lr", Given::Other("an array".into()), "an array", number),
            ("epochs", Given::Fraction(1.5), "1.5 (a number with a fraction)", whole),
            ("epochs", Given::Fraction(2.0), "2.0 (a number with a fraction)", whole),
            ("epochs", Given::Whole(-3), "-3 (a whole number)", whole),
            ("augment", Given::Whole(1), "1 (a whole number)", "expected true or false"),
        ] {
            let error = train(&[(name, given)]).unwrap_err().to_string();
            assert_eq!(error, format!("train: setting `{name}`: got {got}, {expected}"));
        }
    }

    #[test]
    fn names_of_others_are_left_alone() {
        let given = [("lr", Given::Fraction(0.5)), ("iim_samples", Given::Text("x".into()))];
        assert_eq!(train(&given).unwrap().lr, 0.5);
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
