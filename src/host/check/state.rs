//! What a walk through a program holds: where it is, what is known there, what was found.

use super::finding::{Finding, Severity};
use super::input::Outside;
use super::known::{Closure, Field, Fields, Known, Rest};
use super::names::{self, Names};
use super::program::File;
use super::vocabulary::Vocabulary;
use crate::host::script::lexer::KEYWORDS;
use rhai::Position;
use std::collections::{BTreeMap, BTreeSet};

/// Calls that are followed into each other, and ways to call a function that are told apart.
const DEEPEST: usize = 24;
const MOST_WAYS: usize = 12;

/// A variable in scope.
pub struct Variable {
    pub name: String,
    pub known: Known,
    pub at: Position,
    /// Whether it matters that nothing reads it.
    pub wanted: bool,
    pub read: bool,
}

/// A walk through a program.
pub struct State<'a> {
    pub words: &'a Vocabulary,
    pub outside: &'a Outside,
    pub files: &'a [File],
    pub names: Names,
    pub findings: Vec<Finding>,
    /// The number of the file.
    pub file: usize,
    pub scope: Vec<Variable>,
    /// What the returns of the function give.
    pub returns: Vec<Known>,
    /// Mistakes are meant here: nothing is said.
    pub quiet: bool,
    /// Types are supposed here: nothing is sure.
    pub supposed: bool,
    /// Whether this is outside of functions.
    pub top: bool,
    seen: BTreeMap<String, Known>,
    ways: BTreeMap<(usize, String, usize), usize>,
    depth: usize,
    /// Keys that the script's settings declare.
    pub declared: BTreeSet<String>,
    pub closures: Vec<Closure>,
}

impl<'a> State<'a> {
    /// Before the first step.
    pub fn new(words: &'a Vocabulary, outside: &'a Outside, files: &'a [File]) -> Self {
        State {
            words,
            outside,
            files,
            names: Names::new(files),
            findings: Vec::new(),
            file: 0,
            scope: Vec::new(),
            returns: Vec::new(),
            quiet: false,
            supposed: false,
            top: true,
            seen: BTreeMap::new(),
            ways: BTreeMap::new(),
            depth: 0,
            declared: BTreeSet::new(),
            closures: Vec::new(),
        }
    }

    /// All statements, then what nothing has called.
    pub fn whole_program(&mut self) {
        for file in 0..self.files.len() {
            self.file = file;
            self.top = true;
            if file == 0 {
                for (name, known) in &self.outside.variables {
                    self.declare(name, known.clone(), Position::NONE, false);
                }
            }
            let statements = &self.files[file].statements;
            for (i, statement) in statements.iter().enumerate() {
                self.statement(statement, i + 1 == statements.len());
            }
            // What a script declares outside of its functions is for the prompt to look at.
            self.scope.clear();
            for (at, name) in &self.files[file].forgotten {
                let text = format!(
                    "`{name}` changes in an epochs loop; a resumed run will not know it: keep it in a run_state"
                );
                self.report(Severity::Warning, *at, text);
            }
        }
        for file in 0..self.files.len() {
            for ((name, takes), function) in &self.files[file].functions {
                if !name.starts_with("anon$") && !self.was_entered(file, name, *takes) {
                    let arguments = self.by_contract(file, name, function.parameters.len());
                    self.supposed = arguments.iter().any(|known| !matches!(known, Known::Nothing));
                    self.enter(file, name, arguments);
                    self.supposed = false;
                }
            }
        }
        while let Some(closure) = self.closures.pop() {
            let takes = closure.captured.len() + closure.takes;
            if !closure.quiet && !self.was_entered(closure.file, &closure.name, takes) {
                self.enter_closure(&closure, Vec::new());
            }
        }
    }

    fn was_entered(&self, file: usize, name: &str, takes: usize) -> bool {
        self.ways.get(&(file, name.to_string(), takes)).is_some_and(|ways| *ways > 0)
    }

    /// What a strategy's functions are given: `defaults(space)`, `search(space, data, cfg)`.
    fn by_contract(&mut self, file: usize, name: &str, takes: usize) -> Vec<Known> {
        let has = |name: &str, takes: usize| self.files[file].functions.contains_key(&(name.to_string(), takes));
        let space = self.words.returned("space", None);
        match (name, takes) {
            ("defaults", 1) => vec![space],
            ("search", 3) if has("defaults", 0) || has("defaults", 1) => {
                let before = std::mem::replace(&mut self.quiet, true);
                let defaults = match has("defaults", 1) {
                    true => self.enter(file, "defaults", vec![space.clone()]),
                    false => self.enter(file, "defaults", Vec::new()),
                };
                self.quiet = before;
                let keys = match defaults {
                    Known::Fields(fields) => fields.keys,
                    _ => BTreeMap::new(),
                };
                let weak = |(key, field): (String, Field)| (key, Field { known: Known::Nothing, ..field });
                let keys = keys.into_iter().map(weak).collect();
                let data = self.words.returned("data", None);
                vec![space, data, Known::Fields(Fields { keys, rest: Rest::Anything })]
            }
            _ => vec![Known::Nothing; takes],
        }
    }

