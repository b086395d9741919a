//! Genotypes as scripts hold them.

use crate::data::nas_bench;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::{count, shown};
use rhai::Dynamic;

/// A found architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genotype(pub crate::space::Genotype);

/// A genotype from a handle, its text, its name in the literature, or its index in NAS-Bench-201.
pub fn genotype_of(value: &Dynamic) -> Fallible<crate::space::Genotype> {
    if let Some(genotype) = value.read_lock::<Genotype>() {
        return Ok(genotype.0.clone());
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return crate::space::Genotype::read(&text).map_err(raise);
    }
    if let Ok(index) = value.as_int() {
        let row = nas_bench::query_index(count(index, "index")?).map_err(raise)?;
        return crate::space::Genotype::parse(&row.arch).map_err(raise);
    }
    Err(wrong("genotype", shown(value), "a genotype, its text or name, or an index of NAS-Bench-201"))
}
