//! The data of a run.

use super::settings;
use super::shared::Run;
use crate::data::{DataOptions, Splits};
use crate::error::{Error, Result};
use crate::search::RunFolder;
use std::rc::Rc;

impl Run {
    /// The data opened last, or else the run's own data.
    pub fn current_data(&self) -> Result<Rc<Splits>> {
        if let Some(data) = self.data.borrow().as_ref() {
            return Ok(data.clone());
        }
        self.open_data(
            &self.options.data,
            &settings::data_options(&self.settings, &rhai::Map::new(), self.options.seed)?,
        )
    }

    /// Open data and make it the current one.
    pub fn open_data(&self, name: &str, options: &DataOptions) -> Result<Rc<Splits>> {
        let own = self.own_data.borrow().clone().filter(|own| own.train.name == name);
        let splits = match own {
            None => Rc::new(Splits::open(name, options)?),
            Some(own) if options.resize.is_none() && options.limit.is_none() && options.split.is_none() => own,
            Some(_) => {
                return Err(Error::invalid(
                    format!("data `{name}` from memory"),
                    "resize, limit or split",
                    "none of them",
                ));
            }
        };
        let option = |what: &str, n: Option<usize>| n.map_or(String::new(), |n| format!(" {what}={n}"));
        let split = options.split.map_or(String::new(), |share| format!(" split={share}"));
        let key = format!("{name}{}{}{split}", option("resize", options.resize), option("limit", options.limit));
        if let Some(folder) = self.folder.borrow().as_ref().map(RunFolder::path) {
            let note = self.origin.opened(&key, &splits.fingerprint, Some(folder))?;
            note.iter().for_each(|note| self.note(note));
        }
        self.trace.data(&splits)?;
        *self.data.borrow_mut() = Some(splits.clone());
        Ok(splits)
    }
}
