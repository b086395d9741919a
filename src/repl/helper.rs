//! What the line editor asks while someone types: completions, hints, colours, and whether the input is finished.

use super::{commands, highlight};
use crate::host::{Colours, Session};
use rustyline::completion::{Completer, Pair, longest_common_prefix};
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter, HistoryHinter};
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};
use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

/// Answers from the session.
pub struct ScriptHelper {
    session: Rc<RefCell<Session>>,
    colours: Colours,
    history: HistoryHinter,
}

impl ScriptHelper {
    /// For `session`.
    pub fn new(session: Rc<RefCell<Session>>, colours: Colours) -> Self {
        ScriptHelper { session, colours, history: HistoryHinter::new() }
    }
}

impl Helper for ScriptHelper {}

impl Completer for ScriptHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let Ok(session) = self.session.try_borrow() else { return Ok((pos, Vec::new())) };
        let (start, found) = commands::complete(&session, line, pos);
        let found = found.into_iter().map(|c| Pair { display: c.name, replacement: c.text }).collect();
        let size = terminal_size::terminal_size();
        let size = size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
        Ok((start, on_one_screen(found, size)))
    }
}

/// As many candidates as a terminal of (columns, rows) shows at once, and how many more there are: between the pages of a longer
/// list the editor waits for keys that Ctrl-C and Ctrl-D are not among.
fn on_one_screen(mut found: Vec<Pair>, (columns, rows): (usize, usize)) -> Vec<Pair> {
    let more = |n: usize| format!("... {n} more");
    let width = found.iter().map(|pair| pair.display.chars().count()).chain([more(found.len()).len()]).max();
    // Two columns stand between names; a line of the screen stays for the prompt.
    let lists = (columns / (width.unwrap_or(0) + 2)).max(1);
    let room = (lists * rows.saturating_sub(2)).max(2);
    if found.len() <= room {
        return found;
    }
    // What all of them begin with is still completed.
    let common = longest_common_prefix(&found).unwrap_or_default().to_string();
    let left = found.len() - (room - 1);
    found.truncate(room - 1);
    found.push(Pair { display: more(left), replacement: common });
    found
}

/// The rest of an earlier input, which the right arrow takes; or what a function takes, which is only shown.
pub struct Suggestion {
    text: String,
    taken: bool,
}

impl Hint for Suggestion {
    fn display(&self) -> &str {
        &self.text
    }

    fn completion(&self) -> Option<&str> {
        self.taken.then_some(self.text.as_str())
    }
}

impl Hinter for ScriptHelper {
    type Hint = Suggestion;

    fn hint(&self, line: &str, pos: usize, ctx: &Context<'_>) -> Option<Suggestion> {
        // Within a call, what it takes: an earlier input that began so is one key away.
        let session = self.session.try_borrow().ok().filter(|_| pos == line.len());
        if let Some(text) = session.and_then(|session| session.call_hint(line)) {
            return Some(Suggestion { text, taken: false });
        }
        // Of an entry of several lines the first is enough to know it by; the arrow takes no more than is seen.
        let text = self.history.hint(line, pos, ctx)?;
        Some(Suggestion { text: text.split('\n').next().unwrap_or_default().to_string(), taken: true })
    }
}

impl Highlighter for ScriptHelper {
    fn highlight<'l>(&self, line: &'l str, pos: usize) -> Cow<'l, str> {
        match self.colours {
            Colours::None => Cow::Borrowed(line),
            _ => Cow::Owned(highlight::coloured(line, pos)),
        }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        match self.colours {
            Colours::None => Cow::Borrowed(prompt),
            _ => Cow::Owned(format!("\x1b[1;32m{prompt}\x1b[0m")),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        match self.colours {
            Colours::None => Cow::Borrowed(hint),
            _ => Cow::Owned(format!("\x1b[2m{hint}\x1b[0m")),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        self.colours != Colours::None && kind != CmdKind::ForcedRefresh
    }
}

impl Validator for ScriptHelper {
    fn validate(&self, ctx: &mut ValidationContext) -> rustyline::Result<ValidationResult> {
        let input = ctx.input();
        let finished = commands::is_command(input)
            || self.session.try_borrow().map_or(true, |session| input.trim().is_empty() || session.is_finished(input));
        Ok(if finished { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_as_long_as_the_screen_and_says_how_many_more_there_are() {
        let names = |n: usize| (0..n).map(|i| format!("name_{i:03}")).collect::<Vec<_>>();
        let pairs = |names: &[String]| {
            names.iter().map(|n| Pair { display: n.clone(), replacement: n.clone() }).collect::<Vec<_>>()
        };
        for (n, size, shown, more) in [
            (40, (80, 24), 40, None),
            (400, (80, 24), 109, Some("... 291 more")),
            (400, (5, 24), 21, Some("... 379 more")),
            (3, (1, 1), 1, Some("... 2 more")),
        ] {
            let found = on_one_screen(pairs(&names(n)), size);
            let texts: Vec<&str> = found.iter().map(|pair| pair.display.as_str()).collect();
            assert_eq!(texts.len() - usize::from(more.is_some()), shown, "{n} on {size:?}");
            assert!(more.is_none_or(|more| texts.last() == Some(&more)), "{n} on {size:?}: {texts:?}");
            assert_eq!(longest_common_prefix(&found), longest_common_prefix(&pairs(&names(n))));
        }
    }
}
