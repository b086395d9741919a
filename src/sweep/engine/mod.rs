//! Engines: what starts the tasks of a sweep. Queueing, placement, lost machines and limits are theirs.

pub mod hyperqueue;
pub mod local;
pub mod print;
pub mod slurm;

use super::folder::Folder;
use super::plan::Row;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// The command of one task, word by word.
///
/// # Errors
/// A program that does not know where it lies.
pub fn command(folder: &Folder, row: &Row) -> Result<Vec<String>> {
    let words = ["sweep", "task", &folder.path.to_string_lossy(), &row.index.to_string()].map(String::from);
    Ok(std::iter::once(program()?.to_string_lossy().into_owned()).chain(words).collect())
}

/// The file of this program.
fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(Error::io("find", "this program"))
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn words_with_other_signs_are_quoted_for_a_shell() {
        for (word, shell) in [("a/b-1", "a/b-1"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("", "''")] {
            assert_eq!(super::quoted(word), shell);
        }
    }
}
