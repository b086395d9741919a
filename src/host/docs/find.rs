//! What the manual says of a name or of some words: an entry, a type with all that it has, a setting, a module; else every
//! line that the words stand in.

use super::page::{WIDTH, header, one, row, summary, wrap};
use super::settings;
use crate::error::{Error, Result};
use crate::host::run::settings::table;
use crate::host::script::bundled::SCRIPTS;
use crate::host::script::doc::{Doc, Parameter};
use crate::host::script::modules::STDLIB;
use std::collections::HashSet;

/// Lines of a list of hits.
const MOST: usize = 40;

/// Whether two names are the same.
type Same = fn(&str, &str) -> bool;

/// What there is under `asked`: as it is written, then whatever its case; in full, then its last part (of `net.drop` or
/// `method::search`); then as words within the texts. An error names the nearest name.
pub fn find(docs: &[Doc], asked: &str) -> Result<String> {
    let asked = asked.trim().trim_end_matches("()");
    let last = asked.rsplit(['.', ':', '/']).next().unwrap_or_default();
    let receiver = asked.rsplit_once('.').map(|(before, _)| before);
    let exact: Same = |a, b| a == b;
    for same in [exact, |a, b| a.eq_ignore_ascii_case(b)] {
        for name in [asked, last] {
            // `lr` is a setting and a method; `net.lr` is the method.
            let alone = |found: Option<String>| found.filter(|_| receiver.is_none());
            let method = entries(docs, name, receiver, same);
            let found = [alone(module(name, same)), method, a_type(docs, name, same), alone(setting(name, same))];
            let found: Vec<String> = found.into_iter().flatten().collect();
            if !found.is_empty() {
                return Ok(found.join("\n\n"));
            }
        }
    }
    // `alpha` is how the manual calls what `architecture_parameters` gives.
    if let Some(page) = receiver_type(docs, asked).and_then(|kind| a_type(docs, &kind, exact)) {
        return Ok(page);
    }
    let hits = hits(docs, asked);
    if hits.is_empty() {
        return Err(Error::unknown_name("entry of the manual", asked, names(docs).iter().map(String::as_str)));
    }
    let first = if hits.len() > MOST { format!(", of which the first {MOST} are") } else { ":".to_string() };
    let title = format!("No entry is called `{asked}`; it stands in {}{first}", lines(hits.len()));
    Ok(format!("{title}\n{}", hits[..hits.len().min(MOST)].join("\n")))
}

fn lines(n: usize) -> String {
    if n == 1 { "1 line".into() } else { format!("{n} lines") }
}

/// Every name that [`find`] knows in full: entries, types, settings, modules.
pub fn names(docs: &[Doc]) -> Vec<String> {
    let mut names: Vec<String> = docs.iter().map(|d| d.name.to_string()).collect();
    names.retain(|name| name.starts_with(char::is_alphabetic));
    names.extend(types(docs));
    names.extend(table().iter().flat_map(|(_, all, _)| all).map(|s| s.name.to_string()));
    names.extend(STDLIB.iter().map(|(path, _)| path.to_string()));
    names.sort();
    names.dedup();
    names
}

/// The types of the program's own values, by their names.
pub fn types(docs: &[Doc]) -> Vec<String> {
    let receivers = docs.iter().flat_map(|d| &d.signatures).filter_map(|s| s.receiver.as_ref());
    let mut names: Vec<String> = receivers.map(|p| (p.kind)()).filter(|k| k.starts_with(char::is_uppercase)).collect();
    names.sort();
    names.dedup();
    names
}

/// The type of what methods are called of under this name.
fn receiver_type(docs: &[Doc], name: &str) -> Option<String> {
    let mut receivers = docs.iter().flat_map(|d| &d.signatures).filter_map(|s| s.receiver.as_ref());
    receivers.find(|p| p.name == name).map(|p| (p.kind)()).filter(|kind| kind.starts_with(char::is_uppercase))
}

/// The entries of a name; of those with a receiver only what `receiver` has, where it is called or typed like one.
fn entries(docs: &[Doc], name: &str, receiver: Option<&str>, same: Same) -> Option<String> {
    let is = |p: &Parameter| receiver.is_some_and(|r| r.eq_ignore_ascii_case(&(p.kind)()) || r == p.name);
    let all: Vec<&Doc> = docs.iter().filter(|d| same(d.name, name)).collect();
    let theirs = |d: &&&Doc| d.signatures.iter().filter_map(|s| s.receiver.as_ref()).any(is);
    let of_receiver: Vec<&Doc> = all.iter().filter(theirs).copied().collect();
    let chosen = if of_receiver.is_empty() { all } else { of_receiver };
    let mut parts: Vec<String> = chosen.into_iter().map(one).collect();
    if parts.is_empty() {
        return None;
    }
    if name == "settings" {
        parts.push(settings::text());
    }
    Some(parts.join("\n\n"))
}

