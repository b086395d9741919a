//! The chapter on tensors, for strategies of people's own: what turns architecture parameters into mixing weights, and losses
//! into other losses.

use super::{tensor_draws, tensor_elements, tensor_math, tensor_shapes};
use crate::host::handles::tensor::TensorHandle;
use crate::host::run::{Run, Stream};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise_tensor, wrong};
use crate::host::script::functions::functions;
use crate::host::script::value::float;
use candle_core::{DType, Device, Tensor};
use rhai::{Array, Dynamic};
use std::rc::Rc;

/// Rows of numbers (or a list, or a number) as a tensor.
fn tensor_of(value: &Dynamic) -> Fallible<Tensor> {
    if let Some(items) = value.read_lock::<Array>() {
        let rows = items.iter().map(tensor_of).collect::<Fallible<Vec<_>>>()?;
        if rows.is_empty() {
            return Err(wrong("tensor", "an empty array", "numbers, or rows of equal length"));
        }
        if let Some(other) = rows.iter().find(|row| row.dims() != rows[0].dims()) {
            let words =
                |t: &Tensor| if t.rank() == 0 { "a number".into() } else { format!("a row of shape {:?}", t.dims()) };
            let got = format!("{} beside {}", words(&rows[0]), words(other));
            return Err(wrong("tensor", got, "numbers, or rows of equal length"));
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

/// Draws of the shape of `like` from the run's random stream.
fn draw(host: &Run, name: &str, like: &Tensor, one: fn(&mut Stream) -> f64) -> Fallible<TensorHandle> {
    let values: Vec<f32> = (0..like.elem_count()).map(|_| one(&mut host.stream.borrow_mut()) as f32).collect();
    let drawn = Tensor::from_vec(values, like.shape(), like.device()).map_err(raise_tensor)?;
    host.trace.draw_tensor(name, &drawn)?;
    Ok(TensorHandle::new(drawn))
}

/// Register the functions of tensors.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("tensors");
    functions! { api, [host];
        /// A tensor from a number, an array of numbers, or rows of equal length.
        ///
        /// ```rhai
        /// assert(tensor([[1, 2], [3, 4]]).shape == [2, 2]);
        /// ```
        fn tensor(numbers: Dynamic) -> Fallible<TensorHandle> { tensor_of(&numbers).map(TensorHandle::new) }

        /// Uniform draws in (0, 1) of the tensor's shape, from the run's random stream.
        ///
        /// ```rhai
        /// let u = uniform_like(tensor([0, 0, 0]));
        /// assert(u.min().to_float() > 0.0);
        /// ```
        fn uniform_like(tensor: TensorHandle) -> Fallible<TensorHandle> {
            draw(&host, "uniform_like", &tensor.0, Stream::uniform)
        }

        /// Standard normal draws of the tensor's shape, from the run's random stream.
        ///
        /// ```rhai
        /// assert(normal_like(tensor([0, 0])).shape == [2]);
        /// ```
        fn normal_like(tensor: TensorHandle) -> Fallible<TensorHandle> {
            draw(&host, "normal_like", &tensor.0, Stream::normal)
        }

        /// Standard Gumbel draws of the tensor's shape, from the run's random stream: one_hot(log_softmax(a) + g)
        /// samples from softmax(a).
        ///
        /// ```rhai
        /// let a = tensor([[0.0, 1.0]]);
        /// assert((a.log_softmax() + gumbel_like(a)).one_hot().sum().to_float() == 1.0);
        /// ```
        fn gumbel_like(tensor: TensorHandle) -> Fallible<TensorHandle> {
            draw(&host, "gumbel_like", &tensor.0, Stream::gumbel)
        }
    }
    tensor_draws::register(api, host);
    tensor_math::register(api);
    tensor_elements::register(api);
    tensor_shapes::register(api);
    functions! { api, [];
        get shape(&tensor: TensorHandle) -> Vec<usize> { tensor.0.dims().to_vec() }

        /// The number in a tensor of one element.
        ///
        /// ```rhai
        /// assert(tensor([7.0]).to_float() == 7.0);
        /// ```
        fn to_float(&tensor: TensorHandle) -> Fallible<f64> {
            if tensor.0.elem_count() != 1 {
                return Err(wrong("to_float", format!("a tensor of shape {:?}", tensor.0.dims()), "one element"));
            }
            tensor.0.flatten_all().and_then(|t| t.get(0)?.to_scalar::<f32>()).map(f64::from).map_err(raise_tensor)
        }

        /// Its numbers, as nested arrays.
        ///
        /// ```rhai
        /// assert(tensor([1, 2]).to_array() == [1.0, 2.0]);
        /// ```
        fn to_array(&tensor: TensorHandle) -> Fallible<Dynamic> { array_of(&tensor.0) }
    }
}
