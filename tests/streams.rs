//! Streams, arguments and texts through the binary: readers that are gone, full disks, names that are no UTF-8, orders to a
//! terminal, few threads. Nothing panics, and what cannot be done is said.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[cfg(target_os = "linux")]
use expectrl::Expect;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_isdarts-host");

fn program(dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(dir);
    command
}

/// A line of bash, in which `host` is the program; exit code (of the last `exit`), stdout, stderr.
fn bash(dir: &Path, line: &str) -> (i32, String, String) {
    let line = format!("host() {{ \"{PROGRAM}\" \"$@\"; }}; {line}");
    told(Command::new("bash").args(["-c", &line]).current_dir(dir).output().unwrap())
}

fn told(out: Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(!text(&out.stderr).contains("panicked"), "{}", text(&out.stderr));
    (out.status.code().unwrap_or(-1), text(&out.stdout), text(&out.stderr))
}

#[test]
fn names_that_are_no_utf_8_work() {
    let dir = tempfile::tempdir().unwrap();
    let (script, run) = (OsStr::from_bytes(b"\xff.rhai"), OsStr::from_bytes(b"run\xff"));
    fs::write(dir.path().join(script), "write_text(\"done\", \"x\"); label(\"a\");").unwrap();
    for out in [OsStr::new("run"), run] {
        let (code, _, err) = told(program(dir.path()).arg(script).arg("--out").arg(out).output().unwrap());
        assert!(code == 0 && dir.path().join(out).join("done").exists(), "{err}");
        let (code, _, err) = told(program(dir.path()).arg("--resume").arg(out).output().unwrap());
        assert_eq!(code, 0, "{err}");
    }
    let (code, _, err) = told(program(dir.path()).arg(script).output().unwrap());
    assert_eq!(code, 0, "{err}");
    // Words of which scripts see the text are refused in words.
    for option in ["-e", "--data", "--set", "--seed", "--device"] {
        let (code, _, err) = told(program(dir.path()).arg(option).arg(run).output().unwrap());
        assert!(code == 2 && err.contains("UTF-8"), "{option}: {err}");
    }
}

#[test]
fn a_reader_that_is_gone_ends_it_quietly_and_a_full_disk_with_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.rhai"), "throw 1;").unwrap();
    fs::write(dir.path().join("lines"), "1 + 1\n".repeat(2000)).unwrap();
    fs::write(dir.path().join("s.rhai"), "for i in 0..20000 { print(i); }").unwrap();
    for (line, code) in [
        ("host --quiet < lines | head -1; exit ${PIPESTATUS[0]}", 0),
        ("yes '1 + 1' | host --quiet | head -1; exit ${PIPESTATUS[1]}", 0),
        ("host < lines 2>&1 > /dev/null | true; exit ${PIPESTATUS[0]}", 0),
        ("host s.rhai --out a | head -1; exit ${PIPESTATUS[0]}", 0),
        ("host doc | head -1; exit ${PIPESTATUS[0]}", 0),
        ("host --help | true; exit ${PIPESTATUS[0]}", 0),
        ("host completions bash | true; exit ${PIPESTATUS[0]}", 0),
        ("host --quiet < lines > /dev/full", 1),
        ("host < lines 2> /dev/full > /dev/null", 1),
        ("host bad.rhai --out b 2> /dev/full", 1),
        ("host bad.rhai --out c 2>&1 | true; exit ${PIPESTATUS[0]}", 1),
        ("host --frobnicate 2> /dev/full", 2),
        ("host --help > /dev/full", 1),
        ("host --version > /dev/full", 1),
        ("host query --help > /dev/full", 1),
        ("host doc > /dev/full", 1),
        ("host man > /dev/full", 1),
        ("host query 3 > /dev/full", 1),
        ("host data info digits > /dev/full", 1),
        ("host -e 1 > /dev/full", 1),
        ("host -e 'print(1)' > /dev/full", 1),
    ] {
        let (found, _, err) = bash(dir.path(), line);
        assert_eq!(found, code, "{line}: {err}");
        // Where somebody reads it, the error is told.
        if line.ends_with("> /dev/full") && code == 1 && !line.contains("2>") {
            assert!(err.contains("cannot write standard output: No space left"), "{line}: {err}");
        }
    }
}

#[test]
fn orders_to_a_terminal_are_written_out_in_errors_and_names() {
    let dir = tempfile::tempdir().unwrap();
    let order = "\\x1b]0;owned\\x07\\x1b[2J";
    for text in [
        format!("throw \"{order}\";"),
        format!("note(\"{order}\");"),
        format!("debug(\"{order}\");"),
        format!("settings(#{{ \"{order}\": 1 }}); data(\"{order}\");"),
        format!("import \"{order}\" as m;"),
        format!("genotype(\"|{order}~0|\");"),
        "let x = \x1b[2J;".to_string(),
    ] {
        fs::remove_dir_all(dir.path().join("run")).ok();
        fs::write(dir.path().join("s.rhai"), &text).unwrap();
        let (_, _, err) = told(program(dir.path()).args(["s.rhai", "--out", "run"]).output().unwrap());
        assert!(!err.contains('\x1b') && !err.contains('\x07'), "{text}: {err:?}");
    }
    for name in ["train/a\x1b[2J\tb/1.png", "train/c/1.png", "test/a\x1b[2J\tb/1.png", "test/c/1.png"] {
        let path = dir.path().join("pics").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        image::RgbImage::from_pixel(8, 8, image::Rgb([3; 3])).save(path).unwrap();
    }
    let (code, out, err) = told(program(dir.path()).args(["data", "info", "pics"]).output().unwrap());
    assert!(code == 0 && out.contains("a\\u{1b}[2J\\tb") && !out.contains('\x1b'), "{out:?} {err}");
}

