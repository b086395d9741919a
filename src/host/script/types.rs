//! What functions take from scripts and give to them: the type that Rhai passes, the conversion, and the manual's word for it.

use super::doc::Parameter;
use super::errors::{Fallible, raise, wrong};
use super::value::{float, shown};
use crate::error::{Error, Result};
use rhai::{Array, Dynamic, FnPtr, INT, ImmutableString, Map, Variant};
use std::marker::PhantomData;

/// The type of a parameter.
pub trait Argument: Sized {
    /// What Rhai hands over.
    type Raw: Variant + Clone;

    /// The manual's word for it.
    fn kind() -> String;

    /// The value, checked; `function` and `parameter` are for the message of the error.
    fn take(raw: Self::Raw, function: &str, parameter: &str) -> Fallible<Self>;

    /// How the manual writes a parameter of this type.
    fn written(name: &str) -> String {
        name.to_string()
    }

    /// A parameter of this type.
    fn parameter(name: &'static str) -> Parameter {
        Parameter { name, written: Self::written, kind: Self::kind }
    }
}

/// The type of a result.
pub trait Returned {
    /// What Rhai gets.
    type Raw: Variant + Clone;

    /// The manual's word for it; empty for nothing.
    fn kind() -> String;

    /// The value for Rhai.
    fn give(self) -> Fallible<Self::Raw>;
}

/// Types that are the same in Rhai and here.
macro_rules! plain {
    ($($ty:ty: $kind:literal),*) => { $(
        impl Argument for $ty {
            type Raw = $ty;

            fn kind() -> String {
                $kind.into()
            }

            fn take(raw: $ty, _: &str, _: &str) -> Fallible<Self> {
                Ok(raw)
            }
        }

        impl Returned for $ty {
            type Raw = $ty;

            fn kind() -> String {
                $kind.into()
            }

            fn give(self) -> Fallible<$ty> {
                Ok(self)
            }
        }
    )* };
}

plain! { INT: "integer", f64: "float", bool: "bool", Map: "map", Dynamic: "value", FnPtr: "closure", (): "" }

impl Argument for String {
    type Raw = ImmutableString;

    fn kind() -> String {
        "string".into()
    }

    fn take(raw: ImmutableString, _: &str, _: &str) -> Fallible<Self> {
        Ok(raw.into())
    }
}

impl Returned for String {
    type Raw = ImmutableString;

    fn kind() -> String {
        "string".into()
    }

    fn give(self) -> Fallible<ImmutableString> {
        Ok(self.into())
    }
}

impl Argument for usize {
    type Raw = INT;

    fn kind() -> String {
        "integer".into()
    }

    fn take(raw: INT, function: &str, parameter: &str) -> Fallible<Self> {
        let negative = |_| wrong(format!("{function}, {parameter}"), raw, "an integer of at least 0");
        usize::try_from(raw).map_err(negative)
    }
}

impl Returned for usize {
    type Raw = INT;

    fn kind() -> String {
        "integer".into()
    }

    fn give(self) -> Fallible<INT> {
        Ok(self as INT)
    }
}

/// An integer or a float.
#[derive(Clone, Copy)]
pub struct Number(pub f64);

impl Argument for Number {
    type Raw = Dynamic;

    fn kind() -> String {
        "number".into()
    }

    fn take(raw: Dynamic, function: &str, parameter: &str) -> Fallible<Self> {
        float(&raw, &format!("{function}, {parameter}")).map(Number)
    }
}

/// What a list of the manual is made of.
pub trait Item: Sized {
    /// The manual's word for it.
    fn kind() -> String;

    /// Converts a script's value; `what` is for the message of the error.
    fn of(value: &Dynamic, what: &str) -> Fallible<Self>;
}

impl Item for f64 {
    fn kind() -> String {
        "number".into()
    }

    fn of(value: &Dynamic, what: &str) -> Fallible<Self> {
        float(value, what)
    }
}

impl Item for usize {
    fn kind() -> String {
        "integer".into()
    }

    fn of(value: &Dynamic, what: &str) -> Fallible<Self> {
        let whole = value.as_int().ok().and_then(|n| usize::try_from(n).ok());
        whole.ok_or_else(|| wrong(what, shown(value), "an integer of at least 0"))
    }
}

impl Item for String {
    fn kind() -> String {
        <String as Argument>::kind()
    }

    fn of(value: &Dynamic, what: &str) -> Fallible<Self> {
        value.clone().into_string().map_err(|_| wrong(what, shown(value), "a string"))
    }
}

impl<T: Item> Argument for Vec<T> {
    type Raw = Array;

    fn kind() -> String {
        format!("[{}]", T::kind())
    }

    fn take(raw: Array, function: &str, _: &str) -> Fallible<Self> {
        raw.iter().map(|value| T::of(value, function)).collect()
    }

    fn written(_: &str) -> String {
        format!("[{}]", T::kind().to_lowercase())
    }
}

impl Argument for Array {
    type Raw = Array;

    fn kind() -> String {
        "array".into()
    }

    fn take(raw: Array, _: &str, _: &str) -> Fallible<Self> {
        Ok(raw)
    }
}

impl<T: Returned> Returned for Vec<T> {
    type Raw = Array;

    fn kind() -> String {
        match T::kind().as_str() {
            "value" => "array".into(),
            item => format!("[{item}]"),
        }
    }

    fn give(self) -> Fallible<Array> {
        self.into_iter().map(|value| value.give().map(Dynamic::from)).collect()
    }
}

/// The options that a map may hold.
pub trait Keys {
    /// What one of them is called in messages.
    const WHAT: &'static str;
    /// Their names.
    const KEYS: &'static [&'static str];
}

/// A map without keys other than those of `K`.
pub struct Options<K> {
    /// The map.
    pub map: Map,
    keys: PhantomData<K>,
}

impl<K: Keys> Options<K> {
    /// No options.
    pub fn none() -> Self {
        Options { map: Map::new(), keys: PhantomData }
    }

    /// An error for an unknown key in a map.
    pub fn check(map: &Map) -> Result<()> {
        match map.keys().find(|key| !K::KEYS.contains(&key.as_str())) {
            Some(key) => Err(Error::unknown_name(K::WHAT, key, K::KEYS.iter().copied())),
            None => Ok(()),
        }
    }
}

impl<K: Keys> Argument for Options<K> {
    type Raw = Map;

    fn kind() -> String {
        "map".into()
    }

    fn take(raw: Map, _: &str, _: &str) -> Fallible<Self> {
        Options::<K>::check(&raw).map_err(raise)?;
        Ok(Options { map: raw, keys: PhantomData })
    }

    fn written(_: &str) -> String {
        format!("#{{ {} }}", K::KEYS.join(", "))
    }
}

impl<T: Returned> Returned for Result<T> {
    type Raw = T::Raw;

    fn kind() -> String {
        T::kind()
    }

    fn give(self) -> Fallible<T::Raw> {
        self.map_err(raise)?.give()
    }
}

impl<T: Returned> Returned for Fallible<T> {
    type Raw = T::Raw;

    fn kind() -> String {
        T::kind()
    }

    fn give(self) -> Fallible<T::Raw> {
        self?.give()
    }
}

/// A value of one type of a script's, cloned out of it; an error that says what it is otherwise.
pub fn cast<T: Variant + Clone>(value: &Dynamic, what: &str, expected: &str) -> Fallible<T> {
    value.read_lock::<T>().map(|value| value.clone()).ok_or_else(|| wrong(what, shown(value), expected))
}
