//! Second derivatives of a script's loss, by central differences of the engine's gradients.

use super::gradients::GradientsHandle;
use super::supernet::SupernetHandle;
use super::tensor::TensorHandle;
use crate::host::script::errors::{Fallible, raise, raise_tensor, takes_others, wrong};
use crate::host::script::value::{float, shown};
use crate::net::watched;
use candle_core::{Device, Tensor, Var};
use rhai::{Array, Dynamic, FnPtr, Map, NativeCallContext};

/// A loss as a closure that is called at each point.
pub struct Loss<'a> {
    /// Without parameters.
    pub closure: &'a FnPtr,
    /// Where it is called from.
    pub context: &'a NativeCallContext<'a>,
}

impl Loss<'_> {
    fn value(&self) -> Fallible<TensorHandle> {
        let value = self.closure.call_within_context::<Dynamic>(self.context, ());
        let value = value.map_err(|error| match takes_others(&error, self.closure) {
            true => wrong("loss", "a closure that takes parameters", "one without: || net.loss(batch)"),
            false => error,
        })?;
        let loss = value.read_lock::<TensorHandle>().map(|t| t.clone());
        match loss {
            Some(loss) if loss.0.elem_count() == 1 => Ok(loss),
            Some(t) => Err(wrong("loss", format!("a tensor of shape {:?}", t.0.dims()), "one number")),
            None => {
                Err(wrong("loss", shown(&value), "a closure that gives a tensor of one number: || net.loss(batch)"))
            }
        }
    }

    /// Its gradient with respect to the variables, one after the other.
    fn gradient(&self, vars: &[Var]) -> Fallible<Vec<f64>> {
        let store = watched::backward(&self.value()?.0)?;
        let mut all = vec![];
        for var in vars {
            match store.get(var) {
                Some(g) => all.extend(numbers(g)?),
                None => all.extend(std::iter::repeat_n(0.0, var.elem_count())),
            }
        }
        Ok(all)
    }
}

fn numbers(t: &Tensor) -> Fallible<Vec<f64>> {
    let values = t.flatten_all().and_then(|t| t.to_vec1::<f32>()).map_err(raise_tensor)?;
    Ok(values.into_iter().map(f64::from).collect())
}

/// The variables of an array, or the one.
fn variables(of: &Dynamic, what: &str) -> Fallible<Vec<Var>> {
    let one = |value: &Dynamic| match value.read_lock::<TensorHandle>() {
        Some(t) if t.0.is_variable() => Var::from_tensor(&t.0).map_err(raise_tensor),
        _ => Err(wrong(what, shown(value), "variables: alpha.values, or v.value of `let v = variable(...)`")),
    };
    match of.read_lock::<Array>() {
        Some(items) => items.iter().map(one).collect(),
        None => Ok(vec![one(of)?]),
    }
}

/// The length of a step from `#{ step: 0.01 }`.
fn step_of(options: &Map, what: &str) -> Fallible<f64> {
    if let Some(key) = options.keys().find(|key| *key != "step") {
        return Err(raise(crate::error::Error::unknown_name("option of a second derivative", key, ["step"])));
    }
    let step = options.get("step").map_or(Ok(0.01), |step| float(step, what))?;
    if step > 0.0 && step.is_finite() { Ok(step) } else { Err(wrong(format!("{what}, step"), step, "more than 0")) }
}

/// Variables at one point, to be moved and put back.
struct Point<'a> {
    vars: &'a [Var],
    at: Vec<Vec<f64>>,
}

impl<'a> Point<'a> {
    fn of(vars: &'a [Var]) -> Fallible<Self> {
        Ok(Point { vars, at: vars.iter().map(|v| numbers(v)).collect::<Fallible<_>>()? })
    }

    /// To the point plus `factor v`.
    fn to(&self, factor: f64, v: &[f64]) -> Fallible<()> {
        let mut rest = v;
        for (var, at) in self.vars.iter().zip(&self.at) {
            let (own, after) = rest.split_at(at.len());
            rest = after;
            let moved: Vec<f32> = at.iter().zip(own).map(|(x, v)| (x + factor * v) as f32).collect();
            let moved = Tensor::from_vec(moved, var.shape(), var.device());
            moved.and_then(|moved| var.set(&moved)).map_err(raise_tensor)?;
        }
        Ok(())
    }

    /// `(gradient(x + e v) - gradient(x - e v)) / 2 e`; the variables are put back, whatever comes.
    fn product(&self, loss: &Loss, v: &[f64], e: f64) -> Fallible<Vec<f64>> {
        let both = |()| {
            self.to(e, v)?;
            let up = loss.gradient(self.vars)?;
            self.to(-e, v)?;
            let down = loss.gradient(self.vars)?;
            Ok(up.iter().zip(&down).map(|(u, d)| (u - d) / (2.0 * e)).collect())
        };
        let found = both(());
        self.to(0.0, v)?;
        found
    }
}

/// The matrix of second derivatives with respect to variables, `[n, n]`, symmetric.
pub fn hessian(loss: &Loss, of: &Dynamic, options: &Map) -> Fallible<TensorHandle> {
    let (vars, step) = (variables(of, "hessian, of")?, step_of(options, "hessian")?);
    let n: usize = vars.iter().map(|v| v.elem_count()).sum();
    let point = Point::of(&vars)?;
    let mut rows = vec![];
    for i in 0..n {
        crate::interrupt::check()?;
        let mut v = vec![0.0; n];
        v[i] = 1.0;
        rows.push(point.product(loss, &v, step)?);
    }
    let values = (0..n * n).map(|at| ((rows[at / n][at % n] + rows[at % n][at / n]) / 2.0) as f32).collect();
    Tensor::from_vec::<_, f32>(values, (n, n), &Device::Cpu).map(TensorHandle::new).map_err(raise_tensor)
}

