//! A session of inputs, as the REPL needs it: variables, functions and imports stay from input to input, and `_` is the
//! value of the last.

mod before;
mod keep;
mod scope;
mod scripts;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::files;
use crate::host::docs;
use crate::host::run::{Run, RunOptions, device_name};
use crate::host::script::bundled;
use crate::host::script::errors::{Fallible, article};
use crate::host::script::explain::explain;
use crate::host::script::lexer::{self, Kind};
use crate::host::script::modules::{STDLIB, Texts};
use crate::host::script::value::kind;
use crate::host::show::Look;
use crate::ops::simd::Level;
use crate::search::Progress;
use rhai::{AST, ASTNode, Dynamic, Expr, Module, ParseError, ParseErrorType, Position, Scope, Shared, Stmt};
pub use scripts::Scripts;
use std::path::Path;
use std::rc::Rc;

/// What messages call the text of an input.
const SOURCE: &str = "input";
/// The variable that holds the last value.
const LAST: &str = "_";

/// The outcome of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A value, as text.
    Value(String),
    /// Nothing to show.
    Nothing,
    /// The input is right so far but not finished: ask for another line.
    Incomplete,
    /// An error, as text.
    Error(String),
}

/// An import that holds from input to input.
struct Import {
    alias: String,
    path: String,
    /// The file that imported it.
    importer: String,
}

/// Variables, functions and imports that stay from input to input.
pub struct Session {
    /// How values look.
    pub look: Look,
    pub(in crate::host) scripts: Scripts,
    pub(in crate::host) scope: Scope<'static>,
    imports: Vec<Import>,
    functions: AST,
    /// Every text that defined functions, the latest last.
    texts: Vec<String>,
}

impl Session {
    /// A fresh session. Without `options.folder` nothing is written.
    pub fn new(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<Self> {
        let host = Run::open(options, progress)?;
        Ok(Session::over(Scripts::new(host, Path::new("."))))
    }

    /// Makes a session over an engine.
    pub(in crate::host) fn over(scripts: Scripts) -> Self {
        Session {
            look: Look::PLAIN,
            scripts,
            scope: Scope::new(),
            imports: Vec::new(),
            functions: AST::empty(),
            texts: Vec::new(),
        }
    }

    /// Whether `input` is all there, right or wrong: [`Session::eval_line`] would not ask for more.
    pub fn is_finished(&self, input: &str) -> bool {
        self.compile(input).err().is_none_or(|error| !unfinished(&error.0, error.1, input))
    }

    /// Evaluate input of one or more lines.
    pub fn eval_line(&mut self, input: &str) -> Outcome {
        let line = match self.compile(input) {
            Ok(line) => line,
            Err(error) if unfinished(&error.0, error.1, input) => return Outcome::Incomplete,
            Err(error) => return Outcome::Error(self.explained(error).to_string()),
        };
        let value = self.eval(&line, input, SOURCE).and_then(|value| {
            let text = self.scripts.show(&value, &self.look)?;
            if !value.is_unit() {
                self.assign(LAST, value);
            }
            self.scripts.host.output.check().map(|()| text)
        });
        match value {
            Ok(text) if text.is_empty() => Outcome::Nothing,
            Ok(text) => Outcome::Value(text),
            Err(error) => Outcome::Error(error.to_string()),
        }
    }

    /// A line of results.
    pub fn print(&self, text: &str) {
        self.scripts.host.print(text);
    }

    /// Whether somebody reads results; an error if they could not be written.
    pub fn is_read(&self) -> Result<bool> {
        let output = &self.scripts.host.output;
        output.check().map(|()| !output.is_gone())
    }

    /// Run a script file here: its variables, functions and imports stay.
    pub fn run_file(&mut self, path: &Path) -> Result<()> {
        let name = path.to_string_lossy();
        let text = match bundled::find(&name) {
            Some((_, text)) if !path.exists() => text.to_string(),
            // A word is a name.
            None if !path.exists() && !name.contains(['/', '.']) => {
                return Err(match bundled::file_meant(&name) {
                    Some(file) => Error::Script(format!("unknown script `{name}`, did you mean the file `{file}`?")),
                    None => Error::unknown_name("script", &name, bundled::SCRIPTS.iter().map(|(name, _)| *name)),
                });
            }
            _ => files::read_text(path).map_err(Error::io("read", path))?,
        };
        self.look_over(&text, &path.to_string_lossy())?;
        self.run_text(&text, &path.to_string_lossy())
    }

    /// Runs the text of a script here.
    pub(in crate::host) fn run_text(&mut self, text: &str, source: &str) -> Result<()> {
        let ast = self.scripts.engine.compile(text).map_err(|e| explain(&e.into(), source, &self.scripts.docs))?;
        self.scripts.host.look_over(&ast);
        self.eval(&ast, text, source).map(|_| ())
    }

    /// A variable, if there is one of that name and type.
    pub fn variable<T: Clone + 'static>(&self, name: &str) -> Option<T> {
        self.scope.get_value(name)
    }

