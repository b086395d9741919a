//! What pages of the manual are made of: entries, lines of lists, paragraphs.

use crate::host::script::doc::Doc;

/// Columns of the manual on a terminal.
pub const WIDTH: usize = 80;
/// Columns of what stands on the left of a list.
pub const LEFT: usize = 34;

/// A line of a list: what it is about, and what is said of it, as far as there is room.
pub fn row(left: &str, right: &str) -> String {
    let width = left.chars().count().max(LEFT);
    let right = right.replace('\n', " ");
    let line = format!("  {left:width$}  {right}");
    match line.chars().count() > WIDTH {
        true => line.chars().take(WIDTH - 3).collect::<String>().trim_end().to_string() + "...",
        false => line.trim_end().to_string(),
    }
}

/// The first sentence.
pub fn summary(text: &str) -> String {
    text.split_inclusive(". ").next().unwrap_or_default().trim().trim_end_matches('.').to_string()
}

/// The `//!` lines of a module.
pub fn header(text: &str) -> Vec<&str> {
    text.lines().filter_map(|l| l.strip_prefix("//!")).map(str::trim).collect()
}

/// An entry.
pub fn one(doc: &Doc) -> String {
    let example: Vec<String> = doc.example().lines().map(|l| format!("    {l}")).collect();
    format!("{}\n\n{}\n\n{}", doc.lines().join("\n"), wrap(&doc.text(), WIDTH), example.join("\n"))
}

/// Break a paragraph into lines of at most `width` characters.
pub fn wrap(text: &str, width: usize) -> String {
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
