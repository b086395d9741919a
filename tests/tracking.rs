//! Event files of runs: read by a reader of this test's own, and by TensorBoard itself where there is one.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod project;

use project::{killed, project, succeeds, text};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Points `(step, value)` and texts by tag.
#[derive(Default, Debug, PartialEq)]
struct Read {
    points: BTreeMap<String, Vec<(u64, f32)>>,
    texts: BTreeMap<String, String>,
}

/// CRC-32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let shift = |sum: u32, _: u32| sum >> 1 ^ if sum & 1 == 1 { 0x82f6_3b78 } else { 0 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), shift))
}

/// Fields of a message: number, varint or bits, bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let varint = |bytes: &mut &[u8]| {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 127) << shift;
            shift += 7;
            if byte < 128 {
                return value;
            }
        }
    };
    let mut found = vec![];
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let length = match key & 7 {
            0 => {
                found.push((key >> 3, varint(&mut bytes), &[][..]));
                continue;
            }
            1 => 8,
            5 => 4,
            2 => varint(&mut bytes) as usize,
            kind => panic!("kind {kind}"),
        };
        found.push((key >> 3, 0, &bytes[..length]));
        bytes = &bytes[length..];
    }
    found
}

fn inside<'a>(message: &'a [u8], path: &[u64]) -> &'a [u8] {
    path.iter().fold(message, |message, field| {
        fields(message).into_iter().find(|(number, ..)| number == field).unwrap_or_else(|| panic!("no field {field}")).2
    })
}

fn file(run: &Path) -> PathBuf {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().path();
    let mut found = fs::read_dir(run).unwrap().map(name).filter(|path| path.to_string_lossy().contains("tfevents"));
    let file = found.next().unwrap();
    assert_eq!(found.next(), None);
    file
}

fn read(run: &Path) -> Read {
    let bytes = fs::read(file(run)).unwrap();
    let (mut rest, mut read, mut first) = (&bytes[..], Read::default(), true);
    let masked = |bytes: &[u8]| crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        assert_eq!(rest[8..12], masked(&rest[..8]));
        let event = &rest[12..12 + length];
        assert_eq!(rest[12 + length..16 + length], masked(event));
        rest = &rest[16 + length..];
        if std::mem::take(&mut first) {
            assert_eq!(inside(event, &[3]), b"brain.Event:2");
            continue;
        }
        let step = fields(event).into_iter().find(|(number, ..)| *number == 2).unwrap().1;
        let value = inside(event, &[5, 1]);
        let tag = String::from_utf8(inside(value, &[1]).to_vec()).unwrap();
        match fields(value).into_iter().find(|(number, ..)| *number == 2) {
            Some((_, _, simple)) => {
                let points = read.points.entry(tag).or_default();
                points.push((step, f32::from_le_bytes(simple.try_into().unwrap())));
            }
            None => {
                assert_eq!(inside(value, &[9, 1, 1]), b"text");
                let text = String::from_utf8(inside(value, &[8, 8]).to_vec()).unwrap();
                assert_eq!(read.texts.insert(tag.clone(), text), None, "{tag}");
            }
        }
    }
    read
}

/// Trains, measures, drops and trains on, twice: of a run that is killed in the second loop nothing is written twice.
const SCRIPT: &str = "import \"own\" as own; let cfg = settings(own::cfg()); let d = data(#{ limit: 4 });\n\
    let net = supernet(\"nas-bench-201\", cfg);\n\
    for epoch in epochs(2) { net.train_epoch(d.train, cfg); net.measure_iim(d.train, 8); }\n\
    net.drop(net.mask.alive[0]);\n\
    label(\"second\");\n\
    for epoch in epochs(cfg.epochs) { net.train_epoch(d.train, cfg); sleep(cfg.pause); }\n\
    net.measure_iim(d.train, 8); net.measure_iim(d.train, 16);\n\
    report(genotype(9930));\n\
    label(\"\");\n\
    train_genotype(9930, d, #{ channels: 2, cells: 1, epochs: 2, batch_size: 16 });\n\
    net.save(\"w.safetensors\");";

