//! Completions by the place of the cursor.

use crate::host::{Outcome, RunOptions, Session};
use crate::search::Silent;
use std::rc::Rc;

fn session(inputs: &[&str]) -> Session {
    let mut session = Session::new(&RunOptions::default(), Rc::new(Silent)).unwrap();
    for input in inputs {
        let outcome = session.eval_line(input);
        assert!(!matches!(outcome, Outcome::Error(_) | Outcome::Incomplete), "{input}: {outcome:?}");
    }
    session
}

const NET: &str = "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });";

/// Texts that complete `line` at its end.
fn texts(session: &Session, line: &str) -> Vec<String> {
    session.complete(line, line.len()).1.into_iter().map(|c| c.text).collect()
}

#[test]
fn names_complete_by_where_they_stand() {
    let inputs =
        [NET, "let measured = #{ first: #{ second: 1 } };", "import \"nas/is_darts\" as method;", "fn mine(x) { x }"];
    let session = session(&inputs);
    for (line, expected) in [
        ("superne", &["supernet("][..]),
        ("let x = meas", &["measure(", "measured"]),
        ("mi", &["min(", "mine("]),
        ("whi", &["while"]),
        ("metho", &["method"]),
        ("method::", &["defaults(", "search("]),
        ("method::se", &["search("]),
        ("net.measu", &["measure_iim("]),
        ("net.ma", &["mask", "mask_tensors"]),
        ("net.space.ca", &["candidate(", "candidates"]),
        ("net.space.candidates[0].o", &["op"]),
        ("net.comparison_subsets()[0].le", &["least_important("]),
        ("data().tr", &["train"]),
        ("data().train.ta", &["take("]),
        ("genotype(9930).dr", &["draw()"]),
        (
            "measured.",
            &[
                "clear()",
                "contains(",
                "debug()",
                "drain(",
                "fill_with(",
                "filter(",
                "first",
                "get(",
                "is_empty()",
                "keys()",
                "len()",
                "map(",
                "mixin(",
                "print()",
                "remove(",
                "retain(",
                "set(",
                "to_debug()",
                "to_json()",
                "to_string()",
                "values()",
            ],
        ),
        ("measured.fi", &["fill_with(", "filter(", "first"]),
        ("measured.first.se", &["second", "set("]),
        ("let d = data().train; d.cl", &["classes"]),
        ("for s in net.comparison_subsets() { s.al", &["alive"]),
        ("for b in net.batches(data().train, #{}) { b.le", &["len"]),
        ("let own_name = 1; own_", &["own_name"]),
        ("let unfinished_na", &[]),
        ("// superne", &[]),
        ("0..superne", &["supernet("]),
    ] {
        let found = texts(&session, line);
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn settings_complete_inside_of_a_map_and_only_as_keys() {
    let session = session(&[]);
    for (line, expected) in [
        ("supernet(\"darts\", #{ chan", &["channels: "][..]),
        ("supernet(\"darts\", #{ channels: 8, ce", &["cells: "]),
        ("#{ shrink_", &["shrink_every: ", "shrink_steps: "]),
        ("data(#{ ", &["limit: ", "resize: ", "split: "]),
        ("data(#{ limit: 3, ", &["resize: ", "split: "]),
        ("search_space(#{ ", &["edge_ops: ", "name: ", "nodes: ", "ops: ", "topology: "]),
        ("genotype(9930).cost(#{ s", &["size: "]),
        ("write_figure(\"a\", #{ s", &["scatter: ", "series: "]),
        ("net.loss(b, #{ ", &["drop_path: ", "dropout: ", "ghost: ", "mode: ", "paths: ", "pool_dropout: "]),
        ("architecture_parameters(net, #{ arch_b", &["arch_beta1: ", "arch_beta2: "]),
        ("#{ channels: 8, chan", &[]),
        ("#{ channels: superne", &["supernet("]),
    ] {
        assert_eq!(texts(&session, line), expected, "{line}");
    }
}

#[test]
fn texts_complete_to_modules_names_cells_and_files() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("weights")).unwrap();
    std::fs::write(dir.path().join("weights/a.safetensors"), "").unwrap();
    let session = session(&[NET]);
    let folder = dir.path().display().to_string();
    for (line, expected) in [
        ("import \"nas/is", vec!["nas/is_darts\"".to_string()]),
        ("space(\"", vec!["darts\"".into(), "nas-bench-201\"".into()]),
        ("supernet(`da", vec!["darts`".into()]),
        ("net.space.candidate(0, \"avg", vec!["avg_pool_3x3\"".into()]),
        ("data(\"cifar10", vec!["cifar10\"".into(), "cifar100\"".into()]),
        ("genotype(\"DARTS_V", vec!["DARTS_V1\"".into(), "DARTS_V2\"".into()]),
        ("search_space(#{ ops: [\"none\", \"sep_conv_3", vec!["sep_conv_3x3\"".into()]),
        ("net.loss(b, #{ mode: \"tr", vec!["train\"".into()]),
        ("let cfg = #{ arch_optimiser: \"", vec!["adam\"".into(), "sgd\"".into()]),
        ("genotype(\"|nor_conv_1", vec!["nor_conv_1x1~0|+|".into()]),
        ("genotype(\"|none~0|+|none~0|sk", vec!["skip_connect~1|+|".into()]),
        ("genotype(\"|none~0|+|sk", vec!["skip_connect~0|".into()]),
        (&format!("net.load(\"{folder}/we"), vec![format!("{folder}/weights/")]),
        (&format!("net.load(\"{folder}/weights/"), vec![format!("{folder}/weights/a.safetensors\"")]),
    ] {
        assert_eq!(texts(&session, line), expected, "{line}");
    }
}

#[test]
fn every_receiver_of_the_manual_has_a_type() {
    let (session, mut receivers) = (session(&[]), 0);
    for signature in session.scripts.docs.iter().flat_map(|d| &d.signatures) {
        let Some(receiver) = &signature.receiver else { continue };
        let id = session.scripts.types.iter().find(|(name, _)| *name == (receiver.kind)()).map(|(_, id)| *id);
        let id = id.unwrap_or_else(|| panic!("{signature}: no type `{}`", (receiver.kind)()));
        assert!(session.scripts.methods(id).any(|m| m.name == signature.name), "{signature}");
        receivers += 1;
    }
    assert!(receivers > 50, "{receivers} signatures with a receiver");
}

#[test]
fn an_open_call_hints_at_what_it_still_takes() {
    let session = session(&["fn mine(x, y) { x }"]);
    for (before, hint) in [
        ("supernet(", Some("space, cfg) -> Supernet")),
        ("net.measure_iim(", Some("data, samples) -> Importance")),
        ("mine(", Some("x, y)")),
        ("unknown(", None),
        ("supernet(1", Some(", cfg) -> Supernet")),
        ("supernet(\"dar", None),
        ("supernet(\"darts\", ", Some("cfg) -> Supernet")),
        ("supernet(\"darts\", #{ channels: [1, 2], cells: 3 }", Some(") -> Supernet")),
        ("supernet(\"darts\", #{ channels: ", None),
        ("net.measure_iim(data().train", Some(", samples) -> Importance")),
        ("mine(f(1, 2), ", Some("y)")),
        ("fn other(a", None),
    ] {
        assert_eq!(session.call_hint(before).as_deref(), hint, "{before}");
    }
}
