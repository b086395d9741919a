//! Texts that people wrote.

use std::path::Path;

/// What some editors put in front of a text.
const MARK: char = '\u{feff}';

/// A text file, without a byte order mark.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = std::fs::read_to_string(path)?;
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    Ok(text)
}
