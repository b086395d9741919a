//! Standard output and standard error. Whoever reads them may be gone, or sit at a terminal that obeys what it is sent: neither
//! may end the program or write for it.

use crate::error::{Error, Result};
use crate::fit;
use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::LazyLock;

/// Whether a sign is an order to a terminal, or turns the direction of what follows, rather than text.
fn is_order(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` with orders to a terminal written out: `\u{1b}`.
pub fn plain(text: &str) -> Cow<'_, str> {
    match text.contains(is_order) {
        true => {
            text.chars().map(|c| if is_order(c) { format!("\\u{{{:x}}}", u32::from(c)) } else { c.into() }).collect()
        }
        false => text.into(),
    }
}

/// [`plain`] as a name in a list or a table: without tabs and line ends, too.
pub fn name(text: &str) -> String {
    plain(text).replace('\t', "\\t").replace('\n', "\\n")
}

/// [`plain`], but for colours.
pub fn coloured(text: &str) -> String {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("\x1b[") {
        let (before, order) = rest.split_at(at);
        shown += &plain(before);
        let end = order[2..].find(|c: char| !c.is_ascii_digit() && c != ';').map(|n| n + 2);
        let end = end.filter(|end| order[*end..].starts_with('m')).map(|end| end + 1);
        match end {
            Some(end) => shown += &order[..end],
            None => shown += &plain(&order[..2]),
        }
        rest = &order[end.unwrap_or(2)..];
    }
    shown + plain(rest).as_ref()
}

/// A line on stderr, on a terminal folded at blanks to its width. Nobody can be told that it cannot be written.
pub fn say(text: &str) {
    let mut text = coloured(text);
    if let Some(width) = stderr_width() {
        text = fit::folded(&text, width);
    }
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

/// Columns of the terminal that stderr is, if it is one.
pub fn stderr_width() -> Option<usize> {
    std::io::stderr().is_terminal().then(|| width(terminal_size::terminal_size_of(std::io::stderr())))
}

/// Columns of the terminal that stdout is, if it is one.
pub fn stdout_width() -> Option<usize> {
    std::io::stdout().is_terminal().then(|| width(terminal_size::terminal_size_of(std::io::stdout())))
}

fn width(size: Option<(terminal_size::Width, terminal_size::Height)>) -> usize {
    // A terminal that does not say how wide it is may say 0.
    size.map(|(width, _)| usize::from(width.0)).filter(|width| *width > 0).unwrap_or(80)
}

/// A line on stderr that is a result, too: a transcript.
pub fn transcribe(text: &str) -> Result<()> {
    forgive(writeln!(std::io::stderr().lock(), "{}", plain(text)), "standard error")
}

/// A result and a line end on stdout; on a terminal without orders to it but colours.
///
/// # Errors
/// The text cannot be written. If that is because its reader is gone, [`is_gone`] is true of the error.
pub fn print(text: &str) -> Result<()> {
    static TERMINAL: LazyLock<bool> = LazyLock::new(|| std::io::stdout().is_terminal());
    let mut out = std::io::stdout().lock();
    let written = match *TERMINAL {
        true => writeln!(out, "{}", coloured(text)),
        false => writeln!(out, "{text}"),
    };
    written.and_then(|()| out.flush()).map_err(Error::io("write", "standard output"))
}

/// A picture of a terminal, with orders to it, which the program itself makes: of a text from elsewhere, [`plain`] goes in.
///
/// # Errors
/// As [`print`].
pub fn draw(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = writeln!(out, "{text}");
    written.and_then(|()| out.flush()).map_err(Error::io("write", "standard output"))
}

/// Whether an error is that nobody reads any more: as in `| head`, no failure of ours.
pub fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == ErrorKind::BrokenPipe)
}

fn forgive(written: std::io::Result<()>, stream: &'static str) -> Result<()> {
    match written {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(Error::io("write", stream)(e)),
        _ => Ok(()),
    }
}

/// A write beyond the largest file that is allowed (`ulimit -f`) is an error to be told, and no end without a word. As for a
/// reader that is gone, Rust does the same by itself. Before any other thread begins.
pub fn mask_signals() {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigSet, Signal};
        let mut set = SigSet::empty();
        set.add(Signal::SIGXFSZ);
        // Without it all is as it was.
        set.thread_block().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_to_a_terminal_are_written_out() {
        for (text, shown) in [
            ("plain\ttext\n", "plain\ttext\n"),
            ("\x1b]0;owned\x07", "\\u{1b}]0;owned\\u{7}"),
            ("a\r\x7f\u{9b}2J", "a\\u{d}\\u{7f}\\u{9b}2J"),
            ("\u{202e}abc", "\\u{202e}abc"),
            ("é 日本", "é 日本"),
        ] {
            assert_eq!(plain(text), shown);
            assert_eq!(coloured(text), shown);
        }
        assert_eq!(name("a\tb\nc\x1b"), "a\\tb\\nc\\u{1b}");
        assert_eq!(coloured("\x1b[1;31mred\x1b[0m \x1b[2J \x1b[3"), "\x1b[1;31mred\x1b[0m \\u{1b}[2J \\u{1b}[3");
    }
}
