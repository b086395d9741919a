//! Texts that people wrote.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// What some editors put in front of a text.
const MARK: char = '\u{feff}';
/// Bytes of the longest plain text.
const MOST: u64 = 16 << 20;

/// A text file, without a byte order mark.
pub fn read_text(path: &Path) -> Result<String> {
    Ok(without_mark(std::fs::read_to_string(path)?))
}

/// The same of a file that nobody pipes in.
///
/// # Errors
/// A pipe or a device, which would be waited for or never end, and a file of more than 16 MiB.
pub fn read_plain_text(path: &Path) -> Result<String> {
    let refused = |what: &str| Err(Error::new(ErrorKind::InvalidInput, what));
    let kind = std::fs::metadata(path)?;
    if !kind.is_file() && !kind.is_dir() {
        return refused("it is a pipe or a device, not a file");
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST {
        return refused("it has more than 16 MiB");
    }
    Ok(without_mark(text))
}

fn without_mark(mut text: String) -> String {
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    text
}
