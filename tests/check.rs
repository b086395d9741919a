//! `check`: what it finds, that it finds nothing where nothing is wrong, and how much of what is wrong it finds.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "check/mutants.rs"]
mod mutants;

use isdarts_host::host::{self, STDLIB, Severity};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What is found, one line each, without the source.
fn found(text: &str, path: &Path) -> Vec<String> {
    let findings = host::check(text, path).unwrap();
    let warning = |severity| if severity == Severity::Warning { "warning: " } else { "" };
    findings.iter().map(|f| format!("{}:{}: {}{}", f.line, f.column, warning(f.severity), f.text)).collect()
}

/// The shipped scripts: path, or what stands for it, and text.
fn shipped() -> Vec<(PathBuf, String)> {
    let mut all: Vec<(PathBuf, String)> = Vec::new();
    for folder in ["scripts", "stdlib/nas", "docs", "examples"] {
        let files = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let scripts = files.filter(|path| path.extension().is_some_and(|e| e == "rhai"));
        all.extend(scripts.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())));
    }
    all.sort();
    all
}

/// The examples of the manual.
fn examples() -> Vec<(PathBuf, String)> {
    let docs = host::manual().unwrap().into_iter().map(|doc| (PathBuf::from(doc.name), doc.example()));
    let header = |text: &str| {
        let lines = text.lines().map_while(|l| l.strip_prefix("//!")).map(|l| l.strip_prefix(' ').unwrap_or(l));
        let header = lines.collect::<Vec<_>>().join("\n");
        header.split("```rhai\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap().to_string()
    };
    docs.chain(STDLIB.iter().map(|(path, text)| (PathBuf::from(path), header(text)))).collect()
}

fn scripts_of_tests() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for folder in ["tests/scripts", "tests/scripts/beside", "tests/methods"] {
        let files = std::fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let scripts = files.filter(|path| path.extension().is_some_and(|e| e == "rhai"));
        all.extend(scripts.map(|path| (path.clone(), std::fs::read_to_string(&path).unwrap())));
    }
    all
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let all: Vec<_> = shipped().into_iter().chain(examples()).chain(scripts_of_tests()).collect();
    assert!(all.len() > 150, "{}", all.len());
    // What a resumed run forgets is told truly, of examples and tests that nobody resumes, too.
    let resumed = ["scripts", "stdlib"].map(|folder| root().join(folder));
    let forgotten =
        |path: &Path, f: &str| !resumed.iter().any(|own| path.starts_with(own)) && f.contains("a resumed run");
    let alarms: Vec<String> = all
        .iter()
        .flat_map(|(path, text)| found(text, path).into_iter().map(move |f| (path, f)))
        .filter(|(path, f)| !forgotten(path, f))
        .map(|(path, f)| format!("{}:{f}", path.display()))
        .collect();
    assert!(alarms.is_empty(), "{} alarms:\n{}", alarms.len(), alarms.join("\n"));
}

/// Shares found, in percent, a little under what is measured on the fifth of the mistakes that is tried.
const FLOORS: [(&str, usize); 10] = [
    ("variable misspelt", 97),
    ("function misspelt", 97),
    ("function of a module misspelt", 97),
    ("module misspelt", 97),
    ("method misspelt", 97),
    ("property misspelt", 91),
    ("setting misspelt", 62),
    ("key of its own misspelt", 27),
    ("argument dropped", 81),
    ("argument added", 86),
];

