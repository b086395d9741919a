//! Genotypes as scripts hold them.

use super::handle::{Handle, Saved, Tensors, parse, plain};
use crate::data::nas_bench;
use crate::error::{Error, Result};
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::value::{count, shown};
use crate::host::show::{Look, found};
use crate::search::run_folder;
use crate::space::Genotype;
use rhai::Dynamic;
use serde_json::{Map, Value, json};

/// A found architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenotypeHandle(pub Genotype);

impl Handle for GenotypeHandle {
    fn text(&self) -> String {
        self.0.to_string()
    }

    fn look(&self, look: &Look) -> Result<String> {
        found::genotype(&self.0, look)
    }
}

impl Saved for GenotypeHandle {
    const TAG: &'static str = "$genotype";

    fn pack(&self, what: &str, _: Option<&mut Tensors>) -> Result<Option<Value>> {
        Ok(Some(json!({ "$genotype": self.0.to_string(), "space": plain(&self.0.space, what)? })))
    }

    fn unpack(map: &Map<String, Value>, _: &Tensors) -> Result<Self> {
        let text: String = parse(map, "$genotype", "genotype")?;
        Genotype::parse_in(&parse(map, "space", "space")?, &text).map(GenotypeHandle)
    }
}

/// The cell that a text says: as the text of a cell, the name of a published one, the folder of a run that found it (`DIR`, or
/// `DIR#LABEL` where it found several), or an index of NAS-Bench-201.
///
/// # Errors
/// It is none of these.
pub fn genotype_of(text: &str) -> Result<Genotype> {
    if let Some(found) = run_folder::found(text) {
        return Genotype::parse(&found?);
    }
    let word = text.trim();
    match word.parse() {
        Ok(index) => Genotype::parse(&nas_bench::query_index(index)?.arch),
        Err(_) if !word.is_empty() && word.trim_start_matches('-').chars().all(|c| c.is_ascii_digit()) => {
            Err(Error::invalid("index of a NAS-Bench-201 cell", word, format!("0 to {}", nas_bench::CELLS - 1)))
        }
        Err(_) => Genotype::read(text),
    }
}

impl GenotypeHandle {
    /// Reads a handle, its text, its name in the literature, the folder of the run that found it, or its index in NAS-Bench-201.
    pub fn of(value: &Dynamic) -> Fallible<Self> {
        if let Some(genotype) = value.read_lock::<GenotypeHandle>() {
            return Ok(genotype.clone());
        }
        if let Ok(text) = value.as_immutable_string_ref() {
            return Ok(GenotypeHandle(genotype_of(&text)?));
        }
        if let Ok(index) = value.as_int() {
            let row = nas_bench::query_index(count(index, "index")?)?;
            return Ok(GenotypeHandle(Genotype::parse(&row.arch)?));
        }
        Err(wrong("genotype", shown(value), "a genotype, its text or name, or an index of NAS-Bench-201"))
    }
}