    /// Load the modules whose files have changed anew; which these are. Variables stay. If one does not load, all stay as
    /// they were.
    pub fn reload(&mut self) -> Result<Vec<String>> {
        let changed = self.scripts.modules.changed();
        if changed.is_empty() {
            return Ok(changed);
        }
        let engine = &self.scripts.engine;
        let load = |import: &Import| {
            let at = Position::NONE;
            self.scripts.modules.resolve(engine, Some(&import.importer), &import.path, at)
        };
        let all = || self.imports.iter().map(load).collect::<Fallible<Vec<Shared<Module>>>>();
        let modules = self.scripts.modules.anew(all).map_err(|e| explain(&e, SOURCE, &self.scripts.docs))?;
        for (import, module) in self.imports.iter().zip(modules) {
            self.scripts.engine.register_static_module(&import.alias, module);
        }
        Ok(changed)
    }

    /// Signature and comments of a function of this session, of an imported module (`alias::name`) or of the stdlib
    /// (`nas/is_darts::search`); the page of a variable's type, or of what a value of this type has (`net.drop`); the manual
    /// (see [`crate::host::documentation`]).
    pub fn documentation(&self, name: Option<&str>) -> Result<String> {
        let docs = &self.scripts.docs;
        let Some(name) = name else { return docs::text(docs, None) };
        if let Some(function) = self.scripted(name) {
            return Ok(format!("{}\n\n{}", function.signature, function.comment).trim_end().to_string());
        }
        let (first, member) = name.split_once('.').map_or((name, None), |(first, member)| (first, Some(member)));
        let value = self.variables().remove(first).map(|value| kind(&value.flatten_clone()).to_string());
        match (value, member) {
            (Some(kind), Some(member)) => docs::text(docs, Some(&format!("{kind}.{member}"))),
            (Some(kind), None) if kind.starts_with(char::is_uppercase) => docs::text(docs, Some(&kind)),
            (Some(kind), None) => Ok(format!("{name} is {}", article(&kind))),
            (None, _) => docs::text(docs, Some(name)),
        }
    }

    /// The function of a script that a name means.
    fn scripted(&self, name: &str) -> Option<lexer::Function> {
        let functions = match name.rsplit_once("::") {
            None => self.own_functions(),
            Some((module, _)) => {
                let stdlib = STDLIB.iter().map(|(path, text)| (*path, text.to_string()));
                let mut texts = self.imported().into_iter().chain(stdlib);
                texts.find(|(of, _)| *of == module).map_or(Vec::new(), |(_, text)| lexer::functions(&text))
            }
        };
        let last = name.rsplit("::").next();
        functions.into_iter().find(|f| Some(f.name.as_str()) == last)
    }

