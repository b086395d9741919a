//! What numpy writes into pickles: types, arrays, and the functions that build them.

use super::{Id, Object};

/// An array of numbers in C order.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::data) struct Array {
    /// Kind and size in bytes: `u1`, `i8`, `f4`.
    pub dtype: String,
    /// Whether the big end of a number comes first.
    pub big_endian: bool,
    /// Length along each axis.
    pub shape: Vec<usize>,
    /// Its bytes.
    pub data: Vec<u8>,
}

impl Array {
    fn empty() -> Self {
        Array { dtype: String::new(), big_endian: false, shape: vec![0], data: vec![] }
    }

    /// Its numbers, of an array of signed or unsigned integers.
    pub fn integers(&self) -> Option<Vec<i64>> {
        let size: usize = self.dtype.get(1..)?.parse().ok().filter(|s| [1, 2, 4, 8].contains(s))?;
        let signed = match self.dtype.as_bytes()[0] {
            b'i' => true,
            b'u' => false,
            _ => return None,
        };
        let number = |bytes: &[u8]| {
            let mut wide = [0u8; 8];
            wide[..size].copy_from_slice(bytes);
            if self.big_endian {
                wide[..size].reverse();
            }
            let (n, unused) = (i64::from_le_bytes(wide), 64 - 8 * size as u32);
            if signed { n << unused >> unused } else { n }
        };
        Some(self.data.chunks_exact(size).map(number).collect())
    }
}

/// The functions and types that may be named: those that numpy's arrays and Python's bytes are written with.
pub(super) const KNOWN: [&str; 12] = [
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
    "builtins.bytes",
    "__builtin__.bytes",
    "collections.OrderedDict",
];

/// What a known function builds of its arguments; in words what is wrong with them.
pub(super) fn call(name: &str, arguments: &[Id], values: &[Object]) -> Result<Object, String> {
    let argument = |i: usize| arguments.get(i).map(|&id| &values[id]);
    let last = name.rsplit('.').next().unwrap_or(name);
    match (last, argument(0), argument(1)) {
        ("_reconstruct", Some(Object::Global(class)), _) if class == "numpy.ndarray" => {
            Ok(Object::Array(Array::empty()))
        }
        ("dtype", Some(name), _) => {
            let text = text_of(name).ok_or("a dtype that is not a text")?;
            Ok(Object::DType(text.trim_start_matches(['|', '<', '>', '=']).to_string(), text.starts_with('>')))
        }
        ("scalar", Some(Object::DType(dtype, big_endian)), Some(Object::Bytes(data))) => {
            let one = Array { dtype: dtype.clone(), big_endian: *big_endian, shape: vec![], data: data.clone() };
            match one.integers().as_deref() {
                Some([n]) => Ok(Object::Int(*n)),
                _ => Err(format!("a scalar of type {dtype}")),
            }
        }
        ("_frombuffer", Some(Object::Bytes(data)), Some(Object::DType(dtype, big_endian))) => {
            if argument(3).and_then(text_of).is_some_and(|order| order != "C") {
                return Err("an array in Fortran order".into());
            }
            let shape = shape_of(argument(2), values)?;
            array(dtype, *big_endian, shape, data.clone())
        }
        // Python 3 writes bytes so for readers of Python 2.
        ("encode", Some(Object::Text(text)), Some(Object::Text(codec))) if codec == "latin1" => {
            let byte = |c: char| u8::try_from(u32::from(c)).map_err(|_| format!("the character {c:?} in latin1"));
            Ok(Object::Bytes(text.chars().map(byte).collect::<Result<_, _>>()?))
        }
        ("bytes", None, _) => Ok(Object::Bytes(vec![])),
        ("OrderedDict", None, _) => Ok(Object::Dict(vec![])),
        _ => Err(format!("a call of {name} with arguments that numpy does not write")),
    }
}

/// What `BUILD` makes of an object and its state.
pub(super) fn build(object: &Object, state: &Object, values: &[Object]) -> Result<Object, String> {
    let Object::Tuple(state) = state else { return Err("a state that is no tuple".into()) };
    let at = |i: usize| state.get(i).map(|&id| &values[id]);
    match object {
        Object::DType(name, _) => {
            Ok(Object::DType(name.clone(), at(1).and_then(text_of).is_some_and(|order| order == ">")))
        }
        Object::Array(_) => {
            let (Some(Object::DType(dtype, big_endian)), Some(Object::Bytes(data))) = (at(2), at(4)) else {
                return Err("an array whose state numpy does not write".into());
            };
            if at(3) == Some(&Object::Bool(true)) || matches!(at(3), Some(Object::Int(n)) if *n != 0) {
                return Err("an array in Fortran order".into());
            }
            array(dtype, *big_endian, shape_of(at(1), values)?, data.clone())
        }
        _ => Err("state for an object other than an array".into()),
    }
}

fn array(dtype: &str, big_endian: bool, shape: Vec<usize>, data: Vec<u8>) -> Result<Object, String> {
    let size = dtype.get(1..).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
    let expected = shape.iter().try_fold(size, |all, &n| all.checked_mul(n));
    if expected != Some(data.len()) {
        return Err(format!("an array of {dtype} and shape {shape:?} in {} bytes", data.len()));
    }
    Ok(Object::Array(Array { dtype: dtype.into(), big_endian, shape, data }))
}

fn shape_of(value: Option<&Object>, values: &[Object]) -> Result<Vec<usize>, String> {
    let wrong = || "an array without a shape".to_string();
    let Some(Object::Tuple(ids)) = value else { return Err(wrong()) };
    let length = |&id: &Id| match values[id] {
        Object::Int(n) => usize::try_from(n).map_err(|_| wrong()),
        _ => Err(wrong()),
    };
    ids.iter().map(length).collect()
}

fn text_of(value: &Object) -> Option<&str> {
    match value {
        Object::Text(text) => Some(text),
        Object::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
