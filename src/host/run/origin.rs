//! Where a run comes from: what it is made of now, what it was made of when it began, and the texts that are kept of it.

use super::kept::{Chosen, Kept};
use super::loops::Loops;
use super::made_of::{MadeOf, sum};
use super::options::RunOptions;
use crate::error::{Error, Result};
use crate::files;
use crate::search::RunFolder;
use serde_json::Value;
use std::cell::RefCell;
use std::path::Path;

/// The origin of one run.
#[derive(Default)]
pub struct RunOrigin {
    /// Drawn when the run began: tells its checkpoints from those of other runs.
    pub id: String,
    /// What it is made of, as far as it has come.
    pub now: RefCell<MadeOf>,
    /// Differences that were taken on purpose, in words.
    pub accepted: Vec<String>,
    then: Option<MadeOf>,
    kept: Option<Kept>,
    accept: bool,
}

impl RunOrigin {
    /// Finds out where the run in `folder` comes from; one that is resumed is compared with what its last checkpoint (or else
    /// its manifest) says.
    ///
    /// # Errors
    /// Something is another now, which is named, and `accept_changes` is not asked for; a manifest or checkpoint without its
    /// fields, or of another run.
    pub fn of(options: &RunOptions, folder: Option<&RunFolder>, loops: &Loops) -> Result<Self> {
        let accept = options.accept_changes;
        let now = MadeOf::of(options);
        let mut origin =
            RunOrigin { id: files::unique(), now: RefCell::new(now.clone()), accept, ..RunOrigin::default() };
        let Some(folder) = folder else { return Ok(origin) };
        let path = folder.path();
        if options.resume && RunFolder::has_manifest(path) {
            let manifest = RunFolder::read_manifest(path, accept)?;
            match manifest["id"].as_str() {
                Some(id) => origin.id = id.to_string(),
                None if accept => {}
                None => return Err(missing(path, "id")),
            }
            if let Some(number) = loops.saved().find(|(_, meta)| meta["run"] != origin.id && !accept).map(|(n, _)| n) {
                let expected = "one of this run; --accept-changes takes it";
                return Err(Error::file(path, format!("a checkpoint of another run, of loop {number}"), expected));
            }
            let known = loops.last_saved().map_or(&manifest["made_of"], |meta| &meta["made_of"]);
            match serde_json::from_value::<MadeOf>(known.clone()) {
                Ok(then) => origin.then = Some(then),
                Err(_) if accept => {}
                Err(e) => return Err(missing(path, &format!("made_of ({e})"))),
            }
        }
        if let Some(then) = &origin.then {
            origin.accepted = now.differences(then);
            if !accept && !origin.accepted.is_empty() {
                return Err(changed(options.folder.as_deref(), &origin.accepted.join("; ")));
            }
        }
        let script = options.script.as_deref().unwrap_or(Path::new(""));
        origin.kept = Some(Kept::new(path, script, origin.then.clone(), accept));
        Ok(origin)
    }

    /// The text to go on with, of what is found under `name`: see [`Kept::choose`].
    pub fn choose(&self, name: &str, original: Option<String>) -> Result<Option<Chosen>> {
        match &self.kept {
            Some(kept) => kept.choose(name, original),
            None => Ok(original.map(|text| Chosen { text, note: None })),
        }
    }

    /// A text of the run was loaded; what to say of it.
    pub fn loaded(&self, name: &str, text: &str) -> Option<String> {
        let new = sum(text.as_bytes());
        let then = self.then.as_ref().and_then(|then| then.texts.get(name)).filter(|then| **then != new);
        self.now.borrow_mut().texts.insert(name.to_string(), new);
        then.map(|_| format!("{name} was changed since the run began: going on with the new text"))
    }

    /// Keep a text in the run folder.
    pub fn keep(&self, name: &str, text: &str) -> Result<()> {
        self.kept.as_ref().map_or(Ok(()), |kept| kept.keep(name, text))
    }

    /// Data was opened; what to say of it.
    ///
    /// # Errors
    /// Other data than when the run began.
    pub fn opened(&self, name: &str, fingerprint: &str, folder: Option<&Path>) -> Result<Option<String>> {
        self.now.borrow_mut().fingerprints.insert(name.to_string(), fingerprint.to_string());
        let then = self.then.as_ref().and_then(|then| then.fingerprints.get(name));
        let Some(then) = then.filter(|then| *then != fingerprint) else { return Ok(None) };
        let what = format!("fingerprint of data {name}, {then} -> {fingerprint}");
        if self.accept { Ok(Some(format!("going on with changes: {what}"))) } else { Err(changed(folder, &what)) }
    }

    /// What the run is made of, for manifest and checkpoint.
    pub fn made_of(&self) -> Result<Value> {
        serde_json::to_value(&*self.now.borrow())
            .map_err(|e| Error::invalid("what the run is made of", e, "plain data"))
    }
}

fn missing(folder: &Path, what: &str) -> Error {
    let expected = "what every run of this version writes (--accept-changes goes on without it)";
    Error::file(folder.join("manifest.json"), format!("no sound `{what}`"), expected)
}

fn changed(folder: Option<&Path>, what: &str) -> Error {
    let folder = folder.map(|f| f.display().to_string()).unwrap_or_default();
    let expected = "what the run began with; --accept-changes goes on with the new on purpose";
    Error::invalid(format!("resuming {folder}"), format!("changes: {what}"), expected)
}
