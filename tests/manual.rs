//! The manual holds: every example of it runs as it stands, and every entry is complete.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::host::{self, Look, RunOptions};
use isdarts_host::search::Silent;
use std::rc::Rc;

#[test]
fn every_example_of_the_manual_runs() {
    let mut failures = Vec::new();
    for doc in host::manual().unwrap() {
        if let Err(error) =
            host::eval_expression(&format!("{};", doc.example), &RunOptions::default(), Rc::new(Silent), &Look::PLAIN)
        {
            failures.push(format!("{}:\n{}\n{error}\n", doc.name, doc.example));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_entry_of_the_manual_is_complete() {
    let docs = host::manual().unwrap();
    assert!(docs.len() > 80);
    for doc in &docs {
        assert!(doc.signature.contains(doc.name) && doc.text.ends_with('.') && !doc.chapter.is_empty(), "{doc:?}");
        assert!(doc.example.contains(doc.name), "the example of `{}` does not use it", doc.name);
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
