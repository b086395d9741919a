//! One style for scripts: indentation, blanks around operators and inside of braces, blank lines, the end of the file.
//!
//! Blanks are put where there are none; those that stand are left, for columns are aligned on purpose, and so are long lines. A
//! formatted text has the same words and parses to the same tree, or it is not given out.

use super::lexer::{Kind, Token, tokens};
use crate::error::{Error, Result};
use rhai::{Engine, OptimizationLevel};

/// Blanks of a level.
const STEP: usize = 4;

/// Operators of more than one character, longest first.
const LONG: [&str; 23] = [
    "**=", "<<=", ">>=", "..=", "==", "!=", "<=", ">=", "&&", "||", "+=", "-=", "*=", "/=", "%=", "**", "=>", "..",
    "??", "?.", "<<", ">>", "&=",
];

/// Operators that stand between blanks, wherever they are.
const BETWEEN: [&str; 16] =
    ["=", "==", "!=", "<=", ">=", "&&", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", "=>", "??"];

/// Those that do so behind a value, and belong to what follows elsewhere.
const BEHIND_VALUE: [&str; 8] = ["+", "-", "*", "/", "%", "<", ">", "||"];

/// A word of the text, or an operator of several characters.
struct Word {
    kind: Kind,
    from: usize,
    to: usize,
}

/// The text in the one style.
///
/// # Errors
/// A text that does not parse; one that would not parse to the same tree.
pub fn format(text: &str, source: &str) -> Result<String> {
    let before = tree(text, source)?;
    let result = blank_lines(&indented(&spaced(&text.replace("\r\n", "\n"))));
    let same_words = words(text).eq(words(&result));
    if !same_words || tree(&result, source)? != before {
        let got = "a text whose formatted form would not mean the same";
        return Err(Error::invalid(format!("format {source}"), got, "one that does: this is a fault of the program"));
    }
    Ok(result)
}

/// The words of a text, of comments without what ends a line.
fn words(text: &str) -> impl Iterator<Item = String> {
    let text = text.replace("\r\n", "\n");
    tokens(&text).into_iter().map(|token| token.text(&text).trim_end().to_string()).collect::<Vec<_>>().into_iter()
}

/// The tree of a text, function by function, without places, of which names of closures are made, too.
fn tree(text: &str, source: &str) -> Result<String> {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(OptimizationLevel::None);
    engine.set_max_expr_depths(64, 64);
    let ast = engine.compile(text).map_err(|error| {
        let place = super::errors::place(error.1);
        Error::Script(format!("{source}{place}: syntax error: {}", error.0))
    })?;
    // Functions stand in the order of numbers that are made of places.
    let mut parts: Vec<String> = ast
        .shared_lib()
        .iter_script_fn_info()
        .map(|(.., function)| placeless(&format!("{} {:?} {:?}", function.name, function.params, function.body)))
        .collect();
    parts.sort();
    parts.push(placeless(&format!("{:?}", ast.statements())));
    Ok(parts.join("\n"))
}

/// Without places, `3:14` or `3:14-5:1`, and the numbers in `anon$0123456789abcdef`.
fn placeless(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (len, keep) = if first.is_ascii_digit() {
            let len = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '-')).unwrap_or(rest.len());
            (len, !rest[..len].contains(':'))
        } else if let Some(tail) = rest.strip_prefix("anon$") {
            (rest.len() - tail.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len(), false)
        } else {
            (first.len_utf8(), true)
        };
        result += if keep { &rest[..len] } else { "" };
        rest = &rest[len..];
    }
    result
}

fn joined(text: &str) -> Vec<Word> {
    let mut found: Vec<Word> = Vec::new();
    for token in tokens(text) {
        let Token { kind, range } = token;
        if kind == Kind::Symbol
            && let Some(last) = found.last_mut()
            && last.kind == Kind::Symbol
            && last.to == range.start
            && LONG.iter().any(|long| long.starts_with(&text[last.from..range.end]))
        {
            last.to = range.end;
            continue;
        }
        found.push(Word { kind, from: range.start, to: range.end });
    }
    found
}

/// With a blank wherever one is lacking.
fn spaced(text: &str) -> String {
    let words = joined(text);
    let mut result = text[..words.first().map_or(text.len(), |word| word.from)].to_string();
    for (i, word) in words.iter().enumerate() {
        let own = &text[word.from..word.to];
        result += own;
        let Some(next) = words.get(i + 1) else {
            result += &text[word.to..];
            break;
        };
        let gap = &text[word.to..next.from];
        result += gap;
        if gap.is_empty() && wants_blank(text, &words, i) {
            result.push(' ');
        }
    }
    result
}

