//! A reader of Python pickles that runs nothing: plain values and numpy arrays, as data sets are published in them.
//!
//! A pickle is a program for a small stack machine, which may name any Python function and call it. Here the functions
//! that numpy writes are known by name and what they would build is built; any other name is an error.

mod machine;
mod numpy;

pub(super) use machine::read;
pub(super) use numpy::Array;

/// Index of a value in [`Pickle::values`].
pub(super) type Id = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `None`
    None,
    /// `True`, `False`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float`
    Float(f64),
    /// `bytes`, and the `str` of Python 2
    Bytes(Vec<u8>),
    /// `str`
    Text(String),
    /// `tuple`
    Tuple(Vec<Id>),
    /// `list`
    List(Vec<Id>),
    /// `dict`
    Dict(Vec<(Id, Id)>),
    /// A name of a module that is known: `numpy.ndarray`.
    Global(String),
    /// `numpy.dtype`: kind and size (`u1`), and whether its bytes are the big end first.
    DType(String, bool),
    /// `numpy.ndarray`
    Array(Array),
}

impl Value {
    /// Bytes that it takes up beside its place.
    fn bytes(&self) -> usize {
        match self {
            Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 0,
            Value::Bytes(bytes) => bytes.len(),
            Value::Text(text) | Value::Global(text) | Value::DType(text, _) => text.len(),
            Value::Tuple(ids) | Value::List(ids) => ids.len() * size_of::<Id>(),
            Value::Dict(pairs) => pairs.len() * size_of::<(Id, Id)>(),
            Value::Array(array) => array.data.len() + array.dtype.len() + array.shape.len() * size_of::<usize>(),
        }
    }
}

/// All values of a pickle, and which of them is the result.
pub(super) struct Pickle {
    /// All of them.
    pub values: Vec<Value>,
    /// The result.
    pub root: Id,
}

impl Pickle {
    /// By index.
    pub fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    /// The value behind a text key of the dictionary that is the result.
    pub fn entry(&self, key: &str) -> Option<&Value> {
        let Value::Dict(pairs) = self.get(self.root) else { return None };
        let is_key = |id: Id| match self.get(id) {
            Value::Text(text) => text == key,
            Value::Bytes(bytes) => bytes == key.as_bytes(),
            _ => false,
        };
        pairs.iter().rev().find(|(k, _)| is_key(*k)).map(|(_, v)| self.get(*v))
    }

    /// A list or tuple of texts.
    pub fn texts(&self, value: &Value) -> Option<Vec<String>> {
        let (Value::List(ids) | Value::Tuple(ids)) = value else { return None };
        let text = |&id: &Id| match self.get(id) {
            Value::Text(text) => Some(text.clone()),
            Value::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        };
        ids.iter().map(text).collect()
    }

    /// A list, tuple or array of whole numbers.
    pub fn integers(&self, value: &Value) -> Option<Vec<i64>> {
        match value {
            Value::List(ids) | Value::Tuple(ids) => {
                ids.iter().map(|&id| if let Value::Int(n) = self.get(id) { Some(*n) } else { None }).collect()
            }
            Value::Array(array) => array.integers(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
