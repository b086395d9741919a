//! Errors on their way out of a script, in words.

use super::doc::{Doc, Signature};
use super::errors::{article, nearest, place};
use super::names::{declared, keys};
use super::{modules, races};
use crate::error::Error;
use crate::files;
use rhai::{EvalAltResult, LexError, ParseErrorType, Position};
use std::path::Path;

/// What a misspelt name may have meant.
#[derive(Default)]
pub struct Names<'a> {
    /// The text that was run.
    pub text: &'a str,
    /// Variables at its end.
    pub variables: Vec<String>,
    /// Keys of the maps among them, and of settings.
    pub keys: Vec<String>,
}

/// [`explain_among`] where no more is known than what the program has.
pub fn explain(error: &EvalAltResult, script: &str, docs: &[Doc]) -> Error {
    explain_among(error, script, docs, &Names::default())
}

/// Out of the script: `FILE:LINE:COLUMN: what was got, what was expected`, then how it was reached.
pub fn explain_among(error: &EvalAltResult, script: &str, docs: &[Doc], names: &Names) -> Error {
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
    let told = match inner {
        EvalAltResult::ErrorVariableNotFound(name, _) => {
            unknown_variable(name, docs, &text_of(&source, script, names), names, !trail.is_empty())
        }
        EvalAltResult::ErrorPropertyNotFound(name, _) => {
            unknown_key(name, docs, &text_of(&source, script, names), names)
        }
        EvalAltResult::ErrorFunctionNotFound(call, _) => {
            let (name, text) = (call.split(" (").next().unwrap_or_default(), text_of(&source, script, names));
            match names.variables.iter().any(|known| known == name) || declared(&text).iter().any(|known| known == name)
            {
                true => format!("`{name}` is a variable: a closure in it is called by `{name}.call(...)`"),
                false if names.keys.iter().any(|known| known == name) && docs.iter().all(|d| d.name != name) => {
                    format!("{}; a setting is called so: #{{ {name}: ... }}", unknown_function(call, docs))
                }
                false => unknown_function(call, docs),
            }
        }
        _ => describe(inner, docs),
    };
    let mut lines = vec![format!("{source}{}: {told}", place(position))];
    lines.extend(trail);
    Error::Script(lines.join("\n"))
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
        EvalAltResult::ErrorDotExpr(text, _) if text.starts_with("Unknown property '") => {
            let mut words = text.split('\'').skip(1).step_by(2);
            let (name, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or("value"));
            let known = docs.iter().filter(|d| d.signatures.iter().any(Signature::has_receiver)).map(|d| d.name);
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

/// The text of the file that an error is in; empty where there is none.
fn text_of(source: &str, script: &str, names: &Names) -> String {
    match source == script {
        true => names.text.to_string(),
        false => files::read_plain_text(Path::new(source)).unwrap_or_default(),
    }
}

fn unknown_variable(name: &str, docs: &[Doc], text: &str, names: &Names, in_function: bool) -> String {
    if in_function && names.variables.iter().any(|known| known == name) {
        return format!(
            "unknown variable `{name}`: functions do not see the variables outside them, pass what they need"
        );
    }
    // Of functions with a receiver the value before the point is missing, too.
    let is_function = |d: &&Doc| d.name == name && d.signatures.iter().any(|s| !s.has_receiver());
    if let Some(function) = docs.iter().find(is_function) {
        return format!("unknown variable `{name}`; it is a function: {}", function.lines()[0]);
    }
    let declared = declared(text);
    let known = names.variables.iter().chain(&declared).map(String::as_str).filter(|known| *known != name);
    let hint = nearest(name, known).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
    format!("unknown variable `{name}`{hint}")
}

/// A key that a map has not. Other values have properties of the program's own, which the engine tells by another error.
fn unknown_key(name: &str, docs: &[Doc], text: &str, names: &Names) -> String {
    let methods = || docs.iter().filter(|d| d.signatures.iter().any(Signature::has_receiver)).map(|d| d.name);
    if methods().any(|known| known == name) {
        return format!("a map has no property `{name}`; a method is called `{name}()`");
    }
    let written = keys(text);
    let known = names.keys.iter().chain(&written).map(String::as_str).filter(|known| *known != name);
    match nearest(name, known).or_else(|| nearest(name, methods())) {
        Some(near) => format!("unknown property `{name}`, did you mean `{near}`?"),
        None => format!("unknown property `{name}`: got a map without it, expected one that has it"),
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
pub fn unknown_function(call: &str, docs: &[Doc]) -> String {
    let (name, types) = call.split_once(" (").map_or((call, ""), |(n, t)| (n, t.trim_end_matches(')')));
    let types: Vec<String> = types.split(", ").filter(|t| !t.is_empty()).map(type_name).collect();
    if let Some(property) = name.strip_prefix("get$").or_else(|| name.strip_prefix("set$")) {
        let kind = types.first().map_or("value", |t| t.as_str());
        return format!("{} has no property `{property}`", article(kind));
    }
    // Of a value that has such a method, its own.
    let named = || docs.iter().filter(|d| d.name == name);
    let is_first = |s: &Signature| s.receiver.as_ref().is_some_and(|p| types.first() == Some(&(p.kind)()));
    let own: Vec<String> = named().flat_map(|d| d.lines_of(is_first)).collect();
    if !own.is_empty() {
        return format!("{name}: got ({}), expected {}", types[1..].join(", "), own.join(" or "));
    }
    let signatures: Vec<String> = named().flat_map(Doc::lines).collect();
    if !signatures.is_empty() {
        return format!("{name}: got ({}), expected {}", types.join(", "), signatures.join(" or "));
    }
    // No operator is a misspelt one.
    let names = docs.iter().map(|d| d.name).filter(|known| known.contains(char::is_alphabetic));
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
