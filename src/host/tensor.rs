//! Small differentiable tensors, for strategies of people's own: what turns architecture parameters into mixing weights,
//! and losses into other losses.

use super::api::Api;
use super::context::Host;
use super::convert::{float, shown};
use super::errors::{Fallible, raise_tensor, wrong};
use super::random::Stream;
use crate::space::SearchSpace;
use candle_core::{D, DType, Device, Tensor};
use rhai::{Array, Dynamic, INT};
use std::rc::Rc;

/// A tensor (f32) that remembers its computation.
#[derive(Clone)]
pub struct T(pub Tensor);

type Op = Result<Tensor, candle_core::Error>;

fn wrap(result: Op) -> Fallible<T> {
    result.map(T).map_err(raise_tensor)
}

/// Mixing weights from a script: one tensor per cell type in an array, or one tensor if there is one cell type; each
/// `[edges, ops]`.
pub fn mix_of(mix: &Dynamic, space: &SearchSpace) -> Fallible<Vec<Tensor>> {
    let types = space.cell_types().len();
    let want = (space.edges().len(), space.ops().len());
    let expected = || format!("{types} tensor(s) of shape [{}, {}], one per cell type", want.0, want.1);
    let one = |value: &Dynamic| match value.read_lock::<T>() {
        Some(tensor) if tensor.0.dims() == [want.0, want.1] => tensor.0.to_dtype(DType::F32).map_err(raise_tensor),
        Some(tensor) => Err(wrong("mixing weights", format!("a tensor of shape {:?}", tensor.0.dims()), expected())),
        None => Err(wrong("mixing weights", shown(value), expected())),
    };
    let tensors = match mix.read_lock::<Array>() {
        Some(items) => items.iter().map(one).collect::<Fallible<Vec<_>>>()?,
        None => vec![one(mix)?],
    };
    if tensors.len() != types {
        return Err(wrong("mixing weights", format!("{} tensor(s)", tensors.len()), expected()));
    }
    Ok(tensors)
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

fn log_softmax(x: &Tensor) -> Op {
    candle_nn::ops::log_softmax(x, D::Minus1)
}

/// Softmax by differentiable steps.
fn softmax(x: &Tensor) -> Op {
    log_softmax(x)?.exp()
}

fn one_hot(x: &Tensor) -> Op {
    let choices = x.dim(D::Minus1)?;
    let best = x.argmax_keepdim(D::Minus1)?;
    let numbers = Tensor::arange(0u32, choices as u32, x.device())?.broadcast_as(x.shape())?;
    numbers.broadcast_eq(&best)?.to_dtype(DType::F32)
}

fn draw(like: &Tensor, stream: &mut Stream, one: fn(&mut Stream) -> f64) -> Op {
    let values: Vec<f32> = (0..like.elem_count()).map(|_| one(stream) as f32).collect();
    Tensor::from_vec(values, like.shape(), like.device())
}

/// On one device, for an operation on both.
fn beside(a: &Tensor, b: &Tensor) -> Op {
    b.to_device(a.device())
}

fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Op {
    let labels = beside(logits, labels)?.to_dtype(DType::U32)?.unsqueeze(1)?;
    log_softmax(logits)?.gather(&labels, 1)?.mean_all()?.neg()
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
    arithmetic(api);
    functions(api);
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
        |numbers: Dynamic| tensor_of(&numbers).map(T),
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
                "Standard Gumbel draws of the tensor's shape, from the run's random stream: one_hot(log_softmax(a) + g) samples from softmax(a).",
                "let a = tensor([[0.0, 1.0]]);\nassert((a.log_softmax() + gumbel_like(a)).one_hot().sum().to_float() == 1.0);",
            ],
            Stream::gumbel,
        ),
    ];
    for (doc, one) in draws {
        let h = host.clone();
        api.def(doc, move |like: &mut T| wrap(draw(&like.0, &mut h.stream.borrow_mut(), one)));
    }
}

