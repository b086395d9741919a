//! The run folder of a run that was not told one.

use super::args::RUNS;
use super::scripts;
use isdarts_host::{Error, Result, streams};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Bytes of a script's name that go into the folder's: names have limits.
const LONGEST: usize = 100;

/// Make `runs/<script>-<date>-<time>` (UTC), with a number behind it if another run just took that.
pub fn make(script: &Path) -> Result<PathBuf> {
    // Where there is nothing to run, nothing is made.
    if script.is_file() || !scripts::exists(script) {
        std::fs::File::open(script).map_err(Error::io("read", script))?;
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let runs = Path::new(RUNS);
    std::fs::create_dir_all(runs).map_err(Error::io("create", runs))?;
    let name = format!("{}-{}", stem(script), stamp(seconds));
    let numbered = |n: u64| runs.join(if n == 1 { name.clone() } else { format!("{name}-{n}") });
    for path in (1..).map(numbered) {
        match std::fs::create_dir(&path) {
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            made => return made.map_err(Error::io("create", &path)).map(|()| path),
        }
    }
    unreachable!("there are more numbers than folders")
}

/// The error that ended a run in `folder`, with how to go on. Of a run that did nothing a folder that was made for it is removed.
pub fn after_failure(error: Error, folder: Option<&Path>, made: bool) -> Error {
    let Some(folder) = folder else { return error };
    if made {
        // Where something is in it this fails, and so it should.
        std::fs::remove_dir(folder).ok();
    }
    // What another process has put there is no work of this one.
    let not_ours = matches!(&error, Error::File { path, .. } if path == folder);
    if not_ours || matches!(error, Error::Interrupted | Error::InUse { .. }) || streams::is_gone(&error) {
        return error;
    }
    match folder.join("checkpoint").is_dir() {
        true => Error::Script(format!(
            "{error}\nsaved up to the last whole epoch; after a fix, go on with: isdarts-host --resume {} --accept-changes",
            folder.display()
        )),
        false => error,
    }
}

/// The script's name as part of a folder's.
fn stem(script: &Path) -> String {
    let stem = script.file_stem().unwrap_or_default().to_string_lossy();
    let plain = stem.chars().map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '_' } else { c });
    plain
        .scan(0, |bytes, c| {
            *bytes += c.len_utf8();
            (*bytes <= LONGEST).then_some(c)
        })
        .collect()
}

/// `20261124-053000` of seconds since 1970.
fn stamp(seconds: u64) -> String {
    let (day, clock) = (seconds / 86_400, seconds % 86_400);
    // Days to year, month, day of the Gregorian calendar: H. Hinnant, "chrono-compatible low-level date algorithms".
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", clock / 3600, clock / 60 % 60, clock % 60)
}

#[cfg(test)]
mod tests {
    use isdarts_host::Error;

    #[test]
    fn a_refusal_of_the_folder_has_no_advice_on_the_run_that_is_in_it() {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        std::fs::create_dir(dir.path().join("checkpoint")).unwrap_or_else(|e| panic!("{e}"));
        let after = |error| super::after_failure(error, Some(dir.path()), false);
        let refused = after(Error::file(dir.path(), "a folder with an earlier run in it", "an empty folder"));
        assert!(matches!(refused, Error::File { .. }), "{refused}");
        assert!(after(Error::Script("no".into())).to_string().contains("--resume"));
    }

    #[test]
    fn a_long_or_odd_name_of_a_script_is_cut_to_what_a_folder_can_be_called() {
        let stem = |name: &str| super::stem(std::path::Path::new(name));
        assert_eq!(stem("a/is_darts.rhai"), "is_darts");
        assert_eq!(stem("\u{1b}[2J.rhai"), "_[2J");
        assert_eq!(stem(&"é".repeat(120)), "é".repeat(50));
    }

    #[test]
    fn stamps_are_calendar_dates() {
        for (seconds, text) in [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (1_709_251_200, "20240301-000000"),
            (4_102_444_799, "20991231-235959"),
        ] {
            assert_eq!(super::stamp(seconds), text);
        }
    }
}
