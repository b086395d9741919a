//! The prompt in a pseudo-terminal: the real program, keys in, screen out.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod processor;
#[path = "repl/width.rs"]
mod width;

use expectrl::session::OsSession;
use expectrl::{Eof, Expect, Regex, Session};
use isdarts_host::search::Silent;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What the editor says to the terminal when it begins to read: pastes are to come in brackets. (The prompt itself is drawn
/// with every key.)
const READY: &str = "\x1b[?2004h";

/// The program in `folder`, with its history there, at its first prompt.
fn start(folder: &Path, args: &[&str]) -> OsSession {
    let mut session = spawn(folder, args, &[("NO_COLOR", "1")]);
    session.expect(READY).unwrap();
    session
}

fn spawn(folder: &Path, args: &[&str], variables: &[(&str, &str)]) -> OsSession {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    command.current_dir(folder).args(args).env_remove("NO_COLOR").env("TERM", "xterm-256color");
    command.env("ISDARTS_HISTORY", folder.join("history")).envs(variables.iter().copied());
    let mut session = Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(60)));
    session
}

/// Type a line and wait for a text in what follows it.
fn answer(session: &mut OsSession, line: &str, expected: &str) {
    session.send(format!("{line}\r")).unwrap();
    if let Err(error) = session.expect(expected) {
        panic!("{line}: no `{expected}`: {error}");
    }
    session.expect(READY).unwrap();
}

/// Processor time of the program so far.
fn used(session: &OsSession) -> Option<Duration> {
    processor::time(&session.get_process().pid().to_string())
}

fn leave(mut session: OsSession) {
    session.send(":quit\r").unwrap();
    session.expect(Eof).unwrap();
}

#[test]
fn tab_completes_functions_methods_settings_modules_and_commands() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    for (typed, completed) in [
        ("superne\t", "supernet("),
        ("\"nas\t", "nas-bench-201\""),
        (", #{ chan\t", "channels: "),
        ("2, ce\t", "cells: "),
    ] {
        session.send(typed).unwrap();
        session.expect(completed).unwrap();
    }
    answer(&mut session, "1 })", "parameters");
    answer(&mut session, "let net = _;", "");
    session.send("net.measu\t").unwrap();
    session.expect("measure_iim(").unwrap();
    session.send("\x15import \"nas/is\t").unwrap();
    session.expect("nas/is_darts\"").unwrap();
    session.send("\x15:sco\t").unwrap();
    session.expect(":scope").unwrap();
    answer(&mut session, "", "Supernet");
    // Several: the common part, then a list.
    session.send("net.mas\t").unwrap();
    session.expect("mask_tensors").unwrap();
    session.send("\x15").unwrap();
    leave(session);
}

#[test]
fn a_list_of_all_names_leaves_the_prompt_usable() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    session.get_process_mut().set_window_size(40, 24).unwrap();
    // Every name there is: more than a screen of them.
    session.send("\t").unwrap();
    session.expect(" more").unwrap();
    session.send("\x03").unwrap();
    session.expect(READY).unwrap();
    answer(&mut session, "40 + 2", "42");
    leave(session);
}

#[test]
fn input_goes_on_over_lines_until_the_parser_has_all_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    // Several lines at once, without brackets: none is lost.
    answer(&mut session, "fn twice(x) {\r  2 * x\r}\rtwice(21) * 10", "420");
    // A paste in brackets is one input, whatever lines it has.
    session.send("\x1b[200~let a = [\n  1,\n  2,\n];\na.len\x1b[201~").unwrap();
    answer(&mut session, " * 100", "200");
    // Wrong is wrong at once.
    answer(&mut session, "let x = )", "syntax error");
    leave(session);
}

#[test]
fn an_error_does_not_end_the_session() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    answer(&mut session, "let x = 6;", "");
    for (line, error) in [
        ("space(\"dart\")", "did you mean `darts`?"),
        ("throw \"mine\"", "mine"),
        (":relod", "did you mean `:reload`?"),
        (":load nowhere", "no saved variables"),
    ] {
        answer(&mut session, line, error);
    }
    answer(&mut session, "x * 7", "42");
    leave(session);
}

