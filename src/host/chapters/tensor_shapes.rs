//! Tensors put together, taken apart and ordered; products of matrices.

use super::tensor_math::{along, nan_in};
use crate::host::handles::tensor::{TensorHandle, room};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise_tensor, wrong};
use crate::host::script::functions::functions;
use crate::memory;
use candle_core::{D, Tensor};
use rhai::{Array, INT};

/// What is put together, on the device of the first.
fn parts(name: &str, tensors: &Array) -> Fallible<Vec<TensorHandle>> {
    if tensors.is_empty() {
        return Err(wrong(name, "an empty array", "an array of tensors"));
    }
    tensors.iter().map(|value| TensorHandle::of_value(value, name)).collect()
}

fn together(name: &str, tensors: &Array, dim: INT, put: Put) -> Fallible<TensorHandle> {
    let all = parts(name, tensors)?;
    let (shape, first) = (all[0].0.dims().to_vec(), all[0].0.device().clone());
    let most = shape.len() + usize::from(name == "stack");
    let Some(dim) = usize::try_from(dim).ok().filter(|d| *d < most) else {
        return Err(wrong(format!("{name}, dim"), dim, format!("0 to {}", most.saturating_sub(1))));
    };
    let fits = |t: &TensorHandle| {
        let other = t.0.dims();
        other == shape
            || name == "concat"
                && other.len() == shape.len()
                && (0..shape.len()).all(|d| d == dim || other[d] == shape[d])
    };
    if let Some(other) = all.iter().find(|t| !fits(t)) {
        return Err(wrong(name, format!("shapes {shape:?} and {:?}", other.0.dims()), "shapes that go together"));
    }
    room(all.iter().map(|t| t.0.elem_count()).try_fold(0usize, usize::checked_add))?;
    let handles: Vec<&TensorHandle> = all.iter().collect();
    TensorHandle::of(&handles, || {
        let tensors: Vec<Tensor> = all.iter().map(|t| t.0.to_device(&first)).collect::<candle_core::Result<_>>()?;
        put(&tensors, dim)
    })
}

type Put = fn(&[Tensor], usize) -> candle_core::Result<Tensor>;

/// The sample standard deviation along a dimension, as `torch.std`.
fn std(x: &Tensor, dim: usize) -> candle_core::Result<Tensor> {
    let rest = x.broadcast_sub(&x.mean_keepdim(dim)?)?;
    (rest.sqr()?.sum_keepdim(dim)? / (x.dim(dim)? as f64 - 1.0))?.sqrt()
}

/// Places along the last dimension, ordered by value; of equals, the first is first.
fn order(name: &str, x: &TensorHandle, ascending: bool) -> Fallible<Vec<Vec<u32>>> {
    let last = x.0.dims().last().copied().unwrap_or(0);
    if last == 0 {
        return Err(wrong(name, format!("a tensor of shape {:?}", x.0.dims()), "rows of numbers"));
    }
    if nan_in(&x.0.detach(), Tensor::sum_all).and_then(|t| t.to_scalar::<f32>()).map_err(raise_tensor)?.is_nan() {
        return Err(wrong(name, "NaN", "numbers that have an order"));
    }
    let values = x.0.detach().flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(raise_tensor)?;
    let row = |row: &[f32]| {
        let mut places: Vec<u32> = (0..row.len() as u32).collect();
        let (value, sign) = (|i: &u32| row[*i as usize], if ascending { 1.0 } else { -1.0 });
        places.sort_by(|a, b| (sign * value(a)).total_cmp(&(sign * value(b))));
        places
    };
    Ok(values.chunks(last).map(row).collect())
}

/// The first `k` in that order, differentiable.
fn ordered(name: &str, x: &TensorHandle, ascending: bool, k: Option<usize>) -> Fallible<TensorHandle> {
    let rows = order(name, x, ascending)?;
    let last = rows[0].len();
    let k = k.unwrap_or(last);
    if k == 0 || k > last {
        return Err(wrong(format!("{name}, k"), k, format!("1 to {last}")));
    }
    let places: Vec<u32> = rows.into_iter().flat_map(|row| row.into_iter().take(k)).collect();
    let mut shape = x.0.dims().to_vec();
    shape[x.0.rank() - 1] = k;
    x.map(|x| x.contiguous()?.gather(&Tensor::from_vec(places, shape, x.device())?, D::Minus1))
}

