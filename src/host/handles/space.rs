//! Search spaces, candidates and masks as scripts hold them.

use crate::error::{Error, Result};
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::shown;
pub use crate::host::show::found::candidate_name;
use crate::space::{Candidate as Place, Mask as Alive, SearchSpace};
use rhai::{Array, Dynamic};
use std::rc::Rc;

/// A search space.
#[derive(Clone, Debug, PartialEq)]
pub struct Space(pub Rc<SearchSpace>);

/// A candidate that knows its space (for its names).
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Where it is.
    pub place: Place,
    /// What it belongs to.
    pub space: Rc<SearchSpace>,
}

impl Candidate {
    /// Where it is in `space`; an error if it is of another.
    pub fn place_in(&self, space: &SearchSpace) -> Result<Place> {
        if *self.space != *space {
            let got = format!("{} of {}", candidate_name(&self.space, self.place), self.space.name());
            return Err(Error::invalid("candidate", got, format!("one of {}", space.name())));
        }
        space.check(self.place).map(|()| self.place)
    }
}

/// A mask as it was when asked for.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Which are alive.
    pub alive: Alive,
    /// Of this space.
    pub space: Rc<SearchSpace>,
}

/// Candidates as an array.
pub fn handles(space: &Rc<SearchSpace>, places: impl IntoIterator<Item = Place>) -> Array {
    places.into_iter().map(|place| Dynamic::from(Candidate { place, space: space.clone() })).collect()
}

/// A space from its handle or name.
pub fn space_of(value: &Dynamic) -> Fallible<Space> {
    if let Some(space) = value.read_lock::<Space>() {
        return Ok(space.clone());
    }
    match value.as_immutable_string_ref() {
        Ok(name) => SearchSpace::by_name(&name).map(|s| Space(Rc::new(s))).map_err(raise),
        Err(_) => Err(wrong("space", shown(value), "a Space, or the name of one")),
    }
}
