//! Tensors as scripts hold them, and what is made of them: mixing weights, tables, masks.

use super::handle::{Handle, Saved, Tensors};
use crate::error::{Error, Result};
use crate::host::script::errors::{Fallible, raise, raise_tensor, wrong};
use crate::host::script::value::{float, shown};
use crate::memory;
use crate::net::watched::watch;
use crate::space::{Mask, SearchSpace};
use candle_core::{DType, Device, Tensor};
use rhai::{Array, Dynamic};
use serde_json::{Map, Value, json};

/// A tensor (f32) that remembers its computation, and how many steps of the script that is long.
#[derive(Clone)]
pub struct TensorHandle(pub Tensor, usize);

/// Steps that a tensor may remember, one behind the other: candle goes back along them by recursion, on the stack.
const DEPTH: usize = 10_000;

impl TensorHandle {
    /// One that remembers nothing of the script's.
    pub fn new(tensor: Tensor) -> Self {
        TensorHandle(tensor, 0)
    }

    /// Reads a tensor or a number; `what` is for the message of the error.
    pub fn of_value(value: &Dynamic, what: &str) -> Fallible<Self> {
        if let Some(tensor) = value.read_lock::<TensorHandle>() {
            return Ok(tensor.clone());
        }
        if !value.is_int() && !value.is_float() {
            return Err(wrong(what, shown(value), "a tensor, or a number"));
        }
        Tensor::new(float(value, what)? as f32, &Device::Cpu).map(TensorHandle::new).map_err(raise_tensor)
    }

    /// What a network has computed with a script's mixing weights: it remembers them.
    pub fn behind(tensor: &Tensor, mix: Option<&Dynamic>) -> Fallible<Self> {
        fn depth(mix: &Dynamic) -> usize {
            match mix.read_lock::<Array>() {
                Some(items) => items.iter().map(depth).max().unwrap_or(0),
                None => mix.read_lock::<TensorHandle>().map_or(0, |t| t.1),
            }
        }
        Ok(TensorHandle(watch(tensor).map_err(raise_tensor)?, mix.map_or(0, depth)))
    }

    /// What a script computes of this one alone.
    pub fn map(&self, compute: impl FnOnce(&Tensor) -> candle_core::Result<Tensor>) -> Fallible<Self> {
        TensorHandle::of(&[self], || compute(&self.0))
    }

    /// What a script has computed `of` others: made unless it would be too large, or remember too much.
    pub fn of(of: &[&TensorHandle], compute: impl FnOnce() -> candle_core::Result<Tensor>) -> Fallible<TensorHandle> {
        let largest = of.iter().map(|t| t.0.elem_count()).max().unwrap_or(0);
        room(Some(largest))?;
        let tensor = compute().and_then(|t| watch(&t)).map_err(raise_tensor)?;
        let depth = if tensor.track_op() { 1 + of.iter().map(|t| t.1).max().unwrap_or(0) } else { 0 };
        if depth > DEPTH {
            let got = format!("a tensor that remembers {depth} steps, one behind the other");
            return Err(wrong("tensor", got, format!("at most {DEPTH}; t.detach() forgets those before it")));
        }
        Ok(TensorHandle(tensor, depth))
    }
}

/// An error unless there is memory for a tensor of so many numbers (none: more than can be addressed).
pub fn room(numbers: Option<usize>) -> Fallible<()> {
    let bytes = numbers.map(|n| 4 * n as u128);
    memory::check("tensor", bytes, "its sizes").map_err(raise)
}

/// Mixing weights from a script: one tensor per cell type in an array, or one tensor if there is one cell type; each
/// `[edges, ops]`. `more`: of a supernet, how many columns its tables may have behind, and how many cells it has: there may be a
/// tensor for each.
pub fn mix_of(mix: &Dynamic, space: &SearchSpace, more: Option<(usize, usize)>) -> Fallible<Vec<Tensor>> {
    tables_with("mixing weights", mix, space, more)
}

/// Tables from a script, which an error calls `what`, in the form of mixing weights.
pub fn tables_of(what: &str, tables: &Dynamic, space: &SearchSpace) -> Fallible<Vec<Tensor>> {
    tables_with(what, tables, space, None)
}

fn tables_with(
    what: &str,
    tables: &Dynamic,
    space: &SearchSpace,
    more: Option<(usize, usize)>,
) -> Fallible<Vec<Tensor>> {
    let types = space.cell_types().len();
    let (more, cells) = more.unwrap_or((0, types));
    let (edges, ops) = (space.n_edges(), space.ops().len());
    let expected = || {
        let more = if more > 0 { format!(" or [{edges}, {}]", ops + more) } else { String::new() };
        let each = if cells > types { format!(", or {cells}, one per cell") } else { String::new() };
        format!("{types} tensor(s) of shape [{edges}, {ops}]{more}, one per cell type{each}")
    };
    let fits = |dims: &[usize]| (0..=more).any(|m| dims == [edges, ops + m]);
    let one = |value: &Dynamic| match value.read_lock::<TensorHandle>() {
        Some(tensor) if fits(tensor.0.dims()) => tensor.0.to_dtype(DType::F32).map_err(raise_tensor),
        Some(tensor) => Err(wrong(what, format!("a tensor of shape {:?}", tensor.0.dims()), expected())),
        None => Err(wrong(what, shown(value), expected())),
    };
    let tensors = match tables.read_lock::<Array>() {
        Some(items) => items.iter().map(one).collect::<Fallible<Vec<_>>>()?,
        None => vec![one(tables)?],
    };
    if tensors.len() != types && tensors.len() != cells {
        return Err(wrong(what, format!("{} tensor(s)", tensors.len()), expected()));
    }
    Ok(tensors)
}

/// A mask as one `[edges, ops]` tensor of 0 and 1 per cell type.
pub fn mask_tensors(mask: &Mask, space: &SearchSpace, device: &Device) -> Fallible<Vec<TensorHandle>> {
    let shape = (space.n_edges(), space.ops().len());
    let tensor = |rows: &Vec<Vec<bool>>| {
        let values = rows.iter().flatten().map(|alive| f32::from(u8::from(*alive))).collect();
        Tensor::from_vec(values, shape, device).map(TensorHandle::new).map_err(raise_tensor)
    };
    mask.table().0.iter().map(tensor).collect()
}

impl Handle for TensorHandle {
    fn text(&self) -> String {
        let text = self.0.detach().to_string();
        let rows: Vec<&str> = text.lines().filter(|l| !l.starts_with("Tensor[")).collect();
        format!("{} {:?}", rows.join("\n"), self.0.dims())
    }

    fn summary(&self) -> String {
        format!("{:?}", self.0.dims())
    }
}

impl Saved for TensorHandle {
    const TAG: &'static str = "$tensor";

    fn pack(&self, what: &str, tensors: Option<&mut Tensors>) -> Result<Option<Value>> {
        let Some(tensors) = tensors else { return Ok(None) };
        tensors.insert(what.to_string(), self.0.detach());
        Ok(Some(json!({ "$tensor": what })))
    }

    fn unpack(map: &Map<String, Value>, tensors: &Tensors) -> Result<Self> {
        let name = map.get("$tensor").and_then(Value::as_str).unwrap_or_default();
        let tensor = tensors.get(name).ok_or_else(|| Error::invalid("checkpoint", "no tensor", name))?;
        Ok(TensorHandle::new(tensor.clone()))
    }
}
