//! What is looked over, and what it finds besides.

use super::known::Known;
use std::collections::{BTreeMap, BTreeSet};

/// A file of a program.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// What messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// How it was come to, of a module: `, in module ... imported at ...`.
    pub imported: String,
}

/// What a script finds besides what it makes itself.
#[derive(Default)]
pub struct Outside {
    /// Variables.
    pub variables: BTreeMap<String, Known>,
    /// Functions, with the number of their parameters.
    pub functions: BTreeSet<(String, usize)>,
    /// Modules that are imported already.
    pub modules: BTreeSet<String>,
}
