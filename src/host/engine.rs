//! The script engine with every host function in it.

use super::api::{Api, Doc};
use super::context::Host;
use super::errors::explain;
use super::modules::Resolver;
use super::{
    arch, batches, control, data, docs, genotype, net_api, report, settings, shrink, space, state, tensor,
    train_genotype,
};
use crate::error::{Error, Result};
use crate::interrupt;
use rhai::{AST, Dynamic, Engine, Scope};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// An engine and the manual of what it can do.
pub struct Scripts {
    /// The engine.
    pub engine: Engine,
    /// The manual.
    pub docs: Vec<Doc>,
    /// The run it serves.
    pub host: Rc<Host>,
}

impl Scripts {
    /// With all host functions; modules are looked for in the stdlib, then in `folder`.
    pub fn new(host: Rc<Host>, folder: &Path) -> Self {
        let mut engine = Engine::new();
        // debug builds have lower limits than release builds unless told otherwise
        engine.set_max_expr_depths(64, 64);
        engine.set_max_call_levels(64);
        engine.set_fail_on_invalid_map_property(true);
        engine.set_module_resolver(Resolver::new(PathBuf::from(folder), host.clone()));
        let printer = host.clone();
        engine.on_print(move |text| printer.output.line(text));
        engine.on_debug(|text, source, position| eprintln!("{} {position:?} | {text}", source.unwrap_or("script")));
        engine.on_progress(|_| interrupt::requested().then(|| Dynamic::from("interrupted")));
        let mut api = Api::new(&mut engine);
        control::register(&mut api, &host);
        settings::register(&mut api, &host);
        state::register(&mut api, &host);
        space::register(&mut api);
        shrink::register(&mut api);
        genotype::register(&mut api, &host);
        data::register(&mut api, &host);
        net_api::register(&mut api, &host);
        batches::register(&mut api);
        arch::register(&mut api, &host);
        tensor::register(&mut api, &host);
        report::register(&mut api, &host);
        train_genotype::register(&mut api, &host);
        let docs = docs::register(api, &host);
        Scripts { engine, docs, host }
    }

    /// Compile and evaluate; errors name `source`, line and column.
    pub fn eval(&self, text: &str, source: &str) -> Result<Dynamic> {
        self.eval_with_scope(&mut Scope::new(), text, source)
    }

    /// The same, over variables of the caller's.
    pub fn eval_with_scope(&self, scope: &mut Scope, text: &str, source: &str) -> Result<Dynamic> {
        let mut ast = self.engine.compile(text).map_err(|e| explain(&e.into(), source, &self.docs))?;
        ast.set_source(source);
        self.host.warn_of_forgotten(&ast, source);
        self.eval_ast(scope, &ast, source)
    }

    /// Evaluate what is compiled.
    pub fn eval_ast(&self, scope: &mut Scope, ast: &AST, source: &str) -> Result<Dynamic> {
        self.engine.eval_ast_with_scope(scope, ast).map_err(|e| explain(&e, source, &self.docs))
    }

    /// A value as text: what `print` shows.
    pub fn show(&self, value: &Dynamic) -> Result<String> {
        if value.is_unit() {
            return Ok(String::new());
        }
        let mut scope = Scope::new();
        scope.push_dynamic("value", value.clone());
        let text = self.engine.eval_with_scope::<Dynamic>(&mut scope, "value.to_string()");
        Ok(text.map_err(|e| Error::Script(e.to_string()))?.to_string())
    }
}
