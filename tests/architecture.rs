//! The invariants of the house, held by reading the sources: which layer may use which, where rhai, tensors, the terminal
//! and `unsafe` may appear, and how long a file may be.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "architecture/house.rs"]
mod house;
#[path = "architecture/papers.rs"]
mod papers;
#[path = "architecture/source.rs"]
mod source;

use house::House;
use source::{Source, files, root};

/// What each module of the crate may use of the others. `main.rs` with its `cli` and `lib.rs` may use everything.
const LAYERS: [(&str, &[&str]); 15] = [
    ("error", &[]),
    ("files", &["error"]),
    ("fit", &[]),
    ("streams", &["error", "fit"]),
    ("interrupt", &["error"]),
    ("memory", &["error"]),
    ("processes", &["error", "interrupt"]),
    ("space", &["error"]),
    ("ops", &["error", "files", "interrupt"]),
    ("net", &["error", "files", "interrupt", "memory", "space", "ops"]),
    ("data", &["error", "files", "streams", "interrupt", "memory", "space"]),
    ("search", &["error", "files", "streams", "interrupt", "memory", "space", "ops", "net", "data"]),
    (
        "host",
        &[
            "error",
            "files",
            "fit",
            "streams",
            "interrupt",
            "memory",
            "processes",
            "space",
            "ops",
            "net",
            "data",
            "search",
        ],
    ),
    ("sweep", &["error", "files", "fit", "interrupt", "processes", "space", "data", "search", "host"]),
    ("repl", &["error", "files", "streams", "interrupt", "memory", "space", "ops", "net", "data", "search", "host"]),
];

/// The rooms of `host` from the ground up, and what each may use of the others: only what stands above it in this table, so
/// that there is no circle. `host/mod.rs` may use all, and nothing there uses it.
const ROOMS: [(&str, &[&str]); 9] = [
    ("script", &[]),
    ("show", &[]),
    ("run", &["script", "show"]),
    ("handles", &["script", "show", "run"]),
    ("docs", &["script", "run"]),
    ("chapters", &["script", "show", "run", "handles", "docs"]),
    ("check", &["script", "run"]),
    ("session", &["script", "show", "run", "handles", "docs", "chapters", "check"]),
    ("complete", &["script", "run", "docs", "check", "session"]),
];

/// Words of the code (not of comments or texts; `!` means the macro) and the modules they may stand in.
const RESERVED: [(&[&str], &[&str]); 7] = [
    (&["rhai"], &["host", "lib"]),
    (&["candle_core", "candle_nn"], &["error", "ops", "net", "data", "search", "host", "cli", "main", "lib"]),
    (&["rustyline", "clap", "ctrlc"], &["repl", "cli", "main"]),
    // Those of child processes are no terminal.
    (&["stdin"], &["processes", "repl", "cli", "main"]),
    // They panic where nobody reads, and pass on what a terminal obeys: `streams` does neither.
    (&["println!", "eprintln!", "print!", "eprint!", "dbg!"], &[]),
    (&["stdout", "stderr"], &["processes", "streams", "repl", "cli"]),
    (&["unsafe"], &["ops"]),
];

/// Files over [`LONG`] lines, each with its reason.
const LONG: usize = 400;
const LONG_FILES: [(&str, &str); 4] = [
    ("src/net/engine/backward.rs", "one pass, its blocks and what each leaves for the next"),
    ("src/ops/conv/winograd.rs", "one algorithm: its transforms, forward and both backward passes share a tile layout"),
    ("src/ops/depthwise/mod.rs", "one contract: depthwise and 1x1 products, both ways, share frames and scratch"),
    ("src/space/literature.rs", "one table: the cells of papers"),
];

/// Strategies are read beside the algorithm box of a paper.
const STRATEGY_LINES: usize = 60;

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
fn every_room_of_the_host_uses_only_the_rooms_below_it() {
    let mut faults = Vec::new();
    for (i, (room, allowed)) in ROOMS.iter().enumerate() {
        let below: Vec<&str> = ROOMS[..i].iter().map(|(room, _)| *room).collect();
        let above = allowed.iter().filter(|a| !below.contains(a));
        faults.extend(above.map(|a| format!("the table lets {room} use {a}, which does not stand above it")));
    }
    let house = House::new(files("src", ".rs"));
    let room = |path: &str| match path.strip_prefix("src/host/")?.split_once('/') {
        Some((room, _)) => Some(room.to_string()),
        None => Some("host".to_string()),
    };
    for (from, to) in house.arrows() {
        let (Some(own), Some(used)) = (room(from), room(to)) else { continue };
        let allowed = ROOMS.iter().find(|(room, _)| *room == own).map(|(_, allowed)| *allowed);
        match allowed {
            _ if own == used || own == "host" => {}
            None => faults.push(format!("{from}: the room {own} is not in the table of rooms")),
            Some(allowed) if allowed.contains(&used.as_str()) => {}
            Some(allowed) => faults.push(format!("{from} uses {to}, but {own} may use only {allowed:?}")),
        }
    }
    let pictures =
        files("src/host/show", ".rs").into_iter().filter(|source| source.tokens().iter().any(|t| t == "rhai"));
    faults.extend(pictures.map(|source| format!("{} names rhai: what looks is to know no script", source.path)));
    let circles = house.circles().into_iter().filter(|files| files.iter().any(|file| file.starts_with("src/host/")));
    faults.extend(circles.map(|files| format!("a circle: {}", files.join(", "))));
    none_of(faults);
}

