//! What each handle says of itself, once.

use crate::error::{Error, Result};
use crate::host::script::errors::{Fallible, article};
use crate::host::script::types::{Argument, Item, Returned, cast};
use crate::host::script::value::name_of;
use crate::host::show::Look;
use candle_core::Tensor;
use rhai::{Dynamic, Variant};
use serde_json::{Map, Value};
use std::any::type_name;
use std::collections::BTreeMap;

/// A type that scripts hold values of. Its name in scripts is that in Rust, without `Handle` at its end.
pub trait Handle: Variant + Clone {
    /// What `print` shows.
    fn text(&self) -> String;

    /// What the prompt shows.
    fn look(&self, _look: &Look) -> Result<String> {
        Ok(self.text())
    }

    /// Its shape, size or value in a few words, for a table of variables.
    fn summary(&self) -> String {
        self.text().lines().next().unwrap_or_default().to_string()
    }
}

/// Tensors that are saved beside JSON, by name.
pub type Tensors = BTreeMap<String, Tensor>;

/// A handle that checkpoints and `:save` hold by its data.
pub trait Saved: Handle {
    /// The key of its JSON that tells what it is.
    const TAG: &'static str;

    /// Its JSON, [`TAG`](Saved::TAG) among the keys. Tensors go to `tensors` under the name `what`; where there are none, a
    /// handle that needs them cannot be saved: nothing.
    fn pack(&self, what: &str, tensors: Option<&mut Tensors>) -> Result<Option<Value>>;

    /// Gives back what [`Saved::pack`] packed.
    fn unpack(map: &Map<String, Value>, tensors: &Tensors) -> Result<Self>;
}

impl<H: Handle> Argument for H {
    type Raw = H;

    fn kind() -> String {
        name_of(type_name::<H>()).into()
    }

    fn take(raw: H, _: &str, _: &str) -> Fallible<Self> {
        Ok(raw)
    }
}

impl<H: Handle> Returned for H {
    type Raw = H;

    fn kind() -> String {
        name_of(type_name::<H>()).into()
    }

    fn give(self) -> Fallible<H> {
        Ok(self)
    }
}

impl<H: Handle> Item for H {
    fn kind() -> String {
        name_of(type_name::<H>()).into()
    }

    fn of(value: &Dynamic, what: &str) -> Fallible<Self> {
        cast(value, what, &article(name_of(type_name::<H>())))
    }
}

/// Plain data as JSON.
pub(super) fn plain(value: &impl serde::Serialize, what: &str) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::invalid(what, e, "plain data"))
}

/// Reads what stands under `key`; an error says that it is no `kind`.
pub(super) fn parse<T: serde::de::DeserializeOwned>(map: &Map<String, Value>, key: &str, kind: &str) -> Result<T> {
    let value = map.get(key).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|e| Error::invalid(format!("a saved {kind}"), e, "its data"))
}
