//! What a check found, as it is shown.

use std::fmt;

/// How sure a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Perhaps a mistake; the script runs.
    Warning,
    /// The script fails where it comes to this.
    Error,
}

/// Something that a check found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What messages call the file.
    pub file: String,
    /// Line and column, from 1; 0 where it has no place.
    pub line: usize,
    /// Its column in characters.
    pub column: usize,
    /// How many characters it is about.
    pub width: usize,
    /// How sure it is.
    pub severity: Severity,
    /// What it is, in words.
    pub text: String,
    /// The line that it is in.
    pub source: String,
}

impl fmt::Display for Finding {
    /// `FILE:LINE:COLUMN: what it is`, then the line with a caret below it.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let kind = if self.severity == Severity::Warning { "warning: " } else { "" };
        write!(f, "{}:{}:{}: {kind}{}", self.file, self.line, self.column, self.text)?;
        if self.line == 0 {
            return Ok(());
        }
        // What stands before the caret is as wide as what stands before its place: tabs stay tabs.
        let before = self.source.chars().take(self.column.saturating_sub(1));
        let blank: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        let number = self.line.to_string();
        write!(f, "\n  {number} | {}", self.source.trim_end())?;
        write!(f, "\n  {:width$} | {blank}{}", "", "^".repeat(self.width.max(1)), width = number.len())
    }
}
