//! Inputs of a session one after the other, and what they come to.

use super::*;
use crate::search::Silent;

fn session() -> Session {
    Session::new(&RunOptions::default(), Rc::new(Silent)).unwrap()
}

#[test]
fn variables_functions_and_imports_stay_from_line_to_line() {
    let mut session = session();
    for (line, outcome) in [
        ("let x = 20;", Outcome::Nothing),
        ("fn twice(x) { 2 * x }", Outcome::Nothing),
        ("twice(x) + 2", Outcome::Value("42".into())),
        ("import \"nas/random\" as random;", Outcome::Nothing),
        ("random::defaults().len()", Outcome::Value("0".into())),
        ("fn draw() { random::search(space(\"darts\"), (), #{}) }", Outcome::Nothing),
        ("set_seed(1); let a = draw(); set_seed(1); a == draw()", Outcome::Value("true".into())),
        ("fn twice(x) { 3 * x }", Outcome::Nothing),
        ("twice(x)", Outcome::Value("60".into())),
        ("let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });", Outcome::Nothing),
        ("net.drop(net.space.candidates[0])", Outcome::Nothing),
        ("net.mask.n_alive", Outcome::Value("29".into())),
        ("", Outcome::Nothing),
    ] {
        assert_eq!(session.eval_line(line), outcome, "{line}");
    }
}

#[test]
fn unfinished_input_asks_for_more_and_wrong_input_does_not() {
    for (input, incomplete) in [
        ("for i in 0..3 {", true),
        ("let x = (1 +", true),
        ("let x = #{ a: 1,", true),
        ("space(\"darts\"", true),
        ("fn f(x) {\n  x", true),
        ("[1, 2", true),
        ("let x = 1", false),
        ("let x = 1 2", false),
        ("}", false),
        ("let x = )", false),
        ("1 + 1", false),
    ] {
        assert_eq!(session().eval_line(input) == Outcome::Incomplete, incomplete, "{input}");
    }
}

#[test]
fn what_variables_hold_and_what_a_space_has_fits_80_columns() {
    let mut session = session();
    session.look = Look { width: 80, ..Look::PLAIN };
    session.eval_line("let a_long_name = supernet(\"darts\", #{ channels: 2, cells: 1, classes: 1000 });");
    let table = session.scope_table();
    let first: String = table.lines().next().unwrap().chars().take(80).collect();
    assert!(first.contains("224 of 224 alive"), "{table}");
    let Outcome::Value(space) = session.eval_line("space(\"darts\")") else { panic!() };
    assert!(space.lines().all(|line| line.len() < 80) && space.contains("dil_conv_5x5,\navg_pool_3x3"), "{space}");
}

#[test]
fn what_an_input_bound_before_an_error_stays() {
    let mut session = session();
    session.eval_line("let x = 1;");
    let Outcome::Error(text) = session.eval_line("let y = 2; x = y; space(\"dart\")") else { panic!() };
    let told = "input:1:19: unknown search space `dart`, did you mean `darts`?; known: nas-bench-201, darts";
    assert!(text.starts_with(told), "{text}");
    assert_eq!(session.eval_line("x"), Outcome::Value("2".into()));
    assert_eq!(session.eval_line("y"), Outcome::Value("2".into()));
    // Functions and imports, too; what a block bound went with the block.
    session.eval_line("fn f() { 7 } import \"nas/random\" as random; if true { let inner = 1; throw 1 }");
    assert_eq!(session.eval_line("f() + random::defaults().len()"), Outcome::Value("7".into()));
    assert!(matches!(session.eval_line("inner"), Outcome::Error(_)));
}