fn indices(name: &str, x: &TensorHandle, of: &[usize]) -> Fallible<Tensor> {
    let n = x.0.dims().first().copied().unwrap_or(0);
    let one = |i: &usize| match u32::try_from(*i) {
        Ok(place) if *i < n => Ok(place),
        _ => Err(wrong(name, i, format!("an index below {n}"))),
    };
    let places = of.iter().map(one).collect::<Fallible<Vec<u32>>>()?;
    Tensor::new(places, x.0.device()).map_err(raise_tensor)
}

/// A row, or an element.
fn at(t: &TensorHandle, i: INT) -> Fallible<TensorHandle> {
    let n = t.0.dims().first().copied().unwrap_or(0);
    match usize::try_from(i) {
        Ok(i) if i < n => TensorHandle::of(&[t], || t.0.narrow(0, i, 1)?.squeeze(0)),
        _ => Err(wrong("at", i, format!("an index below {n}"))),
    }
}

/// Softmax over the rows of each segment, by itself in each column.
fn segment_softmax(x: &TensorHandle, segments: &[usize]) -> Fallible<TensorHandle> {
    let dims = x.0.dims().to_vec();
    let n = dims.first().copied().unwrap_or(0);
    if segments.len() != n || dims.is_empty() || dims.len() > 2 {
        let got = format!("{} segments for a tensor of shape {dims:?}", segments.len());
        return Err(wrong("segment_softmax", got, "a segment for each row of [rows] or [rows, columns]"));
    }
    let same = |i: usize, j: usize| segments[i] == segments[j];
    x.map(|x| {
        let x2 = x.reshape((n, x.elem_count() / n.max(1)))?;
        let values = x2.detach().to_vec2::<f32>()?;
        let columns = values.first().map_or(0, Vec::len);
        let largest =
            |i: usize, c: usize| (0..n).filter(|j| same(i, *j)).map(|j| values[j][c]).fold(f32::NEG_INFINITY, f32::max);
        let largest: Vec<f32> = (0..n * columns).map(|at| largest(at / columns, at % columns)).collect();
        let table: Vec<f32> = (0..n * n).map(|at| f32::from(u8::from(same(at / n, at % n)))).collect();
        let e = (&x2 - Tensor::from_vec(largest, (n, columns), x.device())?)?.exp()?;
        let sums = Tensor::from_vec(table, (n, n), x.device())?.matmul(&e)?;
        (e / sums)?.reshape(dims.as_slice())
    })
}