#[test]
fn ctrl_c_stops_training_and_measuring_at_once_and_every_value_stays_usable() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    answer(&mut session, "let train = data().train;", "");
    answer(&mut session, "let net = supernet(\"nas-bench-201\", #{ channels: 16, cells: 2, batch_size: 256 });", "");
    answer(&mut session, "let wide = supernet(\"darts\", #{ channels: 4, cells: 1, batch_size: 32 });", "");
    let work = [
        "for e in 0..1000 { wide.train_epoch(train, #{ epochs: 1000, batch_size: 32 }); }",
        "for e in 0..1000 { wide.measure_iim(train, 0); }",
        "for e in 0..1000 { net.train_epoch(train, #{ epochs: 1000, batch_size: 256 }); }",
        "for e in 0..1000 { net.measure_iim(train, 0); }",
    ];
    for line in work {
        let mut spent = Vec::new();
        for i in 0..3 {
            session.send(format!("{line}\r")).unwrap();
            session.expect(" img/s").unwrap();
            // Somewhere in a pass, forward or backward.
            std::thread::sleep(Duration::from_millis(37 * i));
            let begin = used(&session);
            session.send("\x03").unwrap();
            session.expect("interrupted").unwrap();
            spent.push(used(&session).zip(begin).map(|(end, begin)| end - begin));
            session.expect(READY).unwrap();
        }
        println!("{line}: {spent:?}");
        // Of all threads together; an epoch takes ten times as much.
        processor::assert_below(Duration::from_millis(200), spent.into_iter().min().unwrap(), line);
    }
    let begin = Instant::now();
    for line in ["sleep(60);", "loop { }"] {
        session.send(format!("{line}\r")).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        session.send("\x03").unwrap();
        session.expect("interrupted").unwrap();
        session.expect(READY).unwrap();
    }
    assert!(begin.elapsed() < Duration::from_secs(50));
    answer(&mut session, "wide.evaluate(train.take(8)).images + 1000", "1008");
    answer(&mut session, "net.evaluate(train.take(64)).images + 1000", "1064");
    answer(&mut session, "net.drop(net.space.candidates[0]); net.mask.n_alive", "29");
    answer(&mut session, "net.train_epoch(train.take(64), #{ epochs: 1000 }).images + 2000", "2064");
    leave(session);
}

#[test]
fn ctrl_c_never_leaves_and_ctrl_d_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    answer(&mut session, "let kept = 41;", "");
    // Half a line twice, the search of the history, an empty line twice, an input that is not finished.
    for typed in ["let x = 3", "let y = 4", "\x12kep", "", "", "let unfinished = [\r1"] {
        session.send(typed).unwrap();
        session.send("\x03").unwrap();
        session.expect(READY).unwrap();
    }
    // Impatience while work is under way.
    session.send("loop { }\r").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    session.send("\x03\x03\x03").unwrap();
    session.expect("interrupted").unwrap();
    session.expect(READY).unwrap();
    answer(&mut session, "kept + 1", "42");
    session.send("\x04").unwrap();
    session.expect(Eof).unwrap();
}

#[test]
fn what_was_bound_before_ctrl_c_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    let line = "let history = []; let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }); \
                for e in 0..1000 { history.push(net.train_epoch(data().train.take(64), #{ epochs: 1000 })); }";
    session.send(format!("{line}\r")).unwrap();
    // Progress is drawn some times a second: the third epoch itself may pass unseen on a quick machine.
    session.expect(Regex(r"epoch ([3-9]|\d\d+)/1000")).unwrap();
    session.send("\x03").unwrap();
    session.expect("interrupted").unwrap();
    session.expect(READY).unwrap();
    answer(&mut session, "if history.len() >= 2 && net.epoch >= 2 { 42 } else { 7 }", "42");
    leave(session);
}

#[test]
fn history_lasts_from_start_to_start_and_is_searched() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    answer(&mut session, "let marker = 12_345;", "");
    answer(&mut session, "1 + 1", "2");
    leave(session);
    let mut session = start(dir.path(), &[]);
    // Above the command that left.
    session.send("\x1b[A\x1b[A\x1b[A\r").unwrap();
    session.expect("let marker = 12_345;").unwrap();
    session.expect(READY).unwrap();
    answer(&mut session, "marker", "12345");
    session.send("\x12let mark").unwrap();
    session.expect("let marker = 12_345;").unwrap();
    session.send("\r").unwrap();
    leave(session);
}