/// `ISDARTS_MUTANTS=1 cargo test --release --test check mistakes -- --nocapture` prints what is not found.
#[test]
fn mistakes_of_a_letter_or_an_argument_are_found() {
    let settings: Vec<String> = host::settings_names();
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let all = std::env::var_os("ISDARTS_MUTANTS").is_some();
    let mut counts = BTreeMap::<&str, (usize, usize)>::new();
    for (path, text) in shipped().into_iter().chain(examples()) {
        for mutant in mutants::mutants(&text, &settings) {
            // A part of them is enough for a test: by what they are, so that a new script does not deal all others anew.
            let name = path.file_name().unwrap_or_default();
            let mut hasher = DefaultHasher::new();
            (name, mutant.kind, &mutant.what).hash(&mut hasher);
            if !all && !hasher.finish().is_multiple_of(5) {
                continue;
            }
            let is_found = !found(&mutant.text, &path).is_empty();
            let count = counts.entry(mutant.kind).or_default();
            count.0 += 1;
            count.1 += usize::from(is_found);
            if all && !is_found {
                println!("{}: {}: {}", mutant.kind, path.file_name().unwrap().display(), mutant.what);
            }
        }
    }
    let (mut of, mut sum) = (0, 0);
    for (kind, (n, found)) in &counts {
        println!("| {kind} | {n} | {found} | {:.0} % |", 100.0 * *found as f64 / *n as f64);
        (of, sum) = (of + n, sum + found);
    }
    println!("| all | {of} | {sum} | {:.1} % |", 100.0 * sum as f64 / of as f64);
    assert!(of >= 300, "{of} mutants");
    for (kind, floor) in FLOORS {
        let (n, found) = counts[kind];
        assert!(found * 100 >= floor * n, "{kind}: {found} of {n} found, expected {floor} %");
    }
}

/// A script and what is found in it.
const FOUND: [(&str, &[&str]); 33] = [
    ("let net = 1; print(nett);", &["1:20: unknown variable `nett`, did you mean `net`?"]),
    (
        "let a = 1; fn f() { a } f();",
        &["1:21: unknown variable `a` (functions do not see the variables outside them: pass what they need)"],
    ),
    ("let list = [1]; list.map(|x| x + lits.len);", &["1:34: unknown variable `lits`, did you mean `list`?"]),
    ("print(`${spce(\"darts\")}`);", &["1:10: unknown function `spce(string)`, did you mean `space`?"]),
    ("space();", &["1:1: space: got (), expected space(name) -> Space"]),
    ("fn f(x) { x } f(1, 2);", &["1:15: f: got 2 arguments, expected f(x)"]),
    ("let f = |x| x; f(1);", &["1:16: `f` is a variable: a closure in it is called by `f.call(...)`"]),
    ("let f = |x| x; f.call(1, 2);", &["1:18: call: got 2 arguments, expected 1, as the closure has"]),
    ("let s = space(\"darts\"); print(s.edgs);", &["1:33: a Space has no property `edgs`, did you mean `edges`?"]),
    ("let s = space(\"darts\"); print(s.nothing_like_it);", &["1:33: a Space has no property `nothing_like_it`"]),
    (
        "let s = space(\"darts\"); for c in s.candidates { print(c.opp); }",
        &["1:57: a Candidate has no property `opp`, did you mean `op`?"],
    ),
    (
        "let s = space(\"darts\"); s.candidates.filter(|c| c.opp == 1);",
        &["1:51: a Candidate has no property `opp`, did you mean `op`?"],
    ),
    (
        "fn f(s) { s.edgs } print(f(space(\"darts\")));",
        &["1:13: a Space has no property `edgs`, did you mean `edges`?"],
    ),
    (
        "let m = #{ s: space(\"darts\") }; print(m.s.edgs); print(m.t);",
        &["1:43: a Space has no property `edgs`, did you mean `edges`?", "1:58: the map has no key `t`: it has s"],
    ),
    (
        "let m = #{ alpha: 1 }; m.beta = 2; print(m.beta + m.alpah);",
        &["1:53: warning: nothing has a property `alpah`, did you mean `alpha`?"],
    ),
    (
        "let net = supernet(\"darts\", #{}); net.mesure_iim(data(), 3);",
        &["1:39: a Supernet has no method `mesure_iim`, did you mean `measure_iim()`?"],
    ),
    (
        "fn f(net) { net.mesure_iim(data(), 3) }",
        &["1:17: nothing has a method `mesure_iim`, did you mean `measure_iim()`?"],
    ),
    ("supernet(\"darts\", #{ chanels: 3 });", &["1:22: unknown setting `chanels`, did you mean `channels`?"]),
    (
        "let cfg = #{ chanels: 3 }; supernet(\"darts\", cfg);",
        &["1:14: unknown setting `chanels`, did you mean `channels`?"],
    ),
    ("supernet(\"darts\", #{ mine: 3 });", &[]),
    ("data(#{ resise: 3 });", &["1:9: data has no option `resise`, did you mean `resize`?"]),
    (
        "let cfg = settings(#{ epcohs: 3 }); print(cfg);",
        &["1:23: warning: nothing takes or reads the setting `epcohs`, did you mean `epochs`?"],
    ),
    (
        "let cfg = settings(#{ mine: 3 }); print(cfg.mien); print(cfg.lr);",
        &["1:45: the map has no key `mien`, did you mean `mine`?"],
    ),
    (
        "import \"nas/is_darts\" as m; m::serch(1, 2, 3);",
        &["1:32: the module `m` has no function `serch`, did you mean `search`?"],
    ),
    (
        "import \"nas/is_darts\" as m; m::search(1, 2);",
        &["1:32: m::search: got 2 arguments, expected search(space, data, cfg)"],
    ),
    (
        "import \"nas/is_dart\" as m; m::search(1, 2);",
        &["1:8: unknown module `nas/is_dart`, did you mean `nas/is_darts`?"],
    ),
    ("import \"nas/random\" as one; on::search(1, 2, 3);", &["1:29: `on` is not imported, did you mean `one`?"]),
    ("fn f() { let x = 1; 2 } f();", &["1:14: warning: `x` is not used (`_x` says that it need not be)"]),
    ("let x = 1; x == 2; print(x);", &["1:14: warning: this value is not used"]),
    (
        "let best = 0; for e in epochs(2) { best = e; }",
        &["1:36: warning: `best` changes in an epochs loop; a resumed run will not know it: keep it in a run_state"],
    ),
    ("let x = ;", &["1:9: syntax error: got `;`, expected an expression, an operator, or the end of the statement"]),
    ("assert(error_of(|| spce(\"darts\")) != \"\"); let g = || spce(1); error_of(g);", &[]),
    (
        "let net = 1; net = supernet(\"darts\", #{}); net.epoch; eval(\"y\");",
        &["1:44: warning: this value is not used"],
    ),
];