/// Register them.
pub fn register(api: &mut Api) {
    functions! { api, [];
        /// The product of two matrices, [n, k] by [k, m].
        ///
        /// ```rhai
        /// assert(tensor([[1, 2]]).matmul(tensor([[3], [4]])).to_array() == [[11.0]]);
        /// ```
        fn matmul(&tensor: TensorHandle, other: TensorHandle) -> Fallible<TensorHandle> {
            match (tensor.0.dims(), other.0.dims()) {
                (&[n, k], &[l, m]) if k == l => {
                    room(memory::product(&[n, m]))?;
                    TensorHandle::of(&[tensor, &other], || {
                        tensor.0.contiguous()?.matmul(&other.0.to_device(tensor.0.device())?.contiguous()?)
                    })
                }
                (a, b) => Err(wrong("matmul", format!("shapes {a:?} and {b:?}"), "[n, k] and [k, m]")),
            }
        }

        /// Rows as columns, of a matrix.
        ///
        /// ```rhai
        /// assert(tensor([[1, 2]]).transpose().shape == [2, 1]);
        /// ```
        fn transpose(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            if tensor.0.rank() != 2 {
                return Err(wrong("transpose", format!("a tensor of shape {:?}", tensor.0.dims()), "a matrix"));
            }
            tensor.map(|x| x.t()?.contiguous())
        }

        /// The same numbers in order, in another shape.
        ///
        /// ```rhai
        /// assert(tensor([1, 2, 3, 4]).reshape([2, 2]).at(1, 0) == 3.0);
        /// ```
        fn reshape(&tensor: TensorHandle, shape: Vec<usize>) -> Fallible<TensorHandle> {
            let (count, got) = (memory::product(&shape), tensor.0.elem_count());
            if count != Some(got) {
                return Err(wrong("reshape", format!("{shape:?}"), format!("a shape of {got} numbers")));
            }
            tensor.map(|x| x.reshape(shape.as_slice()))
        }

        /// Tensors one after the other along a dimension (0, unless it is given).
        ///
        /// ```rhai
        /// assert(concat([tensor([1, 2]), tensor([3])]).to_array() == [1.0, 2.0, 3.0]);
        /// assert(concat([tensor([[1], [2]]), tensor([[3], [4]])], 1).to_array() == [[1.0, 3.0], [2.0, 4.0]]);
        /// ```
        fn concat(tensors: Array) -> Fallible<TensorHandle> { together("concat", &tensors, 0, Tensor::cat) }
        fn concat(tensors: Array, dim: INT) -> Fallible<TensorHandle> {
            together("concat", &tensors, dim, Tensor::cat)
        }

        /// Tensors of one shape (or numbers) along a new dimension (0, unless it is given).
        ///
        /// ```rhai
        /// assert(stack([tensor([1, 2]), tensor([3, 4])]).shape == [2, 2]);
        /// assert(stack([tensor(1.0), 2.0]).to_array() == [1.0, 2.0]);
        /// ```
        fn stack(tensors: Array) -> Fallible<TensorHandle> { together("stack", &tensors, 0, Tensor::stack) }
        fn stack(tensors: Array, dim: INT) -> Fallible<TensorHandle> {
            together("stack", &tensors, dim, Tensor::stack)
        }

        /// A row, or an element; differentiable; t[i] is t.at(i). An index out of range is an error.
        ///
        /// ```rhai
        /// assert(tensor([[1, 2], [3, 4]]).at(1, 0).to_float() == 3.0);
        /// ```
        fn at(&tensor: TensorHandle, i: INT) -> Fallible<TensorHandle> { at(tensor, i) }
        fn at(&tensor: TensorHandle, i: INT, j: INT) -> Fallible<TensorHandle> { at(&at(tensor, i)?, j) }

        /// The rows of these numbers, in their order; differentiable: an embedding.
        ///
        /// ```rhai
        /// assert(tensor([[1, 2], [3, 4]]).rows([1, 1, 0]).at(2, 0) == 1.0);
        /// ```
        fn rows(&tensor: TensorHandle, numbers: Vec<usize>) -> Fallible<TensorHandle> {
            let places = indices("rows", tensor, &numbers)?;
            tensor.map(|x| x.contiguous()?.index_select(&places, 0))
        }

        /// Numbers of the last dimension from the least to the largest; differentiable. `t.topk(k)` has them the other
        /// way round.
        ///
        /// ```rhai
        /// assert(tensor([3, 1, 2]).sort().to_array() == [1.0, 2.0, 3.0]);
        /// ```
        fn sort(&tensor: TensorHandle) -> Fallible<TensorHandle> { ordered("sort", tensor, true, None) }

        /// The k largest of the last dimension, the largest first; differentiable.
        ///
        /// ```rhai
        /// assert(tensor([3, 1, 2]).topk(2).to_array() == [3.0, 2.0]);
        /// ```
        fn topk(&tensor: TensorHandle, k: usize) -> Fallible<TensorHandle> { ordered("topk", tensor, false, Some(k)) }

        /// The place of the largest number of the last dimension (the first of equals), which goes.
        ///
        /// ```rhai
        /// assert(tensor([[3, 1], [1, 2]]).argmax().to_array() == [0.0, 1.0]);
        /// ```
        fn argmax(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            let firsts: Vec<f32> = order("argmax", tensor, false)?.iter().map(|row| row[0] as f32).collect();
            let shape = tensor.0.dims()[..tensor.0.rank() - 1].to_vec();
            Tensor::from_vec(firsts, shape, tensor.0.device()).map(TensorHandle::new).map_err(raise_tensor)
        }

        /// The sample standard deviation of all numbers, or of those along a dimension, which stays with length 1.
        ///
        /// ```rhai
        /// assert((tensor([1, 2, 3]).std() - 1.0).abs() < 1e-6);
        /// ```
        fn std(&tensor: TensorHandle) -> Fallible<TensorHandle> {
            tensor.map(|x| std(&x.flatten_all()?, 0)?.squeeze(0))
        }
        fn std(&tensor: TensorHandle, dim: INT) -> Fallible<TensorHandle> { along(tensor, "std", dim, std) }

        /// Softmax over the rows that have the same number in `segments`, in each column by itself: with the nodes that
        /// edges lead to, over the edges into each node (PC-DARTS).
        ///
        /// ```rhai
        /// let into = space("nas-bench-201").edges.map(|e| e[1]);
        /// let p = tensor([1, 2, 3, 4, 5, 6]).segment_softmax(into);
        /// assert(p.at(0) == 1.0 && (p.at(1) + p.at(2) - 1.0).abs() < 1e-6);
        /// ```
        fn segment_softmax(&tensor: TensorHandle, segments: Vec<usize>) -> Fallible<TensorHandle> {
            segment_softmax(tensor, &segments)
        }
    }
    api.operator("index$get$", |tensor: &mut TensorHandle, i: INT| at(tensor, i));
}
