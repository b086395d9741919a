//! All kernels of the GPU compile for all kinds of cards, by NVRTC, which needs no GPU: `.ci/kernels` fetches it and names it in
//! `ISDARTS_NVRTC`. Shows what each kernel takes of a card.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::ops::gpu::nvrtc::Nvrtc;
use isdarts_host::ops::gpu::{Arithmetic, Unit, units};
use rayon::prelude::*;

use Arithmetic::{Exact, Single, Split};

/// By compute capability: V100, A100, H100, B200; and how each computes.
const CARDS: [(i32, &[Arithmetic]); 4] =
    [(70, &[Single, Exact]), (80, &[Split, Exact]), (90, &[Split, Exact]), (100, &[Split, Exact])];
/// Of CUDA: as high as a driver can be.
const NEWEST: i32 = 99;

fn named() -> bool {
    let named = std::env::var_os("ISDARTS_NVRTC").is_some();
    if !named {
        println!("SKIPPED: ISDARTS_NVRTC names no NVRTC: .ci/kernels fetches one");
    }
    named
}

/// The number before `unit` in a line of the assembler.
fn number<'a>(line: &'a str, unit: &str) -> Option<&'a str> {
    line.split(unit).next().filter(|before| before.len() < line.len())?.split([' ', ',']).rfind(|word| !word.is_empty())
}

/// A kernel: its name, registers, bytes of stack, of spills written and read.
type Row = (String, [String; 4]);

fn table(log: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for line in log.lines() {
        if let Some(name) = line.split("Compiling entry function '").nth(1).and_then(|rest| rest.split('\'').next()) {
            rows.push((name.to_string(), Default::default()));
        }
        let Some((_, row)) = rows.last_mut() else { continue };
        let units = [" registers", " bytes stack frame", " bytes spill stores", " bytes spill loads"];
        for (cell, unit) in row.iter_mut().zip(units) {
            if let Some(n) = number(line, unit) {
                *cell = n.to_string();
            }
        }
    }
    rows
}

#[test]
fn every_kernel_compiles_for_every_card() {
    if !named() {
        return;
    }
    let wanted: Vec<(i32, Arithmetic, Unit)> = CARDS
        .iter()
        .flat_map(|(card, ways)| ways.iter().map(|way| (*card, *way)))
        .flat_map(|(card, way)| units(way).unwrap().into_iter().map(move |unit| (card, way, unit)))
        .collect();
    let compile = |(card, way, unit): &(i32, Arithmetic, Unit)| {
        let cubin = Nvrtc::find(*card, NEWEST)?.compile(unit, *card)?;
        let rows = table(&cubin.log);
        let missing = unit.kernels.iter().find(|kernel| rows.iter().all(|(name, _)| name != *kernel));
        assert!(missing.is_none() && cubin.bytes.starts_with(b"\x7fELF"), "{missing:?}: {}", cubin.log);
        let line = |(name, [registers, stack, stores, loads]): Row| {
            format!("{name:24} sm_{card:<4} {way:8?} {registers:>9} {stack:>6} {stores:>6} {loads:>6}")
        };
        Ok(rows.into_iter().map(line).collect())
    };
    let made: Vec<isdarts_host::Result<Vec<String>>> = wanted.par_iter().map(compile).collect();
    let mut lines: Vec<String> = made.into_iter().flat_map(|rows| rows.unwrap_or_else(|e| panic!("{e}"))).collect();
    lines.sort();
    println!("{:24} {:7} {:8} {:>9} {:>6} {:>6} {:>6}", "kernel", "card", "", "registers", "stack", "spilt", "read");
    println!("{}", lines.join("\n"));
}

#[test]
fn a_text_that_is_wrong_is_refused_with_its_file_and_line() {
    if !named() {
        return;
    }
    let unit = |text: &str| Unit::new("test.cu", text, Split);
    let nvrtc = Nvrtc::find(90, NEWEST).unwrap();
    let right = "struct J { int* y; };\nKERNEL(f, J, 1) { SHARED(int, s); s[threadIdx.x] = 1; jobs->y[0] = s[0]; }";
    let cubin = nvrtc.compile(&unit(right), 90).unwrap();
    let rows = table(&cubin.log);
    assert_eq!(rows[0].0, "f");
    assert!(rows[0].1.iter().all(|cell| cell.parse::<u32>().is_ok()), "{rows:?}");
    let error = nvrtc.compile(&unit(&right.replace("= s[0];", "= s[0]")), 90).err().unwrap().to_string();
    assert!(error.contains("test.cu(2): error: expected a \";\""), "{error}");
}

#[test]
fn a_card_that_no_compiler_knows_is_refused_in_words() {
    if !named() {
        return;
    }
    for (capability, most) in [(35, NEWEST), (90, 11)] {
        let error = Nvrtc::find(capability, most).err().unwrap().to_string();
        let card = format!("compute capability {}.{}", capability / 10, capability % 10);
        assert!(error.contains("got NVRTC ") && error.contains(&card), "{error}");
    }
    // One of a family runs what was made for an older one of it, and of no other.
    let nvrtc = Nvrtc::find(90, NEWEST).unwrap();
    assert_eq!([85, 90, 95].map(|capability| nvrtc.card(capability)), [Some(80), Some(90), Some(90)]);
}
