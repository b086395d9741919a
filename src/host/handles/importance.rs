//! Importances: one number per candidate.

use super::genotype::GenotypeHandle;
use super::handle::{Handle, Saved, Tensors, parse, plain};
use super::space::{CandidateHandle, SpaceHandle, space_of};
use super::tensor::mix_of;
use crate::error::{Error, Result};
use crate::host::script::errors::{Fallible, raise_tensor, wrong};
use crate::host::script::types::{Keys, Options};
use crate::host::script::value::float;
use crate::host::show::{Look, tables};
use crate::search::derive::{Derivation, derive};
use crate::space::{Iim, Mask, PerCandidate, SearchSpace};
use rhai::Dynamic;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// One number per candidate, the larger the more important: an IIM measurement, architecture weights, a script's own.
#[derive(Clone)]
pub struct Importance {
    /// The numbers.
    pub table: Rc<PerCandidate<f64>>,
    /// The raw scores, of an IIM measurement.
    pub score: Option<Rc<PerCandidate<f64>>>,
    /// The space whose candidates these are.
    pub space: Rc<SearchSpace>,
}

impl Handle for Importance {
    fn text(&self) -> String {
        tables::importance(&self.space, &self.table, self.score.is_some(), &Look::PLAIN)
    }

    fn look(&self, look: &Look) -> Result<String> {
        Ok(tables::importance(&self.space, &self.table, self.score.is_some(), look))
    }

    fn summary(&self) -> String {
        let measured = self.table.iter().filter(|(_, x)| !x.is_nan()).count();
        let what = if self.score.is_some() { "IIM" } else { "importance" };
        format!("{what} of {measured} candidates, {}", self.space.name())
    }
}

impl Saved for Importance {
    const TAG: &'static str = "$importance";

    fn pack(&self, what: &str, _: Option<&mut Tensors>) -> Result<Option<Value>> {
        // Bits, for JSON has no infinities and no NaN.
        let bits = |table: &PerCandidate<f64>| plain(&table.map(|x| x.to_bits()), what);
        let score = self.score.as_deref().map(bits).transpose()?;
        let (table, space) = (bits(&self.table)?, plain(&*self.space, what)?);
        Ok(Some(json!({ "$importance": table, "score": score, "space": space })))
    }

    fn unpack(map: &Map<String, Value>, _: &Tensors) -> Result<Self> {
        let space = space_of(map)?;
        let table = |key: &str| -> Result<Rc<PerCandidate<f64>>> {
            let table = parse::<PerCandidate<u64>>(map, key, "importance")?.map(|bits| f64::from_bits(*bits));
            table.check_shape(&space, "a saved importance").map(|()| Rc::new(table))
        };
        let score = map.get("score").filter(|s| !s.is_null()).map(|_| table("score")).transpose()?;
        Ok(Importance { table: table("$importance")?, score, space: space.clone() })
    }
}

/// What `importance.genotype` may be told.
pub struct DerivationKeys;

impl Keys for DerivationKeys {
    const WHAT: &'static str = "setting of a derivation";
    const KEYS: &'static [&'static str] = &["threshold", "edges"];
}

impl Importance {
    /// Makes one of an IIM measurement: `1 / score`.
    pub fn from_iim(iim: &Iim, space: &Rc<SearchSpace>) -> Self {
        let mut table = PerCandidate::filled(space, f64::NAN);
        space.candidates().into_iter().for_each(|c| *table.get_mut(c) = iim.importance(c));
        Importance { table: Rc::new(table), score: Some(Rc::new(iim.score.clone())), space: space.clone() }
    }

    /// Makes one of a script's own numbers: one `[edges, ops]` tensor per cell type.
    pub fn of_tables(space: &SpaceHandle, tables: &Dynamic) -> Fallible<Self> {
        let mut table = PerCandidate::filled(&space.0, f64::NAN);
        for (cell_type, tensor) in mix_of(tables, &space.0, None)?.iter().enumerate() {
            let rows = tensor.to_vec2::<f32>().map_err(raise_tensor)?;
            for c in space.0.candidates().into_iter().filter(|c| c.cell_type == cell_type) {
                *table.get_mut(c) = f64::from(rows[c.edge][c.op]);
            }
        }
        Ok(Importance { table: Rc::new(table), score: None, space: space.0.clone() })
    }

    /// Each number by itself.
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Importance { table: Rc::new(self.table.map(|x| f(*x))), score: None, space: self.space.clone() }
    }

    /// Candidate by candidate with another of the same space.
    pub fn with(&self, other: &Self, f: fn(f64, f64) -> f64) -> Result<Self> {
        if *self.space != *other.space {
            let expected = format!("one of {}", self.space.name());
            return Err(Error::invalid("importance", format!("one of {}", other.space.name()), expected));
        }
        let mut table = (*self.table).clone();
        for (candidate, value) in other.table.iter() {
            *table.get_mut(candidate) = f(*self.table.get(candidate), *value);
        }
        Ok(Importance { table: Rc::new(table), score: None, space: self.space.clone() })
    }

    /// The number of a candidate in one of its tables; an error if it is of another space.
    pub fn number(&self, table: &PerCandidate<f64>, candidate: &CandidateHandle) -> Fallible<f64> {
        let place = candidate.place_in(&self.space)?;
        let expected = || format!("one of {}", self.space.name());
        table.try_get(place).copied().ok_or_else(|| wrong("candidate", "no such one", expected()))
    }

    /// The genotype that it names. Where it is NaN, the candidate is dead.
    pub fn genotype(&self, options: &Options<DerivationKeys>) -> Fallible<GenotypeHandle> {
        let mut how = Derivation::default();
        if let Some(threshold) = options.map.get("threshold") {
            how.threshold = Some(float(threshold, "genotype, threshold")?);
        }
        if let Some(edges) = options.map.get("edges") {
            how.every_edge = match edges.to_string().as_str() {
                "best" => false,
                "all" => true,
                other => return Err(wrong("genotype, edges", format!("`{other}`"), "`best` or `all`")),
            };
        }
        let mut alive = self.space.full_mask().table().clone();
        for c in self.space.candidates().into_iter().filter(|c| self.table.get(*c).is_nan()) {
            *alive.get_mut(c) = false;
        }
        Ok(GenotypeHandle(derive(&self.space, &self.table, &Mask::from_table(alive), &how)?))
    }
}
