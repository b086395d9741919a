//! What can stand at the cursor: names of the language and of the session, methods of the value before the dot, keys of
//! settings, functions of modules, and inside of texts names, modules and files.

pub mod editor;
mod hint;
mod infer;
mod options;
#[cfg(test)]
mod tests;
mod texts;

use crate::host::check::known::Known;
use crate::host::docs;
use crate::host::script::doc::Signature;
use crate::host::script::lexer::{self, Kind};
use crate::host::script::modules::STDLIB;
use crate::host::script::names;
use crate::host::session::Session;
use std::collections::BTreeSet;
pub use texts::paths;

/// Something that can stand at the cursor.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Completion {
    /// What is put in place of the word at the cursor.
    pub text: String,
    /// How a list names it.
    pub name: String,
}

impl Completion {
    fn plain(name: impl Into<String>) -> Self {
        let name = name.into();
        Completion { text: name.clone(), name }
    }

    /// A function: with its bracket, and with both if it takes nothing.
    fn call(name: &str, takes: bool) -> Self {
        Completion { text: format!("{name}{}", if takes { "(" } else { "()" }), name: format!("{name}()") }
    }
}

/// Functions of the language that are worth a name, besides the program's own.
const BUILT_IN: [&str; 17] = [
    "print",
    "debug",
    "type_of",
    "abs",
    "max",
    "min",
    "sqrt",
    "exp",
    "ln",
    "log",
    "floor",
    "ceiling",
    "round",
    "to_int",
    "to_float",
    "parse_int",
    "range",
];

impl Session {
    /// Where the word at the cursor `pos` of `line` begins, and what can stand in its place.
    pub fn complete(&self, line: &str, pos: usize) -> (usize, Vec<Completion>) {
        let before = &line[..pos];
        let mut tokens = lexer::tokens(before);
        tokens.retain(|t| t.kind != Kind::Comment || t.range.end == pos);
        if let Some(last) = tokens.last().filter(|t| t.range.end == pos) {
            match last.kind {
                Kind::Comment if !last.text(before).ends_with("*/") => return (pos, Vec::new()),
                Kind::OpenText => return self.complete_text(before, &tokens),
                _ => {}
            }
        }
        let typed = tokens.pop_if(|t| matches!(t.kind, Kind::Name | Kind::Keyword) && t.range.end == pos);
        let start = typed.map_or(pos, |t| t.range.start);
        let prefix = &before[start..];
        let mut found: BTreeSet<Completion> = match tokens.last().map(|t| t.text(before)) {
            // The dots of a range are no dot of a property.
            Some(".") if tokens.len() > 1 && tokens[tokens.len() - 2].text(before) != "." => {
                self.properties(&infer::at_end(self, before, &tokens[..tokens.len() - 1]))
            }
            Some("::") => self.module_functions(tokens[..tokens.len() - 1].last().map_or("", |t| t.text(before))),
            Some("#{" | ",") if infer::opener(before, &tokens).is_some_and(|o| tokens[o].text(before) == "#{") => {
                self.keys(before, &tokens)
            }
            _ => self.words(before),
        };
        found.retain(|c| c.name.starts_with(prefix));
        // Of a name that takes arguments or does without, one stays.
        let takes: BTreeSet<String> = found.iter().filter(|c| c.text.ends_with('(')).map(|c| c.name.clone()).collect();
        found.retain(|c| !c.text.ends_with("()") || !takes.contains(&c.name));
        (start, found.into_iter().collect())
    }

    /// Names of modules and of script functions, for `??`; those of the manual too, for `?` and `:doc`.
    pub fn manual_names(&self, sources: bool) -> Vec<String> {
        let mut names: BTreeSet<String> = STDLIB.iter().map(|(path, _)| path.to_string()).collect();
        names.extend(self.own_functions().into_iter().map(|f| f.name));
        for (alias, text) in self.imported() {
            names.extend(lexer::functions(&text).into_iter().map(|f| format!("{alias}::{}", f.name)));
        }
        if !sources {
            names.extend(docs::names(&self.scripts.docs));
        }
        names.into_iter().collect()
    }

    /// Variables, functions, modules and keywords; what the input itself declares before the cursor.
    fn words(&self, before: &str) -> BTreeSet<Completion> {
        let mut found: BTreeSet<Completion> = self.variables().into_keys().map(Completion::plain).collect();
        found.extend(names::declared(before).into_iter().map(Completion::plain));
        found.extend(lexer::KEYWORDS.into_iter().map(Completion::plain));
        found.extend(self.imported().into_iter().map(|(alias, _)| Completion::plain(alias)));
        found.extend(BUILT_IN.into_iter().map(|name| Completion::call(name, true)));
        for function in self.own_functions() {
            found.insert(Completion::call(&function.name, !function.signature.ends_with("()")));
        }
        for doc in self.scripts.docs.iter().filter(|d| d.name.starts_with(char::is_alphabetic)) {
            let mut functions = doc.signatures.iter().filter(|s| !s.has_receiver()).peekable();
            if functions.peek().is_some() {
                found.insert(Completion::call(doc.name, functions.any(Signature::takes)));
            }
        }
        found
    }

    /// Functions of an imported module.
    fn module_functions(&self, alias: &str) -> BTreeSet<Completion> {
        let imported = self.imported();
        let text = imported.iter().find(|(name, _)| *name == alias).map_or("", |(_, text)| text.as_str());
        let public = lexer::functions(text).into_iter().filter(|f| !f.private);
        public.map(|f| Completion::call(&f.name, !f.signature.ends_with("()"))).collect()
    }

    /// Properties and methods of what stands before the dot.
    fn properties(&self, known: &Known) -> BTreeSet<Completion> {
        let mut found: BTreeSet<Completion> = known.keys().into_iter().map(Completion::plain).collect();
        let Some(id) = known.type_id(&self.scripts.types) else { return found };
        // Functions that take such a value first can be called on it; those that the manual does not call so are no methods.
        let kind = known.name().unwrap_or_default();
        let of = |s: &Signature| s.receiver.as_ref().is_some_and(|p| (p.kind)() == kind);
        let no_method = |name: &str| {
            let own = || self.scripts.docs.iter().filter(|d| d.name == name).flat_map(|d| &d.signatures);
            own().any(|s| !s.has_receiver()) && !own().any(of)
        };
        for method in self.scripts.methods(id).filter(|m| m.property || !no_method(&m.name)) {
            found.insert(match method.property {
                true => Completion::plain(&method.name),
                false => Completion::call(&method.name, method.takes),
            });
        }
        found
    }
}
