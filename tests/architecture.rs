//! The invariants of the house, held by reading the sources: which layer may use which, where rhai, tensors, the terminal
//! and `unsafe` may appear, and how long a file may be.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// What each module of the crate may use of the others. `main.rs` with its `cli` and `lib.rs` may use everything.
const LAYERS: [(&str, &[&str]); 12] = [
    ("error", &[]),
    ("files", &["error"]),
    ("streams", &["error"]),
    ("interrupt", &["error"]),
    ("memory", &["error"]),
    ("space", &["error"]),
    ("ops", &["error", "interrupt"]),
    ("net", &["error", "files", "interrupt", "memory", "space", "ops"]),
    ("data", &["error", "files", "streams", "interrupt", "memory", "space"]),
    ("search", &["error", "files", "streams", "interrupt", "memory", "space", "ops", "net", "data"]),
    ("host", &["error", "files", "streams", "interrupt", "memory", "space", "ops", "net", "data", "search"]),
    ("repl", &["error", "files", "streams", "interrupt", "memory", "space", "ops", "net", "data", "search", "host"]),
];

/// Words of the code (not of comments or texts; `!` means the macro) and the modules they may stand in.
const RESERVED: [(&[&str], &[&str]); 6] = [
    (&["rhai"], &["host"]),
    (&["candle_core", "candle_nn"], &["error", "ops", "net", "data", "search", "host", "cli", "main"]),
    (&["rustyline", "clap", "ctrlc", "stdin"], &["repl", "cli", "main"]),
    // They panic where nobody reads, and pass on what a terminal obeys: `streams` does neither.
    (&["println!", "eprintln!", "print!", "eprint!", "dbg!"], &[]),
    (&["stdout", "stderr"], &["streams", "repl", "cli"]),
    (&["unsafe"], &["ops"]),
];

/// Files over [`LONG`] lines, each with its reason.
const LONG: usize = 400;
const LONG_FILES: [(&str, &str); 6] = [
    ("src/net/program.rs", "one form of a network: its parts, and how it is built"),
    ("src/search/learner.rs", "one learner: its passes, steps and state share what is drawn and checked"),
    ("src/net/engine/backward.rs", "one pass, its blocks and what each leaves for the next"),
    ("src/ops/conv/winograd.rs", "one algorithm: its transforms, forward and both backward passes share a tile layout"),
    ("src/ops/depthwise/mod.rs", "one contract: depthwise and 1x1 products, both ways, share frames and scratch"),
    ("src/ops/simd.rs", "one trait and its four instruction sets, side by side so that they are compared"),
];

/// Strategies are read beside the algorithm box of a paper.
const STRATEGY_LINES: usize = 60;

struct Source {
    /// Path from the root of the package.
    path: String,
    /// `space` for all below `src/space`; `main` for `src/main.rs`.
    module: String,
    text: String,
}

impl Source {
    /// The tokens of its code: words, and other characters one by one.
    fn tokens(&self) -> Vec<String> {
        let (mut tokens, mut word) = (Vec::new(), String::new());
        for c in code_of(&self.text).chars() {
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
        }
        tokens
    }

    /// The modules of the crate that it names: `crate::x`, `crate::{x, y::z}`, or `super::x` where that is no neighbour.
    fn uses(&self) -> Vec<String> {
        let tokens = self.tokens();
        let mut used = Vec::new();
        for (i, start) in tokens.windows(3).enumerate() {
            let is_crate = matches!(start[0].as_str(), "crate" | "isdarts_host");
            if start[1..] != [":", ":"] || !(is_crate || start[0] == "super") {
                continue;
            }
            let names = first_names(&tokens[i + 3..]);
            used.extend(names.into_iter().filter(|n| is_crate || !self.has_submodule(n)));
        }
        used
    }

    fn has_submodule(&self, name: &str) -> bool {
        let folder = root().join("src").join(&self.module);
        folder.join(format!("{name}.rs")).exists() || folder.join(name).is_dir()
    }
}

/// The names a path goes on with: `a::b` -> a; `{a, b::{c, d}}` -> a, b.
fn first_names(tokens: &[String]) -> Vec<String> {
    if tokens.first().is_none_or(|t| t != "{") {
        return tokens.first().cloned().into_iter().collect();
    }
    let (mut names, mut depth) = (Vec::new(), 0);
    for pair in tokens.windows(2) {
        match pair[0].as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        match depth {
            0 => break,
            1 if pair[0] == "{" || pair[0] == "," => names.push(pair[1].clone()),
            _ => {}
        }
    }
    names
}

