//! The tour and the README's captures hold: every input is run and every output compared. So are the transcripts in
//! `tests/repl/`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod transcript;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn update() -> bool {
    std::env::var_os("UPDATE_TRANSCRIPTS").is_some()
}

fn markdown(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let expected = transcript::of_markdown(&text);
    assert!(!expected.is_empty(), "{} has no transcript", path.display());
    let dir = tempfile::tempdir().unwrap();
    let said = transcript::check(&path.display().to_string(), dir.path(), &expected);
    if update() {
        fs::write(path, transcript::into_markdown(&text, &said)).unwrap();
    }
}

#[test]
fn every_input_and_output_of_the_tour_is_what_the_program_says() {
    markdown(&root().join("docs/tour.md"));
}

#[test]
fn the_captures_in_the_readme_are_what_the_program_says() {
    markdown(&root().join("README.md"));
}

#[test]
fn transcripts_are_what_the_program_says() {
    let folder = root().join("tests/repl");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|e| e == "txt"));
    assert!(names.len() >= 4, "{names:?}");
    for path in names {
        let dir = tempfile::tempdir().unwrap();
        let expected = fs::read_to_string(&path).unwrap();
        let said = transcript::check(&path.display().to_string(), dir.path(), &expected);
        if update() {
            fs::write(&path, said + "\n").unwrap();
        }
    }
}
