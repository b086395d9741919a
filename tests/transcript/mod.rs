//! Transcripts: what goes in after `> ` (and `. ` for further lines), and what comes out, checked against the program.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test` writes what the program says now; read the difference before it is committed.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Numbers may differ by this share: processors round differently, and training carries that on.
const TOLERANCE: f64 = 0.15;

/// The inputs of a transcript, one line each.
fn inputs(transcript: &str) -> String {
    let typed = transcript.lines().filter_map(|line| {
        let rest = line.strip_prefix('>').or_else(|| line.strip_prefix('.'))?;
        rest.strip_prefix(' ').or((rest.is_empty()).then_some(""))
    });
    typed.map(|line| format!("{line}\n")).collect()
}

/// What the program says to these lines, stdout and stderr together, in `folder`.
pub fn run(folder: &Path, args: &[&str], lines: &str) -> String {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
    command.current_dir(folder).args(args).env("ISDARTS_HISTORY", "").env_remove("ISDARTS_DATA");
    command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut child = command.spawn().unwrap();
    // Its copies of the pipe go, so that the reader sees the end.
    drop(command);
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_string();
    let feeder = std::thread::spawn(move || stdin.write_all(lines.as_bytes()).ok());
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    feeder.join().unwrap();
    child.wait().unwrap();
    said
}

/// Run the inputs of `expected` and compare all that comes of it.
pub fn check(name: &str, folder: &Path, expected: &str) -> String {
    let said = run(folder, &[], &inputs(expected));
    let said = said.trim_end().strip_suffix("error: one input failed").unwrap_or(&said).trim_end().to_string();
    if std::env::var_os("UPDATE_TRANSCRIPTS").is_none() {
        for (number, (wanted, found)) in expected.trim_end().lines().zip(said.lines()).enumerate() {
            assert!(
                alike(wanted, found),
                "{name}, line {}:\n  expected {wanted}\n  got      {found}\n{said}",
                number + 1
            );
        }
        assert_eq!(said.lines().count(), expected.trim_end().lines().count(), "{name}: {said}");
    }
    said
}

/// The same words; numbers within [`TOLERANCE`], times whatever they are, bars and curves drawn of the same characters.
fn alike(expected: &str, found: &str) -> bool {
    let timed = |line: &str| ["seconds", "took"].into_iter().find(|word| line.starts_with(word));
    if timed(expected).is_some() {
        return timed(expected) == timed(found);
    }
    // In a row of bars every number, ranks too, comes of training: rounding may swap two that are close.
    let measured = [expected, found].iter().all(|line| line.chars().any(is_drawn));
    let (expected, found) = (words(expected), words(found));
    let same =
        |a: &str, b: &str| a == b || if measured { number(a).is_some() && number(b).is_some() } else { near(a, b) };
    expected.len() == found.len() && expected.iter().zip(&found).all(|(a, b)| same(a, b))
}

/// Bars, curves, blocks.
fn is_drawn(c: char) -> bool {
    ('\u{2581}'..='\u{28ff}').contains(&c)
}

/// Blanks apart; what is drawn is only told to be there.
fn words(line: &str) -> Vec<String> {
    let word = |w: &str| if w.chars().all(is_drawn) { None } else { Some(w.to_string()) };
    line.split(|c: char| c.is_whitespace() || is_drawn(c)).filter(|w| !w.is_empty()).filter_map(word).collect()
}

fn number(word: &str) -> Option<f64> {
    word.trim_matches(|c: char| "#{}[](),:%┤".contains(c)).parse().ok()
}

fn near(expected: &str, found: &str) -> bool {
    match (number(expected), number(found)) {
        (Some(a), Some(b)) => (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()).max(0.1),
        _ => false,
    }
}

/// The fenced blocks of a Markdown text that are transcripts, joined.
pub fn of_markdown(text: &str) -> String {
    let blocks = text.split("```text\n").skip(1).filter_map(|rest| rest.split_once("```").map(|(block, _)| block));
    blocks.filter(|block| block.starts_with("> ")).collect()
}

/// The Markdown text with its transcripts replaced by what the program says now.
pub fn into_markdown(text: &str, said: &str) -> String {
    let mut lines = said.lines().peekable();
    let mut parts = text.split("```text\n");
    let mut updated = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let (block, rest) = part.split_once("```").unwrap_or((part, ""));
        let mut block = block.to_string();
        if block.starts_with("> ") {
            let last = inputs(&block).lines().count();
            let (mut seen, mut taken) = (0, String::new());
            while let Some(line) = lines.peek() {
                let input = line.starts_with("> ") || line.starts_with(". ");
                if input && seen == last {
                    break;
                }
                seen += usize::from(input);
                taken += line;
                taken.push('\n');
                lines.next();
            }
            block = taken;
        }
        updated += &format!("```text\n{block}```{rest}");
    }
    updated
}

#[test]
fn numbers_may_differ_a_little_and_words_may_not() {
    for (a, b, same) in [
        ("loss  1.000 -> 0.5", "loss 1.001 -> 0.51", true),
        ("loss 1.0", "loss 1.2", false),
        ("rank 1", "rank 2", false),
        ("1.00e-3 ██▎ 2", "1.31e-3 ███ 1", true),
        ("1.00e-3 ██▎ 2", "1.31e-3 ███ b", false),
        ("none", "skip_connect", false),
        ("⠉⠒⠤", "⠒⠒⠒⠤", true),
    ] {
        assert_eq!(alike(a, b), same, "{a} | {b}");
    }
}
