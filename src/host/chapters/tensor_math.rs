//! Arithmetic and functions of tensors in scripts, all differentiable unless they say otherwise.

use crate::host::handles::tensor::{Op, T, room};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise_tensor, wrong};
use crate::host::script::value::float;
use crate::memory;
use candle_core::{D, DType, Tensor};
use rhai::{Dynamic, INT};

fn log_softmax(x: &Tensor) -> Op {
    candle_nn::ops::log_softmax(x, D::Minus1)
}

/// Softmax by differentiable steps.
fn softmax(x: &Tensor) -> Op {
    log_softmax(x)?.exp()
}

/// Beside the largest (or least) of some numbers: 0, or NaN where one of them is NaN, which comparisons pass over.
fn nan_in(x: &Tensor, sum: impl Fn(&Tensor) -> Op) -> Op {
    sum(&x.ne(x)?.where_cond(x, &x.zeros_like()?)?)
}

fn one_hot(x: &Tensor) -> Op {
    if nan_in(&x.detach(), Tensor::sum_all)?.to_scalar::<f32>()?.is_nan() {
        candle_core::bail!("one_hot: got NaN, expected numbers of which one is the largest")
    }
    let choices = x.dim(D::Minus1)?;
    let best = x.argmax_keepdim(D::Minus1)?;
    let numbers = Tensor::arange(0u32, choices as u32, x.device())?.broadcast_as(x.shape())?;
    numbers.broadcast_eq(&best)?.to_dtype(DType::F32)
}

/// On one device, for an operation on both.
fn beside(a: &Tensor, b: &Tensor) -> Op {
    b.to_device(a.device())
}

/// `labels` as classes of `logits`: each a whole number from 0 that is the index of a class.
fn labels_of(logits: &Tensor, labels: &Tensor) -> Fallible<Tensor> {
    let &[images, classes] = logits.dims() else {
        return Err(wrong("cross_entropy, logits", format!("{:?}", logits.dims()), "[images, classes]"));
    };
    if labels.dims() != [images] {
        return Err(wrong(
            "cross_entropy, labels",
            format!("{:?}", labels.dims()),
            format!("[{images}], one an image"),
        ));
    }
    let values = labels.to_dtype(DType::F32).and_then(|t| t.to_vec1::<f32>()).map_err(raise_tensor)?;
    if let Some(bad) = values.iter().find(|v| !(0.0..classes as f32).contains(*v) || v.fract() != 0.0) {
        return Err(wrong(
            "cross_entropy, labels",
            bad,
            format!("classes: whole numbers from 0 to {}", classes.saturating_sub(1)),
        ));
    }
    let classes = values.iter().map(|v| *v as u32).collect();
    Tensor::from_vec(classes, images, logits.device()).map_err(raise_tensor)
}

/// Numbers of what two tensors are broadcast to; none for more than can be addressed.
fn broadcast(a: &Tensor, b: &Tensor) -> Option<usize> {
    let at = |t: &Tensor, i: usize| t.rank().checked_sub(i + 1).map_or(1, |d| t.dims()[d]);
    let sizes: Vec<usize> = (0..a.rank().max(b.rank())).map(|i| at(a, i).max(at(b, i))).collect();
    memory::product(&sizes)
}

fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Op {
    log_softmax(logits)?.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

/// Register arithmetic and functions.
pub fn register(api: &mut Api) {
    arithmetic(api);
    functions(api);
}

fn arithmetic(api: &mut Api) {
    api.note([
        "+",
        "a + b, a - b, a * b, a / b -> Tensor, -a -> Tensor",
        "Element by element; one side may be a number; shapes that differ are broadcast (a row [ops] or a column \
         [edges, 1] against [edges, ops]).",
        "let a = tensor([[1.0, 2.0], [3.0, 4.0]]);\n\
         assert(((a * 2 - a) / a + 1).to_array() == [[2.0, 2.0], [2.0, 2.0]]);\n\
         assert((-a).sum().to_float() == -10.0);",
    ]);
    let both: [(&str, fn(&Tensor, &Tensor) -> Op); 4] = [
        ("+", Tensor::broadcast_add),
        ("-", Tensor::broadcast_sub),
        ("*", Tensor::broadcast_mul),
        ("/", Tensor::broadcast_div),
    ];
    for (name, op) in both {
        let on = move |a: &T, b: &T| {
            room(broadcast(&a.0, &b.0))?;
            T::of(&[a, b], || op(&a.0, &beside(&a.0, &b.0)?))
        };
        let scalar = |x: f64, like: &T| Tensor::new(x as f32, like.0.device()).map(T::new).map_err(raise_tensor);
        api.also(name, move |a: &mut T, b: T| on(a, &b));
        api.also(name, move |a: &mut T, b: f64| on(a, &scalar(b, a)?));
        api.also(name, move |a: &mut T, b: INT| on(a, &scalar(b as f64, a)?));
        api.also(name, move |a: f64, b: T| on(&scalar(a, &b)?, &b));
        api.also(name, move |a: INT, b: T| on(&scalar(a as f64, &b)?, &b));
    }
    api.also("-", |a: &mut T| T::of(&[a], || a.0.neg()));
}

fn functions(api: &mut Api) {
    let unary: [([&'static str; 4], fn(&Tensor) -> Op); 10] = [
        (
            [
                "softmax",
                "tensor.softmax() -> Tensor\nalpha.softmax() -> [Tensor]",
                "Along the last dimension. Of architecture parameters: over the live candidates of every edge, 0 for \
                 dead ones; one [edges, ops] tensor per cell type, a mix.",
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
            // Copied: an optimiser changes its variables in place.
            |x| x.detach().copy(),
        ),
        (
            [
                "one_hot",
                "tensor.one_hot() -> Tensor",
                "1 at the largest of the last dimension (the first of equals), 0 elsewhere; no gradient. A \
                 straight-through sample is `(p.one_hot() - p).detach() + p`.",
                "assert(tensor([[1, 3, 2]]).one_hot().to_array() == [[0.0, 1.0, 0.0]]);",
            ],
            one_hot,
        ),
    ];
    for (doc, op) in unary {
        api.def(doc, move |x: &mut T| T::of(&[x], || op(&x.0)));
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
            |x| x.max_all()? + nan_in(x, Tensor::sum_all)?,
            |x, d| x.max_keepdim(d)? + nan_in(x, |x| x.sum_keepdim(d))?,
        ),
        (
            [
                "min",
                "tensor.min() -> Tensor\ntensor.min(dim) -> Tensor",
                "Of all, or along a dimension, which stays with length 1.",
                "assert(tensor([1, 3, 2]).min().to_float() == 1.0);",
            ],
            |x| x.min_all()? + nan_in(x, Tensor::sum_all)?,
            |x, d| x.min_keepdim(d)? + nan_in(x, |x| x.sum_keepdim(d))?,
        ),
    ];
    for (doc, all, along) in reductions {
        let name = doc[0];
        api.def(doc, move |x: &mut T| T::of(&[x], || all(&x.0)));
        api.also(name, move |x: &mut T, dim: INT| match usize::try_from(dim) {
            Ok(d) if d < x.0.rank() => T::of(&[x], || along(&x.0, d)),
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
            T::of(&[x], || x.0.clamp(low, high))
        },
    );
    api.def(
        [
            "pow",
            "tensor.pow(exponent) -> Tensor",
            "Element by element, by a number.",
            "assert(tensor(3.0).pow(2).to_float() == 9.0);",
        ],
        |x: &mut T, exponent: Dynamic| {
            let exponent = float(&exponent, "pow, exponent")?;
            T::of(&[x], || x.0.powf(exponent))
        },
    );
    api.def(
        [
            "cross_entropy",
            "cross_entropy(logits, labels) -> Tensor",
            "Mean over the images: logits [images, classes], labels [images] (see `batch.labels`).",
            "let l = cross_entropy(tensor([[0.0, 0.0]]), tensor([1]));\n\
             assert(l.to_float() > 0.69 && l.to_float() < 0.7);",
        ],
        |logits: T, labels: T| {
            let labels = labels_of(&logits.0, &labels.0)?;
            T::of(&[&logits], || cross_entropy(&logits.0, &labels))
        },
    );
}
