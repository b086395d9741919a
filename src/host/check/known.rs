//! What is known of a value without evaluating anything. Types are in the words of the manual: `Supernet`, `[Candidate]`, `map`.

use crate::host::script::value::kind;
use rhai::{Array, Dynamic, FnPtr, Map, Position};
use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;

/// What is known of a value.
#[derive(Clone, Debug, Default)]
pub enum Known {
    /// Nothing.
    #[default]
    Nothing,
    /// The value itself.
    Value(Dynamic),
    /// Its type.
    Type(String),
    /// That it is an array, and what is known of each of its items.
    List(Box<Known>),
    /// That it is a map, and its keys.
    Fields(Fields),
    /// That it is a closure, and which.
    Closure(Closure),
}

/// The keys of a map.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Those that are known.
    pub keys: BTreeMap<String, Field>,
    /// What others there may be.
    pub rest: Rest,
}

/// A key of a map: where it was written, and what is known of its value.
#[derive(Clone)]
pub struct Field {
    /// Of its value.
    pub known: Known,
    /// The file of the program by its number, and the place in it.
    pub place: (usize, Position),
}

impl fmt::Debug for Field {
    /// What tells two calls of a function apart is what is known, not where it was written.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.known.fmt(f)
    }
}

/// What keys a map may have besides those that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// No other.
    None,
    /// Those that `--set` can add: settings of the program.
    Settings,
    /// Any.
    Anything,
}

/// A closure of the program.
#[derive(Clone, Debug)]
pub struct Closure {
    /// The file by its number.
    pub file: usize,
    /// The name that the language gives it.
    pub name: String,
    /// What it captured.
    pub captured: Vec<Known>,
    /// How many arguments it takes besides.
    pub takes: usize,
    /// Whether its mistakes are meant.
    pub quiet: bool,
}

impl Known {
    /// By the manual's word for a type.
    pub fn word(word: &str) -> Known {
        match word {
            "" | "value" | "number" | "closure" => Known::Nothing,
            word => Known::Type(word.to_string()),
        }
    }

    /// Of a value of a session, without holding it.
    pub fn of(value: &Dynamic) -> Known {
        let value = value.flatten_clone();
        if let Some(map) = value.read_lock::<Map>() {
            let place = (0, Position::NONE);
            let field = |value: &Dynamic| Field { known: Known::word(kind(&value.flatten_clone())), place };
            let keys = map.iter().map(|(key, value)| (key.to_string(), field(value))).collect();
            return Known::Fields(Fields { keys, rest: Rest::Anything });
        }
        Known::word(kind(&value))
    }

    /// The type in the words of the manual.
    pub fn name(&self) -> Option<String> {
        match self {
            Known::Value(value) => Some(kind(&value.flatten_clone()).to_string()),
            Known::Type(name) => Some(name.clone()),
            Known::List(item) => Some(item.name().map_or("array".into(), |item| format!("[{item}]"))),
            Known::Fields(_) => Some("map".into()),
            Known::Closure(_) => Some("closure".into()),
            Known::Nothing => None,
        }
    }

    /// The type in the words of the engine.
    pub fn type_id(&self, types: &[(&'static str, TypeId)]) -> Option<TypeId> {
        match self {
            Known::Value(value) => Some(value.flatten_clone().type_id()),
            Known::List(_) => Some(TypeId::of::<Array>()),
            Known::Fields(_) => Some(TypeId::of::<Map>()),
            Known::Closure(_) => Some(TypeId::of::<FnPtr>()),
            Known::Type(name) => match name.as_str() {
                _ if name.starts_with('[') => Some(TypeId::of::<Array>()),
                "array" => Some(TypeId::of::<Array>()),
                "map" => Some(TypeId::of::<Map>()),
                "string" => Some(TypeId::of::<rhai::ImmutableString>()),
                "integer" => Some(TypeId::of::<rhai::INT>()),
                "float" => Some(TypeId::of::<rhai::FLOAT>()),
                "bool" => Some(TypeId::of::<bool>()),
                name => types.iter().find(|(known, _)| *known == name).map(|(_, id)| *id),
            },
            Known::Nothing => None,
        }
    }

    /// Keys of a map.
    pub fn keys(&self) -> Vec<String> {
        match self {
            Known::Value(value) => {
                let keys = value.read_lock::<Map>().map(|map| map.keys().map(|k| k.to_string()).collect());
                keys.unwrap_or_default()
            }
            Known::Fields(fields) => fields.keys.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// An item.
    pub fn item(&self) -> Known {
        match self {
            Known::Value(value) => match value.read_lock::<Array>().and_then(|a| a.first().cloned()) {
                Some(first) => Known::Value(first),
                None => Known::Nothing,
            },
            Known::List(item) => (**item).clone(),
            Known::Type(name) => match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
                Some(inner) => Known::word(inner),
                None if name == "Batches" => Known::Type("Batch".into()),
                None if name == "Pairs" => Known::Type("Pair".into()),
                None if name == "range" || name == "Epochs" => Known::Type("integer".into()),
                None => Known::Nothing,
            },
            _ => Known::Nothing,
        }
    }

    /// What is known of a value that is one of the two.
    pub fn or(self, other: Known) -> Known {
        match (self, other) {
            (Known::Fields(mut a), Known::Fields(b)) => {
                for (key, field) in b.keys {
                    match a.keys.remove(&key) {
                        Some(own) => {
                            let known = own.known.or(field.known);
                            a.keys.insert(key, Field { known, place: own.place })
                        }
                        None => a.keys.insert(key, Field { known: Known::Nothing, place: field.place }),
                    };
                }
                Known::Fields(Fields { rest: a.rest.max(b.rest), ..a })
            }
            (Known::List(a), Known::List(b)) => Known::List(Box::new(a.or(*b))),
            (Known::Closure(a), Known::Closure(b)) if a.name == b.name => Known::Closure(a),
            (a, b) => match (a.name(), b.name()) {
                (Some(x), Some(y)) if x == y => Known::word(&x),
                (Some(x), Some(y)) if is_array(&x) && is_array(&y) => Known::Type("array".into()),
                _ => Known::Nothing,
            },
        }
    }

    /// With maps that may have any other key.
    pub fn opened(self) -> Known {
        match self {
            Known::Fields(fields) => Known::Fields(Fields { rest: Rest::Anything, ..fields }),
            Known::List(item) => Known::List(Box::new(item.opened())),
            other => other,
        }
    }

    /// What is left of it where the variable that holds it changes somewhere.
    pub fn weakened(self) -> Known {
        match self {
            Known::Fields(fields) => Known::Fields(Fields {
                keys: fields
                    .keys
                    .into_iter()
                    .map(|(key, field)| (key, Field { known: Known::Nothing, ..field }))
                    .collect(),
                rest: Rest::Anything,
            }),
            other => match other.name() {
                Some(name) if is_array(&name) => Known::Type("array".into()),
                _ => other,
            },
        }
    }
}

fn is_array(name: &str) -> bool {
    name == "array" || name.starts_with('[')
}
