//! Tensors as scripts hold them, and what is made of them: mixing weights, tables, masks.

use crate::host::script::errors::{Fallible, raise, raise_tensor, wrong};
use crate::host::script::value::shown;
use crate::memory;
use crate::space::{Mask, SearchSpace};
use candle_core::{DType, Device, Tensor};
use rhai::{Array, Dynamic};

/// A tensor (f32) that remembers its computation, and how many steps of the script that is long.
#[derive(Clone)]
pub struct T(pub Tensor, usize);

/// Steps that a tensor may remember, one behind the other: candle goes back along them by recursion, on the stack.
const DEPTH: usize = 10_000;

/// What a tensor operation comes to.
pub type Op = Result<Tensor, candle_core::Error>;

impl T {
    /// One that remembers nothing of the script's.
    pub fn new(tensor: Tensor) -> Self {
        T(tensor, 0)
    }

    /// What a network has computed with a script's mixing weights: it remembers them.
    pub fn behind(tensor: Tensor, mix: Option<&Dynamic>) -> Self {
        fn depth(mix: &Dynamic) -> usize {
            match mix.read_lock::<Array>() {
                Some(items) => items.iter().map(depth).max().unwrap_or(0),
                None => mix.read_lock::<T>().map_or(0, |t| t.1),
            }
        }
        T(tensor, mix.map_or(0, depth))
    }

    /// What a script has computed `of` others: made unless it would be too large, or remember too much.
    pub fn of(of: &[&T], compute: impl FnOnce() -> Op) -> Fallible<T> {
        let largest = of.iter().map(|t| t.0.elem_count()).max().unwrap_or(0);
        room(Some(largest))?;
        let tensor = compute().map_err(raise_tensor)?;
        let depth = if tensor.track_op() { 1 + of.iter().map(|t| t.1).max().unwrap_or(0) } else { 0 };
        if depth > DEPTH {
            let got = format!("a tensor that remembers {depth} steps, one behind the other");
            return Err(wrong("tensor", got, format!("at most {DEPTH}; t.detach() forgets those before it")));
        }
        Ok(T(tensor, depth))
    }
}

/// An error unless there is memory for a tensor of so many numbers (none: more than can be addressed).
pub fn room(numbers: Option<usize>) -> Fallible<()> {
    let bytes = numbers.map(|n| 4 * n as u128);
    memory::check("tensor", bytes, "its sizes").map_err(raise)
}

/// Mixing weights from a script: one tensor per cell type in an array, or one tensor if there is one cell type; each
/// `[edges, ops]`.
pub fn mix_of(mix: &Dynamic, space: &SearchSpace) -> Fallible<Vec<Tensor>> {
    tables_of("mixing weights", mix, space)
}

/// Tables from a script, which an error calls `what`, in the form of mixing weights.
pub fn tables_of(what: &str, tables: &Dynamic, space: &SearchSpace) -> Fallible<Vec<Tensor>> {
    let types = space.cell_types().len();
    let want = (space.n_edges(), space.ops().len());
    let expected = || format!("{types} tensor(s) of shape [{}, {}], one per cell type", want.0, want.1);
    let one = |value: &Dynamic| match value.read_lock::<T>() {
        Some(tensor) if tensor.0.dims() == [want.0, want.1] => tensor.0.to_dtype(DType::F32).map_err(raise_tensor),
        Some(tensor) => Err(wrong(what, format!("a tensor of shape {:?}", tensor.0.dims()), expected())),
        None => Err(wrong(what, shown(value), expected())),
    };
    let tensors = match tables.read_lock::<Array>() {
        Some(items) => items.iter().map(one).collect::<Fallible<Vec<_>>>()?,
        None => vec![one(tables)?],
    };
    if tensors.len() != types {
        return Err(wrong(what, format!("{} tensor(s)", tensors.len()), expected()));
    }
    Ok(tensors)
}

/// A mask as one `[edges, ops]` tensor of 0 and 1 per cell type.
pub fn mask_tensors(mask: &Mask, space: &SearchSpace, device: &Device) -> Fallible<Array> {
    let shape = (space.n_edges(), space.ops().len());
    let tensor = |rows: &Vec<Vec<bool>>| {
        let values = rows.iter().flatten().map(|alive| f32::from(u8::from(*alive))).collect();
        Tensor::from_vec(values, shape, device).map(|t| Dynamic::from(T::new(t))).map_err(raise_tensor)
    };
    mask.table().0.iter().map(tensor).collect()
}
