//! What is as wide as the terminal: progress in one row, lines folded, tables in parts.

use super::{READY, answer, leave, start};
use expectrl::Expect;

/// The rows of a terminal of so many columns after `output`: of the orders, those that the progress line uses count.
fn rows(output: &str, columns: usize) -> Vec<String> {
    let mut rows = vec![String::new()];
    let mut rest = output;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let row = rows.last_mut().unwrap();
        match c {
            '\r' if rest.starts_with("\x1b[2K") => row.clear(),
            '\r' => {}
            '\n' => rows.push(String::new()),
            '\x1b' => rest = rest.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, rest)| rest),
            c if row.chars().count() == columns => rows.push(c.into()),
            c => row.push(c),
        }
    }
    rows
}

#[test]
fn progress_stands_in_one_row_whatever_the_width_and_however_short_the_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let work = "fn work(n) { let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }); let d = data().train.take(8); \
                for e in 0..n { net.train_epoch(d, #{ epochs: n }); } }";
    for columns in [80, 50, 140] {
        let mut session = start(dir.path(), &[]);
        session.get_process_mut().set_window_size(columns, 24).unwrap();
        answer(&mut session, work, "");
        session.send("work(100000)\r").unwrap();
        session.expect("digits").unwrap();
        let mut output = String::new();
        for _ in 0..12 {
            let found = session.expect("\x1b[2Ktrain").unwrap();
            output += &String::from_utf8_lossy(found.before());
            output += "\x1b[2Ktrain";
        }
        session.send("\x03").unwrap();
        let found = session.expect("interrupted").unwrap();
        output += &String::from_utf8_lossy(found.before());
        // A line that stood was never taken away before the next, but at the end, where the error is told.
        let (shown, cleared) = (output.matches("\x1b[2Ktrain").count(), output.matches("\x1b[2K").count());
        assert!(cleared <= shown + 1, "{columns} columns: cleared {cleared} times, shown {shown} times: {output:?}");
        let rows = rows(&output, columns.into());
        let junk = rows.iter().filter(|row| row.starts_with("train")).count();
        assert!(junk <= 1, "{columns} columns: {rows:?}");
        session.expect(READY).unwrap();
        leave(session);
    }
}

#[test]
fn what_is_wider_than_the_terminal_is_folded_or_set_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = start(dir.path(), &[]);
    session.get_process_mut().set_window_size(60, 24).unwrap();
    let table = r#"table(["m", "w".repeat_to(30), "v".repeat_to(30)], [["a", 1, 2]])"#;
    session.send("fn repeat_to(n) { let t = this; t.pad(n, this); t }\r").unwrap();
    session.expect(READY).unwrap();
    for (input, parts) in [
        (format!("print({table})"), ["| m   | vvv", "| a   | 2  "]),
        ("note(\"word \".repeat_to(90))".to_string(), ["word word ", "  word wor"]),
        ("doc shrink".to_string(), ["error: inp", "the comman"]),
    ] {
        session.send(format!("{input}\r")).unwrap();
        let found = session.expect(READY).unwrap();
        let shown = rows(&String::from_utf8_lossy(found.before()), usize::MAX);
        for row in parts {
            let fits = |line: &&String| line.starts_with(row) && line.chars().count() <= 60;
            assert!(shown.iter().any(|line| fits(&line)), "{input}: no {row:?} in {shown:#?}");
        }
    }
    leave(session);
}
