//! The files of a program as trees: a script, and the modules that it imports.

use super::input::Text;
use crate::host::script::{errors, lint};
use rhai::{AST, ASTNode, Engine, Expr, FnAccess, Map, ParseError, Position, Stmt};
use std::collections::{BTreeMap, BTreeSet};

/// A function or closure.
pub struct Function {
    /// The names of its parameters; of a closure, those that it captured come first.
    pub parameters: Vec<String>,
    /// Its body.
    pub body: Vec<Stmt>,
    /// Whether its own file alone may call it.
    pub private: bool,
}

/// A file.
pub struct File {
    /// What messages call it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its statements outside of functions.
    pub statements: Vec<Stmt>,
    /// Its functions by name and number of parameters.
    pub functions: BTreeMap<(String, usize), Function>,
    /// The modules that it imports, by alias: those that a name stands for, and whether these are all.
    pub imports: BTreeMap<String, (Vec<usize>, bool)>,
    /// Names of variables that are assigned to somewhere in it, those whose parts are, and those that closures capture.
    pub assigned: BTreeSet<String>,
    /// Names of variables whose parts are changed somewhere in it.
    pub changed: BTreeSet<String>,
    /// Keys of its maps, properties that it assigns, and its texts.
    pub keys: BTreeSet<String>,
    /// Properties that it reads, and its texts.
    pub reads: BTreeSet<String>,
    /// Variables that a resumed run would not know.
    pub forgotten: Vec<(Position, String)>,
    /// Names of functions that it calls.
    pub called: BTreeSet<String>,
}

/// Methods that change what they are called on.
const CHANGING: [&str; 22] = [
    "push",
    "append",
    "insert",
    "remove",
    "pop",
    "shift",
    "clear",
    "set",
    "mixin",
    "fill_with",
    "retain",
    "drain",
    "dedup",
    "truncate",
    "chop",
    "splice",
    "sort",
    "reverse",
    "pad",
    "trim",
    "replace",
    "crop",
];

/// Parses as the engine does, but keeps what it would fold away.
pub fn parse(text: &str) -> Result<AST, ParseError> {
    let mut engine = Engine::new_raw();
    engine.set_optimization_level(rhai::OptimizationLevel::None);
    engine.set_max_expr_depths(64, 64);
    engine.compile(text)
}

/// An import that leads nowhere: its place, and what is wrong.
pub type Missing = (usize, Position, String);

/// Reads files, the first one first, then those that they import.
pub fn read(
    first: Text,
    find: &dyn Fn(&str, &str) -> Result<Text, String>,
) -> Result<(Vec<File>, Vec<Missing>), (Text, ParseError)> {
    let mut files: Vec<File> = Vec::new();
    let mut missing = Vec::new();
    let mut waiting = vec![first];
    let mut names: Vec<String> = vec![waiting[0].name.clone()];
    while let Some(text) = waiting.pop() {
        let place = files.len();
        let ast = match parse(&text.text) {
            Ok(ast) => ast,
            Err(error) => return Err((text, error)),
        };
        let mut file = File::new(&ast, text);
        for (alias, path, at) in imports(&ast) {
            let found = match &path {
                Some(path) => find(&file.name, path).map(|text| {
                    let imported = format!(", in module `{path}` imported at {}{}", file.name, errors::place(at));
                    (vec![Text { imported, ..text }], true)
                }),
                // A module whose name is made while it runs.
                None => Ok((Vec::new(), false)),
            };
            match found {
                Ok((texts, whole)) => {
                    let entry = file.imports.entry(alias).or_insert((Vec::new(), true));
                    entry.1 &= whole;
                    for text in texts {
                        let number = names.iter().position(|name| *name == text.name).unwrap_or_else(|| {
                            names.push(text.name.clone());
                            waiting.insert(0, text);
                            names.len() - 1
                        });
                        entry.0.push(number);
                    }
                }
                Err(why) => {
                    file.imports.insert(alias, (Vec::new(), true));
                    missing.push((place, at, why));
                }
            }
        }
        files.push(file);
    }
    Ok((files, missing))
}