/// `cargo test --release --test architecture numbers -- --nocapture` shows them.
#[test]
fn the_house_in_numbers() {
    let house = House::new(files("src", ".rs"));
    println!("{}", house.numbers());
    assert!(house.arrows().len() > 500, "the test reads no arrows");
}

#[test]
fn the_reader_of_paths_follows_them_to_the_file_where_a_name_is() {
    let source = |path: &str, text: &str| Source { path: path.into(), module: String::new(), text: text.into() };
    let house = House::new(vec![
        source("src/lib.rs", "pub mod a; pub use a::b::Deep; pub mod c;"),
        source(
            "src/a/mod.rs",
            "pub mod b; pub use b::{Deep, other as Other}; pub struct Own; pub(in crate::c) fn f() {}",
        ),
        source("src/a/b.rs", "use super::Own; pub struct Deep; #[cfg(test)]\nmod tests { use crate::c::Late; }"),
        source("src/c.rs", "use crate::a::{Other, Own}; fn f() { crate::Deep; } // crate::d\nuse std::fs;"),
    ]);
    let mut arrows = house.arrows();
    arrows.sort();
    let expected = [
        ("src/a/b.rs", "src/a/mod.rs"),
        ("src/a/mod.rs", "src/a/b.rs"),
        ("src/c.rs", "src/a/b.rs"),
        ("src/c.rs", "src/a/mod.rs"),
        ("src/lib.rs", "src/a/b.rs"),
    ];
    assert_eq!(arrows, expected);
    assert_eq!(house.circles(), [["src/a/b.rs", "src/a/mod.rs"]]);
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
    let mut faults = Vec::new();
    for source in sources {
        if !source.text.starts_with("//! ") {
            faults.push(format!("{} does not start with `//! ` and what it holds", source.path));
        }
        // What a file may use stands in the tables above, where it is held.
        if source.text.lines().take_while(|line| line.starts_with("//!")).any(|line| line.contains("May use")) {
            faults.push(format!("{} says by hand what it may use", source.path));
        }
    }
    none_of(faults);
}

/// What an `unsafe fn` asks of its caller is said above it; the functions of an `impl Trait for` have the trait's word.
#[test]
fn every_unsafe_function_says_what_it_asks_of_its_caller() {
    let silent = |source: &Source| -> Vec<String> {
        let lines: Vec<&str> = source.text.lines().collect();
        let of_trait = |i: usize| {
            let block =
                lines[..i].iter().rev().find(|l| ["impl", "trait "].iter().any(|w| l.trim_start().starts_with(w)));
            let indented = lines[i].starts_with(' ');
            indented && block.is_some_and(|l| l.contains(" for "))
        };
        let said = |i: usize| {
            let above = lines[..i].iter().rev().map(|l| l.trim_start());
            above.take_while(|l| l.starts_with("///") || l.starts_with("#[")).any(|l| l.starts_with("/// # Safety"))
        };
        let declares = |i: &usize| lines[*i].contains("unsafe fn ") && !lines[*i].trim_start().starts_with("//");
        let silent = (0..lines.len()).filter(declares).filter(|i| !of_trait(*i) && !said(*i));
        silent.map(|i| format!("{}:{}: an unsafe fn without `# Safety`", source.path, i + 1)).collect()
    };
    let text = "impl A for B {\n    unsafe fn one() {}\n}\n/// # Safety\n#[inline]\nunsafe fn two() {}\nunsafe fn three() {}\n";
    let example = Source { path: "x".into(), module: "ops".into(), text: text.into() };
    assert_eq!(silent(&example), ["x:7: an unsafe fn without `# Safety`"]);
    none_of(files("src", ".rs").iter().flat_map(silent).collect());
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