fn ran() -> tempfile::TempDir {
    let dir = project();
    fs::write(dir.path().join("s.rhai"), SCRIPT).unwrap();
    killed(dir.path(), 6);
    succeeds(dir.path(), &["--resume", "run"]);
    dir
}

#[test]
fn a_resumed_run_has_each_point_once_and_those_of_its_logs() {
    let dir = ran();
    succeeds(dir.path(), &["s.rhai", "--out", "whole", "--set", "pause=0.3"]);
    let (mut found, mut whole) = (read(&dir.path().join("run")), read(&dir.path().join("whole")));
    for read in [&mut found, &mut whole] {
        read.points.retain(|tag, _| !tag.ends_with("/seconds"));
    }
    assert_eq!(found, whole);
    let points = |tag: &str| found.points.get(tag).unwrap_or_else(|| panic!("{tag} of {:?}", found.points.keys()));
    let rows = text(dir.path().join("run/metrics.csv"));
    let losses: Vec<f32> = rows
        .lines()
        .filter(|row| row.starts_with("second,"))
        .map(|row| row.split(',').nth(3).unwrap().parse().unwrap())
        .collect();
    assert_eq!(losses.len(), 6);
    let expected: Vec<(u64, f32)> = (1..).zip(losses).collect();
    assert_eq!(*points("second/train/loss"), expected);
    // Two epochs of the first loop, two of the training that has no label either.
    assert_eq!(points("train/accuracy").iter().map(|p| p.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(points("test/accuracy").len(), 2);
    assert_eq!(points("iim/normal/1<-0/nor_conv_3x3").len(), 2);
    assert_eq!(points("second/iim/normal/1<-0/nor_conv_3x3").len(), 2);
    assert_eq!(points("alive/normal/1<-0")[0], (1, 5.0));
    assert!(points("second/alive/normal/1<-0").iter().all(|p| p.1 == 4.0));
    assert_eq!(found.texts.keys().collect::<Vec<_>>(), ["second/genotype", "settings"]);
    assert!(found.texts["second/genotype"].contains("cell    from input"), "{:?}", found.texts);
    assert!(found.texts["settings"].contains("| lr | 0.05 |"), "{:?}", found.texts);
}

const COUNT: &str = "\
import sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
run = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0, 'tensors': 0})
run.Reload()
for tag in run.Tags()['scalars']:
    print(tag, len(run.Scalars(tag)), sum(e.value for e in run.Scalars(tag)), sep='\\t')
for tag in run.Tags()['tensors']:
    print(tag, len(run.Tensors(tag)[0].tensor_proto.string_val[0]), 'text', sep='\\t')
";

/// `ISDARTS_TENSORBOARD` names a Python that has TensorBoard.
#[test]
fn tensorboard_reads_every_point_and_text() {
    let Some(python) = std::env::var_os("ISDARTS_TENSORBOARD") else {
        println!("SKIPPED: ISDARTS_TENSORBOARD names no Python with TensorBoard");
        return;
    };
    let dir = ran();
    let out = Command::new(python).args(["-c", COUNT]).arg(dir.path().join("run")).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let (stdout, own) = (String::from_utf8(out.stdout).unwrap(), read(&dir.path().join("run")));
    let mut seen = 0;
    for line in stdout.lines() {
        let [tag, n, sum] = line.split('\t').collect::<Vec<_>>().try_into().unwrap();
        match own.points.get(tag) {
            Some(points) => {
                assert_eq!(points.len(), n.parse::<usize>().unwrap(), "{tag}");
                let total: f64 = points.iter().map(|p| f64::from(p.1)).sum();
                assert!((total - sum.parse::<f64>().unwrap()).abs() < 1e-9 * total.abs().max(1.0), "{line}: {total}");
            }
            None => assert_eq!((own.texts[tag].len(), sum), (n.parse().unwrap(), "text"), "{tag}"),
        }
        seen += 1;
    }
    assert_eq!(seen, own.points.len() + own.texts.len());
    let points: usize = own.points.values().map(Vec::len).sum();
    println!("TensorBoard read {points} scalars of {} tags, {} texts", own.points.len(), own.texts.len());
}
