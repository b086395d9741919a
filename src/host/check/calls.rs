//! Calls of functions, and operators.

use super::finding::Severity;
use super::known::{Closure, Fields, Known};
use super::names::nearest;
use super::state::State;
use crate::host::script::explain::unknown_function;
use crate::host::script::lexer::{Function, functions};
use crate::host::script::modules::STDLIB;
use rhai::{Expr, FnCallExpr, Position};
use std::collections::BTreeSet;

/// Functions of the language itself.
pub const SPECIAL: [&str; 8] = ["call", "curry", "Fn", "eval", "is_def_var", "is_def_fn", "is_shared", "type_of"];

impl State<'_> {
    /// A call: what is known of what it gives.
    pub fn call(&mut self, call: &FnCallExpr, at: Position) -> Known {
        let (name, n) = (call.name.as_str(), call.args.len());
        let before = self.quiet;
        self.quiet |= name == "error_of";
        // A closure that captures is made when it has done so.
        let captures = name == "curry";
        let arguments = call.args.iter().enumerate();
        let arguments = arguments.map(|(i, e)| if captures && i == 0 { Known::Nothing } else { self.expression(e) });
        let arguments: Vec<Known> = arguments.collect();
        self.quiet = before;
        if call.capture_parent_scope {
            self.scope.iter_mut().for_each(|variable| variable.read = true);
        }
        if call.op_token.is_some() {
            return self.operator(name, arguments, at);
        }
        if !call.namespace.is_empty() {
            return self.module_call(call, arguments, at);
        }
        if captures && let Some(Expr::DynamicConstant(pointer, _)) = call.args.first() {
            let captured = call.args[1..].iter().zip(&arguments[1..]);
            // What a closure captured may be another when it is called.
            let captured = captured.map(|(expr, known)| match expr {
                Expr::Variable(variable, ..) if self.files[self.file].changed.contains(variable.1.as_str()) => {
                    known.clone().weakened()
                }
                _ => known.clone(),
            });
            return match self.closure_of(pointer, captured.collect()) {
                Some(closure) => self.made(closure),
                None => Known::Nothing,
            };
        }
        if self.files[self.file].functions.contains_key(&(name.to_string(), n)) {
            return self.enter(self.file, name, arguments);
        }
        if self.words.fits(name, &arguments) {
            return self.native(name, arguments);
        }
        if SPECIAL.contains(&name) || self.is_outside(name, n) {
            return Known::Nothing;
        }
        if self.scope.iter().any(|variable| variable.name == name) {
            let text = format!("`{name}` is a variable: a closure in it is called by `{name}.call(...)`");
            self.wrong(at, text);
            return Known::Nothing;
        }
        let text = self.mismatch(name, &arguments);
        self.wrong(at, text);
        Known::Nothing
    }

    /// Whether a function of the session has this name and number of parameters.
    pub fn is_outside(&self, name: &str, takes: usize) -> bool {
        self.file == 0 && self.outside.functions.contains(&(name.to_string(), takes))
    }

    /// What is wrong with a call that no function takes.
    pub fn mismatch(&self, name: &str, arguments: &[Known]) -> String {
        let types =
            arguments.iter().map(|known| known.name().unwrap_or_else(|| "?".into())).collect::<Vec<_>>().join(", ");
        let own = self.own_signatures(self.file, name);
        if !own.is_empty() && self.words.takes(name).is_empty() {
            let own: Vec<String> = own.into_iter().collect();
            return format!("{name}: got {} arguments, expected {}", arguments.len(), own.join(" or "));
        }
        let numbers = self.words.takes(name);
        if self.words.signatures(name).next().is_none() && !numbers.is_empty() {
            let numbers: Vec<String> = numbers.iter().map(usize::to_string).collect();
            return format!("{name}: got ({types}), expected {} arguments of other types", numbers.join(" or "));
        }
        if self.words.signatures(name).next().is_some() {
            return unknown_function(&format!("{name} ({types})"), &self.words.docs);
        }
        let own = self.files[self.file].functions.keys().map(|(own, _)| own.as_str());
        let known = self.words.functions().chain(own.filter(|own| !own.starts_with("anon$")));
        let hint = nearest(name, known).map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        format!("unknown function `{name}({types})`{hint}")
    }

    /// A closure that is called: it takes what it was written for.
    pub fn closure_call(&mut self, closure: &Closure, arguments: Vec<Known>, at: Position) -> Known {
        if arguments.len() != closure.takes {
            let text =
                format!("call: got {} arguments, expected {}, as the closure has", arguments.len(), closure.takes);
            self.wrong(at, text);
        }
        self.enter_closure(closure, arguments)
    }

    /// The files that a module's alias stands for; none where it is not known which.
    pub fn module(&mut self, namespace: &[rhai::Ident]) -> Option<Vec<usize>> {
        let alias = namespace.first()?;
        let file = &self.files[self.file];
        if let Some((files, whole)) = file.imports.get(alias.name.as_str()) {
            return whole.then(|| files.clone()).filter(|_| namespace.len() == 1);
        }
        let outside = self.file == 0 && self.outside.modules.contains(alias.name.as_str());
        if outside || alias.name == "global" || self.words.modules.contains(alias.name.as_str()) {
            return None;
        }
        let hint = nearest(&alias.name, file.imports.keys().map(String::as_str));
        let hint = hint.map_or(String::new(), |near| format!(", did you mean `{near}`?"));
        let text = format!("`{}` is not imported{hint}", alias.name);
        self.wrong(alias.pos, text);
        None
    }

    fn module_call(&mut self, call: &FnCallExpr, arguments: Vec<Known>, at: Position) -> Known {
        let (name, n) = (call.name.as_str(), arguments.len());
        let Some(files) = self.module(&call.namespace.path) else {
            self.somewhere(name, n, &call.namespace.path, at);
            return Known::Nothing;
        };
        let public = |file: &usize| {
            self.files[*file].functions.iter().any(|((own, takes), f)| own == name && *takes == n && !f.private)
        };
        let found: Vec<usize> = files.iter().copied().filter(public).collect();
        if let Some(file) = found.first() {
            return self.enter(*file, name, arguments);
        }
        if files.is_empty() {
            return Known::Nothing;
        }
        let signatures: Vec<String> = files.iter().flat_map(|file| self.own_signatures(*file, name)).collect();
        let public = files.iter().flat_map(|file| &self.files[*file].functions).filter(|(_, f)| !f.private);
        let near = nearest(name, public.map(|((own, _), _)| own.as_str()).filter(|own| !own.starts_with("anon$")));
        let alias = call.namespace.path.first().map_or("", |alias| alias.name.as_str());
        let text = match near {
            _ if !signatures.is_empty() => {
                format!("{alias}::{name}: got {n} arguments, expected {}", signatures.join(" or "))
            }
            Some(near) => format!("the module `{alias}` has no function `{name}`, did you mean `{near}`?"),
            None => format!("the module `{alias}` has no function `{name}`"),
        };
        self.wrong(at, text);
        Known::Nothing
    }

    /// A function of a module that is chosen while the script runs: one of the stdlib's, most likely.
    fn somewhere(&mut self, name: &str, takes: usize, namespace: &[rhai::Ident], at: Position) {
        let alias = namespace.first().map_or("", |alias| alias.name.as_str());
        let chosen = self.files[self.file].imports.get(alias).is_some_and(|(files, whole)| !whole && files.is_empty());
        if !chosen {
            return;
        }
        let known: Vec<Function> = STDLIB.iter().flat_map(|(_, text)| functions(text)).filter(|f| !f.private).collect();
        let of_name: BTreeSet<&str> = known.iter().filter(|f| f.name == name).map(|f| f.signature.as_str()).collect();
        let number = |signature: &&str| if signature.ends_with("()") { 0 } else { signature.matches(',').count() + 1 };
        if of_name.iter().any(|signature| number(signature) == takes) {
            return;
        }
        let text = match nearest(name, known.iter().map(|f| f.name.as_str())) {
            _ if !of_name.is_empty() => {
                let expected = of_name.into_iter().collect::<Vec<_>>().join(" or ");
                format!("{alias}::{name}: got {takes} arguments, expected {expected}, as modules of the stdlib have")
            }
            Some(near) => format!("no module of the stdlib has a function `{name}`, did you mean `{near}`?"),
            None => return,
        };
        self.report(Severity::Warning, at, text);
    }

    fn operator(&mut self, name: &str, arguments: Vec<Known>, at: Position) -> Known {
        let kinds: Vec<Option<String>> = arguments.iter().map(Known::name).collect();
        let kinds: Vec<Option<&str>> = kinds.iter().map(Option::as_deref).collect();
        let of = |word: &str| Known::Type(word.to_string());
        match (name, &kinds[..]) {
            ("==" | "!=" | "<" | ">" | "<=" | ">=" | "!" | "contains" | "in" | "!in", _) => return of("bool"),
            (".." | "..=", _) => return of("range"),
            ("+" | "-" | "*" | "/" | "%" | "**", [Some("integer"), Some("integer")]) => return of("integer"),
            ("+" | "-" | "*" | "/" | "%" | "**", [Some("integer" | "float"), Some("integer" | "float")]) => {
                return of("float");
            }
            ("+" | "-", [Some(one @ ("integer" | "float"))]) => return of(one),
            ("+", [Some("string"), _] | [_, Some("string")]) => return of("string"),
            ("+", [Some("map"), _] | [_, Some("map")]) => return merged(arguments),
            ("+", [Some(a), Some(b)]) if [a, b].iter().all(|k| **k == "array" || k.starts_with('[')) => {
                return arguments.into_iter().reduce(Known::or).unwrap_or_default();
            }
            _ => {}
        }
        let handle = |known: &Known| {
            let id = known.type_id(&self.words.types);
            id.is_some_and(|id| self.words.types.iter().any(|(_, own)| *own == id))
        };
        if kinds.iter().all(Option::is_some) && arguments.iter().any(handle) && !self.words.fits(name, &arguments) {
            let text = self.mismatch(name, &arguments);
            self.wrong(at, text);
            return Known::Nothing;
        }
        self.words.result(name, &arguments)
    }
}

/// What `a + b` of maps has.
fn merged(maps: Vec<Known>) -> Known {
    let mut maps = maps.into_iter();
    match (maps.next(), maps.next()) {
        (Some(Known::Fields(mut a)), Some(Known::Fields(b))) => {
            a.keys.extend(b.keys);
            Known::Fields(Fields { rest: a.rest.max(b.rest), ..a })
        }
        (Some(Known::Fields(a)), _) | (_, Some(Known::Fields(a))) => Known::Fields(a).weakened(),
        _ => Known::Nothing,
    }
}
