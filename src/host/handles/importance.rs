//! Importances: one number per candidate.

use super::genotype::Genotype;
use super::space::{Candidate, Space};
use super::tensor::mix_of;
use crate::error::Error;
use crate::host::script::errors::{Fallible, raise, raise_tensor, wrong};
use crate::host::script::value::float;
use crate::search::derive::{Derivation, derive};
use crate::space::{Iim, Mask, PerCandidate, SearchSpace};
use rhai::{Dynamic, Map};
use std::rc::Rc;

/// One number per candidate, the larger the more important: an IIM measurement, architecture weights, a script's own.
#[derive(Clone)]
pub struct Importance {
    /// The numbers.
    pub table: Rc<PerCandidate<f64>>,
    /// The raw scores, of an IIM measurement.
    pub score: Option<Rc<PerCandidate<f64>>>,
    /// Of this space.
    pub space: Rc<SearchSpace>,
}

impl Importance {
    /// Of an IIM measurement: `1 / score`.
    pub fn from_iim(iim: &Iim, space: &Rc<SearchSpace>) -> Self {
        let mut table = PerCandidate::filled(space, f64::NAN);
        space.candidates().into_iter().for_each(|c| *table.get_mut(c) = iim.importance(c));
        Importance { table: Rc::new(table), score: Some(Rc::new(iim.score.clone())), space: space.clone() }
    }
}

/// The value of a candidate; an error if it is of another space.
pub(crate) fn of(table: &PerCandidate<f64>, space: &SearchSpace, c: &Candidate) -> Fallible<f64> {
    let place = c.place_in(space).map_err(raise)?;
    table.try_get(place).copied().ok_or_else(|| wrong("candidate", "no such one", format!("one of {}", space.name())))
}

/// What `importance.genotype` takes.
fn derivation(cfg: &Map) -> Fallible<Derivation> {
    let mut how = Derivation::default();
    for (key, value) in cfg {
        match key.as_str() {
            "threshold" => how.threshold = Some(float(value, "genotype, threshold")?),
            "edges" => {
                how.every_edge = match value.to_string().as_str() {
                    "best" => false,
                    "all" => true,
                    other => return Err(wrong("genotype, edges", format!("`{other}`"), "`best` or `all`")),
                }
            }
            other => return Err(raise(Error::unknown_name("setting of a derivation", other, ["threshold", "edges"]))),
        }
    }
    Ok(how)
}

/// The genotype that an importance names. Where it is NaN, the candidate is dead.
pub fn genotype(importance: &Importance, cfg: &Map) -> Fallible<Genotype> {
    let (space, table) = (&importance.space, &importance.table);
    let mut alive = space.full_mask().table().clone();
    for c in space.candidates().into_iter().filter(|c| table.get(*c).is_nan()) {
        *alive.get_mut(c) = false;
    }
    derive(space, table, &Mask::from_table(alive), &derivation(cfg)?).map(Genotype).map_err(raise)
}

/// An importance from a script's own numbers: one `[edges, ops]` tensor per cell type.
pub(crate) fn importance(space: &Space, tables: &Dynamic) -> Fallible<Importance> {
    let mut table = PerCandidate::filled(&space.0, f64::NAN);
    for (cell_type, tensor) in mix_of(tables, &space.0)?.iter().enumerate() {
        let rows = tensor.to_vec2::<f32>().map_err(raise_tensor)?;
        for c in space.0.candidates().into_iter().filter(|c| c.cell_type == cell_type) {
            *table.get_mut(c) = f64::from(rows[c.edge][c.op]);
        }
    }
    Ok(Importance { table: Rc::new(table), score: None, space: space.0.clone() })
}
