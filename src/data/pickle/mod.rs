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
pub(super) enum Object {
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

impl Object {
    /// Bytes that it takes up beside its place.
    fn bytes(&self) -> usize {
        match self {
            Object::None | Object::Bool(_) | Object::Int(_) | Object::Float(_) => 0,
            Object::Bytes(bytes) => bytes.len(),
            Object::Text(text) | Object::Global(text) | Object::DType(text, _) => text.len(),
            Object::Tuple(ids) | Object::List(ids) => ids.len() * size_of::<Id>(),
            Object::Dict(pairs) => pairs.len() * size_of::<(Id, Id)>(),
            Object::Array(array) => array.data.len() + array.dtype.len() + array.shape.len() * size_of::<usize>(),
        }
    }
}

/// All values of a pickle, and which of them is the result.
pub(super) struct Pickle {
    /// All of them.
    pub values: Vec<Object>,
    /// The result.
    pub root: Id,
}

impl Pickle {
    /// By index.
    pub fn get(&self, id: Id) -> &Object {
        &self.values[id]
    }

    /// The value behind a text key of the dictionary that is the result.
    pub fn entry(&self, key: &str) -> Option<&Object> {
        let Object::Dict(pairs) = self.get(self.root) else { return None };
        let is_key = |id: Id| match self.get(id) {
            Object::Text(text) => text == key,
            Object::Bytes(bytes) => bytes == key.as_bytes(),
            _ => false,
        };
        pairs.iter().rev().find(|(k, _)| is_key(*k)).map(|(_, v)| self.get(*v))
    }

    /// A list or tuple of texts.
    pub fn texts(&self, value: &Object) -> Option<Vec<String>> {
        let (Object::List(ids) | Object::Tuple(ids)) = value else { return None };
        let text = |&id: &Id| match self.get(id) {
            Object::Text(text) => Some(text.clone()),
            Object::Bytes(bytes) => String::from_utf8(bytes.clone()).ok(),
            _ => None,
        };
        ids.iter().map(text).collect()
    }

    /// A list, tuple or array of whole numbers.
    pub fn integers(&self, value: &Object) -> Option<Vec<i64>> {
        match value {
            Object::List(ids) | Object::Tuple(ids) => {
                ids.iter().map(|&id| if let Object::Int(n) = self.get(id) { Some(*n) } else { None }).collect()
            }
            Object::Array(array) => array.integers(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
