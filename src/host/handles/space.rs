//! Search spaces, candidates and masks as scripts hold them.

use super::handle::{Handle, Saved, Tensors, parse, plain};
use crate::error::{Error, Result};
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::shown;
pub use crate::host::show::found::candidate_name;
use crate::host::show::look::Style;
use crate::host::show::{Look, tables};
use crate::space::{Candidate, Mask, Primitive, SearchSpace};
use rhai::Dynamic;
use serde_json::{Map, Value, json};
use std::rc::Rc;

/// A search space.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceHandle(pub Rc<SearchSpace>);

impl Handle for SpaceHandle {
    fn text(&self) -> String {
        format!("{} ({} edges, {} ops)", self.0.name(), self.0.n_edges(), self.0.ops().len())
    }

    fn look(&self, look: &Look) -> Result<String> {
        let names: Vec<&str> = self.0.ops().iter().map(|op| op.name()).collect();
        Ok(format!("{}\n{}", look.paint(Style::Title, &self.text()), look.rows(&names)))
    }

    fn summary(&self) -> String {
        format!("{}, {} edges, {} ops", self.0.name(), self.0.n_edges(), self.0.ops().len())
    }
}

impl Saved for SpaceHandle {
    const TAG: &'static str = "$space";

    fn pack(&self, what: &str, _: Option<&mut Tensors>) -> Result<Option<Value>> {
        Ok(Some(json!({ "$space": plain(&*self.0, what)? })))
    }

    fn unpack(map: &Map<String, Value>, _: &Tensors) -> Result<Self> {
        parse(map, "$space", "space").map(|space| SpaceHandle(Rc::new(space)))
    }
}

impl SpaceHandle {
    /// Reads a handle or a name.
    pub fn of(value: &Dynamic) -> Fallible<Self> {
        if let Some(space) = value.read_lock::<SpaceHandle>() {
            return Ok(space.clone());
        }
        match value.as_immutable_string_ref() {
            Ok(name) => SearchSpace::by_name(&name).map(|s| SpaceHandle(Rc::new(s))).map_err(raise),
            Err(_) => Err(wrong("space", shown(value), "a Space, or the name of one")),
        }
    }

    /// The candidate `op` on the edge number `edge` of a cell type.
    pub fn candidate(&self, cell_type: &str, edge: usize, op: &str) -> Result<CandidateHandle> {
        let cell_type = self.0.cell_type_by_name(cell_type)?;
        let op = Primitive::parse_among(op, self.0.ops())?;
        let op = self.0.ops().iter().position(|o| *o == op).unwrap_or_default();
        let place = Candidate { cell_type, edge, op };
        self.0.check(place).map(|()| CandidateHandle { place, space: self.0.clone() })
    }
}

/// A candidate that knows its space (for its names).
#[derive(Clone, Debug, PartialEq)]
pub struct CandidateHandle {
    /// Where it is.
    pub place: Candidate,
    /// The space that it belongs to.
    pub space: Rc<SearchSpace>,
}

impl CandidateHandle {
    /// Where it is in `space`; an error if it is of another.
    pub fn place_in(&self, space: &SearchSpace) -> Result<Candidate> {
        if *self.space != *space {
            let got = format!("{} of {}", candidate_name(&self.space, self.place), self.space.name());
            return Err(Error::invalid("candidate", got, format!("one of {}", space.name())));
        }
        space.check(self.place).map(|()| self.place)
    }
}

impl Handle for CandidateHandle {
    fn text(&self) -> String {
        candidate_name(&self.space, self.place)
    }
}

impl Saved for CandidateHandle {
    const TAG: &'static str = "$candidate";

    fn pack(&self, what: &str, _: Option<&mut Tensors>) -> Result<Option<Value>> {
        Ok(Some(json!({ "$candidate": plain(&self.place, what)?, "space": plain(&*self.space, what)? })))
    }

    fn unpack(map: &Map<String, Value>, _: &Tensors) -> Result<Self> {
        let (place, space) = (parse(map, "$candidate", "candidate")?, space_of(map)?);
        space.check(place).map(|()| CandidateHandle { place, space })
    }
}

/// A mask as it was when asked for.
#[derive(Clone, Debug)]
pub struct MaskHandle {
    /// Which are alive.
    pub alive: Mask,
    /// The space whose candidates these are.
    pub space: Rc<SearchSpace>,
}

impl Handle for MaskHandle {
    fn text(&self) -> String {
        tables::mask(&self.space, &self.alive, &Look::PLAIN)
    }

    fn look(&self, look: &Look) -> Result<String> {
        Ok(tables::mask(&self.space, &self.alive, look))
    }

    fn summary(&self) -> String {
        let all = self.space.candidates().len();
        format!("{} of {all} candidates alive, {}", self.alive.n_alive(), self.space.name())
    }
}

impl Saved for MaskHandle {
    const TAG: &'static str = "$mask";

    fn pack(&self, what: &str, _: Option<&mut Tensors>) -> Result<Option<Value>> {
        Ok(Some(json!({ "$mask": plain(self.alive.table(), what)?, "space": plain(&*self.space, what)? })))
    }

    fn unpack(map: &Map<String, Value>, _: &Tensors) -> Result<Self> {
        let (alive, space) = (Mask::from_table(parse(map, "$mask", "mask")?), space_of(map)?);
        alive.check_shape(&space).map(|()| MaskHandle { alive, space })
    }
}

/// The space that was saved with something of it.
pub(super) fn space_of(map: &Map<String, Value>) -> Result<Rc<SearchSpace>> {
    parse(map, "space", "space").map(Rc::new)
}

/// Candidates as scripts hold them.
pub fn candidates(space: &Rc<SearchSpace>, places: impl IntoIterator<Item = Candidate>) -> Vec<CandidateHandle> {
    places.into_iter().map(|place| CandidateHandle { place, space: space.clone() }).collect()
}
