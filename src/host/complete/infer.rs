//! What stands before a dot, as far as it can be told without evaluating anything.

use crate::host::check::known::Known;
use crate::host::script::lexer::{Kind, Token};
use crate::host::session::Session;

/// The last bracket that is open at the end.
pub fn opener(text: &str, tokens: &[Token]) -> Option<usize> {
    let mut depth = 0;
    tokens.iter().rposition(|token| {
        match token.text(text) {
            ")" | "]" | "}" => depth += 1,
            "(" | "[" | "{" | "#{" if depth > 0 => depth -= 1,
            "(" | "[" | "{" | "#{" => return true,
            _ => {}
        }
        false
    })
}

/// The function whose arguments the end is in.
pub fn callee(text: &str, tokens: &[Token]) -> Option<String> {
    let open = opener(text, tokens)?;
    let name = tokens[..open].last().filter(|t| t.kind == Kind::Name && tokens[open].text(text) == "(")?;
    Some(name.text(text).to_string())
}

/// What is known of the expression that ends with the tokens.
pub fn at_end(session: &Session, text: &str, tokens: &[Token]) -> Known {
    let Some(last) = tokens.last() else { return Known::Nothing };
    let word = |i: usize| tokens.get(i).map_or("", |t| t.text(text));
    let end = tokens.len();
    let before = |n: usize| if end >= n { word(end - n) } else { "" };
    match (last.kind, last.text(text)) {
        (Kind::Text, _) => Known::Type("string".into()),
        (Kind::Number, digits) => Known::Type(if digits.contains('.') { "float" } else { "integer" }.into()),
        (Kind::Name, name) if before(2) == "." => {
            session.scripts.vocabulary().member(&at_end(session, text, &tokens[..end - 2]), name)
        }
        (Kind::Name, name) => variable(session, text, &tokens[..end - 1], name),
        (_, close @ (")" | "]" | "}")) => {
            let Some(open) = opener(text, &tokens[..end - 1]) else { return Known::Nothing };
            let called = open > 0 && tokens[open - 1].kind == Kind::Name;
            match close {
                ")" if called && open > 1 && word(open - 2) == "." => {
                    session.scripts.vocabulary().member(&at_end(session, text, &tokens[..open - 2]), word(open - 1))
                }
                ")" if called => session.scripts.vocabulary().returned(word(open - 1), None),
                ")" => at_end(session, text, &tokens[..end - 1]),
                "]" if called || matches!(word(open.wrapping_sub(1)), ")" | "]") => {
                    at_end(session, text, &tokens[..open]).item()
                }
                "]" => Known::Type("array".into()),
                _ if word(open) == "#{" => Known::Type("map".into()),
                _ => Known::Nothing,
            }
        }
        _ => Known::Nothing,
    }
}

/// A variable of the session, or one that the input declared before: `let NAME = EXPRESSION;`, `for NAME in EXPRESSION {`.
fn variable(session: &Session, text: &str, tokens: &[Token], name: &str) -> Known {
    let word = |i: usize| tokens.get(i).map_or("", |t| t.text(text));
    for i in (0..tokens.len().saturating_sub(2)).rev() {
        let (keyword, link) = (word(i), word(i + 2));
        let stop = match (keyword, link) {
            ("let" | "const", "=") => ";",
            ("for", "in") => "{",
            _ => continue,
        };
        if word(i + 1) != name {
            continue;
        }
        let from = i + 3;
        let until = (from..tokens.len()).find(|&k| word(k) == stop && opener(text, &tokens[from..k]).is_none());
        let Some(until) = until else { continue };
        let found = at_end(session, text, &tokens[from..until]);
        return if stop == "{" { found.item() } else { found };
    }
    session.variables().remove(name).map_or(Known::Nothing, Known::Value)
}
