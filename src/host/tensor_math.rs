//! Arithmetic and functions of tensors in scripts, all differentiable unless they say otherwise.

use super::api::Api;
use super::convert::float;
use super::errors::{raise_tensor, wrong};
use super::tensor::{Op, T, wrap};
use candle_core::{D, DType, Tensor};
use rhai::{Dynamic, INT};

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

/// On one device, for an operation on both.
fn beside(a: &Tensor, b: &Tensor) -> Op {
    b.to_device(a.device())
}

fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Op {
    let labels = beside(logits, labels)?.to_dtype(DType::U32)?.unsqueeze(1)?;
    log_softmax(logits)?.gather(&labels, 1)?.mean_all()?.neg()
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
        [
            "cross_entropy",
            "cross_entropy(logits, labels) -> Tensor",
            "Mean over the images: logits [images, classes], labels [images] (see `batch.labels`).",
            "let l = cross_entropy(tensor([[0.0, 0.0]]), tensor([1]));\n\
             assert(l.to_float() > 0.69 && l.to_float() < 0.7);",
        ],
        |logits: T, labels: T| wrap(cross_entropy(&logits.0, &labels.0)),
    );
}
