//! Errors on their way into a script.

use crate::error::{Error, without_backtrace};
use rhai::{Dynamic, EvalAltResult, FnPtr, Position};

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

impl From<Error> for Box<EvalAltResult> {
    fn from(error: Error) -> Self {
        raise(error)
    }
}

/// For `map_err`: candle's error as a script error, without its backtrace.
pub fn raise_tensor(error: candle_core::Error) -> Box<EvalAltResult> {
    raise(Error::Script(format!("tensor operation: {}", without_backtrace(&error))))
}

/// A script error for a value of the wrong kind.
pub fn wrong(what: impl Into<String>, got: impl ToString, expected: impl ToString) -> Box<EvalAltResult> {
    raise(Error::invalid(what, got, expected))
}

/// Whether an error says that a closure takes another number of parameters than it was called with.
pub fn takes_others(error: &EvalAltResult, closure: &FnPtr) -> bool {
    matches!(error, EvalAltResult::ErrorFunctionNotFound(name, _) if name.starts_with(closure.fn_name()))
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

/// The nearest known name, where one is near: one letter off for a short name, a third of them for a long one. Of one letter,
/// all others are as near.
pub fn nearest<'a>(got: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = known.into_iter().map(|k| (strsim::damerau_levenshtein(got, k), k));
    let letters = got.chars().count();
    let best = near.filter(|(distance, k)| *distance <= 1.max(k.len() / 3) && *distance < letters).min()?;
    Some(best.1.to_string())
}