/// A module of the stdlib, by its path or the last part of it; a script inside the binary.
fn module(name: &str, same: Same) -> Option<String> {
    let named = |path: &str| same(path, name) || path.rsplit('/').next().is_some_and(|last| same(last, name));
    let script = |(path, text): &(&str, &str)| (format!("scripts/{path}"), text.to_string());
    let modules = STDLIB.iter().map(|(path, text)| (path.to_string(), text.to_string()));
    let (path, text) = modules.chain(SCRIPTS.iter().map(script)).find(|(path, _)| named(path))?;
    Some(if same(&path, name) { text.trim_end().to_string() } else { format!("// {path}\n{}", text.trim_end()) })
}

/// What makes values of a type, what they have, and what takes them.
fn a_type(docs: &[Doc], name: &str, same: Same) -> Option<String> {
    let name = types(docs).into_iter().find(|kind| same(kind, name))?;
    let (mut makes, mut has, mut takes) = (Vec::new(), Vec::new(), Vec::new());
    for doc in docs {
        for signature in &doc.signatures {
            let line = row(&signature.to_string(), &summary(&doc.text()));
            let of = |p: &Parameter| (p.kind)() == name;
            if signature.receiver.as_ref().is_some_and(of) {
                has.push(line);
            } else if (signature.result)() == name || (signature.result)() == format!("[{name}]") {
                makes.push(line);
            } else if signature.parameters.iter().flatten().any(of) {
                takes.push(line);
            }
        }
    }
    let parts = [("comes from", makes), ("has", has), ("goes to", takes)];
    let part = |(title, mut lines): (&str, Vec<String>)| {
        let mut seen = HashSet::new();
        lines.retain(|line| seen.insert(line.clone()));
        (!lines.is_empty()).then(|| format!("{name} {title}\n{}", lines.join("\n")))
    };
    Some(parts.into_iter().filter_map(part).collect::<Vec<_>>().join("\n\n"))
}

/// A setting, for each function that takes it.
fn setting(name: &str, same: Same) -> Option<String> {
    let mut lines = Vec::new();
    for (taker, all, defaults) in table() {
        for s in all.iter().filter(|s| same(s.name, name)) {
            lines.push(format!("`{}`, a setting of {taker}; default {}", s.name, settings::default(s, &defaults)));
            lines.push(wrap(&settings::meaning(s), WIDTH));
        }
    }
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// Every line of the manual that all words stand in, whatever their case: of entries, settings, modules and scripts.
fn hits(docs: &[Doc], words: &str) -> Vec<String> {
    let words: Vec<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let all_in = |text: &str| {
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    // A hit in a name says more than one in a text.
    let (mut first, mut then) = (Vec::new(), Vec::new());
    let mut hit = |name: &str, left: String, text: &str, at: &str| match (all_in(name), all_in(text)) {
        (true, _) => first.push(row(&left, &summary(text))),
        (_, true) => then.push(row(&left, at)),
        _ => {}
    };
    for doc in docs {
        let (lines, text) = (doc.lines(), doc.text());
        let sentence = sentence(&text, &all_in);
        hit(&lines.join(" "), lines[0].clone(), &text, &sentence);
    }
    for (taker, all, _) in table() {
        for s in &all {
            hit(s.name, format!("{} ({taker})", s.name), s.text, s.text);
        }
    }
    let scripts = SCRIPTS.iter().map(|(name, text)| (format!("scripts/{name}"), *text));
    for (path, text) in STDLIB.iter().map(|(path, text)| (path.to_string(), *text)).chain(scripts) {
        let title = header(text).first().copied().unwrap_or_default();
        if all_in(&path) || all_in(title) {
            then.push(row(&path, title));
        } else if let Some(line) = text.lines().find(|line| all_in(line)) {
            then.push(row(&path, line.trim().trim_start_matches(['/', '!']).trim()));
        }
    }
    first.extend(then);
    first
}

/// The sentence that the words stand in, or the first.
fn sentence(text: &str, all_in: &dyn Fn(&str) -> bool) -> String {
    text.split_inclusive(". ").find(|s| all_in(s)).map_or_else(|| summary(text), |s| s.trim().to_string())
}