    /// The source of a function of the stdlib, of an imported module (`alias::name`, or just `name`), or of this session; or
    /// of a whole module.
    pub fn source(&self, name: &str) -> Result<String> {
        let (module, function) = name.rsplit_once("::").map_or((None, name), |(m, f)| (Some(m), f));
        let mut texts: Vec<(String, String)> = Vec::new();
        for import in &self.imports {
            if let Ok((_, text)) = self.scripts.modules.find(Some(&import.importer), &import.path, Position::NONE) {
                texts.push((import.alias.clone(), text));
            }
        }
        texts.extend(STDLIB.iter().map(|(path, text)| (path.to_string(), text.to_string())));
        if let Some((_, text)) = texts.iter().find(|(path, _)| path == name) {
            return Ok(text.trim_end().to_string());
        }
        if module.is_none() {
            let own = self.texts.iter().rev().map(|text| (String::new(), text.clone()));
            texts.splice(0..0, own);
        }
        let inside =
            texts.iter().filter(|(path, _)| module.is_none_or(|m| m == path || path.ends_with(&format!("/{m}"))));
        let mut found: Vec<String> = Vec::new();
        for (path, text) in inside {
            let Some(source) = lexer::function_source(text, function) else { continue };
            if path.is_empty() {
                return Ok(source);
            }
            let titled = format!("// {path}\n{source}");
            if !found.iter().any(|known| known.ends_with(&source)) {
                found.push(titled);
            }
        }
        if found.is_empty() {
            if self.scripts.docs.iter().any(|d| d.name == function) {
                let got = format!("`{name}`, which is part of the program");
                return Err(Error::invalid(
                    "source",
                    got,
                    format!("a function in a script; `?{name}` says what it does"),
                ));
            }
            let functions = texts.iter().flat_map(|(_, text)| lexer::functions(text)).map(|f| f.name);
            let known: std::collections::BTreeSet<String> = functions.collect();
            return Err(Error::unknown_name("script function or module", name, known.iter().map(String::as_str)));
        }
        Ok(found.join("\n\n"))
    }

    /// Where networks live, and how the work is shared out.
    pub fn device(&self) -> String {
        let options = &self.scripts.host.options;
        let threads = if options.threads == 1 { "1 thread".into() } else { format!("{} threads", options.threads) };
        let name = device_name(&options.device);
        match options.device.is_cpu() {
            true => format!("{name}, {threads}, {:?} kernels", Level::best()),
            false => format!("{name}; data on {threads}"),
        }
    }

    /// Aliases of the imported modules, and the modules' texts.
    pub(in crate::host) fn imported(&self) -> Vec<(&str, String)> {
        let text = |import: &Import| {
            self.scripts
                .modules
                .find(Some(&import.importer), &import.path, Position::NONE)
                .map_or(String::new(), |f| f.1)
        };
        self.imports.iter().map(|import| (import.alias.as_str(), text(import))).collect()
    }

    /// Every function defined in this session, the latest first.
    pub(in crate::host) fn own_functions(&self) -> Vec<lexer::Function> {
        self.texts.iter().rev().flat_map(|text| lexer::functions(text)).collect()
    }

    /// Takes imports (alias, path, importer) and the functions of a text for its own, in place of those it had.
    pub(in crate::host) fn suppose(&mut self, imports: Vec<(String, String, String)>, text: &str) {
        self.imports = imports.into_iter().map(|(alias, path, importer)| Import { alias, path, importer }).collect();
        self.texts = vec![text.to_string()];
    }

    /// Alias, path and importer of an import.
    pub(in crate::host) fn import_of(&self, alias: &str) -> Option<(String, String, String)> {
        let import = self.imports.iter().find(|import| import.alias == alias)?;
        Some((import.alias.clone(), import.path.clone(), import.importer.clone()))
    }

