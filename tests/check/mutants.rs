//! Scripts with one mistake each: a name misspelt, an argument dropped or added.

use isdarts_host::host::lexer::{Kind, Token, tokens};

/// A script with a mistake.
pub struct Mutant {
    /// What kind of mistake.
    pub kind: &'static str,
    /// The text.
    pub text: String,
    /// What was changed, in words.
    pub what: String,
}

/// All mutants of a text.
pub fn mutants(text: &str, settings: &[&str]) -> Vec<Mutant> {
    let tokens: Vec<Token> = tokens(text).into_iter().filter(|token| token.kind != Kind::Comment).collect();
    let word = |i: usize| tokens.get(i).map_or("", |token| token.text(text));
    let before = |i: usize| i.checked_sub(1).map_or("", word);
    let line = |at: usize| text[..at].matches('\n').count() + 1;
    let mut found = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        if token.kind == Kind::Name {
            let name = token.text(text);
            let called = word(i + 1) == "(";
            let kind = match (before(i), word(i + 1)) {
                ("let" | "const" | "for" | "fn" | "as" | "|", _) => continue,
                (".", _) if called => "method misspelt",
                (".", _) => "property misspelt",
                ("::", _) => "function of a module misspelt",
                (_, "::") => "module misspelt",
                (_, "(") => "function misspelt",
                ("{" | "," | "#{", ":") if settings.contains(&name) => "setting misspelt",
                ("{" | "," | "#{", ":") => "key of its own misspelt",
                _ if is_parameter(text, &tokens, i) => continue,
                _ => "variable misspelt",
            };
            let wrong = misspelt(name, i);
            found.push(Mutant {
                kind,
                what: format!("line {}: {name} -> {wrong}", line(token.range.start)),
                text: format!("{}{wrong}{}", &text[..token.range.start], &text[token.range.end..]),
            });
            if called && before(i) != "fn" {
                found.extend(arguments(text, &tokens, i, line(token.range.start)));
            }
        }
    }
    found
}

/// Letters that change places, are doubled, or are lost.
fn misspelt(name: &str, turn: usize) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    let n = letters.len();
    match turn % 3 {
        0 if n > 3 && letters[n - 2] != letters[n - 3] => letters.swap(n - 2, n - 3),
        1 if n > 3 => drop(letters.remove(n / 2)),
        _ => letters.insert(n - 1, letters[n - 1]),
    }
    letters.into_iter().collect()
}

/// Whether the name stands in the brackets behind `fn NAME` or between the bars of a closure.
fn is_parameter(text: &str, tokens: &[Token], i: usize) -> bool {
    let word = |i: usize| tokens[i].text(text);
    let mut at = i;
    while at > 0 && (word(at - 1) == "," || tokens[at - 1].kind == Kind::Name) {
        at -= 1;
    }
    match at.checked_sub(1).map(word) {
        Some("(") => at > 2 && word(at - 3) == "fn",
        Some("|") => {
            // The bar opens a closure where an expression may begin.
            at < 2 || ["(", ",", "=", ":", "{", "["].contains(&word(at - 2))
        }
        _ => false,
    }
}

/// The call of the name with its last argument dropped, and with one more.
fn arguments(text: &str, tokens: &[Token], name: usize, line: usize) -> Vec<Mutant> {
    let mut found = Vec::new();
    let (mut depth, mut commas) = (0, Vec::new());
    let mut bars = false;
    for i in name + 1..tokens.len() {
        match tokens[i].text(text) {
            "(" | "[" | "{" | "#{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            // Parameters of a closure are no arguments.
            "|" if depth == 1 => bars = !bars,
            "," if depth == 1 && !bars => commas.push(tokens[i].range.start),
            _ => {}
        }
        if depth == 0 {
            let (open, close) = (tokens[name + 1].range.end, tokens[i].range.start);
            let what = |how: &str| format!("line {line}: {} with {how}", tokens[name].text(text));
            let empty = text[open..close].trim().is_empty();
            if !empty {
                let from = commas.last().copied().unwrap_or(open);
                found.push(Mutant {
                    kind: "argument dropped",
                    what: what("its last argument dropped"),
                    text: format!("{}{}", &text[..from], &text[close..]),
                });
            }
            let more = if empty { "1" } else { ", 1" };
            found.push(Mutant {
                kind: "argument added",
                what: what("one more argument"),
                text: format!("{}{more}{}", text[..close].trim_end_matches([',', ' ', '\n']), &text[close..]),
            });
            break;
        }
    }
    found
}
