//! Errors on their way into a script and out of it again.

use super::api::Doc;
use super::{modules, races};
use crate::error::Error;
use rhai::{Dynamic, EvalAltResult, LexError, ParseErrorType, Position};

/// The result of a host function.
pub type Fallible<T> = Result<T, Box<EvalAltResult>>;

/// For `map_err`: our error as a script error, whose position the engine fills in.
pub fn raise(error: Error) -> Box<EvalAltResult> {
    match error {
        Error::Interrupted => EvalAltResult::ErrorTerminated("interrupted".into(), Position::NONE),
        Error::Script(text) => EvalAltResult::ErrorRuntime(text.into(), Position::NONE),
        other => EvalAltResult::ErrorRuntime(Dynamic::from(other.to_string()), Position::NONE),
    }
    .into()
}

/// For `map_err`: candle's error as a script error, without its backtrace.
pub fn raise_tensor(error: candle_core::Error) -> Box<EvalAltResult> {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default().to_string();
    raise(Error::Script(format!("tensor operation: {text}")))
}

/// A script error for a value of the wrong kind.
pub fn wrong(what: impl Into<String>, got: impl ToString, expected: impl ToString) -> Box<EvalAltResult> {
    raise(Error::invalid(what, got, expected))
}

/// Out of the script: `FILE:LINE:COLUMN: what was got, what was expected`, then how it was reached.
pub fn explain(error: &EvalAltResult, script: &str, docs: &[Doc]) -> Error {
    let (mut source, mut position, mut inner) = (script.to_string(), Position::NONE, error);
    let mut trail: Vec<String> = Vec::new();
    loop {
        match inner {
            EvalAltResult::ErrorInFunctionCall(name, file, next, at) => {
                trail.push(format!("  in {} called at {source}{}", function_name(name), place(*at)));
                if !file.is_empty() {
                    source = file.clone();
                }
                position = *at;
                inner = next;
            }
            EvalAltResult::ErrorInModule(path, next, at) => {
                trail.push(format!("  in module `{path}` imported at {source}{}", place(*at)));
                source = modules::source_of(path, &source);
                inner = next;
            }
            _ => break,
        }
    }
    if let EvalAltResult::ErrorTerminated(..) = inner {
        return Error::Interrupted;
    }
    if !inner.position().is_none() {
        position = inner.position();
    }
    trail.reverse();
    let mut lines = vec![format!("{source}{}: {}", place(position), describe(inner, docs))];
    lines.extend(trail);
    Error::Script(lines.join("\n"))
}

/// `:LINE:COLUMN`, or nothing.
pub fn place(position: Position) -> String {
    match (position.line(), position.position()) {
        (Some(line), Some(column)) => format!(":{line}:{column}"),
        (Some(line), None) => format!(":{line}"),
        _ => String::new(),
    }
}

/// `an array`, `a Space`.
pub fn article(kind: &str) -> String {
    format!("{} {kind}", if kind.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) { "an" } else { "a" })
}

fn function_name(name: &str) -> String {
    if name.starts_with("anon$") { "a closure".into() } else { format!("`{name}`") }
}

