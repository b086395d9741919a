//! Arithmetic and functions of tensors in scripts, all differentiable unless they say otherwise.

use crate::host::handles::tensor::{TensorHandle, room};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise_tensor, wrong};
use crate::host::script::functions::functions;
use crate::host::script::types::Number;
use crate::memory;
use candle_core::{D, DType, Tensor};
use rhai::INT;

fn log_softmax(x: &Tensor) -> candle_core::Result<Tensor> {
    candle_nn::ops::log_softmax(x, D::Minus1)
}

/// Softmax by differentiable steps.
fn softmax(x: &Tensor) -> candle_core::Result<Tensor> {
    log_softmax(x)?.exp()
}

/// Beside the largest (or least) of some numbers: 0, or NaN where one of them is NaN, which comparisons pass over.
pub(super) fn nan_in(x: &Tensor, sum: impl Fn(&Tensor) -> candle_core::Result<Tensor>) -> candle_core::Result<Tensor> {
    sum(&x.ne(x)?.where_cond(x, &x.zeros_like()?)?)
}

fn one_hot(x: &Tensor) -> candle_core::Result<Tensor> {
    if nan_in(&x.detach(), Tensor::sum_all)?.to_scalar::<f32>()?.is_nan() {
        candle_core::bail!("one_hot: got NaN, expected numbers of which one is the largest")
    }
    let choices = x.dim(D::Minus1)?;
    let best = x.argmax_keepdim(D::Minus1)?;
    let numbers = Tensor::arange(0u32, choices as u32, x.device())?.broadcast_as(x.shape())?;
    numbers.broadcast_eq(&best)?.to_dtype(DType::F32)
}