impl File {
    fn new(ast: &AST, text: Text) -> File {
        let mut file = File {
            name: text.name,
            text: text.text,
            statements: ast.statements().to_vec(),
            functions: BTreeMap::new(),
            imports: BTreeMap::new(),
            assigned: BTreeSet::new(),
            changed: BTreeSet::new(),
            keys: BTreeSet::new(),
            reads: BTreeSet::new(),
            forgotten: lint::forgotten(ast),
            called: BTreeSet::new(),
        };
        for function in ast.iter_functions() {
            let (name, parameters) = (function.name.to_string(), &function.params);
            let mut alone = ast.clone_functions_only();
            alone.retain_functions(|_, _, other, takes| other == name && takes == parameters.len());
            let mut body = Vec::new();
            alone.walk(&mut |path| {
                if let [ASTNode::Stmt(statement)] = path {
                    body.push((*statement).clone());
                }
                true
            });
            let parameters: Vec<String> = parameters.iter().map(|name| name.to_string()).collect();
            let private = function.access == FnAccess::Private;
            file.functions.insert((name, parameters.len()), Function { parameters, body, private });
        }
        ast.walk(&mut |path| {
            match path.last() {
                Some(ASTNode::Stmt(statement)) => file.note_statement(statement),
                Some(ASTNode::Expr(expr)) => file.note_expression(expr),
                _ => {}
            }
            true
        });
        file
    }

    fn note_statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Assignment(parts) => match &parts.1.lhs {
                Expr::Variable(variable, ..) => drop(self.assigned.insert(variable.1.to_string())),
                chain => {
                    self.changed.extend(root(chain));
                    self.note_assigned(chain);
                }
            },
            Stmt::FnCall(call, _) => drop(self.called.insert(call.name.to_string())),
            _ => {}
        }
    }

    /// The properties that an assignment goes through.
    fn note_assigned(&mut self, expr: &Expr) {
        match expr {
            Expr::Dot(parts, ..) | Expr::Index(parts, ..) => {
                self.note_assigned(&parts.lhs);
                self.note_assigned(&parts.rhs);
            }
            Expr::Property(property, _) => drop(self.keys.insert(property.2.to_string())),
            _ => {}
        }
    }

    fn note_expression(&mut self, expr: &Expr) {
        match expr {
            Expr::Map(parts, _) => self.keys.extend(parts.0.iter().map(|(key, _)| key.name.to_string())),
            Expr::DynamicConstant(value, _) => {
                if let Some(map) = value.read_lock::<Map>() {
                    self.keys.extend(map.keys().map(|key| key.to_string()));
                }
            }
            Expr::StringConstant(text, _) => {
                self.keys.insert(text.to_string());
                self.reads.insert(text.to_string());
            }
            Expr::Property(property, _) => drop(self.reads.insert(property.2.to_string())),
            Expr::FnCall(call, _) => {
                self.called.insert(call.name.to_string());
                // A function of the engine may change what it is given first.
                if CHANGING.contains(&call.name.as_str()) {
                    self.changed.extend(call.args.first().and_then(root));
                }
            }
            Expr::Dot(parts, ..) | Expr::Index(parts, ..) => {
                let mut link = Some(&parts.rhs);
                while let Some(expr) = link {
                    let (head, rest) = match expr {
                        Expr::Dot(next, ..) | Expr::Index(next, ..) => (&next.lhs, Some(&next.rhs)),
                        other => (other, None),
                    };
                    if let Expr::MethodCall(call, _) = head
                        && CHANGING.contains(&call.name.as_str())
                    {
                        self.changed.extend(root(&parts.lhs));
                    }
                    link = rest;
                }
            }
            _ => {}
        }
    }
}

/// The variable that a chain begins with.
fn root(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => root(&parts.lhs),
        Expr::Variable(variable, ..) => Some(variable.1.to_string()),
        _ => None,
    }
}

/// Alias, path (unless it is made while the script runs) and place of every import.
fn imports(ast: &AST) -> Vec<(String, Option<String>, Position)> {
    let mut found = Vec::new();
    ast.walk(&mut |path| {
        if let Some(ASTNode::Stmt(Stmt::Import(parts, at))) = path.last() {
            let (path, at) = match &parts.0 {
                Expr::StringConstant(path, at) => (Some(path.to_string()), *at),
                _ => (None, *at),
            };
            found.push((parts.1.name.to_string(), path, at));
        }
        true
    });
    found
}
