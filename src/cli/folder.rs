//! The default name of a run folder.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// `runs/<script>-<date>-<time>` (UTC), with a number behind it if that is taken.
pub fn default(script: &Path) -> PathBuf {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let stem = script.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}-{}", stamp(seconds));
    let free = |path: &PathBuf| !path.exists();
    let path = Path::new("runs").join(&name);
    if free(&path) {
        return path;
    }
    (2u64..).map(|n| Path::new("runs").join(format!("{name}-{n}"))).find(free).unwrap_or(path)
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
