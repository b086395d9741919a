//! What can stand inside of a text: modules, spaces, ops, data sets, cells, files.

use super::{Completion, infer, options};
use crate::data::formats::FORMATS;
use crate::host::script::lexer::Token;
use crate::host::script::modules::STDLIB;
use crate::host::session::Session;
use crate::space::{SearchSpace, literature::LITERATURE};
use std::collections::BTreeSet;
use std::path::Path;

impl Session {
    /// The text that is open at the end of `before`.
    pub(super) fn complete_text(&self, before: &str, tokens: &[Token]) -> (usize, Vec<Completion>) {
        let Some((open, outside)) = tokens.split_last() else { return (before.len(), Vec::new()) };
        let quote = &open.text(before)[..1];
        let start = open.range.start + 1;
        let typed = &before[start..];
        let closed = |name: &str| Completion { text: format!("{name}{quote}"), name: name.to_string() };
        let named = |names: &mut dyn Iterator<Item = String>| -> (usize, Vec<Completion>) {
            let names: BTreeSet<String> = names.filter(|name| name.starts_with(typed)).collect();
            (start, names.iter().map(|name| closed(name)).collect())
        };
        if outside.last().is_some_and(|t| t.text(before) == "import") {
            let stdlib = STDLIB.iter().map(|(path, _)| path.to_string());
            let files = paths(typed).into_iter().filter_map(|p| p.strip_suffix(".rhai").map(String::from));
            return named(&mut stdlib.chain(files));
        }
        // A cell in its notation: the op at the cursor.
        if typed.starts_with('|') {
            let from = typed.rfind('|').map_or(0, |i| i + 1);
            let space = SearchSpace::nas_bench_201();
            let node = typed[..from].matches('+').count();
            let input = typed[typed.rfind('+').map_or(0, |i| i + 1)..from].matches('|').count().saturating_sub(1);
            let next = if input == node && node + 1 < space.nodes() { "+|" } else { "" };
            let texts = space.ops().iter().map(|op| format!("{}~{input}|", op.name()));
            let found = texts.filter(|text| text.starts_with(&typed[from..]));
            return (start + from, found.map(|name| Completion { text: format!("{name}{next}"), name }).collect());
        }
        if let Some(values) = options::values(before, outside) {
            return named(&mut values.into_iter());
        }
        match infer::callee(before, outside).as_deref() {
            Some("space" | "supernet" | "random_genotype") => {
                named(&mut SearchSpace::NAMES.iter().map(|name| name.to_string()))
            }
            Some("candidate") => {
                let spaces = [SearchSpace::nas_bench_201(), SearchSpace::darts()];
                let ops = spaces.iter().flat_map(|s| s.ops().iter().map(|op| op.name().to_string()));
                named(&mut ops.chain(["normal", "reduction"].map(String::from)))
            }
            Some("genotype" | "report" | "bench_query") => {
                named(&mut LITERATURE.iter().map(|published| published.name.to_string()))
            }
            Some("help") => named(&mut self.manual_names(false).into_iter()),
            Some("data") => {
                let sets = FORMATS.iter().map(|format| format.name.to_string());
                let (start, mut found) = named(&mut sets.into_iter());
                found.extend(paths(typed).into_iter().filter(|p| p.ends_with('/')).map(Completion::plain));
                (start, found)
            }
            _ => {
                let file = |path: String| if path.ends_with('/') { Completion::plain(path) } else { closed(&path) };
                (start, paths(typed).into_iter().map(file).collect())
            }
        }
    }
}

/// Files and folders (these with a slash at the end) that begin as `typed` does.
pub fn paths(typed: &str) -> Vec<String> {
    let (folder, prefix) = typed.rsplit_once('/').map_or(("", typed), |(f, p)| (&typed[..f.len() + 1], p));
    let home = || std::env::var("HOME").ok();
    let place = match (folder.strip_prefix("~/"), folder) {
        (Some(below), _) => home().map_or_else(|| folder.to_string(), |home| format!("{home}/{below}")),
        (None, "") => "./".to_string(),
        (None, folder) => folder.to_string(),
    };
    let mut found: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(Path::new(&place)).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with(prefix) && (prefix.starts_with('.') || !name.starts_with('.')) {
            let slash = if entry.path().is_dir() { "/" } else { "" };
            found.push(format!("{folder}{name}{slash}"));
        }
    }
    found.sort();
    found
}
