//! The manual: entries of the host functions, and the stdlib's own comments; for the terminal, as Markdown, and as
//! definitions for editors.

pub mod definitions;
pub mod markdown;

use super::api::{Api, Doc};
use super::context::Host;
use super::errors::{Fallible, raise};
use super::modules::STDLIB;
use crate::error::{Error, Result};
use std::rc::Rc;

/// Register `help`, which knows all entries registered before it (and itself).
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("run");
    api.note([
        "help",
        "help()\nhelp(name)",
        "Print the manual in short; or the entry of a function, property or module.",
        "help(\"measure_iim\");",
    ]);
    let docs: Rc<[Doc]> = api.docs().into();
    let all = docs.clone();
    let (out, out_of_name) = (host.clone(), host.clone());
    api.also("help", move || -> Fallible<()> {
        out.output.line(&overview(&all));
        Ok(())
    });
    api.also("help", move |name: &str| -> Fallible<()> {
        out_of_name.output.line(&entry(&docs, name).map_err(raise)?);
        Ok(())
    });
}

/// The manual as text: all of it in short, or the entry of `name` (a function, a type's method, a module).
pub fn text(docs: &[Doc], name: Option<&str>) -> Result<String> {
    match name {
        None => Ok(overview(docs)),
        Some(name) => entry(docs, name.trim().trim_end_matches("()")),
    }
}

fn overview(docs: &[Doc]) -> String {
    let mut lines = Vec::new();
    for chapter in chapters(docs) {
        lines.push(chapter.to_uppercase());
        for doc in docs.iter().filter(|d| d.chapter == chapter) {
            doc.signature.lines().for_each(|s| lines.push(format!("  {s}")));
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

fn entry(docs: &[Doc], name: &str) -> Result<String> {
    if let Some((_, text)) = STDLIB.iter().find(|(path, _)| *path == name) {
        return Ok(text.trim_end().to_string());
    }
    let found: Vec<String> = docs.iter().filter(|d| d.name == name).map(one).collect();
    if found.is_empty() {
        let known = docs.iter().map(|d| d.name).chain(STDLIB.iter().map(|(path, _)| *path));
        return Err(Error::unknown_name("entry of the manual", name, known));
    }
    Ok(found.join("\n\n"))
}

fn one(doc: &Doc) -> String {
    let example: Vec<String> = doc.example.lines().map(|l| format!("    {l}")).collect();
    format!("{}\n\n{}\n\n{}", doc.signature, wrap(doc.text, 100), example.join("\n"))
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