    /// Set a variable, or make it.
    fn assign(&mut self, name: &str, value: Dynamic) {
        match self.scope.get_mut(name) {
            Some(place) => *place = value,
            None => {
                self.scope.push_dynamic(name, value);
            }
        }
    }

    fn compile(&self, input: &str) -> std::result::Result<AST, ParseError> {
        *self.scripts.last_value.borrow_mut() = last_values(input);
        let compiled = self.scripts.engine.compile(input);
        self.scripts.last_value.borrow_mut().clear();
        compiled
    }

    fn explained(&self, error: ParseError) -> Error {
        explain(&error.into(), SOURCE, &self.scripts.docs)
    }

    fn eval(&mut self, line: &AST, text: &str, source: &str) -> Result<Dynamic> {
        let mut whole = self.functions.merge(line);
        whole.set_source(source);
        // What was bound before an error or an interrupt stays: it is what one wants to look at, and often hours of work.
        let value = self.scripts.eval_ast(&mut self.scope, &whole, text, source);
        let functions = line.clone_functions_only();
        if functions.has_functions() {
            self.functions = self.functions.merge(&functions);
            self.texts.push(text.to_string());
        }
        let kept = self.keep_imports(line, source);
        value.and_then(|value| kept.map(|()| value))
    }

    /// Imports hold for one evaluation only: make those of the top level modules of the engine.
    fn keep_imports(&mut self, line: &AST, source: &str) -> Result<()> {
        for (path, alias) in imports(line) {
            let module = self.scripts.modules.resolve(&self.scripts.engine, Some(source), &path, Position::NONE);
            let module = module.map_err(|e| explain(&e, source, &self.scripts.docs))?;
            self.scripts.engine.register_static_module(&alias, module);
            self.imports.retain(|import| import.alias != alias);
            self.imports.push(Import { alias, path, importer: source.to_string() });
        }
        Ok(())
    }
}

/// Path and alias of every import at the top level.
fn imports(ast: &AST) -> Vec<(String, String)> {
    let mut found = Vec::new();
    ast.walk(&mut |path| {
        if let [ASTNode::Stmt(Stmt::Import(parts, _))] = path
            && let Expr::StringConstant(path, _) = &parts.0
            && !parts.1.name.is_empty()
        {
            found.push((path.to_string(), parts.1.name.to_string()));
        }
        true
    });
    found
}

/// Where `_` is the last value: everywhere but in the last case of a switch.
fn last_values(input: &str) -> Vec<(usize, usize)> {
    let place = |at: usize| {
        let before = &input[..at];
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    };
    let mut found = Vec::new();
    // The input, and the script inside of its texts.
    let mut parts = vec![(0, input)];
    while let Some((start, text)) = parts.pop() {
        for token in lexer::tokens(text) {
            parts.extend(token.inserted(text).into_iter().map(|range| (start + range.start, &text[range])));
            let case = text[token.range.end..].trim_start().starts_with("=>");
            if token.kind == Kind::Name && token.text(text) == LAST && !case {
                found.push(place(start + token.range.start));
            }
        }
    }
    found
}

/// Whether the parser only missed something after the end of the input.
fn unfinished(kind: &ParseErrorType, at: Position, input: &str) -> bool {
    // A text in backticks and a comment may go on over lines.
    if lexer::tokens(input).last().is_some_and(|last| match last.kind {
        Kind::OpenText => last.text(input).starts_with('`'),
        Kind::Comment => last.text(input).starts_with("/*") && !last.text(input).ends_with("*/"),
        _ => false,
    }) {
        return true;
    }
    let lines = input.trim_end().lines().count();
    let width = input.trim_end().lines().last().map_or(0, |l| l.chars().count());
    let past_end = match (at.line(), at.position()) {
        (Some(line), Some(column)) => line > lines || (line == lines && column > width),
        _ => true,
    };
    match kind {
        ParseErrorType::UnexpectedEOF => true,
        ParseErrorType::MissingToken(..) => past_end,
        _ => false,
    }
}
