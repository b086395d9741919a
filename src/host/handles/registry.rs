//! All handles: how they are registered, look, and are saved follows from this one list.

use super::arch::ArchitectureParameters;
use super::batch::BatchHandle;
use super::batches::{BatchesHandle, Pair, Pairs};
use super::data::{Data, DataSource};
use super::genotype::GenotypeHandle;
use super::gradients::GradientsHandle;
use super::handle::{Handle, Saved, Tensors};
use super::importance::Importance;
use super::network::NetworkHandle;
use super::snapshot::Snapshot;
use super::space::{CandidateHandle, MaskHandle, SpaceHandle};
use super::subset::Subset;
use super::supernet::SupernetHandle;
use super::tensor::TensorHandle;
use super::values::{self, TextOf};
use super::variables::Variable;
use crate::error::Result;
use crate::host::run::Epochs;
use crate::host::script::api::Api;
use crate::host::show::Look;
use crate::host::show::plot::Plot;
use crate::space::ShrinkSchedule;
use rhai::{Array, Dynamic, INT, Map};
use serde_json::Value;
use std::any::TypeId;

/// What the host can do with values of one type.
pub(super) struct Entry {
    id: fn() -> TypeId,
    register: fn(&mut Api),
    look: fn(&Dynamic, &Look) -> Option<Result<String>>,
    summary: fn(&Dynamic) -> Option<String>,
    /// How it is saved, if it can be.
    pub saved: Option<Packing>,
}

/// How values of one type are saved.
pub(super) struct Packing {
    /// The key that tells them.
    pub tag: &'static str,
    /// Makes JSON of a value.
    pub pack: fn(&Dynamic, &str, Option<&mut Tensors>) -> Result<Option<Value>>,
    /// Makes a value of JSON.
    pub unpack: fn(&serde_json::Map<String, Value>, &Tensors) -> Result<Dynamic>,
}

static HANDLES: [Entry; 22] = [
    saved::<SpaceHandle>(),
    saved::<CandidateHandle>(),
    saved::<MaskHandle>(),
    saved::<GenotypeHandle>(),
    saved::<Importance>(),
    saved::<TensorHandle>(),
    saved::<Snapshot>(),
    handle::<Subset>(),
    handle::<ShrinkSchedule>(),
    handle::<DataSource>(),
    handle::<Data>(),
    handle::<SupernetHandle>(),
    handle::<GradientsHandle>(),
    handle::<NetworkHandle>(),
    handle::<BatchHandle>(),
    handle::<Pair>(),
    handle::<BatchesHandle>(),
    handle::<Pairs>(),
    handle::<ArchitectureParameters>(),
    handle::<Variable>(),
    handle::<Plot>(),
    handle::<Epochs>(),
];

const fn handle<H: Handle>() -> Entry {
    Entry {
        id: TypeId::of::<H>,
        register: |api| api.value::<H>(H::text),
        look: |value, look| value.read_lock::<H>().map(|handle| handle.look(look)),
        summary: |value| value.read_lock::<H>().map(|handle| handle.summary()),
        saved: None,
    }
}

const fn saved<H: Saved>() -> Entry {
    let packing = Packing {
        tag: H::TAG,
        pack: |value, what, tensors| value.read_lock::<H>().map_or(Ok(None), |handle| handle.pack(what, tensors)),
        unpack: |map, tensors| H::unpack(map, tensors).map(Dynamic::from),
    };
    Entry { saved: Some(packing), ..handle::<H>() }
}

/// The entry of a value.
pub(super) fn entry(value: &Dynamic) -> Option<&'static Entry> {
    HANDLES.iter().find(|entry| (entry.id)() == value.type_id())
}

/// The packing of a tag in a map.
pub(super) fn packing(map: &serde_json::Map<String, Value>) -> Option<&'static Packing> {
    HANDLES.iter().filter_map(|entry| entry.saved.as_ref()).find(|packing| map.contains_key(packing.tag))
}

/// Register all types, what they compare with and what `for` runs over.
pub fn register(api: &mut Api) {
    HANDLES.iter().for_each(|entry| (entry.register)(api));
    api.equality::<SpaceHandle>();
    api.equality::<CandidateHandle>();
    api.equality::<GenotypeHandle>();
    api.iterable::<Epochs, INT>();
    api.iterable::<BatchesHandle, BatchHandle>();
    api.iterable::<Pairs, Pair>();
}

/// A value as the prompt shows it; empty for `()`.
pub fn look(value: &Dynamic, look: &Look, text_of: TextOf) -> Result<String> {
    let value = &value.flatten_clone();
    if let Some(text) = entry(value).and_then(|entry| (entry.look)(value, look)) {
        return text;
    }
    if let Some(array) = value.read_lock::<Array>() {
        return values::array(text_of, &array, look);
    }
    match value.read_lock::<Map>() {
        Some(map) => values::map(text_of, &map, look),
        None => text_of(value).map(|text| values::text(text, look)),
    }
}

/// A handle in a few words; nothing for other values.
pub fn summary(value: &Dynamic) -> Option<String> {
    entry(value).and_then(|entry| (entry.summary)(value))
}
