//! The manual: entries of the host functions, and the stdlib's own comments; for the terminal, as Markdown, and as
//! definitions for editors.

pub mod definitions;
pub mod markdown;
mod settings;

use crate::error::{Error, Result};
use crate::host::script::doc::Doc;
use crate::host::script::modules::STDLIB;

/// The manual as text: all of it in short, or the entry of `name` (a function, a type's method, a module).
pub fn text(docs: &[Doc], name: Option<&str>) -> Result<String> {
    match name {
        None => Ok(overview(docs)),
        Some(name) => entry(docs, name.trim().trim_end_matches("()")),
    }
}

pub(crate) fn overview(docs: &[Doc]) -> String {
    let mut lines = Vec::new();
    for chapter in chapters(docs) {
        lines.push(chapter.to_uppercase());
        for doc in docs.iter().filter(|d| d.chapter == chapter) {
            doc.lines().iter().for_each(|s| lines.push(format!("  {s}")));
        }
        lines.push(String::new());
    }
    lines.push("MODULES (import \"nas/is_darts\" as method;)".into());
    for (path, text) in STDLIB {
        lines.push(format!("  {path:14} {}", header(text).first().copied().unwrap_or_default()));
    }
    lines.push(String::new());
    lines.push("One entry: doc NAME".into());
    lines.join("\n")
}

/// The chapters, in order.
fn chapters(docs: &[Doc]) -> Vec<&str> {
    let mut chapters: Vec<&str> = Vec::new();
    for doc in docs {
        if !chapters.contains(&doc.chapter) {
            chapters.push(doc.chapter);
        }
    }
    chapters
}

/// The `//!` lines of a module.
fn header(text: &str) -> Vec<&str> {
    text.lines().filter_map(|l| l.strip_prefix("//!")).map(str::trim).collect()
}

pub(crate) fn entry(docs: &[Doc], name: &str) -> Result<String> {
    if let Some((_, text)) = STDLIB.iter().find(|(path, _)| *path == name) {
        return Ok(text.trim_end().to_string());
    }
    let found: Vec<String> = docs.iter().filter(|d| d.name == name).map(one).collect();
    if found.is_empty() {
        let known = docs.iter().map(|d| d.name).chain(STDLIB.iter().map(|(path, _)| *path));
        return Err(Error::unknown_name("entry of the manual", name, known));
    }
    let table = if name == "settings" { format!("\n\n{}", settings::text()) } else { String::new() };
    Ok(format!("{}{table}", found.join("\n\n")))
}

fn one(doc: &Doc) -> String {
    let example: Vec<String> = doc.example().lines().map(|l| format!("    {l}")).collect();
    format!("{}\n\n{}\n\n{}", doc.lines().join("\n"), wrap(&doc.text(), 100), example.join("\n"))
}

/// Break a paragraph into lines of at most `width` characters.
fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |l| l.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
