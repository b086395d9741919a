//! Transcripts: what goes in after `> ` (and `. ` for further lines), and what comes out, checked against the program.
//!
//! `UPDATE_TRANSCRIPTS=1 cargo test` writes what the program says now; read the difference before it is committed.

#![allow(dead_code, reason = "each test program uses its part")]

use isdarts_host::ops::simd::Level;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// The instruction set that the transcripts were written with. Runs are the same to the bit with the same; with another,
/// processors round differently, and training carries that on.
const WRITTEN_WITH: &str = "Avx512";

/// What may differ then: numbers with a point, by this share, and where they are drawn, ranks and drawings.
const TOLERANCE: f64 = 0.2;

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
        let here = format!("{:?}", Level::best());
        let exact = here == WRITTEN_WITH;
        if !exact {
            let what = format!("not tested on this machine ({here}): {name} to the bit (written with {WRITTEN_WITH})");
            writeln!(std::io::stderr(), "{what}").ok();
        }
        for (number, (wanted, found)) in expected.trim_end().lines().zip(said.lines()).enumerate() {
            assert!(
                alike(wanted, found, exact),
                "{name}, line {}:\n  expected {wanted}\n  got      {found}\n{said}",
                number + 1
            );
        }
        assert_eq!(said.lines().count(), expected.trim_end().lines().count(), "{name}: {said}");
    }
    said
}

/// The same words, numbers and drawings; of times, only what they are made of. Not `exact`: as [`TOLERANCE`] has it.
fn alike(expected: &str, found: &str, exact: bool) -> bool {
    let timed = ["seconds", "took"].iter().any(|word| expected.starts_with(word));
    // In a row of bars ranks come of training, too: rounding may swap two that are close.
    let measured = expected.chars().any(is_drawn);
    let (expected, found) = (words(expected), words(found));
    let same = |a: &str, b: &str| {
        let drawn = [a, b].iter().all(|w| w.chars().any(is_drawn));
        let numbers = number(a).is_some() && number(b).is_some();
        match (timed, exact) {
            (true, _) => a == b || drawn || numbers || [a, b].iter().all(|w| UNITS.contains(w)),
            (false, true) => a == b,
            (false, false) => a == b || drawn || near(a, b) || measured && numbers && !a.contains('.'),
        }
    };
    expected.len() == found.len() && expected.iter().zip(&found).all(|(a, b)| same(a, b))
}

/// Of a time that is told.
const UNITS: [&str; 3] = ["ms", "s", "min"];

/// Bars, curves, blocks.
fn is_drawn(c: char) -> bool {
    ('\u{2581}'..='\u{28ff}').contains(&c)
}

/// Blanks apart.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn number(word: &str) -> Option<f64> {
    word.trim_matches(|c: char| "#{}[](),:%┤".contains(c)).parse().ok()
}

fn near(expected: &str, found: &str) -> bool {
    match (number(expected), number(found)) {
        (Some(a), Some(b)) => expected.contains('.') && (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()),
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
fn the_same_bits_are_the_same_text_and_others_differ_a_little() {
    for (a, b, exact, same) in [
        ("loss  1.000 -> 0.5", "loss 1.000 -> 0.5", true, true),
        ("loss 1.000", "loss 1.001", true, false),
        ("1.00e-3 ██▎ 2", "1.00e-3 ███ 2", true, false),
        ("took 0.2 ms", "took 31 s", true, true),
        ("took 0.2 ms", "took ms", true, false),
        ("seconds 0.3 -> 0.2 █▁", "seconds 0.3 -> 0.2", true, false),
        ("loss  1.000 -> 0.5", "loss 1.001 -> 0.51", false, true),
        ("loss 1.0", "loss 1.3", false, false),
        ("loss 0.01", "loss 0.02", false, false),
        ("rank 100", "rank 101", false, false),
        ("1.00e-3 ██▎ 2", "1.11e-3 ███ 1", false, true),
        ("1.00e-3 ██▎ 2", "1.31e-3 ██▎ 2", false, false),
        ("1.00e-3 ██▎ 2", "1.00e-3 2", false, false),
        ("1.00e-3 ██▎ 2", "1.00e-3 ██▎ b", false, false),
        ("none", "skip_connect", false, false),
    ] {
        assert_eq!(alike(a, b, exact), same, "{a} | {b}, exact {exact}");
    }
}