fn arithmetic(api: &mut Api) {
    api.note([
        "+",
        "a + b, a - b, a * b, a / b -> Tensor, -a -> Tensor",
        "Element by element; one side may be a number; shapes that differ are broadcast (a row [ops] or a column [edges, 1] against [edges, ops]).",
        "let a = tensor([[1.0, 2.0], [3.0, 4.0]]);\nassert(((a * 2 - a) / a + 1).to_array() == [[2.0, 2.0], [2.0, 2.0]]);\nassert((-a).sum().to_float() == -10.0);",
    ]);
    let both: [(&str, fn(&Tensor, &Tensor) -> Op); 4] = [
        ("+", Tensor::broadcast_add),
        ("-", Tensor::broadcast_sub),
        ("*", Tensor::broadcast_mul),
        ("/", Tensor::broadcast_div),
    ];
    for (name, op) in both {
        let on = move |a: &Tensor, b: &Tensor| wrap(beside(a, b).and_then(|b| op(a, &b)));
        let scalar = |x: f64, like: &Tensor| Tensor::new(x as f32, like.device()).map_err(raise_tensor);
        api.also(name, move |a: &mut T, b: T| on(&a.0, &b.0));
        api.also(name, move |a: &mut T, b: f64| on(&a.0, &scalar(b, &a.0)?));
        api.also(name, move |a: &mut T, b: INT| on(&a.0, &scalar(b as f64, &a.0)?));
        api.also(name, move |a: f64, b: T| on(&scalar(a, &b.0)?, &b.0));
        api.also(name, move |a: INT, b: T| on(&scalar(a as f64, &b.0)?, &b.0));
    }
    api.also("-", |a: &mut T| wrap(a.0.neg()));
}

