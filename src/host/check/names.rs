//! The names that a program makes itself, and which of them a misspelt one is near to.

use super::program::File;
use crate::host::run::settings::host_keys;
use rhai::{ASTNode, Expr};
use std::collections::BTreeSet;

/// Names in all files of a program.
pub struct Names {
    /// Keys of maps, properties that are assigned, texts, and the settings of the program.
    pub keys: BTreeSet<String>,
    /// Keys that functions called `defaults` name.
    pub defaults: BTreeSet<String>,
    /// Properties that are read, and texts, which may be keys.
    pub reads: BTreeSet<String>,
    /// Whether texts are evaluated: they may use any variable.
    pub evaluates: bool,
    /// Whether mistakes are made on purpose, in closures without parameters.
    pub tests_errors: bool,
}

impl Names {
    /// Of these files.
    pub fn new(files: &[File]) -> Names {
        let calls = |name: &str| files.iter().any(|file| file.called.contains(name));
        let mut keys: BTreeSet<String> = files.iter().flat_map(|file| file.keys.iter().cloned()).collect();
        keys.extend(host_keys().iter().map(|key| key.to_string()));
        let mut defaults = BTreeSet::new();
        let functions = files.iter().flat_map(|file| &file.functions).filter(|((name, _), _)| name == "defaults");
        for statement in functions.flat_map(|(_, function)| &function.body) {
            statement.walk(&mut Vec::new(), &mut |path| {
                if let Some(ASTNode::Expr(Expr::Map(parts, _))) = path.last() {
                    defaults.extend(parts.0.iter().map(|(key, _)| key.name.to_string()));
                }
                true
            });
        }
        let reads = files.iter().flat_map(|file| file.reads.iter().cloned()).collect();
        Names { keys, defaults, reads, evaluates: calls("eval"), tests_errors: calls("error_of") }
    }
}

/// The nearest of the names, where one is near enough to be meant: one letter off, or two of a long name; another case.
pub fn nearest<'a>(got: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = |name: &&str| *name != got && !name.is_empty();
    let distance = |name: &'a str| match name.eq_ignore_ascii_case(got) {
        true => (0, name),
        false => (strsim::damerau_levenshtein(got, name), name),
    };
    let allowed = |name: &str| match name.chars().count().min(got.chars().count()) {
        0..=1 => 0,
        2..=6 => 1,
        n => 2 + n / 12,
    };
    let best = known.into_iter().filter(near).map(distance).filter(|(far, name)| *far <= allowed(name)).min()?;
    Some(best.1.to_string())
}
