//! What stands before a dot, as far as it can be told without evaluating anything.

use crate::host::script::lexer::{Kind, Token};
use crate::host::script::value::kind;
use crate::host::session::{Scripts, Session};
use rhai::{Array, Dynamic, Map};
use std::any::TypeId;

/// What is known of a value.
#[derive(Clone, Debug)]
pub enum Known {
    /// The value itself.
    Value(Dynamic),
    /// Its type in the words of the manual: `Supernet`, `[Candidate]`, `map`.
    Type(String),
    /// Nothing.
    Nothing,
}

impl Known {
    /// The type in the words of the manual.
    pub fn name(&self) -> Option<String> {
        match self {
            Known::Value(value) => Some(kind(&value.flatten_clone()).to_string()),
            Known::Type(name) => Some(name.clone()),
            Known::Nothing => None,
        }
    }

    /// The type in the words of the engine.
    pub fn type_id(&self, scripts: &Scripts) -> Option<TypeId> {
        match self {
            Known::Value(value) => Some(value.flatten_clone().type_id()),
            Known::Type(name) => match name.as_str() {
                _ if name.starts_with('[') => Some(TypeId::of::<Array>()),
                "array" => Some(TypeId::of::<Array>()),
                "map" => Some(TypeId::of::<Map>()),
                "string" => Some(TypeId::of::<rhai::ImmutableString>()),
                "integer" => Some(TypeId::of::<rhai::INT>()),
                "float" => Some(TypeId::of::<rhai::FLOAT>()),
                name => scripts.types.iter().find(|(known, _)| *known == name).map(|(_, id)| *id),
            },
            Known::Nothing => None,
        }
    }

    /// Keys of a map.
    pub fn keys(&self) -> Vec<String> {
        let Known::Value(value) = self else { return Vec::new() };
        let keys = value.read_lock::<Map>().map(|map| map.keys().map(|k| k.to_string()).collect());
        keys.unwrap_or_default()
    }

    /// A property or the result of a method.
    fn member(&self, name: &str, docs: &Scripts) -> Known {
        if let Known::Value(value) = self
            && let Some(inner) = value.read_lock::<Map>().and_then(|map| map.get(name).cloned())
        {
            return Known::Value(inner);
        }
        match self.name() {
            Some(own) => returned(docs, name, Some(&own)),
            None => Known::Nothing,
        }
    }

    /// An item.
    fn item(&self) -> Known {
        match self {
            Known::Value(value) => match value.read_lock::<Array>().and_then(|a| a.first().cloned()) {
                Some(first) => Known::Value(first),
                None => Known::Nothing,
            },
            Known::Type(name) => match name.strip_prefix('[').and_then(|n| n.strip_suffix(']')) {
                Some(inner) => Known::Type(inner.to_string()),
                None if name == "Batches" => Known::Type("Batch".into()),
                None if name == "Pairs" => Known::Type("Pair".into()),
                None => Known::Nothing,
            },
            Known::Nothing => Known::Nothing,
        }
    }
}

/// What the signatures of `name` say that it gives: as a function, or of a `receiver`.
fn returned(scripts: &Scripts, name: &str, receiver: Option<&str>) -> Known {
    let mut signatures = scripts.docs.iter().filter(|d| d.name == name).flat_map(|d| &d.signatures);
    let found =
        signatures.find(|s| s.receiver.as_ref().map(|p| (p.kind)()).as_deref() == receiver && !(s.result)().is_empty());
    found.map_or(Known::Nothing, |signature| Known::Type((signature.result)()))
}

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
            at_end(session, text, &tokens[..end - 2]).member(name, &session.scripts)
        }
        (Kind::Name, name) => variable(session, text, &tokens[..end - 1], name),
        (_, close @ (")" | "]" | "}")) => {
            let Some(open) = opener(text, &tokens[..end - 1]) else { return Known::Nothing };
            let called = open > 0 && tokens[open - 1].kind == Kind::Name;
            match close {
                ")" if called && open > 1 && word(open - 2) == "." => {
                    at_end(session, text, &tokens[..open - 2]).member(word(open - 1), &session.scripts)
                }
                ")" if called => returned(&session.scripts, word(open - 1), None),
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
