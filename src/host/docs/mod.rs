//! The manual: entries of the host functions, and the stdlib's own comments; for the terminal, as Markdown, and as
//! definitions for editors.

pub mod definitions;
mod find;
pub mod markdown;
mod page;
mod settings;

use crate::error::Result;
use crate::host::script::doc::Doc;
use crate::host::script::modules::STDLIB;
use find::find;
pub use find::names;
use page::{WIDTH, header, row, summary, wrap};

/// The manual as text: all of it in short, or what there is under `name` (an entry, a type, a setting, a module, words).
pub fn text(docs: &[Doc], name: Option<&str>) -> Result<String> {
    match name {
        None => Ok(overview(docs)),
        Some(name) => find(docs, name),
    }
}

fn overview(docs: &[Doc]) -> String {
    let mut lines = Vec::new();
    for chapter in chapters(docs) {
        lines.push(chapter.to_uppercase());
        for doc in docs.iter().filter(|d| d.chapter == chapter) {
            let signatures = doc.lines();
            let more = if signatures.len() > 1 { format!(" (+{})", signatures.len() - 1) } else { String::new() };
            lines.push(row(&format!("{}{more}", signatures[0]), &summary(&doc.text())));
        }
        lines.push(String::new());
    }
    lines.push("MODULES (import \"nas/is_darts\" as method;)".into());
    for (path, text) in STDLIB {
        lines.push(row(path, header(text).first().copied().unwrap_or_default()));
    }
    lines.push(String::new());
    lines.push(wrap(&format!("TYPES {}", find::types(docs).join(", ")), WIDTH));
    lines.push(String::new());
    lines.push("An entry, type, setting or module: doc NAME. What stands anywhere: doc WORDS".into());
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
