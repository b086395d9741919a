//! How much memory there is, and whether what is about to be made fits: asked before it is made, for no program survives an
//! allocation that fails.

use crate::error::{Error, Result};
use std::path::Path;

/// Bytes that this process may still take up, as far as the system says (Linux): the least of what the machine has free, what
/// the limits of the process leave (`ulimit -v`) and what its control group leaves. Elsewhere all that can be addressed.
pub fn free() -> u64 {
    let all = [machine(), limit(), group()];
    all.into_iter().flatten().min().unwrap_or(isize::MAX as u64)
}

/// The product of sizes; none where it is beyond what can be addressed.
pub fn product(sizes: &[usize]) -> Option<usize> {
    sizes.iter().try_fold(1usize, |all, &n| all.checked_mul(n)).filter(|&n| n <= isize::MAX as usize)
}

/// An error unless `bytes` (none: beyond any machine) of memory can be had for `what`; `lower` says which settings to lower.
pub fn check(what: &str, bytes: Option<u128>, lower: &str) -> Result<()> {
    // What is small need not ask the system.
    if bytes.is_some_and(|bytes| bytes < 1 << 20) {
        return Ok(());
    }
    let free = free();
    match bytes {
        Some(bytes) if bytes <= u128::from(free) => Ok(()),
        _ => {
            let got = match bytes {
                Some(bytes) => format!("a need of {} of memory", size(bytes)),
                None => "a need beyond any memory".into(),
            };
            let expected = format!("at most the {} that are free here; lower {lower}", size(free.into()));
            Err(Error::invalid(what, got, expected))
        }
    }
}

/// "3.2 GB".
pub fn size(bytes: u128) -> String {
    let mut value = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB", "TB"] {
        if value < 1000.0 {
            return if unit == "bytes" { format!("{value} {unit}") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    if value < 1e6 { format!("{value:.1} PB") } else { format!("{value:.0e} PB") }
}

/// The bytes behind `key` in a file of lines `key: N kB`.
fn entry(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let number = text.lines().find_map(|l| l.strip_prefix(key))?.split_whitespace().next()?.parse::<u64>();
    Some(number.ok()?.saturating_mul(1024))
}

fn machine() -> Option<u64> {
    entry("/proc/meminfo", "MemAvailable:")
}

fn limit() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit: u64 =
        text.lines().find_map(|l| l.strip_prefix("Max address space"))?.split_whitespace().next()?.parse().ok()?;
    Some(limit.saturating_sub(entry("/proc/self/status", "VmSize:")?))
}

/// Control groups, version 2 and 1: the limit less what is in use and could not be given back.
fn group() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = |line: &str| match line.split(':').collect::<Vec<_>>()[..] {
        ["0", "", path] => Some(("/sys/fs/cgroup", path.to_string(), "memory.max", "anon ")),
        [_, "memory", path] => Some(("/sys/fs/cgroup/memory", path.to_string(), "memory.limit_in_bytes", "total_rss ")),
        _ => None,
    };
    let left = |(root, path, limit, used): (&str, String, &str, &str)| {
        let folders = Path::new(path.trim_start_matches('/')).ancestors().map(|p| Path::new(root).join(p));
        folders
            .filter_map(|folder| {
                let limit: u64 = std::fs::read_to_string(folder.join(limit)).ok()?.trim().parse().ok()?;
                let stat = std::fs::read_to_string(folder.join("memory.stat")).ok()?;
                let used: u64 = stat.lines().find_map(|l| l.strip_prefix(used))?.trim().parse().ok()?;
                Some(limit.saturating_sub(used))
            })
            .min()
    };
    text.lines().filter_map(own).filter_map(left).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_with_need_room_and_what_to_lower() {
        let free = free();
        assert!(free > 1 << 20, "{free}");
        check("tensor", Some(1 << 19), "its sizes").unwrap();
        check("tensor", Some(u128::from(free) / 4), "its sizes").unwrap();
        let message = check("supernet", Some(4_000_000_000_000_000), "channels").unwrap_err().to_string();
        assert!(message.starts_with("supernet: got a need of 4.0 PB of memory, expected at most the "), "{message}");
        assert!(message.ends_with("that are free here; lower channels"), "{message}");
        assert!(check("supernet", None, "channels").unwrap_err().to_string().contains("beyond any memory"));
    }

    #[test]
    fn products_that_wrap_are_none() {
        assert_eq!(product(&[3, 4, 5]), Some(60));
        assert_eq!(product(&[1 << 32, 1 << 32, 4]), None);
        assert_eq!(product(&[usize::MAX, 1]), None);
        assert_eq!(product(&[usize::MAX, 2, 0]), None);
    }

    #[test]
    fn sizes_are_said_in_units_that_people_read() {
        for (bytes, text) in [(999, "999 bytes"), (40_000_000_000, "40.0 GB"), (1 << 100, "1e15 PB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