#[test]
fn a_changed_module_is_reloaded_and_variables_stay() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("own.rhai"), "fn value() { 111 }").unwrap();
    let mut session = start(dir.path(), &[]);
    answer(&mut session, "import \"own\" as own;", "");
    answer(&mut session, "let kept = own::value();", "");
    answer(&mut session, "own::value()", "111");
    answer(&mut session, ":reload", "no module has changed");
    fs::write(dir.path().join("own.rhai"), "fn value() { 222 }\nfn more() { 333 }").unwrap();
    answer(&mut session, ":reload", "loaded anew");
    answer(&mut session, "own::value()", "222");
    answer(&mut session, "own::more() + kept", "444");
    // One that does not load leaves what was there.
    fs::write(dir.path().join("own.rhai"), "fn value() { ").unwrap();
    answer(&mut session, ":reload", "syntax error");
    answer(&mut session, "own::value()", "222");
    leave(session);
}

#[test]
fn after_a_script_its_variables_functions_and_imports_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let script = "import \"nas/random\" as method;\nfn twice(x) { 2 * x }\nlet found = twice(50);\nprint(\"done\");";
    fs::write(dir.path().join("s.rhai"), script).unwrap();
    let mut session = start(dir.path(), &["--repl-after", "s.rhai", "--out", "run"]);
    answer(&mut session, "found + twice(1)", "102");
    answer(&mut session, "method::defaults().len() + 500", "500");
    leave(session);
    assert!(dir.path().join("run/manifest.json").exists());
    // Also after one that failed: that is when one wants to look.
    fs::write(dir.path().join("t.rhai"), "let before = 77;\nspace(\"dart\");").unwrap();
    let mut session = spawn(dir.path(), &["--repl-after", "t.rhai"], &[("NO_COLOR", "1")]);
    session.expect("did you mean `darts`?").unwrap();
    session.expect(READY).unwrap();
    answer(&mut session, "before", "77");
    leave(session);
}

#[test]
fn colours_are_shown_on_a_terminal_unless_no_color_says_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let screen = |variables: &[(&str, &str)]| {
        let mut session = spawn(dir.path(), &["--quiet"], variables);
        session.expect(READY).unwrap();
        session.send("supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }).mask\r").unwrap();
        let found = session.expect(READY).unwrap();
        leave(session);
        String::from_utf8_lossy(found.before()).into_owned()
    };
    assert!(screen(&[]).contains("\x1b[32mskip_connect"));
    let plain = screen(&[("NO_COLOR", "1")]);
    // An escape that sets a colour or style ends with `m`.
    let styled = |part: &str| part.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m');
    assert!(plain.contains("skip_connect") && !plain.split("\x1b[").skip(1).any(styled), "{plain:?}");
}

#[test]
fn the_prompt_is_there_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let least = (0..5).map(|_| {
        let session = start(dir.path(), &[]);
        let spent = used(&session);
        leave(session);
        spent
    });
    let least = least.min().unwrap();
    println!("from start to prompt: {least:?}");
    processor::assert_below(Duration::from_millis(100), least, "the way to the prompt");
}

#[test]
fn completion_is_quick() {
    let mut session = isdarts_host::host::Session::new(&Default::default(), Rc::new(Silent)).unwrap();
    session.eval_line("let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });");
    for line in ["", "net.", "data().train.", "supernet(\"darts\", #{ "] {
        let begin = processor::time("thread-self");
        let found: usize = (0..20).map(|_| session.complete(line, line.len()).1.len()).sum();
        assert!(found >= 20, "{line}: {found} completions");
        let spent = processor::time("thread-self").zip(begin).map(|(end, begin)| end - begin);
        println!("{line}: {spent:?}");
        processor::assert_below(Duration::from_millis(400), spent, &format!("20 completions of `{line}`"));
    }
}

#[test]
fn a_run_that_ends_on_a_terminal_leaves_its_learning_curve_and_says_of_which_search_its_progress_is() {
    let dir = tempfile::tempdir().unwrap();
    let script = "let d = data(#{ limit: 16 }).train;\n\
        let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n\
        label(\"mine/1\");\n\
        for e in epochs(8) { net.train_epoch(d, #{ epochs: 8, batch_size: 32 }); }\n";
    std::fs::write(dir.path().join("s.rhai"), script).unwrap();
    let mut session = spawn(dir.path(), &["--threads", "1", "s.rhai"], &[("NO_COLOR", "1")]);
    session.get_process_mut().set_window_size(80, 24).unwrap();
    for part in ["mine/1  train    epoch ", "┤", "└─", "a loss   b accuracy"] {
        session.expect(part).unwrap();
    }
    session.expect(Eof).unwrap();
}