/// Whether a value ends with the word: what looks like an operator behind it is one.
fn is_value(text: &str, word: Option<&Word>) -> bool {
    word.is_some_and(|word| match word.kind {
        Kind::Name | Kind::Number | Kind::Text => true,
        Kind::Keyword => ["true", "false", "this"].contains(&&text[word.from..word.to]),
        Kind::Symbol => [")", "]"].contains(&&text[word.from..word.to]),
        _ => false,
    })
}

fn wants_blank(text: &str, words: &[Word], i: usize) -> bool {
    let of = |word: &Word| &text[word.from..word.to];
    let (own, next) = (of(&words[i]), of(&words[i + 1]));
    let operator = |at: usize| {
        let own = of(&words[at]);
        let behind = at.checked_sub(1).map(|before| &words[before]);
        words[at].kind == Kind::Symbol
            && (BETWEEN.contains(&own) || (BEHIND_VALUE.contains(&own) && is_value(text, behind)))
    };
    match (own, next) {
        ("{" | "#{", "}") | (",", ")" | "]") => false,
        ("{" | "#{", _) | (_, "}") | ("," | ";" | ":", _) => true,
        (_, "," | ";" | ")" | "]" | "." | "?." | "(" | "[") => operator(i),
        (_, "{" | "#{") => !["(", "[", "!"].contains(&own),
        ("}", _) => words[i + 1].kind != Kind::Symbol,
        _ => words[i + 1].kind == Kind::Comment || operator(i) || operator(i + 1),
    }
}

/// Lines begin where their brackets say.
fn indented(text: &str) -> String {
    let all = tokens(text);
    let mut result = String::new();
    // Of each open bracket: what its line was and is indented by, and whether it ends its line.
    let mut open: Vec<(usize, usize, bool)> = Vec::new();
    // What the last line of code was and is indented by, and whether a statement or item ended with it.
    let mut last = (0usize, 0usize, true);
    let mut token = 0;
    let mut start = 0;
    while start < text.len() {
        let end = text[start..].find('\n').map_or(text.len(), |n| start + n);
        let line = &text[start..end];
        while token < all.len() && all[token].range.end <= start {
            token += 1;
        }
        // Inside of a text or comment of several lines nothing changes.
        let inside = all.get(token).is_some_and(|t| t.range.start < start && t.range.end > start);
        let bare = line.trim_start();
        let was = line.len() - bare.len();
        let mut now = was;
        if !inside && !bare.is_empty() {
            let closes = bare.starts_with(['}', ')', ']']);
            let comment = bare.starts_with("//");
            now = match open.last() {
                Some((_, now, true)) if closes => *now,
                Some((_, now, true)) if last.2 || comment => now + STEP,
                // Aligned with something in the line that opens the bracket: it moves with that.
                Some((before, now, false)) => (was + now).saturating_sub(*before),
                None if last.2 || comment => 0,
                _ => (was + last.1).saturating_sub(last.0),
            };
        }
        result.extend(std::iter::repeat_n(' ', if inside || bare.is_empty() { 0 } else { now }));
        // What ends inside of a text is kept to its last blank.
        let open_at_end = all
            .iter()
            .skip(token)
            .take_while(|t| t.range.start < end)
            .any(|t| t.range.end > end && matches!(t.kind, Kind::Text | Kind::OpenText));
        let kept = if inside { line } else { bare };
        result += if open_at_end { kept } else { kept.trim_end() };
        result.push('\n');
        let mut code = None;
        for t in all.iter().skip(token).take_while(|t| t.range.start < end) {
            if t.range.start < start || t.kind == Kind::Comment {
                continue;
            }
            let word = t.text(text);
            match word {
                "{" | "#{" | "(" | "[" => {
                    let rest = text[t.range.end..end].trim_start();
                    open.push((was, now, rest.is_empty() || rest.starts_with("//")));
                }
                "}" | ")" | "]" => drop(open.pop()),
                _ => {}
            }
            code = Some(word);
        }
        if let Some(word) = code {
            // A block that an operator or a dot goes on behind has not ended its statement: the next line says so itself.
            let following = text[end..].trim_start();
            let goes_on = following.starts_with('.') && !following.starts_with("..");
            last = (was, now, [";", "{", "}", ",", "#{", "(", "["].contains(&word) && !goes_on);
        } else if inside {
            last.2 = true;
        }
        start = end + 1;
    }
    result
}

/// No blank lines at the beginning and the end, nor two in a row, save inside of texts.
fn blank_lines(text: &str) -> String {
    let whole: Vec<Token> = tokens(text).into_iter().filter(|t| t.text(text).contains('\n')).collect();
    let mut result = String::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let inside = whole.iter().any(|t| t.range.start < start && start < t.range.end);
        let second = result.is_empty() || result.ends_with("\n\n");
        if inside || !line.trim().is_empty() || !second {
            result += line;
        }
        start += line.len();
    }
    let end = result.trim_end_matches('\n').len();
    result.truncate(end);
    if !result.is_empty() {
        result.push('\n');
    }
    result
}
