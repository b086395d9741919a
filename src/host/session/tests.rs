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
fn an_error_leaves_the_session_as_it_was() {
    let mut session = session();
    session.eval_line("let x = 1;");
    let Outcome::Error(text) = session.eval_line("let y = 2; x = y; space(\"dart\")") else { panic!() };
    assert_eq!(
        text.lines().next().unwrap(),
        "input:1:19: unknown search space `dart`, did you mean `darts`?; known: nas-bench-201, darts"
    );
    assert_eq!(session.eval_line("x"), Outcome::Value("2".into()));
    assert!(matches!(session.eval_line("y"), Outcome::Error(_)));
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
    ] {
        assert_eq!(value(&mut first, input), value(&mut second, input), "{input}");
    }
    assert!(first.save(dir.path(), &["train"]).unwrap_err().to_string().contains("train: got Data"));
    assert!(first.save(dir.path(), &["fuond"]).unwrap_err().to_string().contains("did you mean `found`?"));
    assert!(second.load(&dir.path().join("nowhere")).unwrap_err().to_string().contains("no saved variables"));
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
        ("[3, 2, 1]", &["[3, 2, 1]\n█▅▁"]),
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