#[test]
fn what_is_found_is_named_where_it_stands_with_what_was_meant() {
    let mut faults = Vec::new();
    for (text, expected) in FOUND {
        let found = found(text, Path::new("a.rhai"));
        let alike = found.len() == expected.len() && found.iter().zip(expected).all(|(a, b)| a.starts_with(b));
        if !alike {
            faults.push(format!("{text}\n  found    {found:?}\n  expected {expected:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_run_with_a_mistake_is_not_begun_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("own.rhai"), "fn late(x) {\n    if x > 22 { pritn(x); }\n}\n").unwrap();
    std::fs::write(dir.path().join("a.rhai"), "import \"own\" as own;\nprint(\"begun\");\nown::late(1);\n").unwrap();
    let run = |words: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("isdarts-host").unwrap();
        command.current_dir(dir.path()).args(words).assert()
    };
    let says = "own.rhai:2:17: unknown function `pritn(integer)`, did you mean `print`?\n  2 |     if x > 22 { pritn(x); }\n    |                 ^^^^^\n";
    let stderr = run(&["a.rhai"]).code(1).stdout("").get_output().stderr.clone();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.contains(says) && stderr.contains("nothing was run"), "{stderr}");
    assert_eq!(std::fs::read_dir(dir.path().join("runs")).unwrap().count(), 0);
    let check = run(&["check", "a.rhai"]).code(1).get_output().stdout.clone();
    assert!(String::from_utf8(check).unwrap().contains(says));
    run(&["--unchecked", "a.rhai"]).success().stdout("begun\n");
    std::fs::write(dir.path().join("own.rhai"), "fn late(x) {\n    if x > 22 { print(x); }\n}\n").unwrap();
    run(&["check", "a.rhai", "own.rhai"]).code(0).stdout("");
    run(&["check", "b.rhai"]).code(1);
    run(&["check"]).code(2);
}

#[test]
fn a_run_that_failed_says_how_it_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let script = |last: &str| format!("for e in epochs(3) {{ if e == 2 {{ {last} }} }}\nprint(\"done\");\n");
    std::fs::write(dir.path().join("a.rhai"), script("throw \"oh\";")).unwrap();
    let run = |words: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("isdarts-host").unwrap();
        command.current_dir(dir.path()).args(words).assert()
    };
    let stderr = run(&["a.rhai", "--out", "r"]).code(1).get_output().stderr.clone();
    let hint = "isdarts-host --resume r --accept-changes";
    assert!(String::from_utf8(stderr).unwrap().contains(hint));
    std::fs::write(dir.path().join("a.rhai"), script("")).unwrap();
    run(&["--resume", "r", "--accept-changes"]).success().stdout("done\n");
}

