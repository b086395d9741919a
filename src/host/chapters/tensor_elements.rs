//! More functions of tensors, element by element, and comparisons as numbers.

use crate::host::handles::tensor::TensorHandle;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise_tensor};
use crate::host::script::functions::functions;
use crate::ops::{relu, special};
use candle_core::{DType, Tensor};
use rhai::{Dynamic, INT};

use super::tensor_math::both;

/// `f` of each number, and how it moves with it: computed in f64, differentiable once.
fn by_numbers(x: &TensorHandle, f: fn(f64) -> f64, slope: fn(f64) -> f64) -> Fallible<TensorHandle> {
    let each = |x: &Tensor, f: fn(f64) -> f64| {
        let values = x.flatten_all()?.to_vec1::<f32>()?;
        let values: Vec<f32> = values.into_iter().map(|v| f(f64::from(v)) as f32).collect();
        Tensor::from_vec(values, x.shape(), x.device())
    };
    x.map(|x| {
        let value = each(&x.detach(), f)?;
        if x.track_op() { moving(&value, x, &each(&x.detach(), slope)?) } else { Ok(value) }
    })
}

/// `value`, which moves with `x` by `slope`.
pub(super) fn moving(value: &Tensor, x: &Tensor, slope: &Tensor) -> candle_core::Result<Tensor> {
    value + ((x - x.detach())? * slope)?
}

/// `x` times its sign: no gradient flows at 0, as in PyTorch.
fn abs(x: &Tensor) -> candle_core::Result<Tensor> {
    x * x.detach().sign()?
}

/// Register them.
pub fn register(api: &mut Api) {
    functions! { api, [];
        /// Element by element; no gradient flows at 0. Of gradients: each number.
        ///
        /// ```rhai
        /// assert(tensor([-2, 3]).abs().to_array() == [2.0, 3.0]);
        /// ```
        fn abs(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(abs) }

        /// -1, 0 or 1, element by element; no gradient.
        ///
        /// ```rhai
        /// assert(tensor([-2, 0, 3]).sign().to_array() == [-1.0, 0.0, 1.0]);
        /// ```
        fn sign(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(|x| x.detach().sign()) }

        /// max(x, 0), element by element; no gradient flows at 0.
        ///
        /// ```rhai
        /// assert(tensor([-2, 3]).relu().to_array() == [0.0, 3.0]);
        /// ```
        fn relu(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(relu::tensor::relu) }

        /// Hyperbolic tangent, element by element.
        ///
        /// ```rhai
        /// assert(tensor(0.0).tanh().to_float() == 0.0);
        /// ```
        fn tanh(&tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(Tensor::tanh) }

        /// The logarithm of |Gamma(x)|, element by element; its gradient is digamma(x).
        ///
        /// ```rhai
        /// assert((tensor(4.0).lgamma().exp() - 6.0).abs() < 1e-5);
        /// ```
        fn lgamma(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            by_numbers(tensor, special::lgamma, special::digamma)
        }

        /// The derivative of lgamma, element by element; its own gradient is trigamma(x).
        ///
        /// ```rhai
        /// let x = tensor(3.0);
        /// assert(((x + 1).digamma() - x.digamma() - 1.0 / x).abs() < 1e-6);
        /// ```
        fn digamma(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            by_numbers(tensor, special::digamma, special::trigamma)
        }

        /// Zeros in the tensor's shape.
        ///
        /// ```rhai
        /// assert(zeros_like(tensor([5, 6])).to_array() == [0.0, 0.0]);
        /// ```
        fn zeros_like(tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(|x| x.detach().zeros_like()) }

        /// Ones in the tensor's shape.
        ///
        /// ```rhai
        /// assert(ones_like(tensor([5, 6])).to_array() == [1.0, 1.0]);
        /// ```
        fn ones_like(tensor: TensorHandle) -> Fallible<TensorHandle> { tensor.map(|x| x.detach().ones_like()) }

        /// `a` where the condition is not 0, else `b`; each a tensor or a number, broadcast to the condition's shape.
        /// Gradients flow to the one that is taken.
        ///
        /// ```rhai
        /// let x = tensor([-1, 2]);
        /// assert(where(x.gt(0), x, 0).to_array() == [0.0, 2.0]);
        /// ```
        fn where(condition: TensorHandle, a: Dynamic, b: Dynamic) -> Fallible<TensorHandle> {
            let (a, b) = (TensorHandle::of_value(&a, "where")?, TensorHandle::of_value(&b, "where")?);
            TensorHandle::of(&[&condition, &a, &b], || {
                let (at, shape) = (condition.0.device(), condition.0.shape());
                let taken = condition.0.detach().ne(0f32)?;
                let wide = |x: &Tensor| x.to_device(at)?.broadcast_as(shape);
                taken.where_cond(&wide(&a.0)?, &wide(&b.0)?)
            })
        }

        fn max(&tensor: TensorHandle, other: TensorHandle) -> Fallible<TensorHandle> {
            both(tensor, &other, |a, b| a.broadcast_maximum(b))
        }
        fn min(&tensor: TensorHandle, other: TensorHandle) -> Fallible<TensorHandle> {
            both(tensor, &other, |a, b| a.broadcast_minimum(b))
        }

        /// 1 where the tensor is less than a number or another tensor, 0 elsewhere, element by element; so are a.le(b),
        /// a.gt(b), a.ge(b), a.eq(b) and a.ne(b). No gradient; `a < b` compares tensors of one number.
        ///
        /// ```rhai
        /// assert(tensor([1, 2, 3]).lt(2).to_array() == [1.0, 0.0, 0.0]);
        /// assert(tensor([1, 2]).ge(tensor([2, 1])).to_array() == [0.0, 1.0]);
        /// ```
        fn lt(&tensor: TensorHandle, other: TensorHandle) -> Fallible<TensorHandle> {
            compare(tensor, &other, |a, b| a.broadcast_lt(b))
        }
    }
    let all: [(&str, fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>); 6] = [
        ("lt", |a, b| a.broadcast_lt(b)),
        ("le", |a, b| a.broadcast_le(b)),
        ("gt", |a, b| a.broadcast_gt(b)),
        ("ge", |a, b| a.broadcast_ge(b)),
        ("eq", |a, b| a.broadcast_eq(b)),
        ("ne", |a, b| a.broadcast_ne(b)),
    ];
    let number = |x: f64| Tensor::new(x as f32, &candle_core::Device::Cpu).map(TensorHandle::new).map_err(raise_tensor);
    for (name, op) in all {
        api.operator(name, move |a: &mut TensorHandle, b: TensorHandle| compare(a, &b, op));
        api.operator(name, move |a: &mut TensorHandle, b: f64| compare(a, &number(b)?, op));
        api.operator(name, move |a: &mut TensorHandle, b: INT| compare(a, &number(b as f64)?, op));
    }
}

fn compare(
    a: &TensorHandle,
    b: &TensorHandle,
    op: fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>,
) -> Fallible<TensorHandle> {
    let (a, b) = (TensorHandle::new(a.0.detach()), TensorHandle::new(b.0.detach()));
    let found = both(&a, &b, op)?;
    found.map(|x| x.to_dtype(DType::F32))
}
