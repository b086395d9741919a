//! What the documents say of files: links and paths lead somewhere, and README's table of methods is that of the sources.

use super::none_of;
use super::source::{files, root};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAPERS: [&str; 10] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/reference.md",
    "docs/strategies.md",
    "docs/sweeps.md",
    "docs/tour.md",
    "tests/methods/README.md",
    "tests/peer/README.md",
];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Targets of links in Markdown, those on the web left out.
fn links(text: &str) -> Vec<&str> {
    let behind = text.split("](").skip(1).chain(text.split("src=\"").skip(1));
    let target = |rest: &'_ str| rest.split([')', '"', '\n']).next().map(str::len);
    behind.filter_map(|rest| Some(&rest[..target(rest)?])).filter(|link| !link.starts_with("http")).collect()
}

/// The heading of a link's `#...`, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Paths of sources in backticks; `NAME` stands for any.
fn sources(text: &str) -> BTreeSet<&str> {
    let is_path = |word: &&str| {
        let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "_./-".contains(c));
        plain && [".rs", ".py", ".rhai"].iter().any(|end| word.ends_with(end)) && !word.contains("NAME")
    };
    text.split('`').filter(is_path).collect()
}

#[test]
fn every_link_leads_to_a_file_and_its_heading() {
    let mut faults = Vec::new();
    for paper in PAPERS {
        for link in links(&read(paper)) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { root().join(paper) } else { root().join(paper).with_file_name(path) };
            let text = if heading.is_empty() { String::new() } else { fs::read_to_string(&target).unwrap_or_default() };
            let found = heading.is_empty() || text.lines().any(|l| l.starts_with('#') && anchor(l) == heading);
            if !target.exists() || !found {
                faults.push(format!("{paper}: the link {link} leads nowhere"));
            }
        }
    }
    none_of(faults);
}

#[test]
fn every_source_that_the_map_names_is_there() {
    let all: Vec<String> = ["src", "tests", "benches", "examples", "stdlib", "scripts"]
        .into_iter()
        .flat_map(|folder| [".rs", ".py", ".rhai"].map(|end| files(folder, end)))
        .flatten()
        .map(|source| source.path)
        .collect();
    let mut faults = Vec::new();
    for paper in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(paper);
        let named = sources(&text);
        assert!(named.len() > 20, "{paper}: only {} paths found", named.len());
        for path in named {
            let bare = !path.contains('/') && all.iter().any(|p| Path::new(p).file_name().is_some_and(|n| n == path));
            if !bare && !all.iter().any(|p| p == path || p.strip_prefix("src/") == Some(path)) {
                faults.push(format!("{paper}: there is no {path}"));
            }
        }
    }
    none_of(faults);
}

#[test]
fn readmes_table_of_methods_has_their_lines_and_the_spaces_of_their_cases() {
    let readme = read("README.md");
    let cases = fs::read_dir(root().join("tests/methods/cases")).unwrap();
    let cases: Vec<String> = cases.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let methods: BTreeSet<&str> = cases.iter().map(|name| name.split('-').next().unwrap()).collect();
    assert!(methods.len() >= 12, "{methods:?}");
    let row = |method: &str| {
        let spaces = [("NAS-Bench-201", "nas-bench-201"), ("DARTS", "darts"), ("S1", "s1"), ("S2", "s2")];
        let spaces = spaces.into_iter().chain([("S3", "s3"), ("S4", "s4")]);
        let pinned = spaces.filter(|(_, s)| cases.iter().any(|c| c.starts_with(&format!("{method}-{s}-"))));
        let pinned: Vec<&str> = pinned.map(|(name, _)| name).collect();
        let path = format!("stdlib/nas/{method}.rhai");
        let lines = read(&path).lines().count();
        format!("| [{method}]({path}) | {lines} | {} |", pinned.join(", "))
    };
    let missing = methods.into_iter().map(row).filter(|row| !readme.contains(row.as_str()));
    none_of(missing.map(|row| format!("README.md: no row of a method ends in {row}")).collect());
}

/// Words like `ISDARTS_DATA` in a text.
fn variables(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    words
        .filter(|w| ["ISDARTS_", "UPDATE_"].iter().any(|begin| w.starts_with(begin) && w.len() > begin.len()))
        .collect()
}

#[test]
fn every_variable_of_the_environment_is_in_the_reference() {
    let reference = read("docs/reference.md");
    let known = variables(&reference);
    let sources: Vec<_> =
        ["src", "tests", "benches"].iter().flat_map(|f| [".rs", ".py"].map(|end| files(f, end))).collect();
    let used: BTreeSet<&str> = sources.iter().flatten().flat_map(|source| variables(&source.text)).collect();
    assert!(used.len() > 8, "{used:?}");
    let unknown = used.difference(&known).map(|name| format!("docs/reference.md does not have {name}"));
    none_of(unknown.collect());
}

#[test]
fn the_reader_of_documents_sees_links_headings_and_paths() {
    let text =
        "[a](b.md#c-d) [w](https://x.y/z.md) <img src=\"e.svg\"> `net/f.rs` `x = y.rs` `ops/NAME.rs` ![g](h/i.svg)";
    assert_eq!(links(text), ["b.md#c-d", "h/i.svg", "e.svg"]);
    assert_eq!(
        variables("`ISDARTS_DATA=x` ISDARTS_ UPDATE_ONNX $NO").into_iter().collect::<Vec<_>>(),
        ["ISDARTS_DATA", "UPDATE_ONNX"]
    );
    assert_eq!(anchor("## How to add ... (two)"), "how-to-add--two");
    assert_eq!(sources(text).into_iter().collect::<Vec<_>>(), ["net/f.rs"]);
}