#[test]
fn a_name_that_there_is_not_is_guessed_among_variables_and_keys() {
    let mut session = session();
    session.eval_line("let net = 1; let cfg = #{ my_tmp2: 1 }; fn outer() { net } fn inner() { let score = 1; scroe }");
    for (input, part) in [
        ("nett", "unknown variable `nett`, did you mean `net`?"),
        ("let long_name = 1; long_nmae", "did you mean `long_name`?"),
        ("let half = |x| x / 2; half(4)", "`half` is a variable: a closure in it is called by `half.call(...)`"),
        ("f(1, 2)", "unknown function `f(integer, integer)`"),
        ("cfg.my_tmp", "unknown property `my_tmp`, did you mean `my_tmp2`?"),
        ("cfg.epohcs", "did you mean `epochs`?"),
        ("let m = #{ first: 1 }; m.frist", "did you mean `first`?"),
        ("outer()", "functions do not see the variables outside them"),
        ("fn late() { let score = 1; scroe } late()", "unknown variable `scroe`, did you mean `score`?"),
        ("quite_other", "unknown variable `quite_other`"),
        // Any other letter would be as near.
        ("g", "unknown variable `g`\n"),
        ("net.resize(3)", "a setting is called so: #{ resize: ... }"),
        ("let s = space(\"darts\"); s.candidate(1)", "candidate: got (integer), expected space.candidate("),
        ("help", "unknown variable `help`; it is a function: help("),
    ] {
        let Outcome::Error(text) = session.eval_line(input) else { panic!("{input}") };
        assert!(format!("{text}\n").contains(part), "{input}: {text}");
        assert!(!text.contains("outside") || input == "outer()", "{input}: {text}");
    }
}

/// Evaluate, and the text of the value.
fn value(session: &mut Session, input: &str) -> String {
    match session.eval_line(input) {
        Outcome::Value(text) => text,
        Outcome::Nothing => String::new(),
        other => panic!("{input}: {other:?}"),
    }
}

#[test]
fn the_last_value_has_a_name_except_where_the_language_uses_it() {
    let mut session = session();
    for (input, expected) in [
        ("20 + 1", "21"),
        ("_ * 2", "42"),
        ("let x = 1;", ""),
        ("_", "42"),
        ("switch 7 { 1 => 2, _ => _ + 1 }", "43"),
        ("`${_} and _` + \"_\"", "43 and __"),
        ("let _own = 3; _own", "3"),
    ] {
        assert_eq!(value(&mut session, input), expected, "{input}");
    }
    assert!(matches!(session.eval_line("_ + unknown"), Outcome::Error(_)));
    assert_eq!(value(&mut session, "_"), "3");
}

#[test]
fn an_import_beside_other_statements_does_not_repeat_them() {
    let mut session = session();
    value(&mut session, "let n = 0; import \"nas/random\" as random; n += 1;");
    value(&mut session, "n += 1;");
    assert_eq!(value(&mut session, "n + random::defaults().len()"), "2");
}

#[test]
fn scripts_run_here_leave_what_they_made_and_modules_reload() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("own.rhai"), "fn value() { 1 }").unwrap();
    std::fs::write(path("s.rhai"), "import \"own\" as own;\nfn twice(x) { 2 * x }\nlet a = own::value();").unwrap();
    let mut session = session();
    let error = session.run_file(std::path::Path::new("is_dart")).unwrap_err().to_string();
    assert!(error.contains("unknown script `is_dart`, did you mean `is_darts`?"), "{error}");
    session.run_file(&path("s.rhai")).unwrap();
    assert_eq!(value(&mut session, "twice(a) + own::value()"), "3");
    assert_eq!(session.reload().unwrap(), [""; 0]);
    std::fs::write(path("own.rhai"), "fn value() { 10 }").unwrap();
    assert_eq!(session.reload().unwrap().len(), 1);
    assert_eq!(value(&mut session, "twice(a) + own::value()"), "12");
    std::fs::write(path("own.rhai"), "fn value( { 10 }").unwrap();
    assert!(session.reload().unwrap_err().to_string().contains("own.rhai:1"), "{:?}", session.reload());
    assert_eq!(value(&mut session, "own::value()"), "10");
    assert_eq!(session.source("twice").unwrap(), "fn twice(x) { 2 * x }");
    assert_eq!(session.source("own::value").unwrap(), "// own\nfn value( { 10 }", "as it stands in the file");
}