    /// A function of the program with these arguments: what it gives.
    pub fn enter(&mut self, file: usize, name: &str, mut arguments: Vec<Known>) -> Known {
        let takes = arguments.len();
        let Some(function) = self.files[file].functions.get(&(name.to_string(), takes)) else { return Known::Nothing };
        // What a function reads of a map may depend on what else it is given: of a parameter no key is surely lacking.
        arguments = arguments.into_iter().map(Known::opened).collect();
        let way = |arguments: &[Known]| format!("{file} {name} {} {} {arguments:?}", self.quiet, self.supposed);
        let mut key = way(&arguments);
        let place = (file, name.to_string(), takes);
        if self.ways.get(&place).is_some_and(|ways| *ways > MOST_WAYS) || self.depth > DEEPEST {
            arguments = vec![Known::Nothing; takes];
            key = way(&arguments);
        }
        if let Some(known) = self.seen.get(&key) {
            return known.clone();
        }
        // Where mistakes are meant it has not been looked at.
        *self.ways.entry(place).or_default() += usize::from(!self.quiet);
        // While it is looked at, a call of itself gives what is not known.
        self.seen.insert(key.clone(), Known::Nothing);
        if self.depth > 2 * DEEPEST {
            return Known::Nothing;
        }
        let before =
            (self.file, std::mem::take(&mut self.scope), std::mem::take(&mut self.returns), self.top, self.depth);
        (self.file, self.top, self.depth) = (file, false, self.depth + 1);
        for (parameter, known) in function.parameters.iter().zip(arguments) {
            self.declare(parameter, known, Position::NONE, false);
        }
        let tail = self.statements(&function.body, true);
        let mut results = std::mem::take(&mut self.returns);
        if !matches!(function.body.last(), Some(rhai::Stmt::Return(..))) {
            results.push(tail);
        }
        (self.file, self.scope, self.returns, self.top, self.depth) = before;
        let result = results.into_iter().reduce(Known::or).unwrap_or_default();
        self.seen.insert(key, result.clone());
        result
    }

    /// A closure with as many of the arguments as it takes.
    pub fn enter_closure(&mut self, closure: &Closure, mut arguments: Vec<Known>) -> Known {
        arguments.resize(closure.takes, Known::Nothing);
        let all: Vec<Known> = closure.captured.iter().cloned().chain(arguments).collect();
        let before = self.quiet;
        self.quiet |= closure.quiet;
        let result = self.enter(closure.file, &closure.name, all);
        self.quiet = before;
        result
    }

    /// A variable from here on.
    pub fn declare(&mut self, name: &str, known: Known, at: Position, wanted: bool) {
        let file = &self.files[self.file];
        let known = match () {
            () if file.assigned.contains(name) => Known::Nothing,
            () if file.changed.contains(name) => known.weakened(),
            () => known,
        };
        let wanted = wanted && !name.starts_with('_') && !self.names.evaluates;
        self.scope.push(Variable { name: name.to_string(), known, at, wanted, read: false });
    }

    /// The end of a block: what was declared since, and not read.
    pub fn leave(&mut self, mark: usize) {
        for variable in self.scope.split_off(mark) {
            if variable.wanted && !variable.read {
                let text = format!("`{}` is not used (`_{0}` says that it need not be)", variable.name);
                self.report(Severity::Warning, variable.at, text);
            }
        }
    }

    /// A variable that is read.
    pub fn read(&mut self, name: &str, at: Position) -> Known {
        if let Some(variable) = self.scope.iter_mut().rev().find(|variable| variable.name == name) {
            variable.read = true;
            return variable.known.clone();
        }
        let file = &self.files[self.file];
        let function = file.functions.keys().any(|(own, _)| own == name);
        if function || self.names.evaluates || (self.file == 0 && self.outside.functions.iter().any(|f| f.0 == name)) {
            return Known::Nothing;
        }
        let near = names::nearest(name, self.scope.iter().map(|variable| variable.name.as_str()));
        let outer = file.statements.iter().any(|s| matches!(s, rhai::Stmt::Var(parts, ..) if parts.0.name == name));
        let hint = match near {
            Some(near) => format!(", did you mean `{near}`?"),
            None if KEYWORDS.contains(&name) => String::new(),
            None if outer && !self.top => {
                " (functions do not see the variables outside them: pass what they need)".into()
            }
            None => String::new(),
        };
        self.report(Severity::Error, at, format!("unknown variable `{name}`{hint}"));
        Known::Nothing
    }

    /// Something that is surely wrong, unless types are supposed.
    pub fn wrong(&mut self, at: Position, text: String) {
        let severity = if self.supposed { Severity::Warning } else { Severity::Error };
        self.report(severity, at, text);
    }

    /// Something that was found.
    pub fn report(&mut self, severity: Severity, at: Position, text: String) {
        if self.quiet {
            return;
        }
        let file = &self.files[self.file];
        let (line, column) = (at.line().unwrap_or_default(), at.position().unwrap_or_default());
        let source = file.text.lines().nth(line.saturating_sub(1)).unwrap_or_default().to_string();
        let word =
            source.chars().skip(column.saturating_sub(1)).take_while(|c| c.is_alphanumeric() || *c == '_').count();
        let found = Finding { file: file.name.clone(), line, column, width: word.max(1), severity, text, source };
        // One place is said once: what is sure goes before what is likely.
        let same = |other: &Finding| (other.line, other.column) == (line, column) && other.file == found.file;
        match self.findings.iter_mut().find(|other| same(other)) {
            Some(other) if other.severity < severity => *other = found,
            Some(_) => {}
            None => self.findings.push(found),
        }
    }

    /// Keys that anything in the program names.
    pub fn is_key(&self, name: &str) -> bool {
        self.names.keys.contains(name)
    }

    /// Parameters of the functions of a name in the file, in words.
    pub fn own_signatures(&self, file: usize, name: &str) -> BTreeSet<String> {
        let own = self.files[file].functions.iter().filter(|((own, _), _)| own == name);
        own.map(|(_, function)| format!("{name}({})", function.parameters.join(", "))).collect()
    }
}
