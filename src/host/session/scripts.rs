//! The script engine with every host function in it.

use crate::error::{Error, Result};
use crate::host::chapters;
use crate::host::check::vocabulary::Vocabulary;
use crate::host::handles;
use crate::host::run::Run;
use crate::host::run::settings::host_keys;
use crate::host::script::api::Api;
use crate::host::script::doc::Doc;
use crate::host::script::errors::place;
use crate::host::script::explain::{Names, explain, explain_among};
use crate::host::script::modules::{Modules, Resolver, Texts};
use crate::host::script::races;
use crate::host::show::Look;
use crate::interrupt;
use rhai::{AST, Dynamic, Engine, FuncInfo, Map, Scope, Token};
use std::any::TypeId;
use std::cell::{OnceCell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Bytes of the texts in a value of a script, items of its arrays (a byte of a blob is one) and entries of its maps: at the
/// most some hundred megabytes.
const LONGEST_TEXT: usize = 1 << 27;
const MOST_ITEMS: usize = 1 << 23;

/// An engine and the manual of what it can do.
pub struct Scripts {
    /// The engine.
    pub engine: Engine,
    /// The manual.
    pub docs: Rc<[Doc]>,
    /// The types by their names in the manual.
    pub types: Vec<(&'static str, TypeId)>,
    /// The run it serves.
    pub host: Rc<Run>,
    /// Where `import` finds modules.
    pub modules: Rc<Modules>,
    /// `(line, column)` of every `_` in the text being compiled that is the variable of that name: a session keeps its last
    /// value there. Everywhere else `_` is what the language says it is.
    pub last_value: Rc<RefCell<Vec<(usize, usize)>>>,
    methods: OnceCell<Vec<(TypeId, Method)>>,
    vocabulary: OnceCell<Vocabulary>,
}

/// A function whose first argument is of some type, or a property of that type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// Whether it is a property.
    pub property: bool,
    /// Whether it takes arguments besides the first.
    pub takes: bool,
}

impl Scripts {
    /// Makes an engine with all host functions; modules are looked for in the stdlib, then in `folder`.
    pub fn new(host: Rc<Run>, folder: &Path) -> Self {
        let mut engine = Engine::new();
        // debug builds have lower limits than release builds unless told otherwise
        engine.set_max_expr_depths(64, 64);
        engine.set_max_call_levels(64);
        // Work is not bounded, for searches are long; what a value holds is, or growing it would end the process.
        engine.set_max_string_size(LONGEST_TEXT);
        engine.set_max_array_size(MOST_ITEMS);
        engine.set_max_map_size(MOST_ITEMS);
        engine.set_fail_on_invalid_map_property(true);
        let modules = Rc::new(Modules::new(PathBuf::from(folder), host.clone()));
        engine.set_module_resolver(Resolver(modules.clone()));
        let (printer, notes) = (host.clone(), host.clone());
        engine.on_print(move |text| printer.print(text));
        engine.on_debug(move |text, source, at| {
            notes.note(&format!("{}{}: {text}", source.unwrap_or("script"), place(at)));
        });
        let last_value = Rc::new(RefCell::new(Vec::new()));
        let names = last_value.clone();
        #[expect(deprecated, reason = "rhai marks it so because it may change")]
        engine.on_parse_token(move |token, at, _| match token {
            Token::Underscore if at.line().zip(at.position()).is_some_and(|at| names.borrow().contains(&at)) => {
                Token::Identifier(Box::new("_".into()))
            }
            other => other,
        });
        engine.on_progress(|_| interrupt::requested().then(|| Dynamic::from("interrupted")));
        let mut api = Api::new(&mut engine);
        let manual = chapters::register(&mut api, &host);
        let (docs, types) = api.into_parts();
        let docs: Rc<[Doc]> = docs.into();
        manual.get_or_init(|| docs.clone());
        Scripts {
            engine,
            docs,
            types,
            host,
            modules,
            last_value,
            methods: OnceCell::new(),
            vocabulary: OnceCell::new(),
        }
    }

    /// Compile and evaluate; errors name `source`, line and column.
    pub fn eval(&self, text: &str, source: &str) -> Result<Dynamic> {
        self.eval_with_scope(&mut Scope::new(), text, source)
    }

    /// The same, over variables of the caller's.
    pub fn eval_with_scope(&self, scope: &mut Scope, text: &str, source: &str) -> Result<Dynamic> {
        let mut ast = self.engine.compile(text).map_err(|e| explain(&e.into(), source, &self.docs))?;
        ast.set_source(source);
        self.host.look_over(&ast);
        self.eval_ast(scope, &ast, text, source)
    }

    /// Evaluate the text that `ast` was compiled from.
    pub fn eval_ast(&self, scope: &mut Scope, ast: &AST, text: &str, source: &str) -> Result<Dynamic> {
        let value = self.engine.eval_ast_with_scope(scope, ast);
        self.host.settle();
        value.map_err(|e| {
            let variables = scope.iter().map(|(name, _, _)| name.to_string()).collect();
            let maps = scope.iter().filter_map(|(_, _, value)| value.flatten().try_cast::<Map>());
            let keys = maps.flat_map(|map| map.keys().map(|key| key.to_string()).collect::<Vec<_>>());
            let keys = keys.chain(host_keys().iter().map(|key| key.to_string())).collect();
            explain_among(&races::placed(e, ast), source, &self.docs, &Names { text, variables, keys })
        })
    }

    /// What can be called, for looking over what would.
    pub fn vocabulary(&self) -> &Vocabulary {
        self.vocabulary.get_or_init(|| Vocabulary::new(&self.engine, self.docs.clone(), self.types.clone()))
    }

    /// Methods and properties of a type, of the program and of the language.
    pub fn methods(&self, of: TypeId) -> impl Iterator<Item = &Method> {
        let all = self.methods.get_or_init(|| {
            let method = |info: FuncInfo| {
                let (first, name) = (*info.metadata.param_types.first()?, info.metadata.name.as_str());
                let property = name.strip_prefix("get$");
                let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
                let name = property.or(plain.then_some(name))?.to_string();
                Some((first, Method { name, property: property.is_some(), takes: info.metadata.num_params > 1 }))
            };
            self.engine.collect_fn_metadata(None, method, true)
        });
        all.iter().filter(move |(id, _)| *id == of).map(|(_, method)| method)
    }

    /// A value as the prompt shows it; empty for `()`.
    pub fn show(&self, value: &Dynamic, look: &Look) -> Result<String> {
        handles::look(value, look, &|value| self.text(value))
    }

    /// A value as text: what `print` shows.
    pub fn text(&self, value: &Dynamic) -> Result<String> {
        if value.is_unit() {
            return Ok(String::new());
        }
        let mut scope = Scope::new();
        scope.push_dynamic("value", value.clone());
        let text = self.engine.eval_with_scope::<Dynamic>(&mut scope, "value.to_string()");
        Ok(text.map_err(|e| Error::Script(e.to_string()))?.to_string())
    }
}
