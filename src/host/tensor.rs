//! Small differentiable tensors, for strategies of people's own: what turns architecture parameters into mixing
//! weights,
//! and losses into other losses.

use super::api::Api;
use super::context::Host;
use super::convert::{float, shown};
use super::errors::{Fallible, raise, raise_tensor, wrong};
use super::random::Stream;
use super::tensor_math;
use crate::memory;
use crate::space::{Mask, SearchSpace};
use candle_core::{DType, Device, Tensor};
use rhai::{Array, Dynamic, INT};
use std::rc::Rc;

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

/// Rows of numbers (or a list, or a number) as a tensor.
fn tensor_of(value: &Dynamic) -> Fallible<Tensor> {
    if let Some(items) = value.read_lock::<Array>() {
        let rows = items.iter().map(tensor_of).collect::<Fallible<Vec<_>>>()?;
        if rows.is_empty() {
            return Err(wrong("tensor", "an empty array", "numbers, or rows of equal length"));
        }
        return Tensor::stack(&rows, 0).map_err(raise_tensor);
    }
    Tensor::new(float(value, "tensor")? as f32, &Device::Cpu).map_err(raise_tensor)
}

fn array_of(tensor: &Tensor) -> Fallible<Dynamic> {
    if tensor.rank() == 0 {
        let value = tensor.to_dtype(DType::F32).and_then(|t| t.to_scalar::<f32>()).map_err(raise_tensor)?;
        return Ok(Dynamic::from(f64::from(value)));
    }
    let part = |i| tensor.get(i).map_err(raise_tensor).and_then(|t| array_of(&t));
    (0..tensor.dims()[0]).map(part).collect::<Fallible<Array>>().map(Dynamic::from)
}

fn draw(like: &Tensor, stream: &mut Stream, one: fn(&mut Stream) -> f64) -> Op {
    let values: Vec<f32> = (0..like.elem_count()).map(|_| one(stream) as f32).collect();
    Tensor::from_vec(values, like.shape(), like.device())
}

/// Register the functions of tensors.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("tensors");
    api.value::<T>("Tensor", |t| {
        let text = t.0.detach().to_string();
        let rows: Vec<&str> = text.lines().filter(|l| !l.starts_with("Tensor[")).collect();
        format!("{} {:?}", rows.join("\n"), t.0.dims())
    });
    making(api, host);
    tensor_math::register(api);
    reading(api);
}

fn making(api: &mut Api, host: &Rc<Host>) {
    api.def(
        [
            "tensor",
            "tensor(numbers) -> Tensor",
            "A tensor from a number, an array of numbers, or rows of equal length.",
            "assert(tensor([[1, 2], [3, 4]]).shape == [2, 2]);",
        ],
        |numbers: Dynamic| tensor_of(&numbers).map(T::new),
    );
    let draws: [([&'static str; 4], fn(&mut Stream) -> f64); 3] = [
        (
            [
                "uniform_like",
                "uniform_like(tensor) -> Tensor",
                "Uniform draws in (0, 1) of the tensor's shape, from the run's random stream.",
                "let u = uniform_like(tensor([0, 0, 0]));\nassert(u.min().to_float() > 0.0);",
            ],
            Stream::uniform,
        ),
        (
            [
                "normal_like",
                "normal_like(tensor) -> Tensor",
                "Standard normal draws of the tensor's shape, from the run's random stream.",
                "assert(normal_like(tensor([0, 0])).shape == [2]);",
            ],
            Stream::normal,
        ),
        (
            [
                "gumbel_like",
                "gumbel_like(tensor) -> Tensor",
                "Standard Gumbel draws of the tensor's shape, from the run's random stream: one_hot(log_softmax(a) + \
                 g) samples from softmax(a).",
                "let a = tensor([[0.0, 1.0]]);\n\
                 assert((a.log_softmax() + gumbel_like(a)).one_hot().sum().to_float() == 1.0);",
            ],
            Stream::gumbel,
        ),
    ];
    for (doc, one) in draws {
        let h = host.clone();
        let name = doc[0];
        api.def(doc, move |like: &mut T| -> Fallible<T> {
            let drawn = draw(&like.0, &mut h.stream.borrow_mut(), one).map_err(raise_tensor)?;
            h.trace.draw_tensor(name, &drawn).map_err(raise)?;
            Ok(T::new(drawn))
        });
    }
}

fn reading(api: &mut Api) {
    api.also_get("shape", |t: &mut T| Ok(t.0.dims().iter().map(|d| Dynamic::from(*d as INT)).collect::<Array>()));
    api.def(
        [
            "to_float",
            "tensor.to_float() -> float",
            "The number in a tensor of one element.",
            "assert(tensor([7.0]).to_float() == 7.0);",
        ],
        |t: &mut T| {
            if t.0.elem_count() != 1 {
                return Err(wrong("to_float", format!("a tensor of shape {:?}", t.0.dims()), "one element"));
            }
            t.0.flatten_all().and_then(|t| t.get(0)?.to_scalar::<f32>()).map(f64::from).map_err(raise_tensor)
        },
    );
    api.def(
        [
            "to_array",
            "tensor.to_array() -> array",
            "Its numbers, as nested arrays.",
            "assert(tensor([1, 2]).to_array() == [1.0, 2.0]);",
        ],
        |t: &mut T| array_of(&t.0),
    );
    api.def(
        [
            "at",
            "tensor.at(i) -> Tensor\ntensor.at(i, j) -> Tensor",
            "A row, or an element; differentiable. An index out of range is an error.",
            "assert(tensor([[1, 2], [3, 4]]).at(1, 0).to_float() == 3.0);",
        ],
        |t: &mut T, i: INT| at(t, i),
    );
    api.also("at", |t: &mut T, i: INT, j: INT| at(&at(t, i)?, j));
}

fn at(t: &T, i: INT) -> Fallible<T> {
    let n = t.0.dims().first().copied().unwrap_or(0);
    match usize::try_from(i) {
        Ok(i) if i < n => T::of(&[t], || t.0.narrow(0, i, 1)?.squeeze(0)),
        _ => Err(wrong("at", i, format!("an index below {n}"))),
    }
}