fn functions(api: &mut Api) {
    let unary: [([&'static str; 4], fn(&Tensor) -> Op); 10] = [
        (
            [
                "softmax",
                "tensor.softmax() -> Tensor\nalpha.softmax() -> [Tensor]",
                "Along the last dimension. Of architecture parameters: over the live candidates of every edge, 0 for dead ones; one [edges, ops] tensor per cell type, a mix.",
                "assert(tensor([0.0, 0.0]).softmax().to_array() == [0.5, 0.5]);",
            ],
            softmax,
        ),
        (
            [
                "log_softmax",
                "tensor.log_softmax() -> Tensor",
                "Along the last dimension.",
                "assert(tensor([5.0]).log_softmax().to_array() == [0.0]);",
            ],
            log_softmax,
        ),
        (
            [
                "logsumexp",
                "tensor.logsumexp() -> Tensor",
                "log(sum(exp x)) along the last dimension, which goes.",
                "assert(tensor([2.0]).logsumexp().to_float() == 2.0);",
            ],
            |x| x.log_sum_exp(D::Minus1),
        ),
        (
            [
                "sigmoid",
                "tensor.sigmoid() -> Tensor",
                "1 / (1 + exp(-x)).",
                "assert(tensor(0.0).sigmoid().to_float() == 0.5);",
            ],
            |x| (x.neg()?.exp()? + 1.0)?.recip(),
        ),
        (
            ["exp", "tensor.exp() -> Tensor", "Element by element.", "assert(tensor(0.0).exp().to_float() == 1.0);"],
            Tensor::exp,
        ),
        (
            [
                "log",
                "tensor.log() -> Tensor",
                "Natural logarithm, element by element.",
                "assert(tensor(1.0).log().to_float() == 0.0);",
            ],
            Tensor::log,
        ),
        (
            ["sqrt", "tensor.sqrt() -> Tensor", "Element by element.", "assert(tensor(9.0).sqrt().to_float() == 3.0);"],
            Tensor::sqrt,
        ),
        (
            [
                "elu",
                "tensor.elu() -> Tensor",
                "x where positive, else exp(x) - 1.",
                "assert(tensor(2.0).elu().to_float() == 2.0);",
            ],
            |x| x.elu(1.0),
        ),
        (
            [
                "detach",
                "tensor.detach() -> Tensor",
                "The same numbers, through which no gradient flows.",
                "let a = tensor(2.0);\nassert(a.detach().to_float() == 2.0);",
            ],
            |x| Ok(x.detach()),
        ),
        (
            [
                "one_hot",
                "tensor.one_hot() -> Tensor",
                "1 at the largest of the last dimension (the first of equals), 0 elsewhere; no gradient. A straight-through sample is `(p.one_hot() - p).detach() + p`.",
                "assert(tensor([[1, 3, 2]]).one_hot().to_array() == [[0.0, 1.0, 0.0]]);",
            ],
            one_hot,
        ),
    ];
    for (doc, op) in unary {
        api.def(doc, move |x: &mut T| wrap(op(&x.0)));
    }
    type All = fn(&Tensor) -> Op;
    type Along = fn(&Tensor, usize) -> Op;
    let reductions: [([&'static str; 4], All, Along); 4] = [
        (
            [
                "sum",
                "tensor.sum() -> Tensor\ntensor.sum(dim) -> Tensor",
                "Of all, or along a dimension, which stays with length 1.",
                "assert(tensor([[1, 2], [3, 4]]).sum(1).to_array() == [[3.0], [7.0]]);",
            ],
            Tensor::sum_all,
            |x, d| x.sum_keepdim(d),
        ),
        (
            [
                "mean",
                "tensor.mean() -> Tensor\ntensor.mean(dim) -> Tensor\nmean([number]) -> float",
                "Of all, or along a dimension, which stays with length 1; of an array of numbers.",
                "assert(tensor([1, 2, 3]).mean().to_float() == 2.0 && mean([1, 2]) == 1.5);",
            ],
            Tensor::mean_all,
            |x, d| x.mean_keepdim(d),
        ),
        (
            [
                "max",
                "tensor.max() -> Tensor\ntensor.max(dim) -> Tensor",
                "Of all, or along a dimension, which stays with length 1.",
                "assert(tensor([1, 3, 2]).max().to_float() == 3.0);",
            ],
            Tensor::max_all,
            |x, d| x.max_keepdim(d),
        ),
        (
            [
                "min",
                "tensor.min() -> Tensor\ntensor.min(dim) -> Tensor",
                "Of all, or along a dimension, which stays with length 1.",
                "assert(tensor([1, 3, 2]).min().to_float() == 1.0);",
            ],
            Tensor::min_all,
            |x, d| x.min_keepdim(d),
        ),
    ];
    for (doc, all, along) in reductions {
        let name = doc[0];
        api.def(doc, move |x: &mut T| wrap(all(&x.0)));
        api.also(name, move |x: &mut T, dim: INT| match usize::try_from(dim) {
            Ok(d) if d < x.0.rank() => wrap(along(&x.0, d)),
            _ => Err(wrong(format!("{name}, dim"), dim, format!("0 to {}", x.0.rank().saturating_sub(1)))),
        });
    }
    api.def(
        [
            "clamp",
            "tensor.clamp(low, high) -> Tensor",
            "Element by element; the gradient is 0 outside.",
            "assert(tensor([-1, 5]).clamp(0, 1).to_array() == [0.0, 1.0]);",
        ],
        |x: &mut T, low: Dynamic, high: Dynamic| {
            let (low, high) = (float(&low, "clamp, low")? as f32, float(&high, "clamp, high")? as f32);
            wrap(x.0.clamp(low, high))
        },
    );
    api.def(
        [
            "pow",
            "tensor.pow(exponent) -> Tensor",
            "Element by element, by a number.",
            "assert(tensor(3.0).pow(2).to_float() == 9.0);",
        ],
        |x: &mut T, exponent: Dynamic| wrap(x.0.powf(float(&exponent, "pow, exponent")?)),
    );
    api.def(
        ["cross_entropy", "cross_entropy(logits, labels) -> Tensor", "Mean over the images: logits [images, classes], labels [images] (see `batch.labels`).", "let l = cross_entropy(tensor([[0.0, 0.0]]), tensor([1]));\nassert(l.to_float() > 0.69 && l.to_float() < 0.7);"],
        |logits: T, labels: T| wrap(cross_entropy(&logits.0, &labels.0)),
    );
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
        |t: &mut T, i: INT| at(&t.0, i),
    );
    api.also("at", |t: &mut T, i: INT, j: INT| at(&at(&t.0, i)?.0, j));
}

fn at(t: &Tensor, i: INT) -> Fallible<T> {
    let n = t.dims().first().copied().unwrap_or(0);
    match usize::try_from(i) {
        Ok(i) if i < n => wrap(t.narrow(0, i, 1).and_then(|t| t.squeeze(0))),
        _ => Err(wrong("at", i, format!("an index below {n}"))),
    }
}