/// The code without comments, texts and characters.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let starts = |i: usize, s: &str| s.chars().enumerate().all(|(k, c)| at(i + k) == c);
    let find = |from: usize, s: &str| (from..chars.len()).find(|i| starts(*i, s)).map_or(chars.len(), |i| i + s.len());
    let (mut code, mut i) = (String::new(), 0);
    while i < chars.len() {
        let in_word = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        let hashes = (i + 1..).take_while(|k| at(*k) == '#').count();
        if starts(i, "//") {
            i = find(i, "\n");
            code.push('\n');
        } else if starts(i, "/*") {
            i = find(i + 2, "*/");
        } else if at(i) == 'r' && !in_word && at(i + 1 + hashes) == '"' {
            i = find(i + 2 + hashes, &format!("\"{}", "#".repeat(hashes)));
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && at(i + 1) == '\\' {
            i = find(i + 3, "'");
        } else if at(i) == '\'' && at(i + 2) == '\'' {
            i += 3;
        } else {
            code.push(at(i));
            i += 1;
        }
    }
    code
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the package whose name ends so.
fn files(folder: &str, ending: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        let module = path.split('/').nth(1).unwrap().trim_end_matches(".rs").to_string();
        Source { path, module, text }
    };
    found.into_iter().map(source).collect()
}

fn rust_files() -> Vec<Source> {
    let sources: Vec<Source> = ["src", "tests", "benches"].iter().flat_map(|folder| files(folder, ".rs")).collect();
    assert!(sources.len() > 30, "only {} files found: is the test looking in the right place?", sources.len());
    sources
}

fn none_of(faults: Vec<String>) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn every_layer_uses_only_the_layers_below_it() {
    let mut faults = Vec::new();
    for source in files("src", ".rs") {
        if ["main", "cli", "lib"].contains(&source.module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(module, _)| *module == source.module) else {
            faults.push(format!("{}: the module {} is not in the table of layers", source.path, source.module));
            continue;
        };
        let ours = |name: &str| LAYERS.iter().any(|(module, _)| *module == name);
        for used in source.uses().iter().filter(|u| ours(u) && **u != source.module) {
            if !allowed.contains(&used.as_str()) {
                faults.push(format!(
                    "{} uses crate::{used}, but {} may use only {allowed:?}",
                    source.path, source.module
                ));
            }
        }
    }
    none_of(faults);
}

#[test]
fn rhai_tensors_the_terminal_and_unsafe_stay_in_their_places() {
    let mut faults = Vec::new();
    for source in files("src", ".rs") {
        let tokens = source.tokens();
        for (words, modules) in RESERVED.iter().filter(|(_, modules)| !modules.contains(&source.module.as_str())) {
            let said = |word: &str| match word.strip_suffix('!') {
                Some(name) => tokens.windows(2).any(|pair| pair[0] == name && pair[1] == "!"),
                None => tokens.iter().any(|t| t == word),
            };
            for word in words.iter().filter(|word| said(word)) {
                faults.push(format!("{} says `{word}`, which belongs in {modules:?}", source.path));
            }
        }
    }
    none_of(faults);
}

#[test]
fn every_file_says_first_what_it_holds() {
    let sources = rust_files().into_iter().chain(files("stdlib", ".rhai")).chain(files("scripts", ".rhai"));
    let silent = sources.filter(|s| !s.text.starts_with("//! "));
    none_of(silent.map(|s| format!("{} does not start with `//! ` and what it holds", s.path)).collect());
}

#[test]
fn a_file_over_400_lines_has_a_reason() {
    let mut faults = Vec::new();
    for source in rust_files() {
        let lines = source.text.lines().count();
        let listed = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        if lines > LONG && !listed {
            faults.push(format!("{}: {lines} lines; split it, or list it with a reason", source.path));
        }
    }
    let missing = LONG_FILES.iter().filter(|(path, reason)| !root().join(path).exists() || reason.is_empty());
    faults.extend(missing.map(|(path, _)| format!("{path}: listed, but without a file or a reason")));
    none_of(faults);
}

#[test]
fn a_strategy_is_at_most_sixty_lines() {
    let strategies = files("stdlib/nas", ".rhai");
    for name in ["is_darts", "i_darts", "s_darts", "darts", "random"] {
        let path = format!("stdlib/nas/{name}.rhai");
        assert!(strategies.iter().any(|s| s.path == path), "{path} is missing");
    }
    let long = strategies.into_iter().map(|s| (s.path, s.text.lines().count())).filter(|(_, n)| *n > STRATEGY_LINES);
    none_of(long.map(|(path, n)| format!("{path}: {n} lines")).collect());
}

#[test]
fn the_reader_of_sources_sees_code_and_not_comments_or_texts() {
    let text = "use crate::{net, space::{Mask, ops}}; // unsafe\n/* rhai */ let c = '\"'; let s = \"rhai \\\" rhai\"; \
                let r = r#\"unsafe \" rhai\"#; fn f<'a>(x: &'a str) { super::data::g('\\'') }";
    let source = Source { path: String::new(), module: "nowhere".into(), text: text.into() };
    assert_eq!(source.uses(), ["net", "space", "data"]);
    let tokens = source.tokens();
    assert!(!tokens.iter().any(|t| t == "rhai" || t == "unsafe"), "{tokens:?}");
    assert!(tokens.iter().any(|t| t == "str"));
}
