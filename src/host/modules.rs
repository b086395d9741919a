//! Where `import` finds modules: the stdlib inside the binary, then files beside the importing script.

use super::context::Host;
use super::errors::Fallible;
use rhai::{Engine, EvalAltResult, Module, ModuleResolver, Position, Scope, Shared};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

type SharedModule = Shared<Module>;

/// The stdlib: import path, and the file's text.
pub const STDLIB: [(&str, &str); 6] = [
    ("nas/is_darts", include_str!("../../stdlib/nas/is_darts.rhai")),
    ("nas/i_darts", include_str!("../../stdlib/nas/i_darts.rhai")),
    ("nas/s_darts", include_str!("../../stdlib/nas/s_darts.rhai")),
    ("nas/darts", include_str!("../../stdlib/nas/darts.rhai")),
    ("nas/random", include_str!("../../stdlib/nas/random.rhai")),
    ("nas/seeds", include_str!("../../stdlib/nas/seeds.rhai")),
];

/// Resolves `import "path"` for one engine; every module is evaluated once.
pub struct Resolver {
    folder: PathBuf,
    host: Rc<Host>,
    loaded: RefCell<HashMap<String, SharedModule>>,
    loading: RefCell<Vec<String>>,
}

impl Resolver {
    /// For a script in `folder`.
    pub fn new(folder: PathBuf, host: Rc<Host>) -> Self {
        Resolver { folder, host, loaded: RefCell::default(), loading: RefCell::default() }
    }

    /// The name by which messages call the module, and its text.
    fn find(&self, importer: Option<&str>, path: &str, at: Position) -> Fallible<(String, String)> {
        if let Some((_, text)) = STDLIB.iter().find(|(name, _)| *name == path) {
            return Ok((stdlib_file(path), text.to_string()));
        }
        let beside = importer.and_then(|file| Path::new(file).parent()).filter(|folder| folder.is_dir());
        for folder in beside.into_iter().chain([self.folder.as_path()]) {
            let file = with_extension(&folder.join(path));
            match std::fs::read_to_string(&file) {
                Ok(text) => return Ok((file.to_string_lossy().into_owned(), text)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => {
                    let text = format!("cannot read the module {}: {e}", file.display());
                    return Err(EvalAltResult::ErrorRuntime(text.into(), at).into());
                }
            }
        }
        Err(EvalAltResult::ErrorModuleNotFound(path.into(), at).into())
    }

    fn evaluate(&self, engine: &Engine, file: &str, text: &str) -> Fallible<Module> {
        let mut ast = engine.compile(text)?;
        ast.set_source(file);
        self.host.warn_of_forgotten(&ast, file);
        Module::eval_ast_as_new(Scope::new(), &ast, engine)
    }
}

impl ModuleResolver for Resolver {
    fn resolve(&self, engine: &Engine, source: Option<&str>, path: &str, at: Position) -> Fallible<SharedModule> {
        let (file, text) = self.find(source, path, at)?;
        if let Some(module) = self.loaded.borrow().get(&file) {
            return Ok(module.clone());
        }
        if self.loading.borrow().contains(&file) {
            let chain = self.loading.borrow().join(" -> ");
            let text = format!("modules import each other in a circle: {chain} -> {file}");
            return Err(EvalAltResult::ErrorRuntime(text.into(), at).into());
        }
        self.loading.borrow_mut().push(file.clone());
        let module = self.evaluate(engine, &file, &text);
        self.loading.borrow_mut().pop();
        let module: SharedModule = module.map_err(|error| EvalAltResult::ErrorInModule(path.into(), error, at))?.into();
        self.loaded.borrow_mut().insert(file, module.clone());
        Ok(module)
    }
}

/// The file that messages name for the module `path` imported from the file `importer`.
pub fn source_of(path: &str, importer: &str) -> String {
    if STDLIB.iter().any(|(name, _)| *name == path) {
        return stdlib_file(path);
    }
    let file = with_extension(Path::new(path));
    Path::new(importer).parent().map_or(file.clone(), |folder| folder.join(&file)).to_string_lossy().into_owned()
}

/// In words: no module of this name.
pub fn not_found(path: &str) -> String {
    let known = STDLIB.iter().map(|(name, _)| *name);
    let hint = super::errors::nearest(path, known.clone()).map_or(String::new(), |n| format!(", did you mean `{n}`?"));
    let known: Vec<&str> = known.collect();
    format!("unknown module `{path}`{hint}: expected one of {}, or {path}.rhai beside the script", known.join(", "))
}

fn stdlib_file(path: &str) -> String {
    format!("stdlib/{path}.rhai")
}

fn with_extension(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|e| e == "rhai") { path.to_path_buf() } else { path.with_extension("rhai") }
}