#[test]
fn sources_are_those_of_the_session_of_imports_and_of_the_stdlib() {
    let mut session = session();
    value(&mut session, "/// Mine.\nfn mine(x) { x }");
    value(&mut session, "import \"nas/is_darts\" as method;");
    for (name, part) in [
        ("mine", "/// Mine.\nfn mine(x) { x }"),
        ("method::search", "net.measure_iim"),
        ("nas/random::search", "random_genotype(space)"),
        ("nas/random", "//! Random search"),
        ("columns", "cifar10_valid"),
    ] {
        assert!(session.source(name).unwrap().contains(part), "{name}");
    }
    assert!(session.source("measure_iim").unwrap_err().to_string().contains("part of the program"));
    assert!(session.source("minee").unwrap_err().to_string().contains("did you mean `mine`?"));
}

#[test]
fn variables_that_hold_data_come_back_from_a_folder_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = session();
    for input in [
        "let net = supernet(\"nas-bench-201\", #{ channels: 4, cells: 1, batch_size: 32 });",
        "let same = net;",
        "net.train_epoch(data().train.take(64), #{ epochs: 3 });",
        "net.drop(net.space.candidates[0]);",
        "let iim = net.measure_iim(data().train, 32);",
        "let mask = net.mask; let found = genotype(9930); let plain = #{ a: [1, 2.5, \"x\"], b: () };",
        "let candidate = net.space.candidates[3]; let space = net.space; let t = net.mask_tensors[0];",
        "let alpha = architecture_parameters(net, #{ arch_lr: 0.1, arch_init: 0.5 });",
        "for b in net.batches(data().train.take(32), #{}) { alpha.step(net.loss(b, alpha.softmax())); }",
        "let train = data().train;",
    ] {
        value(&mut first, input);
    }
    let saved = first.save(dir.path(), &[]).unwrap();
    assert_eq!(saved.left, ["train (Data)"]);
    let mut second = session();
    value(&mut second, "data();");
    assert_eq!(second.load(dir.path()).unwrap(), saved.saved);
    for input in [
        "net.describe",
        "iim",
        "mask",
        "found",
        "plain",
        "candidate",
        "space",
        "t",
        "net.evaluate(data().test).loss",
        "net.train_epoch(data().train.take(64), #{ epochs: 3 }).loss",
        "same.epoch",
        "iim.score(candidate)",
        "alpha.values[0].mean().to_float()",
        "for b in net.batches(data().test.take(32), #{}) { alpha.step(net.loss(b, alpha.softmax())); } alpha.values[0].mean().to_float()",
    ] {
        assert_eq!(value(&mut first, input), value(&mut second, input), "{input}");
    }
    assert!(first.save(dir.path(), &["train"]).unwrap_err().to_string().contains("train: got Data"));
    assert!(first.save(dir.path(), &["fuond"]).unwrap_err().to_string().contains("did you mean `found`?"));
    assert!(second.load(&dir.path().join("nowhere")).unwrap_err().to_string().contains("no saved variables"));
}

#[test]
fn what_was_saved_before_under_other_names_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = session();
    value(&mut session, "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }); let a = 1; let b = 2;");
    value(&mut session, "let alpha = architecture_parameters(net, #{});");
    let saved = session.save(dir.path(), &["a", "b", "alpha"]).unwrap();
    assert_eq!(saved.saved, ["a", "alpha", "b", "net"], "the supernet of architecture parameters goes with them");
    value(&mut session, "a = 10; b = 20;");
    let saved = session.save(dir.path(), &["a"]).unwrap();
    assert_eq!((saved.saved, saved.stay), (vec!["a".to_string()], ["alpha", "b", "net"].map(String::from).to_vec()));
    session.load(dir.path()).unwrap();
    assert_eq!(value(&mut session, "[a, b]"), "[10, 2]");
    // Parameters that belong to a supernet saved before are no use with another one.
    let error = session.save(dir.path(), &["net"]).unwrap_err().to_string();
    assert!(error.contains("`alpha` there, which belongs to the `net`"), "{error}");
    value(
        &mut session,
        "let lone = architecture_parameters(supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }), #{});",
    );
    assert!(session.save(dir.path(), &["lone"]).unwrap_err().to_string().contains("supernet without a name"));
}

