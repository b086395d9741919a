//! Places in texts: bytes here, lines and UTF-16 units in the protocol; paths here, addresses there.

use lsp_types::{Position, Range, Uri};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The byte of a place.
pub fn byte_of(text: &str, place: Position) -> usize {
    let mut start = 0;
    for line in text.split_inclusive('\n').take(place.line as usize) {
        start += line.len();
    }
    let line = text[start..].split('\n').next().unwrap_or_default();
    let mut units = 0;
    for (at, c) in line.char_indices() {
        if units >= place.character as usize {
            return start + at;
        }
        units += c.len_utf16();
    }
    start + line.len()
}

/// The place of a byte.
pub fn place_of(text: &str, byte: usize) -> Position {
    let before = &text[..byte];
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position::new(before.matches('\n').count() as u32, line.encode_utf16().count() as u32)
}

/// From one byte to another.
pub fn range_of(text: &str, from: usize, to: usize) -> Range {
    Range::new(place_of(text, from), place_of(text, to))
}

/// The path of a `file:` address.
pub fn path_of(uri: &Uri) -> Option<PathBuf> {
    let text = uri.as_str().strip_prefix("file://")?;
    let text = &text[text.find('/')?..];
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let escaped = more.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match escaped.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &more[2..];
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

/// The `file:` address of an absolute path.
pub fn uri_of(path: &Path) -> Option<Uri> {
    let mut text = String::from("file://");
    for byte in path.to_str()?.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => text.push(byte as char),
            other => text += &format!("%{other:02X}"),
        }
    }
    Uri::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_bytes_come_back() {
        let text = "let ä = \"𝄞\";\nx\n";
        for byte in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            assert_eq!(byte_of(text, place_of(text, byte)), byte);
        }
        assert_eq!(place_of(text, text.find(';').unwrap()), Position::new(0, 12));
        assert_eq!(byte_of(text, Position::new(9, 9)), text.len());
    }

    #[test]
    fn paths_and_addresses_come_back() {
        for path in ["/a/b.rhai", "/a b/ü%.rhai"] {
            assert_eq!(path_of(&uri_of(Path::new(path)).unwrap()).unwrap(), Path::new(path));
        }
        assert_eq!(path_of(&Uri::from_str("untitled:1").unwrap()), None);
    }
}
