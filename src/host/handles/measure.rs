//! Statistics of candidates' outputs as scripts ask for them.

use super::batch::BatchHandle;
use super::data::Data;
use super::importance::Importance;
use super::space::CandidateHandle;
use super::supernet::SupernetHandle;
use super::tensor::TensorHandle;
use crate::host::script::errors::{Fallible, raise_tensor, takes_others, wrong};
use crate::host::script::value::{float, shown};
use crate::search::in_order;
use crate::search::learner::probe::{Means, Statistic};
use crate::space::Candidate;
use rhai::{Array, Dynamic, FnPtr, INT, Map, NativeCallContext};
use std::collections::HashMap;
use std::rc::Rc;

/// What is taken of an output.
enum What {
    Statistic(Statistic),
    Closure(FnPtr),
}

/// `net.measure`: the mean of a number of each candidate's output over cells and images.
pub fn measure(
    context: &NativeCallContext,
    net: &SupernetHandle,
    images: &Dynamic,
    what: &Dynamic,
    mix: Option<&Dynamic>,
) -> Fallible<Importance> {
    let what = match (what.as_immutable_string_ref(), what.read_lock::<FnPtr>()) {
        (Ok(name), _) => What::Statistic(Statistic::by_name(&name)?),
        (_, Some(closure)) => What::Closure(closure.clone()),
        _ => return Err(wrong("measure", shown(what), "the name of a statistic, or a closure |output, node|")),
    };
    let mix = mix.map(|m| net.mixing(m)).transpose()?;
    let mut means = Means::new(&net.space());
    let mut take = |batch: &crate::data::Batch| -> Fallible<()> {
        let outputs = net.learner.borrow().outputs(batch, mix.as_deref())?;
        for (candidate, output, node) in outputs {
            let value = match &what {
                What::Statistic(statistic) => statistic.of(&output, &node)?,
                What::Closure(closure) => call(context, closure, output, node)?,
            };
            means.add(candidate, value, batch.y.len());
        }
        Ok(())
    };
    if let Some(batch) = images.read_lock::<BatchHandle>() {
        take(&batch.0)?;
    } else if let Some(data) = images.read_lock::<Data>() {
        net.learner.borrow().check_data(&data.0, net.batch_size)?;
        in_order(&data.0, net.batch_size)?.try_for_each(|batch| take(&batch))?;
    } else {
        return Err(wrong("measure", shown(images), "data, or a batch"));
    }
    let mut table = means.table();
    if matches!(what, What::Statistic(Statistic::Iim)) {
        table = table.map(|score| 1.0 / score);
    }
    Ok(Importance { table: Rc::new(table), score: None, space: net.space() })
}

/// `net.outputs`: what each live candidate gives for a batch, beside the sum of its node.
pub fn outputs(net: &SupernetHandle, batch: &BatchHandle, mix: Option<&Dynamic>) -> Fallible<Array> {
    let mix = mix.map(|m| net.mixing(m)).transpose()?;
    let all = net.learner.borrow().outputs(&batch.0, mix.as_deref())?;
    let mut cells: HashMap<Candidate, INT> = HashMap::new();
    let entry = |(place, output, node)| {
        let next = cells.entry(place).or_default();
        let cell = std::mem::replace(next, *next + 1);
        let mut map = Map::new();
        map.insert("candidate".into(), Dynamic::from(CandidateHandle { place, space: net.space() }));
        map.insert("cell".into(), cell.into());
        map.insert("output".into(), Dynamic::from(TensorHandle::new(output)));
        map.insert("node".into(), Dynamic::from(TensorHandle::new(node)));
        Dynamic::from_map(map)
    };
    Ok(all.into_iter().map(entry).collect())
}

/// A closure of one parameter, the output, or of two.
fn call(
    context: &NativeCallContext,
    closure: &FnPtr,
    output: candle_core::Tensor,
    node: candle_core::Tensor,
) -> Fallible<f64> {
    let (output, node) = (TensorHandle::new(output), TensorHandle::new(node));
    let both = closure.call_within_context::<Dynamic>(context, (output.clone(), node));
    let value = match both {
        Err(error) if takes_others(&error, closure) => {
            let alone = closure.call_within_context::<Dynamic>(context, (output,));
            alone.map_err(|error| match takes_others(&error, closure) {
                true => wrong("measure", "a closure of other parameters", "|output| or |output, node|"),
                false => error,
            })?
        }
        other => other?,
    };
    let number = value.read_lock::<TensorHandle>().map(|t| t.0.clone());
    match number {
        Some(t) if t.elem_count() == 1 => {
            let value = t.flatten_all().and_then(|t| t.get(0)?.to_scalar::<f32>());
            value.map(f64::from).map_err(raise_tensor)
        }
        Some(t) => Err(wrong("measure, closure", format!("a tensor of shape {:?}", t.dims()), "one number")),
        None => float(&value, "measure, closure"),
    }
}
