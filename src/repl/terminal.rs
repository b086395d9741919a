//! What the terminal can show.

use crate::host::{Colours, Look};
use std::io::IsTerminal;

/// Items of a value that a person is shown.
const MOST: usize = 100;

/// Whether a person sits at both ends.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// How results look on stdout: colours on a terminal that has them unless `NO_COLOR` (<https://no-color.org>) is set; plain
/// text elsewhere.
pub fn look() -> Look {
    if !std::io::stdout().is_terminal() {
        return Look::PLAIN;
    }
    let width =
        rustyline::DefaultEditor::new().ok().and_then(|mut e| e.dimensions()).map_or(80, |(columns, _)| columns);
    Look { colours: colours(|name| std::env::var(name).ok()), width: usize::from(width).max(40), most: MOST }
}

/// Whether stdout is a terminal with colours.
pub fn stdout_has_colours() -> bool {
    std::io::stdout().is_terminal() && colours(|name| std::env::var(name).ok()) != Colours::None
}

/// The same question for stderr.
pub fn stderr_has_colours() -> bool {
    std::io::stderr().is_terminal() && colours(|name| std::env::var(name).ok()) != Colours::None
}

fn colours(variable: impl Fn(&str) -> Option<String>) -> Colours {
    let has = |name: &str| variable(name).filter(|value| !value.is_empty());
    if has("NO_COLOR").is_some() || variable("TERM").as_deref() == Some("dumb") {
        return Colours::None;
    }
    match has("COLORTERM").as_deref() {
        Some("truecolor" | "24bit") => Colours::True,
        _ => Colours::Palette,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_what_the_environment_says() {
        for (variables, expected) in [
            (&[][..], Colours::Palette),
            (&[("COLORTERM", "truecolor")], Colours::True),
            (&[("COLORTERM", "truecolor"), ("NO_COLOR", "1")], Colours::None),
            (&[("NO_COLOR", "")], Colours::Palette),
            (&[("TERM", "dumb")], Colours::None),
        ] {
            let found = colours(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string()));
            assert_eq!(found, expected, "{variables:?}");
        }
    }
}