/// What a person at a terminal sees.
#[test]
#[cfg(target_os = "linux")]
fn orders_to_a_terminal_do_not_reach_it_from_print_but_do_reach_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("s.rhai"), "print(\"\\x1b]0;owned\\x07 \\x1b[31mred\\x1b[0m \\x1b[2J.\");").unwrap();
    let (_, piped, _) = bash(dir.path(), "host s.rhai --quiet --out a");
    assert_eq!(piped, "\x1b]0;owned\x07 \x1b[31mred\x1b[0m \x1b[2J.\n");
    let mut command = program(dir.path());
    command.args(["s.rhai", "--quiet", "--out", "b"]);
    let mut session = expectrl::Session::spawn(command).unwrap();
    session.set_expect_timeout(Some(Duration::from_secs(20)));
    let seen = session.expect("\\u{1b}]0;owned\\u{7} \x1b[31mred\x1b[0m \\u{1b}[2J.");
    assert!(seen.is_ok(), "{seen:?}");
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_text() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("own.rhai"), "\u{feff}fn two() { 2 }").unwrap();
    fs::write(dir.path().join("s.rhai"), "\u{feff}import \"own\" as own;\nprint(own::two());").unwrap();
    assert_eq!(bash(dir.path(), "host s.rhai --quiet --out run"), (0, "2\n".into(), String::new()));
    assert_eq!(bash(dir.path(), "printf '\\xef\\xbb\\xbf1 + 1\\n:run s.rhai\\n' | host --quiet").1, "2\n2\n");
}

#[test]
fn seeds_that_scripts_cannot_name_are_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    for seed in ["9223372036854775808", "18446744073709551615"] {
        let (code, _, err) = bash(dir.path(), &format!("host -e 'seed()' --seed {seed}"));
        assert!(code == 2 && err.contains(seed) && err.contains("9223372036854775807"), "{err}");
    }
    let line = "host -e 'set_seed(seed()); seed()' --seed 9223372036854775807";
    assert_eq!(bash(dir.path(), line).1, "9223372036854775807\n");
}

#[test]
fn more_threads_than_are_of_use_are_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    for (line, found) in [
        ("host --threads 1024 -e 1", "threads: 1024 asked for, "),
        ("RAYON_NUM_THREADS=5000 host -e 1", "threads: 5000 asked for, "),
        ("RAYON_NUM_THREADS=2 host -e 1", ""),
        ("RAYON_NUM_THREADS=x host -e 1", ""),
        ("RAYON_NUM_THREADS=0 host -e 1", ""),
        ("host --threads 3 -e 1", ""),
    ] {
        let (code, out, err) = bash(dir.path(), line);
        assert!(
            code == 0 && out == "1\n" && err.starts_with(found) && err.is_empty() == found.is_empty(),
            "{line}: {err}"
        );
    }
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
}

/// As clusters limit it. Needs to become a user who has no other process: run by root, as containers are; else left out.
#[test]
#[cfg(target_os = "linux")]
fn a_machine_that_gives_no_more_threads_gets_its_work_done_by_fewer() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::PermissionsExt::set_mode(&mut dir.path().metadata().unwrap().permissions(), 0o777);
    let copy = dir.path().join("host");
    fs::copy(PROGRAM, &copy).unwrap();
    Command::new("chmod").args(["-R", "a+rwx"]).arg(dir.path()).status().unwrap();
    fs::write(dir.path().join("lines"), "1 + 1\n").unwrap();
    for limit in 1..=3 {
        for act in ["-e 'tensor([1.0, 2.0]).sum().to_float()'", "--threads 4 -e 1", "--quiet < lines"] {
            let line = format!("ulimit -u {limit}; exec ./host {act}");
            let mut command = Command::new("bash");
            command.args(["-c", &line]).current_dir(dir.path()).env("HOME", dir.path()).uid(54_321 + limit).gid(54_321);
            // Who may not become another user has nothing to try.
            let Ok(out) = command.output() else { return };
            let (code, out, err) = told(out);
            assert!(code == 0 && !out.is_empty(), "{limit}, {act}: {code} {err}");
            assert!(!act.contains("--threads 4") || err.contains("the system gives no more"), "{limit}, {act}: {err}");
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_history_that_is_no_file_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(dir.path().join("pipe")).status().unwrap().success());
    for history in [dir.path().join("pipe").display().to_string(), "/dev/zero".into()] {
        let mut command = Command::new(PROGRAM);
        command.env("ISDARTS_HISTORY", &history).env("TERM", "xterm");
        let mut session = expectrl::Session::spawn(command).unwrap();
        session.set_expect_timeout(Some(Duration::from_secs(20)));
        session.expect("no history: ").unwrap();
        session.expect("\x1b[?2004h").unwrap();
        session.send(":quit\r").unwrap();
    }
}
