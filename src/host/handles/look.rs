//! How a value looks at the prompt and after `-e`.

use super::arch::Alpha;
use super::data::{Data, Source};
use super::genotype::Genotype;
use super::importance::Importance;
use super::net::Net;
use super::space::Mask;
use super::subset::Subset;
use super::values::{self, TextOf};
use crate::error::Result;
use crate::host::run::device_name;
use crate::host::show::plot::Plot;
use crate::host::show::{Look, found, pictures, tables};
use rhai::{Array, Dynamic, Map};

/// A value as the prompt shows it; empty for `()`.
pub fn look(value: &Dynamic, look: &Look, text_of: TextOf) -> Result<String> {
    let value = &value.flatten_clone();
    if let Some(importance) = value.read_lock::<Importance>() {
        return Ok(tables::importance(&importance.space, &importance.table, importance.score.is_some(), look));
    }
    if let Some(alpha) = value.read_lock::<Alpha>() {
        let softmax = alpha.importance()?;
        let table = tables::importance(&softmax.space, &softmax.table, false, look);
        return Ok(format!("architecture parameters, softmax\n{table}"));
    }
    if let Some(mask) = value.read_lock::<Mask>() {
        return Ok(tables::mask(&mask.space, &mask.alive, look));
    }
    if let Some(net) = value.read_lock::<Net>() {
        let learner = net.learner.borrow();
        let (size, device) = (net.host.current_data()?.train.shape.1, device_name(learner.net.device()));
        return found::supernet(&learner.net, learner.epoch(), size, device, look);
    }
    if let Some(genotype) = value.read_lock::<Genotype>() {
        return found::genotype(&genotype.0, look);
    }
    if let Some(subset) = value.read_lock::<Subset>() {
        return Ok(found::subset(&subset.subset, &subset.net.space(), &subset.alive(), look));
    }
    if let Some(data) = value.read_lock::<Data>() {
        return Ok(pictures::data(&data.0, look));
    }
    if let Some(source) = value.read_lock::<Source>() {
        let test = format!("{} images for testing", source.0.test.len());
        return Ok(format!("{}\n{test}", pictures::data(&source.0.train, look)));
    }
    if let Some(plot) = value.read_lock::<Plot>() {
        return Ok(plot.draw(look));
    }
    if let Some(array) = value.read_lock::<Array>() {
        return values::array(text_of, &array, look);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return values::map(text_of, &map, look);
    }
    text_of(value)
}
