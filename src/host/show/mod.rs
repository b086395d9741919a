//! Values show themselves: what the prompt and `-e` print. One file a kind of value; [`Look`] says what the terminal can.

pub mod api;
mod found;
pub mod look;
pub mod pictures;
pub mod plot;
pub mod tables;
mod values;

pub use look::{Colours, Look};

use super::arch::Alpha;
use super::data::{Data, Source};
use super::engine::Scripts;
use super::genotype::Genotype;
use super::net::Net;
use super::shrink::{Importance, Subset};
use super::space::Mask;
use crate::error::Result;
use plot::Plot;
use rhai::{Array, Dynamic, Map};

/// A value as the prompt shows it; empty for `()`.
pub fn show(scripts: &Scripts, value: &Dynamic, look: &Look) -> Result<String> {
    let value = &value.flatten_clone();
    if let Some(importance) = value.read_lock::<Importance>() {
        return Ok(tables::importance(&importance, look));
    }
    if let Some(alpha) = value.read_lock::<Alpha>() {
        return Ok(format!("architecture parameters, softmax\n{}", tables::importance(&alpha.importance()?, look)));
    }
    if let Some(mask) = value.read_lock::<Mask>() {
        return Ok(tables::mask(&mask, look));
    }
    if let Some(net) = value.read_lock::<Net>() {
        return found::supernet(&net, look);
    }
    if let Some(genotype) = value.read_lock::<Genotype>() {
        return found::genotype(&genotype.0, look);
    }
    if let Some(subset) = value.read_lock::<Subset>() {
        return Ok(found::subset(&subset, look));
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
        return values::array(scripts, &array, look);
    }
    if let Some(map) = value.read_lock::<Map>() {
        return values::map(scripts, &map, look);
    }
    scripts.text(value)
}
