//! `fmt`: one style, which the shipped scripts have, and which changes nothing that a script says.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use assert_cmd::Command;
use isdarts_host::host::{self, STDLIB};
use std::path::{Path, PathBuf};

#[test]
fn blanks_and_indentation_are_put_right_and_columns_and_comments_stay() {
    for (text, expected) in [
        ("let x=1;", "let x = 1;\n"),
        ("let x   = 1;   // one \n\n\n\nlet y = 2;\n\n", "let x   = 1;   // one\n\nlet y = 2;\n"),
        ("if a==1&&b{f(x,-1)}else{g(!x)}", "if a == 1 && b { f(x, -1) } else { g(!x) }\n"),
        ("let f=|x|x*2-1;let g=||3;", "let f = |x|x * 2 - 1; let g = ||3;\n"),
        ("let m=#{a:1,b:#{}};m.a+=1;", "let m = #{ a: 1, b: #{} }; m.a += 1;\n"),
        ("for i in 0..=3{\nprint(i);\n  // why\n    }", "for i in 0..=3 {\n    print(i);\n    // why\n}\n"),
        ("f(\n1,\n2,\n);", "f(\n    1,\n    2,\n);\n"),
        ("fn f(){\nlet s=`a=b\n   c\n`;\n      s}", "fn f() {\n    let s = `a=b\n   c\n`;\n    s }\n"),
        (
            "fn f() {\n  let m = #{ a: 1,\n             b: 2 };\n}",
            "fn f() {\n    let m = #{ a: 1,\n               b: 2 };\n}\n",
        ),
        ("{\nlet x = a\n    .b()\n    .c();\n}", "{\n    let x = a\n        .b()\n        .c();\n}\n"),
        ("/* a=b\n  c */\nlet x = \"a=b\";\r\n", "/* a=b\n  c */\nlet x = \"a=b\";\n"),
        ("switch x{1=>\"a\",_=>-x}", "switch x { 1 => \"a\", _ => -x }\n"),
        ("", ""),
    ] {
        let formatted = host::format(text, "test").unwrap();
        assert_eq!(formatted, expected, "{text}");
        assert_eq!(host::format(&formatted, "test").unwrap(), formatted, "{text}: once more");
    }
    let error = host::format("let x = ;", "bad.rhai").unwrap_err().to_string();
    assert!(error.starts_with("bad.rhai:1:9: syntax error"), "{error}");
}

#[test]
fn every_shipped_script_and_example_is_in_the_style() {
    let mut others = Vec::new();
    for folder in ["scripts", "stdlib/nas", "docs", "tests/scripts", "tests/scripts/beside", "tests/methods"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for path in files.filter(|path| path.extension().is_some_and(|e| e == "rhai")) {
            let text = std::fs::read_to_string(&path).unwrap();
            let formatted = host::format(&text, &path.to_string_lossy()).unwrap();
            let line = text.lines().zip(formatted.lines()).find(|(a, b)| a != b);
            if formatted != text {
                others.push(format!("{}: {line:?}", path.display()));
            }
        }
    }
    for doc in host::manual().unwrap() {
        let (example, name) = (doc.example(), doc.name);
        let formatted = host::format(&example, name).unwrap();
        if formatted.trim_end() != example.trim_end() {
            others.push(format!("{name}:\n{example}\n{formatted}"));
        }
    }
    assert!(others.is_empty() && STDLIB.len() > 10, "{}", others.join("\n"));
}

#[test]
fn files_are_written_or_only_checked() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.rhai");
    std::fs::write(&file, "let x=1;").unwrap();
    let fmt = |words: &[&str]| {
        let mut command = Command::cargo_bin("isdarts-host").unwrap();
        command.current_dir(dir.path()).arg("fmt").args(words).assert()
    };
    fmt(&["--check", "a.rhai"]).code(1).stdout("a.rhai\n");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "let x=1;");
    fmt(&["a.rhai"]).success().stdout("");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "let x = 1;\n");
    fmt(&["--check", "a.rhai"]).success();
    std::fs::write(Path::new(&file), "let x = ").unwrap();
    fmt(&["a.rhai"]).code(1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "let x = ");
    let mut command = Command::cargo_bin("isdarts-host").unwrap();
    command.args(["fmt", "-"]).write_stdin("let x=1;").assert().success().stdout("let x = 1;\n");
}