/// On one device, for an operation on both.
fn beside(a: &Tensor, b: &Tensor) -> candle_core::Result<Tensor> {
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

fn cross_entropy(logits: &Tensor, labels: &Tensor) -> candle_core::Result<Tensor> {
    log_softmax(logits)?.gather(&labels.unsqueeze(1)?, 1)?.mean_all()?.neg()
}

/// What two tensors of any shapes that go together come to.
pub(super) type Both = fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>;

/// Both together, where there is room for what they are broadcast to.
pub(super) fn both(a: &TensorHandle, b: &TensorHandle, op: Both) -> Fallible<TensorHandle> {
    room(broadcast(&a.0, &b.0))?;
    TensorHandle::of(&[a, b], || op(&a.0, &beside(&a.0, &b.0)?))
}

/// Along a dimension, which stays with length 1.
pub(super) fn along(
    tensor: &TensorHandle,
    name: &str,
    dim: INT,
    reduce: fn(&Tensor, usize) -> candle_core::Result<Tensor>,
) -> Fallible<TensorHandle> {
    let rank = tensor.0.rank();
    match usize::try_from(dim) {
        Ok(d) if d < rank => tensor.map(|t| reduce(t, d)),
        _ => Err(wrong(format!("{name}, dim"), dim, format!("0 to {}", rank.saturating_sub(1)))),
    }
}

/// Register arithmetic and functions.
pub fn register(api: &mut Api) {
    arithmetic(api);
    comparisons(api);
    functions! { api, [];
        /// Along the last dimension.
        ///
        /// ```rhai
        /// assert(tensor([0.0, 0.0]).softmax().to_array() == [0.5, 0.5]);
        /// ```
        fn softmax(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(softmax) }

        /// Along the last dimension.
        ///
        /// ```rhai
        /// assert(tensor([5.0]).log_softmax().to_array() == [0.0]);
        /// ```
        fn log_softmax(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(log_softmax) }

        /// log(sum(exp x)) along the last dimension, which goes.
        ///
        /// ```rhai
        /// assert(tensor([2.0]).logsumexp().to_float() == 2.0);
        /// ```
        fn logsumexp(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(|x| x.log_sum_exp(D::Minus1)) }

        /// 1 / (1 + exp(-x)).
        ///
        /// ```rhai
        /// assert(tensor(0.0).sigmoid().to_float() == 0.5);
        /// ```
        fn sigmoid(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(|x| (x.neg()?.exp()? + 1.0)?.recip()) }

        /// Element by element.
        ///
        /// ```rhai
        /// assert(tensor(0.0).exp().to_float() == 1.0);
        /// ```
        fn exp(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(Tensor::exp) }

        /// Natural logarithm, element by element.
        ///
        /// ```rhai
        /// assert(tensor(1.0).log().to_float() == 0.0);
        /// ```
        fn log(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(Tensor::log) }

        /// Element by element.
        ///
        /// ```rhai
        /// assert(tensor(9.0).sqrt().to_float() == 3.0);
        /// ```
        fn sqrt(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(Tensor::sqrt) }

        /// x where positive, else exp(x) - 1.
        ///
        /// ```rhai
        /// assert(tensor(2.0).elu().to_float() == 2.0);
        /// ```
        fn elu(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(|x| x.elu(1.0)) }

        /// The same numbers, through which no gradient flows.
        ///
        /// ```rhai
        /// let a = tensor(2.0);
        /// assert(a.detach().to_float() == 2.0);
        /// ```
        fn detach(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            // Copied: an optimiser changes its variables in place.
            tensor.map(|x| x.detach().copy())
        }

        /// 1 at the largest of the last dimension (the first of equals), 0 elsewhere; no gradient. A straight-through
        /// sample is `(p.one_hot() - p).detach() + p`.
        ///
        /// ```rhai
        /// assert(tensor([[1, 3, 2]]).one_hot().to_array() == [[0.0, 1.0, 0.0]]);
        /// ```
        fn one_hot(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(one_hot) }

        /// The sum of all numbers, or of those along a dimension, which stays with length 1.
        ///
        /// ```rhai
        /// assert(tensor([[1, 2], [3, 4]]).sum(1).to_array() == [[3.0], [7.0]]);
        /// ```
        fn sum(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(Tensor::sum_all) }
        fn sum(&tensor: TensorHandle, dim: INT) -> Fallible<TensorHandle> {
            along(tensor, "sum", dim, |x, d| x.sum_keepdim(d))
        }

        /// The mean of all numbers, or of those along a dimension, which stays with length 1; also of an array of numbers.
        ///
        /// ```rhai
        /// assert(tensor([1, 2, 3]).mean().to_float() == 2.0 && mean([1, 2]) == 1.5);
        /// ```
        fn mean(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(Tensor::mean_all) }
        fn mean(&tensor: TensorHandle, dim: INT) -> Fallible<TensorHandle> {
            along(tensor, "mean", dim, |x, d| x.mean_keepdim(d))
        }

        /// The largest of all numbers, or of those along a dimension, which stays with length 1; or, of two tensors,
        /// the larger, element by element (of equals each gets half the gradient).
        ///
        /// ```rhai
        /// assert(tensor([1, 3, 2]).max().to_float() == 3.0);
        /// ```
        fn max(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            tensor.map(|x| x.max_all()? + nan_in(x, Tensor::sum_all)?)
        }
        fn max(&tensor: TensorHandle, dim: INT) -> Fallible<TensorHandle> {
            along(tensor, "max", dim, |x, d| x.max_keepdim(d)? + nan_in(x, |x| x.sum_keepdim(d))?)
        }

        /// The smallest of all numbers, or of those along a dimension, which stays with length 1; or, of two tensors,
        /// the smaller, element by element (of equals each gets half the gradient).
        ///
        /// ```rhai
        /// assert(tensor([1, 3, 2]).min().to_float() == 1.0);
        /// ```
        fn min(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            tensor.map(|x| x.min_all()? + nan_in(x, Tensor::sum_all)?)
        }
        fn min(&tensor: TensorHandle, dim: INT) -> Fallible<TensorHandle> {
            along(tensor, "min", dim, |x, d| x.min_keepdim(d)? + nan_in(x, |x| x.sum_keepdim(d))?)
        }

        /// Element by element; the gradient is 0 outside.
        ///
        /// ```rhai
        /// assert(tensor([-1, 5]).clamp(0, 1).to_array() == [0.0, 1.0]);
        /// ```
        fn clamp(&tensor: TensorHandle, low: Number, high: Number) -> Fallible<TensorHandle> {
            tensor.map(|x| x.clamp(low.0 as f32, high.0 as f32))
        }

        /// Element by element, by a number.
        ///
        /// ```rhai
        /// assert(tensor(3.0).pow(2).to_float() == 9.0);
        /// ```
        fn pow(&tensor: TensorHandle, exponent: Number) -> Fallible<TensorHandle> { tensor.map(|x| x.powf(exponent.0)) }

        /// Mean over the images: logits [images, classes], labels [images] (see `batch.labels`).
        ///
        /// ```rhai
        /// let l = cross_entropy(tensor([[0.0, 0.0]]), tensor([1]));
        /// assert(l.to_float() > 0.69 && l.to_float() < 0.7);
        /// ```
        fn cross_entropy(logits: TensorHandle, labels: TensorHandle) -> Fallible<TensorHandle> {
            let labels = labels_of(&logits.0, &labels.0)?;
            logits.map(|logits| cross_entropy(logits, &labels))
        }
    }
}

/// The number in a tensor that is compared; an error for more of them.
fn compared(name: &str, tensor: &TensorHandle) -> Fallible<f32> {
    match tensor.0.elem_count() {
        1 => tensor.0.flatten_all().and_then(|t| t.get(0)?.to_scalar::<f32>()).map_err(raise_tensor),
        _ => Err(wrong(format!("a {name} b"), format!("a tensor of shape {:?}", tensor.0.dims()), "one element")),
    }
}

fn comparisons(api: &mut Api) {
    functions! { api, [];
        /// Of a tensor of one number with another or with a number, as 32-bit floats; so are a <= b, a > b, a >= b, a == b
        /// and a != b. An error for more numbers: take .sum(), .max(), .at(i), or .to_array().
        ///
        /// ```rhai
        /// assert(tensor(2.5) > 2 && tensor([0.1]) == 0.1 && tensor(1.0) < tensor(1.5));
        /// ```
        fn "<"(a: TensorHandle, b: TensorHandle) -> Fallible<bool> { Ok(compared("<", &a)? < compared("<", &b)?) }
    }
    let all: [(&str, fn(f32, f32) -> bool); 6] = [
        ("<", |a, b| a < b),
        ("<=", |a, b| a <= b),
        (">", |a, b| a > b),
        (">=", |a, b| a >= b),
        ("==", |a, b| a == b),
        ("!=", |a, b| a != b),
    ];
    for (name, holds) in all {
        let both = move |a: &mut TensorHandle, b: TensorHandle| {
            Ok(holds(compared(name, a)?, compared(name, &b)?)) as Fallible<bool>
        };
        api.operator(name, both);
        api.operator(name, move |a: &mut TensorHandle, b: f64| compared(name, a).map(|a| holds(a, b as f32)));
        api.operator(name, move |a: &mut TensorHandle, b: INT| compared(name, a).map(|a| holds(a, b as f32)));
        api.operator(name, move |a: f64, b: TensorHandle| compared(name, &b).map(|b| holds(a as f32, b)));
        api.operator(name, move |a: INT, b: TensorHandle| compared(name, &b).map(|b| holds(a as f32, b)));
    }
}

fn arithmetic(api: &mut Api) {
    functions! { api, [];
        /// Element by element, as are a - b, a * b, a / b and -a; one side may be a number; shapes that differ are
        /// broadcast (a row [ops] or a column [edges, 1] against [edges, ops]).
        ///
        /// ```rhai
        /// let a = tensor([[1.0, 2.0], [3.0, 4.0]]);
        /// assert(((a * 2 - a) / a + 1).to_array() == [[2.0, 2.0], [2.0, 2.0]]);
        /// assert((-a).sum().to_float() == -10.0);
        /// ```
        fn "+"(a: TensorHandle, b: TensorHandle) -> Fallible<TensorHandle> { both(&a, &b, Tensor::broadcast_add) }
        fn "-"(a: TensorHandle, b: TensorHandle) -> Fallible<TensorHandle> { both(&a, &b, Tensor::broadcast_sub) }
        fn "*"(a: TensorHandle, b: TensorHandle) -> Fallible<TensorHandle> { both(&a, &b, Tensor::broadcast_mul) }
        fn "/"(a: TensorHandle, b: TensorHandle) -> Fallible<TensorHandle> { both(&a, &b, Tensor::broadcast_div) }
        fn "-"(a: TensorHandle) -> Fallible<TensorHandle> { a.map(Tensor::neg) }
    }
    let all: [(&str, Both); 4] = [
        ("+", Tensor::broadcast_add),
        ("-", Tensor::broadcast_sub),
        ("*", Tensor::broadcast_mul),
        ("/", Tensor::broadcast_div),
    ];
    let scalar = |x: f64, like: &TensorHandle| {
        Tensor::new(x as f32, like.0.device()).map(TensorHandle::new).map_err(raise_tensor)
    };
    for (name, op) in all {
        api.operator(name, move |a: &mut TensorHandle, b: f64| both(a, &scalar(b, a)?, op));
        api.operator(name, move |a: &mut TensorHandle, b: INT| both(a, &scalar(b as f64, a)?, op));
        api.operator(name, move |a: f64, b: TensorHandle| both(&scalar(a, &b)?, &b, op));
        api.operator(name, move |a: INT, b: TensorHandle| both(&scalar(a as f64, &b)?, &b, op));
    }
}
