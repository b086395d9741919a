//! The chapter on tensors, for strategies of people's own: what turns architecture parameters into mixing weights, and losses
//! into other losses.

use super::tensor_math;
use crate::host::handles::tensor::{Op, T};
use crate::host::run::{Host, Stream};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, raise_tensor, wrong};
use crate::host::script::value::float;
use candle_core::{DType, Device, Tensor};
use rhai::{Array, Dynamic, INT};
use std::rc::Rc;

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