/// The product of that matrix with a vector in the form of the variables.
pub fn of_variables(loss: &Loss, of: &Dynamic, v: &Dynamic, options: &Map) -> Fallible<Dynamic> {
    let (vars, step) = (variables(of, "hessian_vector, of")?, step_of(options, "hessian_vector")?);
    let parts = match v.read_lock::<Array>() {
        Some(items) => items.iter().map(|v| TensorHandle::of_value(v, "hessian_vector, v")).collect::<Fallible<_>>()?,
        None => vec![TensorHandle::of_value(v, "hessian_vector, v")?],
    };
    let fit = parts.len() == vars.len() && parts.iter().zip(&vars).all(|(t, v)| t.0.dims() == v.dims());
    if !fit {
        let shapes = |t: Vec<&[usize]>| format!("{t:?}");
        let got = shapes(parts.iter().map(|t| t.0.dims()).collect());
        return Err(wrong("hessian_vector, v", got, shapes(vars.iter().map(|v| v.dims()).collect())));
    }
    let v: Vec<f64> = parts.iter().map(|t| numbers(&t.0)).collect::<Fallible<Vec<_>>>()?.concat();
    let length = v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let product = match length > 0.0 {
        true => Point::of(&vars)?.product(loss, &v, step / length)?,
        false => v,
    };
    let mut rest = product.into_iter().map(|x| x as f32);
    let each = vars.iter().map(|var| {
        let own: Vec<f32> = rest.by_ref().take(var.elem_count()).collect();
        let t = Tensor::from_vec(own, var.shape(), var.device()).map_err(raise_tensor)?;
        Ok(Dynamic::from(TensorHandle::new(t)))
    });
    let mut each = each.collect::<Fallible<Array>>()?;
    Ok(if of.is_array() { each.into() } else { each.remove(0) })
}

/// The product of the matrix of second derivatives with respect to the weights of `net` with `v`.
pub fn of_weights(loss: &Loss, net: &SupernetHandle, v: &GradientsHandle, options: &Map) -> Fallible<GradientsHandle> {
    let step = step_of(options, "hessian_vector")?;
    let length = v.norm()?;
    if length == 0.0 {
        return Ok(v.clone());
    }
    let (e, before) = (step / length, net.learner.borrow().snapshot()?);
    let at = |factor: f64| {
        net.learner.borrow_mut().take_back(&before)?;
        net.add(v, factor)?;
        Ok::<_, Box<rhai::EvalAltResult>>(net.backward(&loss.value()?)?)
    };
    let both = || Ok((at(e)?, at(-e)?));
    let found: Fallible<_> = both();
    net.learner.borrow_mut().take_back(&before)?;
    let (up, down) = found?;
    Ok(up.zip(&down, Tensor::sub)?.map(|t| t * (0.5 / e))?)
}

/// The eigenvalues of a symmetric matrix, the largest first: Jacobi's rotations in f64, until nothing is left beside the
/// diagonal.
pub fn eigenvalues(matrix: &TensorHandle) -> Fallible<Vec<f64>> {
    let n = match *matrix.0.dims() {
        [n, m] if n == m && n > 0 => n,
        ref other => {
            return Err(wrong("eigenvalues", format!("a tensor of shape {other:?}"), "a symmetric matrix [n, n]"));
        }
    };
    let flat = numbers(&matrix.0)?;
    let mut a: Vec<Vec<f64>> = flat.chunks(n).map(<[f64]>::to_vec).collect();
    let size = flat.iter().map(|x| x * x).sum::<f64>().sqrt();
    let differ = |(i, j): &(usize, usize)| {
        let off = (a[*i][*j] - a[*j][*i]).abs();
        off.is_nan() || off > 1e-4 * size
    };
    let lopsided = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).find(differ);
    if let Some((i, j)) = lopsided {
        let got = format!("{} at [{i}, {j}] and {} at [{j}, {i}]", a[i][j], a[j][i]);
        return Err(wrong("eigenvalues", got, "a symmetric matrix of finite numbers"));
    }
    for i in 0..n {
        for j in 0..i {
            let mean = (a[i][j] + a[j][i]) / 2.0;
            (a[i][j], a[j][i]) = (mean, mean);
        }
    }
    for _ in 0..64 {
        let beside: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i][j] * a[i][j]).sum();
        if beside.sqrt() <= 1e-14 * size {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(&mut a, p, q);
            }
        }
    }
    let mut found: Vec<f64> = (0..n).map(|i| a[i][i]).collect();
    found.sort_by(|a, b| b.total_cmp(a));
    Ok(found)
}

/// The rotation of rows and columns `p`, `q` that makes their common entry 0 (Golub and Van Loan, 8.5).
fn rotate(a: &mut [Vec<f64>], p: usize, q: usize) {
    if a[p][q] == 0.0 {
        return;
    }
    let tau = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
    let t = if tau >= 0.0 { 1.0 / (tau + (1.0 + tau * tau).sqrt()) } else { -1.0 / (-tau + (1.0 + tau * tau).sqrt()) };
    let c = 1.0 / (1.0 + t * t).sqrt();
    let s = t * c;
    for row in a.iter_mut() {
        (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
    }
    for k in 0..a.len() {
        (a[p][k], a[q][k]) = (c * a[p][k] - s * a[q][k], s * a[p][k] + c * a[q][k]);
    }
}
