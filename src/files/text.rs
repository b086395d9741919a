//! Files that are read whole: plain ones, and texts that people wrote.

use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// What some editors put in front of a text.
const MARK: char = '\u{feff}';
/// Bytes of the longest plain text.
const MOST: u64 = 16 << 20;

/// The bytes of a plain file.
///
/// # Errors
/// A pipe or a device, which would be waited for or never end.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let kind = std::fs::metadata(path)?;
    match kind.is_file() || kind.is_dir() {
        true => std::fs::read(path),
        false => Err(Error::new(ErrorKind::InvalidInput, "it is a pipe or a device, not a file")),
    }
}

/// A text file, without a byte order mark; also one that is piped in.
///
/// # Errors
/// A text of more than 16 MiB, as that of a device that never ends.
pub fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MOST + 1).read_to_string(&mut text)?;
    match text.len() as u64 > MOST {
        true => Err(Error::new(ErrorKind::InvalidInput, "it has more than 16 MiB")),
        false => Ok(without_mark(text)),
    }
}

/// The same of a file that nobody pipes in.
///
/// # Errors
/// A pipe or a device, which would be waited for or never end, and a file of more than 16 MiB.
pub fn read_plain_text(path: &Path) -> Result<String> {
    let kind = std::fs::metadata(path)?;
    match kind.is_file() || kind.is_dir() {
        true => read_text(path),
        false => Err(Error::new(ErrorKind::InvalidInput, "it is a pipe or a device, not a file")),
    }
}

fn without_mark(mut text: String) -> String {
    if text.starts_with(MARK) {
        text.drain(..MARK.len_utf8());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_files_are_read_and_no_text_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("t"), "\u{feff}let x = 1;").unwrap();
        std::fs::write(path("long"), vec![b' '; (MOST + 1) as usize]).unwrap();
        assert_eq!(read_plain_text(&path("t")).unwrap(), "let x = 1;");
        assert_eq!(read(&path("long")).unwrap().len() as u64, MOST + 1);
        assert!(read_text(&path("long")).unwrap_err().to_string().contains("more than 16 MiB"));
        #[cfg(target_os = "linux")]
        {
            let zero = Path::new("/dev/zero");
            assert!(read(zero).is_err() && read_plain_text(zero).is_err());
            assert!(read_text(zero).unwrap_err().to_string().contains("more than 16 MiB"));
        }
    }
}
