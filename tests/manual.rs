//! The manual holds: every example of it runs as it stands, and every entry is complete.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::host::STDLIB;
use isdarts_host::host::{self, Look, RunOptions, lexer};
use isdarts_host::search::Silent;
use std::rc::Rc;

#[test]
fn every_example_of_the_manual_runs() {
    let mut failures = Vec::new();
    for doc in host::manual().unwrap() {
        if let Err(error) =
            host::eval_expression(&format!("{};", doc.example()), &RunOptions::default(), Rc::new(Silent), &Look::PLAIN)
        {
            failures.push(format!("{}:\n{}\n{error}\n", doc.name, doc.example()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_entry_of_the_manual_is_complete() {
    let docs = host::manual().unwrap();
    assert!(docs.len() > 80);
    for doc in &docs {
        assert!(
            doc.lines().iter().all(|line| line.contains(doc.name))
                && doc.text().ends_with('.')
                && !doc.chapter.is_empty(),
            "{doc:?}"
        );
        assert!(doc.example().contains(doc.name), "the example of `{}` does not use it", doc.name);
    }
}

#[test]
fn the_manual_is_read_by_name_and_unknown_names_find_the_nearest() {
    for (name, part) in [
        ("measure_iim", "net.measure_iim(data, samples)"),
        ("nas/is_darts", "fn search(space, data, cfg)"),
        ("epochs", "run_state"),
    ] {
        let text = host::documentation(Some(name)).unwrap();
        assert!(text.contains(part), "{name}: {text}");
    }
    let error = host::documentation(Some("mesure_iim")).unwrap_err().to_string();
    assert!(error.contains("did you mean `measure_iim`?"), "{error}");
    assert!(host::documentation(None).unwrap().contains("nas/is_darts"));
}

#[test]
fn every_function_of_the_stdlib_is_documented_and_used_by_an_example_that_runs() {
    for (path, text) in STDLIB {
        let header = text.lines().map_while(|l| l.strip_prefix("//!")).map(|l| l.strip_prefix(' ').unwrap_or(l));
        let header = header.collect::<Vec<_>>().join("\n");
        let example = header.split("```rhai\n").nth(1).and_then(|rest| rest.split("```").next());
        let example =
            example.unwrap_or_else(|| panic!("{path}: no example in its `//!` lines, between ```rhai and ```"));
        for function in lexer::functions(text).into_iter().filter(|f| !f.private) {
            let (name, used) = (&function.name, format!("::{}(", function.name));
            assert!(!function.comment.is_empty(), "{path}: `{name}` has no `///` lines");
            assert!(example.contains(&used), "{path}: the example does not use `{name}`");
        }
        let run = host::eval_expression(&format!("{example};"), &RunOptions::default(), Rc::new(Silent), &Look::PLAIN);
        assert!(run.is_ok(), "{path}: {run:?}");
    }
}

#[test]
fn markdown_and_definition_files_hold_every_entry() {
    let markdown = host::markdown(None).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let paths = host::write_definitions(dir.path()).unwrap();
    let texts: String = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for doc in host::manual().unwrap() {
        assert!(markdown.contains(&format!("### `{}`", doc.name)) && markdown.contains(&doc.example()), "{}", doc.name);
        let named = doc.name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let defined = [format!("fn {}(", doc.name), format!("fn get {}(", doc.name)];
        assert!(!named || defined.iter().any(|d| texts.contains(d)), "{}", doc.name);
    }
    for (path, part) in [("nas/is_darts", "module \"nas/is_darts\";"), ("measure_iim", "net: Supernet")] {
        assert!(texts.contains(part), "{path}");
    }
    assert!(host::markdown(Some("nas/random")).unwrap().starts_with("```rhai\n//! Random search"));
    assert!(host::markdown(Some("epochs")).unwrap().starts_with("### `epochs`"));
}

/// Each block stands alone, as a file beside nothing.
#[test]
fn every_script_of_the_guide_runs() {
    let guide =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/strategies.md")).unwrap();
    let scripts: Vec<&str> = guide.split("```rhai\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(scripts.len() >= 2, "{guide}");
    for (i, text) in scripts.iter().enumerate() {
        assert!(text.lines().count() <= 30, "block {i} is longer than 30 lines");
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("mine.rhai");
        std::fs::write(&script, text).unwrap();
        let folder = Some(dir.path().join("run"));
        let options = RunOptions { script: Some(script), folder, quiet: true, ..Default::default() };
        host::run(&options, Rc::new(Silent)).unwrap_or_else(|e| panic!("block {i}: {e}\n{text}"));
    }
}
