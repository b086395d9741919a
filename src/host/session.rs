//! A session of lines, as the REPL needs it: variables, functions and imports stay from line to line.

use super::RunOptions;
use super::engine::Scripts;
use crate::error::{Error, Result};
use crate::search::Progress;
use rhai::{AST, ParseErrorType, Position, Scope};
use std::path::Path;
use std::rc::Rc;

const SOURCE: &str = "input";

/// What a line came to.
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

/// Variables, functions and imports that stay from line to line.
pub struct Session {
    scripts: Scripts,
    scope: Scope<'static>,
    imports: Vec<String>,
    functions: AST,
}

impl Session {
    /// A fresh session. Without `options.folder` nothing is written.
    pub fn new(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<Self> {
        let host = super::open(options, progress)?;
        let scripts = Scripts::new(host, Path::new("."));
        Ok(Session { scripts, scope: Scope::new(), imports: Vec::new(), functions: AST::empty() })
    }

    /// Evaluate input of one or more lines.
    pub fn eval_line(&mut self, input: &str) -> Outcome {
        if input.trim().is_empty() {
            return Outcome::Nothing;
        }
        let line = match self.scripts.engine.compile(input) {
            Ok(line) => line,
            Err(error) if unfinished(&error.0, error.1, input) => return Outcome::Incomplete,
            Err(error) => {
                return Outcome::Error(super::errors::explain(&error.into(), SOURCE, &self.scripts.docs).to_string());
            }
        };
        match self.eval(&line, input) {
            Ok(text) if text.is_empty() => Outcome::Nothing,
            Ok(text) => Outcome::Value(text),
            Err(error) => Outcome::Error(error.to_string()),
        }
    }

    fn eval(&mut self, line: &AST, input: &str) -> Result<String> {
        // imports hold for one evaluation only: state the earlier ones again before the line (modules are loaded once)
        let imports = self.imports.join("\n");
        let compiled = self.scripts.engine.compile(&imports).map_err(|e| Error::Script(e.to_string()))?;
        let mut whole = compiled.merge(&self.functions).merge(line);
        whole.set_source(SOURCE);
        let known = self.scope.len();
        let value = match self.scripts.eval_ast(&mut self.scope, &whole, SOURCE) {
            Ok(value) => value,
            Err(error) => {
                self.scope.rewind(known);
                return Err(error);
            }
        };
        self.functions = self.functions.merge(&line.clone_functions_only());
        self.imports.extend(input.lines().map(str::trim).filter(|l| l.starts_with("import ")).map(str::to_string));
        self.scripts.show(&value)
    }

    /// The manual: see [`super::documentation`].
    pub fn documentation(&self, name: Option<&str>) -> Result<String> {
        super::docs::text(&self.scripts.docs, name)
    }

    /// Names that can complete `prefix`: host functions, variables, modules.
    pub fn completions(&self, prefix: &str) -> Vec<String> {
        let names = self.scripts.docs.iter().map(|d| d.name.to_string());
        let variables = self.scope.iter().map(|(name, ..)| name.to_string());
        let modules = super::modules::STDLIB.iter().map(|(path, _)| path.to_string());
        let mut all: Vec<String> =
            names.chain(variables).chain(modules).filter(|n| n.starts_with(prefix) && n != "+").collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Whether the parser only missed something after the end of the input.
fn unfinished(kind: &ParseErrorType, at: Position, input: &str) -> bool {
    let lines = input.trim_end().lines().count();
    let width = input.trim_end().lines().last().map_or(0, |l| l.chars().count());
    let past_end = match (at.line(), at.position()) {
        (Some(line), Some(column)) => line > lines || (line == lines && column > width),
        _ => true,
    };
    match kind {
        ParseErrorType::UnexpectedEOF => true,
        ParseErrorType::MissingToken(..) => past_end,
        ParseErrorType::BadInput(rhai::LexError::UnterminatedString) => false,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Silent;

    fn session() -> Session {
        Session::new(&RunOptions::default(), Rc::new(Silent)).unwrap()
    }

    #[test]
    fn variables_functions_and_imports_stay_from_line_to_line() {
        let mut session = session();
        for (line, outcome) in [
            ("let x = 20;", Outcome::Nothing),
            ("fn twice(x) { 2 * x }", Outcome::Nothing),
            ("twice(x) + 2", Outcome::Value("42".into())),
            ("import \"nas/random\" as random;", Outcome::Nothing),
            ("random::defaults().len()", Outcome::Value("0".into())),
            ("fn draw() { random::search(space(\"darts\"), (), #{}) }", Outcome::Nothing),
            ("set_seed(1); let a = draw(); set_seed(1); a == draw()", Outcome::Value("true".into())),
            ("fn twice(x) { 3 * x }", Outcome::Nothing),
            ("twice(x)", Outcome::Value("60".into())),
            ("let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });", Outcome::Nothing),
            ("net.drop(net.space.candidates[0])", Outcome::Nothing),
            ("net.mask.n_alive", Outcome::Value("29".into())),
            ("", Outcome::Nothing),
        ] {
            assert_eq!(session.eval_line(line), outcome, "{line}");
        }
    }

    #[test]
    fn unfinished_input_asks_for_more_and_wrong_input_does_not() {
        for (input, incomplete) in [
            ("for i in 0..3 {", true),
            ("let x = (1 +", true),
            ("let x = #{ a: 1,", true),
            ("space(\"darts\"", true),
            ("fn f(x) {\n  x", true),
            ("[1, 2", true),
            ("let x = 1", false),
            ("let x = 1 2", false),
            ("}", false),
            ("let x = )", false),
            ("1 + 1", false),
        ] {
            assert_eq!(session().eval_line(input) == Outcome::Incomplete, incomplete, "{input}");
        }
    }

    #[test]
    fn an_error_leaves_the_session_as_it_was() {
        let mut session = session();
        session.eval_line("let x = 1;");
        let Outcome::Error(text) = session.eval_line("let y = 2; x = y; space(\"dart\")") else { panic!() };
        assert_eq!(
            text.lines().next().unwrap(),
            "input:1:19: unknown search space `dart`, did you mean `darts`?; known: nas-bench-201, darts"
        );
        assert_eq!(session.eval_line("x"), Outcome::Value("2".into()));
        assert!(matches!(session.eval_line("y"), Outcome::Error(_)));
    }

    #[test]
    fn names_complete() {
        let mut session = session();
        session.eval_line("let measured = 1;");
        let names = session.completions("me");
        assert_eq!(names, ["mean", "measure_iim", "measured"]);
        assert!(session.completions("nas/").contains(&"nas/is_darts".to_string()));
    }
}
