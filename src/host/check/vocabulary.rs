//! What can be called: the functions of the engine with the types they take, and the manual's words for what they give.

use super::known::Known;
use crate::host::script::doc::{Doc, Signature};
use rhai::{Dynamic, Engine, FuncInfo, ImmutableString, Map};
use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A function of the engine.
struct Native {
    types: Vec<TypeId>,
    result: String,
}

/// All functions of an engine, and the manual.
pub struct Vocabulary {
    /// The manual.
    pub docs: Rc<[Doc]>,
    /// The types by their names in the manual.
    pub types: Vec<(&'static str, TypeId)>,
    natives: BTreeMap<String, Vec<Native>>,
    /// Modules that need no import.
    pub modules: BTreeSet<String>,
    /// All words of the manual.
    words: BTreeSet<String>,
}

impl Vocabulary {
    /// Asks the engine.
    pub fn new(engine: &Engine, docs: Rc<[Doc]>, types: Vec<(&'static str, TypeId)>) -> Self {
        let (mut natives, mut modules) = (BTreeMap::<String, Vec<Native>>::new(), BTreeSet::new());
        let texts = [TypeId::of::<&str>(), TypeId::of::<String>()];
        let one = |id: &TypeId| if texts.contains(id) { TypeId::of::<ImmutableString>() } else { *id };
        let native = |info: FuncInfo| {
            let mut types: Vec<TypeId> = info.metadata.param_types.iter().map(one).collect();
            types.resize(info.metadata.num_params, TypeId::of::<Dynamic>());
            let native = Native { types, result: info.metadata.return_type.to_string() };
            Some((info.namespace.to_string(), info.metadata.name.to_string(), native))
        };
        for (module, name, native) in engine.collect_fn_metadata(None, native, true) {
            match module.is_empty() {
                true => natives.entry(name).or_default().push(native),
                false => drop(modules.insert(module)),
            }
        }
        let words = docs.iter().flat_map(|doc| {
            let parameters = doc.signatures.iter().flat_map(|s| s.parameters.iter().flatten().map(|p| p.written()));
            let text = format!("{} {} {}", doc.name, doc.comment.join(" "), parameters.collect::<Vec<_>>().join(" "));
            let words = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_string);
            words.collect::<Vec<_>>()
        });
        let words = words.collect();
        Vocabulary { docs, types, natives, modules, words }
    }

    /// Whether the manual has the word.
    pub fn has_word(&self, word: &str) -> bool {
        self.words.contains(word)
            || self.natives.contains_key(word)
            || self.natives.contains_key(&format!("get${word}"))
    }

    /// The numbers of arguments that a function of this name takes.
    pub fn takes(&self, name: &str) -> BTreeSet<usize> {
        self.natives.get(name).into_iter().flatten().map(|native| native.types.len()).collect()
    }

    /// Whether there is a function of this name for as many arguments of what is known of their types.
    pub fn fits(&self, name: &str, arguments: &[Known]) -> bool {
        let ids: Vec<Option<TypeId>> = arguments.iter().map(|known| known.type_id(&self.types)).collect();
        self.natives.get(name).into_iter().flatten().any(|native| fits(native, &ids))
    }

    /// Names of properties and methods of a type; of all, if it is not known.
    pub fn members(&self, of: Option<TypeId>) -> impl Iterator<Item = &str> {
        let has = move |native: &Native| of.is_none() || native.types.first().copied() == of;
        let all =
            self.natives.iter().filter(move |(_, natives)| natives.iter().any(has)).map(|(name, _)| name.as_str());
        all.map(|name| name.strip_prefix("get$").unwrap_or(name)).filter(|name| is_name(name))
    }

    /// Names of the properties of all types.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        self.natives.keys().filter_map(|name| name.strip_prefix("get$")).filter(|name| is_name(name))
    }

    /// Names of all functions.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        self.natives.keys().map(String::as_str).filter(|name| is_name(name))
    }

    /// A property of a value, or the result of its method.
    pub fn member(&self, of: &Known, name: &str) -> Known {
        match of {
            Known::Fields(fields) if fields.keys.contains_key(name) => return fields.keys[name].known.clone(),
            Known::Value(value) => {
                if let Some(inner) = value.read_lock::<Map>().and_then(|map| map.get(name).cloned()) {
                    return Known::Value(inner);
                }
            }
            _ => {}
        }
        of.name().map_or(Known::Nothing, |own| self.returned(name, Some(&own)))
    }

    /// What the signatures of `name` say that it gives: as a function, or of a `receiver`.
    pub fn returned(&self, name: &str, receiver: Option<&str>) -> Known {
        let mut signatures = self.signatures(name);
        let found = signatures
            .find(|s| s.receiver.as_ref().map(|p| (p.kind)()).as_deref() == receiver && !(s.result)().is_empty());
        found.map_or(Known::Nothing, |signature| Known::Type((signature.result)()))
    }

    /// The signatures that the manual has of a name.
    pub fn signatures(&self, name: &str) -> impl Iterator<Item = &Signature> {
        self.docs.iter().filter(move |d| d.name == name).flat_map(|d| &d.signatures)
    }

    /// What a call gives, where all functions that it may be agree.
    pub fn result(&self, name: &str, arguments: &[Known]) -> Known {
        let ids: Vec<Option<TypeId>> = arguments.iter().map(|known| known.type_id(&self.types)).collect();
        let mut words: BTreeSet<String> = BTreeSet::new();
        let mut described = 0;
        for signature in self.signatures(name) {
            let kinds = signature.receiver.iter().chain(signature.parameters.iter().flatten()).map(|p| (p.kind)());
            let types: Vec<Option<TypeId>> = kinds.map(|kind| Known::word(&kind).type_id(&self.types)).collect();
            let agree = |(a, b): (&Option<TypeId>, &Option<TypeId>)| a.is_none() || b.is_none() || a == b;
            if types.len() == ids.len() && types.iter().zip(&ids).all(agree) {
                words.insert((signature.result)());
                described += 1;
            }
        }
        // Those of the language have no entry.
        let fitting = || self.natives.get(name).into_iter().flatten().filter(|native| fits(native, &ids));
        if fitting().count() > described {
            words.extend(fitting().map(|native| of_rust(&native.result).to_string()));
        }
        match words.len() {
            1 => words.first().map_or(Known::Nothing, |word| Known::word(word)),
            _ => Known::Nothing,
        }
    }
}

fn is_name(name: &str) -> bool {
    name.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn fits(native: &Native, ids: &[Option<TypeId>]) -> bool {
    let takes =
        |(own, id): (&TypeId, &Option<TypeId>)| *own == TypeId::of::<Dynamic>() || id.is_none_or(|id| id == *own);
    native.types.len() == ids.len() && native.types.iter().zip(ids).all(takes)
}

/// The manual's word for a type of Rust, of which a function may give it or an error; empty where there is none.
fn of_rust(name: &str) -> &str {
    let inner = name.strip_prefix("RhaiResultOf<").and_then(|rest| rest.strip_suffix('>')).unwrap_or(name);
    match inner.rsplit("::").next().unwrap_or(inner) {
        "INT" | "i64" => "integer",
        "FLOAT" | "f64" => "float",
        "bool" => "bool",
        "Array" => "array",
        "Map" => "map",
        "ImmutableString" | "String" | "string" | "str" | "&str" => "string",
        _ => "",
    }
}
