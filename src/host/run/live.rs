//! The values of a run that hold state: saved after every turn of an epochs loop, as long as the script holds them.

use crate::error::Result;
use crate::search::{Learner, State, Stateful};
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// A value that holds state, as long as the script holds it.
#[derive(Clone)]
enum LiveValue {
    Learner(Weak<RefCell<Learner>>),
    Other(Weak<RefCell<dyn Stateful>>),
}

/// The values alive, each with its number among all that were made.
#[derive(Default)]
pub struct Live {
    values: RefCell<Vec<(u64, LiveValue)>>,
    made: Cell<u64>,
}

impl Live {
    /// Let a learner be saved after every turn; its number among all values made.
    pub fn add_learner(&self, learner: &Rc<RefCell<Learner>>) -> u64 {
        self.number(LiveValue::Learner(Rc::downgrade(learner)))
    }

    /// Let any other value be saved after every turn.
    pub fn add(&self, value: &Rc<RefCell<dyn Stateful>>) -> u64 {
        self.number(LiveValue::Other(Rc::downgrade(value)))
    }

    fn number(&self, value: LiveValue) -> u64 {
        let id = self.made.get() + 1;
        self.made.set(id);
        self.values.borrow_mut().push((id, value));
        id
    }

    /// How many values were made so far.
    pub fn made(&self) -> u64 {
        self.made.get()
    }

    /// Counts on from the number of a saved run.
    pub fn set_made(&self, made: u64) {
        self.made.set(made);
    }

    fn each_live(&self) -> Vec<(u64, LiveValue)> {
        let mut values = self.values.borrow_mut();
        values.retain(|(_, value)| match value {
            LiveValue::Learner(weak) => weak.strong_count() > 0,
            LiveValue::Other(weak) => weak.strong_count() > 0,
        });
        values.clone()
    }

    /// Numbers of the values alive, in order of creation.
    pub fn ids(&self) -> Vec<u64> {
        self.each_live().iter().map(|(id, _)| *id).collect()
    }

    /// The learners alive, in order of creation.
    pub fn learners(&self) -> Vec<(u64, Rc<RefCell<Learner>>)> {
        let learner = |(id, value)| match value {
            LiveValue::Learner(weak) => weak.upgrade().map(|l: Rc<RefCell<Learner>>| (id, l)),
            LiveValue::Other(_) => None,
        };
        self.each_live().into_iter().filter_map(learner).collect()
    }

    /// `(number, kind, state)` of every value alive.
    pub fn states(&self) -> Result<Vec<(u64, &'static str, State)>> {
        let mut states = Vec::new();
        for (id, value) in self.each_live() {
            match value {
                LiveValue::Learner(weak) => {
                    if let Some(learner) = weak.upgrade() {
                        let learner = learner.borrow();
                        states.push((id, learner.kind(), learner.state()?));
                    }
                }
                LiveValue::Other(weak) => {
                    if let Some(value) = weak.upgrade() {
                        let value = value.borrow();
                        states.push((id, value.kind(), value.state()?));
                    }
                }
            }
        }
        Ok(states)
    }

    /// Give the value `id` a saved state back, if it lives; whether it does and is of this kind.
    pub fn restore(&self, id: u64, kind: &str, state: State) -> Result<bool> {
        let Some((_, value)) = self.each_live().into_iter().find(|(live, _)| *live == id) else { return Ok(false) };
        let value: Option<Rc<RefCell<dyn Stateful>>> = match value {
            LiveValue::Learner(weak) => weak.upgrade().map(|l| l as Rc<RefCell<dyn Stateful>>),
            LiveValue::Other(weak) => weak.upgrade(),
        };
        let Some(value) = value else { return Ok(false) };
        let mut value = value.borrow_mut();
        if value.kind() != kind {
            return Ok(false);
        }
        value.restore(state)?;
        Ok(true)
    }
}