#[test]
fn a_misspelt_set_is_told_before_any_work_and_a_resumed_run_is_looked_over_too() {
    let dir = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let program = env!("CARGO_BIN_EXE_isdarts-host");
        let out = std::process::Command::new(program).current_dir(dir.path()).args(args).output().unwrap();
        (out.status.success(), String::from_utf8(out.stderr).unwrap())
    };
    let script = |rest: &str| {
        let text = format!(
            "let d = data(#{{ limit: 2 }}).train;\n\
             let net = supernet(\"nas-bench-201\", #{{ channels: 2, cells: 1 }});\n\
             for e in epochs(2) {{\n    net.train_epoch(d, #{{ epochs: 2 }});\n    if e == 2 {{ {rest} }}\n}}\n"
        );
        std::fs::write(dir.path().join("s.rhai"), text).unwrap();
    };
    // What the last of several methods would refuse is told before the first.
    let (done, err) = run(&["compare", "--set", "methods=random,is_darts", "--set", "epochs=6"]);
    assert!(
        !done && err.contains("got 4 steps, 2 epochs apart, in 6 epochs") && !err.contains("random, seed"),
        "{err}"
    );
    std::fs::remove_dir_all(dir.path().join("runs")).unwrap();
    script("");
    for (set, told) in [
        ("limti=3", "unknown setting `limti`, did you mean `limit`?"),
        ("epochs=3", "unknown setting `epochs`; known: resize, limit, split"),
    ] {
        let (done, err) = run(&["s.rhai", "--set", set]);
        assert!(!done && err.contains(told) && !err.contains("train"), "{err}");
        assert_eq!(std::fs::read_dir(dir.path().join("runs")).unwrap().count(), 0, "{set}");
    }
    assert!(run(&["s.rhai", "--set", "limit=1", "--out", "set"]).0);
    // A mistake that was run nevertheless is told again before the rest is done; so is that of a changed script.
    script("print(eppoch)");
    assert!(!run(&["s.rhai", "--unchecked", "--out", "out"]).0);
    let (done, err) = run(&["--resume", "out"]);
    assert!(
        !done && err.contains("unknown variable `eppoch`") && err.contains("| ") && err.contains("^^^^^^"),
        "{err}"
    );
    script("print(epoch)");
    let (done, err) = run(&["--resume", "out", "--accept-changes"]);
    assert!(!done && err.contains("unknown variable `epoch`") && err.contains("nothing was run"), "{err}");
    script("print(e)");
    let (done, err) = run(&["--resume", "out", "--accept-changes"]);
    assert!(done, "{err}");
}
