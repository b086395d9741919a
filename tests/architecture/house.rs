//! The house as a drawing: an arrow from each file to the files whose names it uses; circles, floors, and arrows that run back up.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// The files of the crate and the arrows between them. Code for tests is left out.
pub struct House {
    /// Lines by path.
    lines: BTreeMap<String, usize>,
    arrows: BTreeSet<(String, String)>,
}

/// A path of names, as `use` and expressions have it; with the name that it is re-exported as, if it is.
struct Named {
    path: Vec<String>,
    exported: Option<String>,
}

impl House {
    /// Of these files.
    pub fn new(sources: Vec<Source>) -> Self {
        let sources: Vec<Source> = sources.into_iter().filter(|s| !s.path.ends_with("tests.rs")).collect();
        let lines = sources.iter().map(|s| (s.path.clone(), s.text.lines().count())).collect();
        let modules: BTreeMap<Vec<String>, usize> =
            (0..sources.len()).map(|i| (module_of(&sources[i].path), i)).collect();
        let named: Vec<Vec<Named>> = sources.iter().map(|source| names(source, &modules)).collect();
        let mut arrows = BTreeSet::new();
        for (i, source) in sources.iter().enumerate() {
            for found in named[i].iter().filter_map(|name| place(&name.path, &modules, &named, 0)) {
                if found != i {
                    arrows.insert((source.path.clone(), sources[found].path.clone()));
                }
            }
        }
        House { lines, arrows }
    }

    /// From, and to.
    pub fn arrows(&self) -> Vec<(&str, &str)> {
        self.arrows.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect()
    }

    /// Files that use each other, in a circle or in several that touch.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let files: Vec<&str> = self.lines.keys().map(String::as_str).collect();
        circles(&files, &self.arrows())
    }

    /// A table: all files; the modules of the crate; the rooms of the host.
    pub fn numbers(&self) -> String {
        let lines: usize = self.lines.values().sum();
        let mut table = format!("{lines} lines in {} files\n", self.lines.len());
        table +=
            &format!("{:24} {:>6} {:>7} {:>12} {:>7} {:>8}\n", "", "boxes", "arrows", "circles", "floors", "back up");
        let within = |path: &str, folder: &str| -> Option<String> {
            let rest = path.strip_prefix(folder)?;
            let name = rest.split('/').next().unwrap_or(rest).trim_end_matches(".rs");
            (!["lib", "main", "mod"].contains(&name)).then(|| name.to_string())
        };
        table += &row("files", self.lines.keys().cloned().collect(), self.arrows.clone());
        for (name, folder) in [("modules of the crate", "src/"), ("rooms of the host", "src/host/")] {
            let boxes = self.lines.keys().filter_map(|path| within(path, folder)).collect();
            let arrows = self.arrows.iter().filter_map(|(from, to)| Some((within(from, folder)?, within(to, folder)?)));
            table += &row(name, boxes, arrows.filter(|(from, to)| from != to).collect());
        }
        table += "files that know each other:\n";
        for circle in self.circles() {
            table += &format!("  {}\n", circle.join(" "));
        }
        table
    }
}

fn row(name: &str, boxes: BTreeSet<String>, arrows: BTreeSet<(String, String)>) -> String {
    let boxes: Vec<&str> = boxes.iter().map(String::as_str).collect();
    let arrows: Vec<(&str, &str)> = arrows.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let sizes: Vec<String> = circles(&boxes, &arrows).iter().map(|c| c.len().to_string()).collect();
    let circles = if sizes.is_empty() { "none".into() } else { format!("{} ({})", sizes.len(), sizes.join(" ")) };
    let up = back_up(&boxes, &arrows);
    let down: Vec<(&str, &str)> = arrows.iter().copied().filter(|arrow| !up.contains(arrow)).collect();
    format!(
        "{name:24} {:>6} {:>7} {circles:>12} {:>7} {:>8}\n",
        boxes.len(),
        arrows.len(),
        floors(&boxes, &down),
        up.len()
    )
}

/// All that can be come to from each box.
fn circles<'a>(boxes: &[&'a str], arrows: &[(&'a str, &'a str)]) -> Vec<Vec<&'a str>> {
    let reached = |from: &'a str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(at) = open.pop() {
            open.extend(arrows.iter().filter(|(a, _)| *a == at).map(|(_, b)| *b).filter(|b| seen.insert(*b)));
        }
        seen
    };
    let all: BTreeMap<&str, BTreeSet<&str>> = boxes.iter().map(|b| (*b, reached(b))).collect();
    let mut found: Vec<Vec<&str>> = Vec::new();
    for at in boxes.iter().filter(|b| all[*b].contains(*b)) {
        if !found.iter().any(|circle| circle.contains(at)) {
            found.push(boxes.iter().copied().filter(|b| all[at].contains(b) && all[b].contains(at)).collect());
        }
    }
    found
}

