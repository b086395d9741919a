//! The script and its modules as they were when the run began: kept in the run folder below `script/`, so that a resumed run
//! goes on with them whatever became of the originals.
//!
//! A module beside the script lies beside it there, too; those from elsewhere lie in `script/elsewhere/`.

use super::made_of::{MadeOf, sum};
use crate::error::{Error, Result};
use crate::files;
use crate::search::run_folder::SCRIPTS;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

/// The texts of one run.
pub struct Kept {
    /// The run folder.
    run: PathBuf,
    /// The script's folder, as it was named.
    beside: PathBuf,
    /// What the run that is resumed was made of.
    then: Option<MadeOf>,
    /// Take texts that changed.
    accept: bool,
    said: RefCell<BTreeSet<String>>,
}

/// A text to go on with.
#[derive(Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The text.
    pub text: String,
    /// What became of the original, in words, where it is another; once.
    pub note: Option<String>,
}

impl Kept {
    /// Keeps the texts of the script `script` in the run folder `run`; a resumed run comes with what it was made of.
    pub fn new(run: &Path, script: &Path, then: Option<MadeOf>, accept: bool) -> Self {
        let beside = script.parent().unwrap_or(Path::new("")).to_path_buf();
        Kept { run: run.to_path_buf(), beside, then, accept, said: RefCell::default() }
    }

    /// Where the text that messages call `name` is kept, below the run folder.
    fn place(&self, name: &str) -> PathBuf {
        let path = Path::new(name);
        let plain = |p: &&Path| !name.is_empty() && p.components().all(|c| matches!(c, Component::Normal(_)));
        match path.strip_prefix(&self.beside).ok().filter(plain) {
            Some(inside) => Path::new(SCRIPTS).join(inside),
            None => {
                let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                Path::new(SCRIPTS).join("elsewhere").join(&sum(name.as_bytes())[..16]).join(file)
            }
        }
    }

    /// The text to go on with, of what is kept and what is found now under `name` (nothing, if it is gone). A resumed run takes
    /// the text that it began with; of one that it did not come to, what is found.
    ///
    /// # Errors
    /// Neither is the text that the run began with.
    pub fn choose(&self, name: &str, original: Option<String>) -> Result<Option<Chosen>> {
        let plain = |text: Option<String>| Ok(text.map(|text| Chosen { text, note: None }));
        let Some(then) = &self.then else { return plain(original) };
        let path = self.run.join(self.place(name));
        let kept = files::read_plain_text(&path).ok();
        let Some(began) = then.texts.get(name).filter(|_| !self.accept) else { return plain(original.or(kept)) };
        let is_it = |text: &String| sum(text.as_bytes()) == *began;
        if original.as_ref().is_some_and(is_it) {
            return plain(original);
        }
        match kept.filter(is_it) {
            Some(text) => {
                let what = if original.is_some() { "was changed" } else { "is gone" };
                let note = format!(
                    "{name} {what} since the run began: going on with the text it began with, {}{}",
                    path.display(),
                    if original.is_some() { " (--accept-changes takes the new one)" } else { "" }
                );
                let note = self.said.borrow_mut().insert(name.to_string()).then_some(note);
                Ok(Some(Chosen { text, note }))
            }
            None => {
                let expected = format!("the text of {name} that the run began with (--accept-changes takes another)");
                Err(Error::file(path, "no text of that sum", expected))
            }
        }
    }

    /// Keep a text. What lies there already stays.
    pub fn keep(&self, name: &str, text: &str) -> Result<()> {
        let place = self.place(name);
        let path = self.run.join(&place);
        if files::read_plain_text(&path).is_ok_and(|kept| kept == text) {
            return Ok(());
        }
        files::folder_below(&self.run, place.parent().unwrap_or(Path::new("")))?;
        files::replace(&path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_goes_on_with_the_texts_it_began_with() {
        let dir = tempfile::tempdir().unwrap();
        let new = Kept::new(dir.path(), Path::new("own/s.rhai"), None, false);
        let mut then = MadeOf::default();
        for name in ["own/s.rhai", "own/sub/m.rhai", "../far.rhai", "/abs/far.rhai"] {
            assert_eq!(new.choose(name, Some("old".into())).unwrap().unwrap().text, "old");
            new.keep(name, "old").unwrap();
            then.texts.insert(name.into(), sum(b"old"));
        }
        assert!(dir.path().join("script/s.rhai").is_file() && dir.path().join("script/sub/m.rhai").is_file());
        for name in then.texts.keys() {
            let again = Kept::new(dir.path(), Path::new("own/s.rhai"), Some(then.clone()), false);
            let chosen = again.choose(name, Some("new".into())).unwrap().unwrap();
            assert!(chosen.text == "old" && chosen.note.unwrap().contains(&format!("{name} was changed since")));
            assert_eq!(again.choose(name, Some("new".into())).unwrap().unwrap().note, None, "it is said once");
            assert_eq!(again.choose(name, Some("old".into())).unwrap().unwrap().note, None);
            assert_eq!(again.choose("own/late.rhai", Some("x".into())).unwrap().unwrap().text, "x");
            let again = Kept::new(dir.path(), Path::new("own/s.rhai"), Some(then.clone()), false);
            assert!(again.choose(name, None).unwrap().unwrap().note.unwrap().contains(&format!("{name} is gone")));
            let accepts = Kept::new(dir.path(), Path::new("own/s.rhai"), Some(then.clone()), true);
            assert_eq!(accepts.choose(name, Some("new".into())).unwrap().unwrap().text, "new");
            std::fs::write(dir.path().join(again.place(name)), "damaged").unwrap();
            let error = again.choose(name, None).unwrap_err().to_string();
            assert!(error.contains(&format!("expected the text of {name} that the run began with")), "{error}");
            assert_eq!(again.choose(name, Some("old".into())).unwrap().unwrap().text, "old");
        }
    }
}