#[test]
fn the_scope_lists_variables_modules_and_functions() {
    let mut session = session();
    assert_eq!(session.scope_table(), "no variables yet");
    value(&mut session, "import \"nas/random\" as random; fn f(x) { x } let a = [1, 2]; let a = [1.5]; 7");
    assert_eq!(
        session.scope_table(),
        "a       array     [1] of float\nrandom  module    nas/random\nf       function  f(x)"
    );
}

#[test]
fn values_show_themselves() {
    let mut session = session();
    value(&mut session, "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });");
    value(&mut session, "let iim = net.measure_iim(data().train, 16);");
    for (input, parts) in [
        (
            "net",
            &["nas-bench-201 supernet, C=2, N=1", "device         cpu", "multiply-adds", "30 of 30 candidates alive"][..],
        ),
        ("iim", &["IIM = 1/score", "1<-0         0     5"]),
        ("[iim, iim]", &["2 measurements", "3<-2   ▄▄"]),
        ("net.mask", &["30 of 30 candidates alive", "edge   none"]),
        ("net.comparison_subsets()[0]", &["5 alive, keeps 1", "  none on edge 1<-0"]),
        ("genotype(9930)", &["|nor_conv_3x3~0|", "cell    from input", "94.36 % on CIFAR-10 (rank 3)"]),
        ("data()", &["digits: ", "images for testing", "0         1"]),
        ("[5, 4, 3, 2, 1]", &["[5, 4, 3, 2, 1]\n█▆▅▃▁"]),
        ("[#{ loss: 2.0, x: \"a\" }, #{ loss: 1.0, x: \"b\" }]", &["2 maps", "2 -> 1          █▁"]),
        ("plot([1, 2])", &["┤"]),
        ("#{ b: 1, long: [1] }", &["b     1\nlong  [1]"]),
        ("architecture_parameters(net, #{})", &["softmax", "importance; bar"]),
        ("\"text\"", &["text"]),
    ] {
        let shown = value(&mut session, input);
        assert!(parts.iter().all(|part| shown.contains(part)), "{input}: {shown}");
    }
}

#[test]
fn a_long_value_is_abbreviated_where_somebody_sits_before_it() {
    let mut session = session();
    session.look.most = 100;
    for (input, expected) in [
        ("let a = []; a.pad(100_000, 7); a", "100000 items: [7, 7, 7, 7, ..., 7, 7, 7, 7]\n"),
        ("let b = []; b.pad(1000, \"x\"); b", "1000 items: [x, x, x, x, ..., x, x, x, x]"),
        ("let s = \"x\"; s.pad(50_000, \"x\"); s", "(50000 characters, of which these are the first 12000)"),
        ("let m = #{}; for i in 0..200 { m[`k${i}`] = i; } m", "... 100 more keys"),
        ("[8, 8, 3]", "[8, 8, 3]"),
    ] {
        let shown = value(&mut session, input);
        assert!(shown.contains(expected) && shown.len() < 13_000, "{input}: {shown}");
    }
    assert_eq!(value(&mut session, "[8, 8, 3]"), "[8, 8, 3]", "a shape has no curve");
    session.look.most = usize::MAX;
    assert_eq!(value(&mut session, "s").len(), 50_000, "what a pipe reads is whole");
}

#[test]
fn a_variable_leads_to_the_page_of_its_type() {
    let mut session = session();
    value(&mut session, "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }); let n = 3;");
    for (asked, part) in [
        ("net", "Supernet comes from\n  supernet(space, cfg) -> Supernet"),
        ("net.train_epoch", "net.train_epoch(data, cfg)"),
        ("Supernet.drop", "net.drop("),
        ("alpha.step", "alpha.step("),
        ("n", "n is an integer"),
        ("lr", "a setting of training a supernet"),
    ] {
        let text = session.documentation(Some(asked)).unwrap();
        assert!(text.contains(part), "{asked}: {text}");
    }
}