/// The error itself in words.
fn describe(error: &EvalAltResult, docs: &[Doc]) -> String {
    match error {
        EvalAltResult::ErrorRuntime(text, _) => text.to_string(),
        EvalAltResult::ErrorParsing(kind, _) => format!("syntax error: {}", syntax(kind)),
        EvalAltResult::ErrorFunctionNotFound(call, _) => unknown_function(call, docs),
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            format!("unknown variable `{name}` (functions do not see the variables outside them: pass what they need)")
        }
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            let known = docs.iter().filter(|d| d.signature.contains('.')).map(|d| d.name);
            match nearest(name, known) {
                Some(near) if near == *name => format!("a map has no property `{name}`; a method is called `{name}()`"),
                Some(near) => format!("unknown property `{name}`, did you mean `{near}`?"),
                None => format!("unknown property `{name}`: got a map or value without it, expected one that has it"),
            }
        }
        EvalAltResult::ErrorDotExpr(text, _) if text.starts_with("Unknown property '") => {
            let mut words = text.split('\'').skip(1).step_by(2);
            let (name, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or("value"));
            let known = docs.iter().filter(|d| d.signature.contains('.')).map(|d| d.name);
            match nearest(name, known) {
                Some(near) if near == name => {
                    format!("{} has no property `{name}`; a method is called `{name}()`", article(kind))
                }
                Some(near) => format!("{} has no property `{name}`, did you mean `{near}`?", article(kind)),
                None => format!("{} has no property `{name}`; `help()` lists what there is", article(kind)),
            }
        }
        EvalAltResult::ErrorModuleNotFound(path, _) => modules::not_found(path),
        EvalAltResult::ErrorMismatchDataType(expected, got, _)
        | EvalAltResult::ErrorMismatchOutputType(expected, got, _) => {
            format!("wrong type: got {}, expected {}", type_name(got), type_name(expected))
        }
        EvalAltResult::ErrorDataRace(text, _) => races::describe(text),
        EvalAltResult::ErrorFor(_) => "`for` expects a range, an array, batches or epochs".into(),
        other => {
            let mut plain = other.to_string();
            if let Some(cut) = plain.rfind(" (line ") {
                plain.truncate(cut);
            }
            plain
        }
    }
}

fn syntax(kind: &ParseErrorType) -> String {
    match kind {
        ParseErrorType::UnexpectedEOF => {
            "got the end of the script, expected a closing bracket or the rest of an expression".into()
        }
        ParseErrorType::MissingToken(token, purpose) => {
            format!("got something else or the end, expected `{token}` {purpose}")
        }
        ParseErrorType::BadInput(LexError::UnexpectedInput(found)) => {
            format!("got `{found}`, expected an expression, an operator, or the end of the statement")
        }
        other => other.to_string(),
    }
}

/// `call` is `name (Type, Type)`, or `Module::name (...)`.
fn unknown_function(call: &str, docs: &[Doc]) -> String {
    let (name, types) = call.split_once(" (").map_or((call, ""), |(n, t)| (n, t.trim_end_matches(')')));
    let types: Vec<String> = types.split(", ").filter(|t| !t.is_empty()).map(type_name).collect();
    if let Some(property) = name.strip_prefix("get$").or_else(|| name.strip_prefix("set$")) {
        let kind = types.first().map_or("value", |t| t.as_str());
        return format!("{} has no property `{property}`", article(kind));
    }
    let signatures: Vec<&str> =
        docs.iter().filter(|d| d.name == name).flat_map(|d| d.signature.lines()).map(str::trim).collect();
    if !signatures.is_empty() {
        return format!("{name}: got ({}), expected {}", types.join(", "), signatures.join(" or "));
    }
    // No operator is a misspelt one.
    let names = docs.iter().map(|d| d.name).filter(|_| name.contains(char::is_alphabetic));
    let hint = nearest(name, names).map_or(String::new(), |n| format!(", did you mean `{n}`?"));
    format!("unknown function `{name}({})`{hint}", types.join(", "))
}

/// Rhai's type names in plain words.
fn type_name(name: &str) -> String {
    match name.trim() {
        "i64" => "integer".into(),
        "f64" => "float".into(),
        "&str | ImmutableString | String" | "string" | "&str" => "string".into(),
        "()" => "nothing".into(),
        other => other.to_string(),
    }
}

/// The nearest known name, where one is near: one letter off for a short name, a third of them for a long one.
pub fn nearest<'a>(got: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = known.into_iter().map(|k| (strsim::damerau_levenshtein(got, k), k));
    let best = near.filter(|(distance, k)| *distance <= 1.max(k.len() / 3)).min()?;
    Some(best.1.to_string())
}