/// The arrows that lead back to where one comes from, walking depth first in the order of names.
fn back_up<'a>(boxes: &[&'a str], arrows: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    fn walk<'a>(
        at: &'a str,
        arrows: &[(&'a str, &'a str)],
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
        up: &mut Vec<(&'a str, &'a str)>,
    ) {
        way.push(at);
        for (from, to) in arrows.iter().filter(|(from, _)| *from == at) {
            if way.contains(to) {
                up.push((from, to));
            } else if !done.contains(to) {
                walk(to, arrows, way, done, up);
            }
        }
        way.pop();
        done.insert(at);
    }
    let (mut done, mut up) = (BTreeSet::new(), Vec::new());
    for at in boxes {
        if !done.contains(at) {
            walk(at, arrows, &mut Vec::new(), &mut done, &mut up);
        }
    }
    up
}

/// The longest way down, in boxes.
fn floors(boxes: &[&str], arrows: &[(&str, &str)]) -> usize {
    let mut floor: BTreeMap<&str, usize> = boxes.iter().map(|b| (*b, 1)).collect();
    for _ in boxes {
        for (from, to) in arrows {
            floor.insert(from, floor[from].max(floor[to] + 1));
        }
    }
    floor.into_values().max().unwrap_or_default()
}

/// `src/host/run/epochs.rs` is `host::run::epochs`, `src/host/run/mod.rs` is `host::run`.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Vec<String> = inner.split('/').map(String::from).collect();
    if parts.last().is_some_and(|last| ["mod", "lib"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// The paths that a file names, from the root of the crate.
fn names(source: &Source, modules: &BTreeMap<Vec<String>, usize>) -> Vec<Named> {
    let code = source.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let tokens = Source { text: code.into(), path: String::new(), module: String::new() }.tokens();
    let own = module_of(&source.path);
    let (mut found, mut i) = (Vec::new(), 0);
    while i < tokens.len() {
        let import = tokens[i] == "use";
        let export = import && i > 0 && (tokens[i - 1] == "pub" || tokens[i - 1] == ")");
        let start = if import { i + 1 } else { i };
        let first = tokens.get(start).map_or("", String::as_str);
        let inner = || [own.clone(), vec![first.to_string()]].concat();
        let base = match first {
            "crate" | "isdarts_host" => Some(vec![]),
            "self" => Some(own.clone()),
            "super" => Some(own[..own.len().saturating_sub(1)].to_vec()),
            _ if import && modules.contains_key(&inner()) => Some(inner()),
            _ => None,
        };
        // `pub(in crate::host)` uses nothing.
        let visibility = start > 1 && tokens[start - 1] == "in" && tokens[start - 2] == "(";
        i = start + 1;
        if let Some(base) = base.filter(|_| !visibility && tokens.get(i).is_some_and(|t| t == ":")) {
            i = tree(&tokens, i, base, export, &mut found);
        }
    }
    found
}

/// Reads what follows a path: `::name`, `::{...}`, `::super`, `as name`; where it ends.
fn tree(tokens: &[String], mut i: usize, mut path: Vec<String>, export: bool, found: &mut Vec<Named>) -> usize {
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    while at(i) == ":" && at(i + 1) == ":" {
        i += 2;
        match at(i) {
            "{" => {
                while at(i) != "}" {
                    i += 1;
                    let named = |c: &str| c.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                    if named(at(i)) {
                        let inner =
                            if at(i) == "self" { path.clone() } else { [path.clone(), vec![at(i).into()]].concat() };
                        i = tree(tokens, i + 1, inner, export, found);
                    }
                    if at(i).is_empty() {
                        return i;
                    }
                }
                return i + 1;
            }
            "super" => drop(path.pop()),
            name => path.push(name.to_string()),
        }
        i += 1;
    }
    let alias = if at(i) == "as" { Some(at(i + 1).to_string()) } else { path.last().cloned() };
    found.push(Named { path, exported: alias.filter(|_| export) });
    i
}

/// The file where a path ends: that of the deepest module in it, or of what that module re-exports under the next name.
fn place(path: &[String], modules: &BTreeMap<Vec<String>, usize>, named: &[Vec<Named>], depth: usize) -> Option<usize> {
    let (length, file) = (0..=path.len()).rev().find_map(|n| modules.get(&path[..n]).map(|file| (n, *file)))?;
    let Some(next) = path.get(length) else { return Some(file) };
    let exported = named[file].iter().find(|n| n.exported.as_ref() == Some(next));
    match exported.filter(|_| depth < 8) {
        Some(target) => place(&[&target.path[..], &path[length + 1..]].concat(), modules, named, depth + 1),
        None => Some(file),
    }
}
