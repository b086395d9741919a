//! Where `import` finds modules: the stdlib inside the binary, then files beside the importing script.
//!
//! With `ISDARTS_STDLIB=DIR` all modules `nas/NAME` are those of `DIR/nas/NAME.rhai`, none of the binary: for work on them.

use super::errors::{Fallible, nearest, raise};
use super::lexer;
use super::races;
use crate::error::Result;
use crate::files;
use rhai::{
    AST, Dynamic, Engine, EvalAltResult, FnAccess, FuncRegistration, Module, ModuleResolver, NativeCallContext,
    Position, RhaiFunc, Scope, Shared,
};
use std::any::TypeId;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::rc::Rc;

type SharedModule = Shared<Module>;

/// The stdlib: import path, and the file's text.
pub const STDLIB: [(&str, &str); 59] = [
    ("nas/is_darts", include_str!("../../../stdlib/nas/is_darts.rhai")),
    ("nas/i_darts", include_str!("../../../stdlib/nas/i_darts.rhai")),
    ("nas/s_darts", include_str!("../../../stdlib/nas/s_darts.rhai")),
    ("nas/darts", include_str!("../../../stdlib/nas/darts.rhai")),
    ("nas/gdas", include_str!("../../../stdlib/nas/gdas.rhai")),
    ("nas/snas", include_str!("../../../stdlib/nas/snas.rhai")),
    ("nas/sdarts_rs", include_str!("../../../stdlib/nas/sdarts_rs.rhai")),
    ("nas/beta_darts", include_str!("../../../stdlib/nas/beta_darts.rhai")),
    ("nas/darts_minus", include_str!("../../../stdlib/nas/darts_minus.rhai")),
    ("nas/fair_darts", include_str!("../../../stdlib/nas/fair_darts.rhai")),
    ("nas/darts_pt", include_str!("../../../stdlib/nas/darts_pt.rhai")),
    ("nas/darts_2nd", include_str!("../../../stdlib/nas/darts_2nd.rhai")),
    ("nas/sdarts_adv", include_str!("../../../stdlib/nas/sdarts_adv.rhai")),
    ("nas/dr_nas", include_str!("../../../stdlib/nas/dr_nas.rhai")),
    ("nas/flat_darts", include_str!("../../../stdlib/nas/flat_darts.rhai")),
    ("nas/r_darts", include_str!("../../../stdlib/nas/r_darts.rhai")),
    ("nas/pc_darts", include_str!("../../../stdlib/nas/pc_darts.rhai")),
    ("nas/p_darts", include_str!("../../../stdlib/nas/p_darts.rhai")),
    ("nas/lambda_darts", include_str!("../../../stdlib/nas/lambda_darts.rhai")),
    ("nas/oles", include_str!("../../../stdlib/nas/oles.rhai")),
    ("nas/shapley_nas", include_str!("../../../stdlib/nas/shapley_nas.rhai")),
    ("nas/drop_nas", include_str!("../../../stdlib/nas/drop_nas.rhai")),
    ("nas/opp_darts", include_str!("../../../stdlib/nas/opp_darts.rhai")),
    ("nas/idarts_norm", include_str!("../../../stdlib/nas/idarts_norm.rhai")),
    ("nas/rsps", include_str!("../../../stdlib/nas/rsps.rhai")),
    ("nas/spos", include_str!("../../../stdlib/nas/spos.rhai")),
    ("nas/reinmax", include_str!("../../../stdlib/nas/reinmax.rhai")),
    ("nas/setn", include_str!("../../../stdlib/nas/setn.rhai")),
    ("nas/dsnas", include_str!("../../../stdlib/nas/dsnas.rhai")),
    ("nas/sp_darts", include_str!("../../../stdlib/nas/sp_darts.rhai")),
    ("nas/darts_plus", include_str!("../../../stdlib/nas/darts_plus.rhai")),
    ("nas/sgas", include_str!("../../../stdlib/nas/sgas.rhai")),
    ("nas/beta_darts_pp", include_str!("../../../stdlib/nas/beta_darts_pp.rhai")),
    ("nas/enas", include_str!("../../../stdlib/nas/enas.rhai")),
    ("nas/random", include_str!("../../../stdlib/nas/random.rhai")),
    ("nas/robust_darts", include_str!("../../../stdlib/nas/robust_darts.rhai")),
    ("nas/rankings", include_str!("../../../stdlib/nas/rankings.rhai")),
    ("nas/importances", include_str!("../../../stdlib/nas/importances.rhai")),
    ("nas/seeds", include_str!("../../../stdlib/nas/seeds.rhai")),
    ("nas/runs", include_str!("../../../stdlib/nas/runs.rhai")),
    ("nas/parts/bilevel", include_str!("../../../stdlib/nas/parts/bilevel.rhai")),
    ("nas/parts/samplers", include_str!("../../../stdlib/nas/parts/samplers.rhai")),
    ("nas/parts/ranges", include_str!("../../../stdlib/nas/parts/ranges.rhai")),
    ("nas/parts/regularisers", include_str!("../../../stdlib/nas/parts/regularisers.rhai")),
    ("nas/parts/selection", include_str!("../../../stdlib/nas/parts/selection.rhai")),
    ("nas/parts/perturbations", include_str!("../../../stdlib/nas/parts/perturbations.rhai")),
    ("nas/parts/greedy", include_str!("../../../stdlib/nas/parts/greedy.rhai")),
    ("nas/parts/evolution", include_str!("../../../stdlib/nas/parts/evolution.rhai")),
    ("nas/parts/contributions", include_str!("../../../stdlib/nas/parts/contributions.rhai")),
    ("nas/parts/schedules", include_str!("../../../stdlib/nas/parts/schedules.rhai")),
    ("nas/parts/sharpness", include_str!("../../../stdlib/nas/parts/sharpness.rhai")),
    ("nas/parts/decorrelation", include_str!("../../../stdlib/nas/parts/decorrelation.rhai")),
    ("nas/parts/matrices", include_str!("../../../stdlib/nas/parts/matrices.rhai")),
    ("nas/parts/growth", include_str!("../../../stdlib/nas/parts/growth.rhai")),
    ("nas/parts/controller", include_str!("../../../stdlib/nas/parts/controller.rhai")),
    ("nas/parts/edge_controller", include_str!("../../../stdlib/nas/parts/edge_controller.rhai")),
    ("nas/parts/node_controller", include_str!("../../../stdlib/nas/parts/node_controller.rhai")),
    ("nas/parts/lstm", include_str!("../../../stdlib/nas/parts/lstm.rhai")),
    ("nas/parts/groups", include_str!("../../../stdlib/nas/parts/groups.rhai")),
];

/// The run that texts of scripts are loaded for.
pub trait Texts {
    /// The text that the run goes on with under `name`, where `original` is found now: a resumed run goes on with what it
    /// began with. After the run: what is found.
    fn text_of(&self, name: &str, original: Option<String>) -> Result<Option<String>>;

    /// A module of the run was loaded: its text is kept.
    fn keep_text(&self, name: &str, text: &str) -> Result<()>;

    /// Looks over a script before it runs: its own settings are declared.
    fn look_over(&self, ast: &AST);
}

/// Where the modules of one engine come from; every module is evaluated once.
pub struct Modules {
    folder: PathBuf,
    run: Rc<dyn Texts>,
    loaded: RefCell<BTreeMap<String, Loaded>>,
    loading: RefCell<Vec<String>>,
}

/// A module and the text that it was made of.
#[derive(Clone)]
struct Loaded {
    module: SharedModule,
    text: String,
}

/// Resolves `import "path"`.
pub struct Resolver(pub Rc<Modules>);

impl Modules {
    /// Modules for a script in `folder`.
    pub fn new(folder: PathBuf, run: Rc<dyn Texts>) -> Self {
        Modules { folder, run, loaded: RefCell::default(), loading: RefCell::default() }
    }

    /// The name by which messages call the module, and its text.
    pub fn find(&self, importer: Option<&str>, path: &str, at: Position) -> Fallible<(String, String)> {
        if let Some(file) = elsewhere(path) {
            let text = std::fs::read_to_string(&file).map_err(|e| {
                let text =
                    format!("no module `{path}` in the folder that ISDARTS_STDLIB names, {}: {e}", file.display());
                EvalAltResult::ErrorRuntime(text.into(), at)
            })?;
            return Ok((file.to_string_lossy().into_owned(), text));
        }
        if let Some((_, text)) = STDLIB.iter().find(|(name, _)| *name == path) {
            let (name, text) = (stdlib_file(path), text.to_string());
            let text = self.run.text_of(&name, Some(text.clone())).map_err(raise)?.unwrap_or(text);
            return Ok((name, text));
        }
        // A resumed run has copies of modules whose folder is gone: it need not be there.
        let beside = importer.and_then(|file| Path::new(file).parent()).filter(|folder| !folder.as_os_str().is_empty());
        for folder in beside.into_iter().chain([self.folder.as_path()]) {
            let file = with_extension(&folder.join(path));
            let original = match files::read_plain_text(&file) {
                Ok(_) if !self.is_ours(&file, beside) => {
                    let text = format!(
                        "the module {}: got a file outside the folder of the script, expected one in it or below it (copy it there)",
                        file.display()
                    );
                    return Err(EvalAltResult::ErrorRuntime(text.into(), at).into());
                }
                Ok(text) => Some(text),
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => None,
                Err(e) => {
                    let text = format!("cannot read the module {}: {e}", file.display());
                    return Err(EvalAltResult::ErrorRuntime(text.into(), at).into());
                }
            };
            let name = file.to_string_lossy().into_owned();
            if let Some(text) = self.run.text_of(&name, original).map_err(raise)? {
                return Ok((name, text));
            }
        }
        Err(EvalAltResult::ErrorModuleNotFound(path.into(), at).into())
    }

    /// Whether a module lies, links followed, in or below the folder of the script or of the module that imports it: what is run
    /// is what was put beside the script.
    fn is_ours(&self, file: &Path, beside: Option<&Path>) -> bool {
        let real =
            |path: &Path| if path.as_os_str().is_empty() { Path::new(".").canonicalize() } else { path.canonicalize() };
        let holds =
            |folder: &Path| real(folder).is_ok_and(|folder| real(file).is_ok_and(|file| file.starts_with(folder)));
        holds(&self.folder) || beside.is_some_and(holds)
    }

    /// The module `path`, loaded now if it was not before.
    pub fn resolve(&self, engine: &Engine, source: Option<&str>, path: &str, at: Position) -> Fallible<SharedModule> {
        let (file, text) = self.find(source, path, at)?;
        if let Some(known) = self.loaded.borrow().get(&file) {
            return Ok(known.module.clone());
        }
        if self.loading.borrow().contains(&file) {
            let chain = self.loading.borrow().join(" -> ");
            let text = format!("modules import each other in a circle: {chain} -> {file}");
            return Err(EvalAltResult::ErrorRuntime(text.into(), at).into());
        }
        self.run.keep_text(&file, &text).map_err(raise)?;
        self.loading.borrow_mut().push(file.clone());
        let module = self.evaluate(engine, &file, &text);
        self.loading.borrow_mut().pop();
        let module: SharedModule = module.map_err(|error| EvalAltResult::ErrorInModule(path.into(), error, at))?.into();
        self.loaded.borrow_mut().insert(file, Loaded { module: module.clone(), text });
        Ok(module)
    }

    fn evaluate(&self, engine: &Engine, file: &str, text: &str) -> Fallible<Module> {
        let mut ast = engine.compile(text)?;
        ast.set_source(file);
        self.run.look_over(&ast);
        let inner = Module::eval_ast_as_new(Scope::new(), &ast, engine).map_err(|e| races::placed(e, &ast))?;
        Ok(apart(inner.into(), &ast, file))
    }

    /// The loaded files whose text is another now (a file that cannot be read counts as changed).
    pub fn changed(&self) -> Vec<String> {
        let differs =
            |file: &&String, known: &Loaded| files::read_plain_text(Path::new(file)).ok().as_ref() != Some(&known.text);
        let loaded = self.loaded.borrow();
        let embedded = |file: &str| STDLIB.iter().any(|(path, _)| stdlib_file(path) == file);
        let files = loaded.iter().filter(|(file, _)| !embedded(file));
        files.filter(|(file, known)| differs(file, known)).map(|(file, _)| file.clone()).collect()
    }

    /// Forget all modules while `load` loads those that are needed anew; if it fails, all is as it was.
    pub fn anew<T>(&self, load: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
        let before = self.loaded.take();
        let result = load();
        if result.is_err() {
            self.loaded.replace(before);
        }
        result
    }
}

impl ModuleResolver for Resolver {
    fn resolve(&self, engine: &Engine, source: Option<&str>, path: &str, at: Position) -> Fallible<SharedModule> {
        self.0.resolve(engine, source, path, at)
    }
}

/// `inner`, whose public functions look names up in a place of their own. As rhai 1.27 has it, what a name was looked up to
/// be is kept for all modules: of two with functions of one name, `sample` say, both would run that of the first.
fn apart(inner: SharedModule, ast: &AST, file: &str) -> Module {
    let mut module = Module::new();
    let whole = Rc::new(ast.clone());
    module.set_id(file);
    for (name, value) in inner.iter_var() {
        module.set_var(name, value.clone());
    }
    for (name, imported) in inner.iter_sub_modules() {
        module.set_sub_module(name, imported.clone());
    }
    for function in ast.iter_functions().filter(|f| f.access == FnAccess::Public && f.this_type.is_none()) {
        let (name, inner, whole) = (function.name.to_string(), inner.clone(), whole.clone());
        let call = move |context: Option<NativeCallContext>, args: &mut [&mut Dynamic]| {
            let context = context.ok_or("a function of a module called without its context")?;
            let mut global = context.global_runtime_state().clone();
            global.lib.push(inner.clone());
            let (engine, at) = (context.engine(), context.call_position());
            // A call from native code begins with nothing looked up.
            NativeCallContext::new_with_all_fields(engine, &name, inner.id(), &global, at)
                .call_fn_raw(&name, false, false, args)
                .map_err(|error| races::placed(error, &whole))
        };
        let types = vec![TypeId::of::<Dynamic>(); function.params.len()];
        let call = RhaiFunc::Pure { func: Shared::new(call), has_context: true, is_pure: true, is_volatile: true };
        FuncRegistration::new(function.name).set_into_module_raw(&mut module, types, call);
    }
    module.build_index();
    module
}

/// The names of the strategies: modules of `nas` with a function `search` of space, data and settings.
pub fn strategies() -> Vec<String> {
    let searches =
        |text: &str| lexer::functions(text).iter().any(|f| f.name == "search" && f.signature.split(',').count() == 3);
    let Some(folder) = std::env::var_os("ISDARTS_STDLIB") else {
        let own = STDLIB.iter().filter(|(_, text)| searches(text));
        return own.map(|(path, _)| path.trim_start_matches("nas/").to_string()).collect();
    };
    let files = std::fs::read_dir(Path::new(&folder).join("nas")).into_iter().flatten().flatten();
    let name = |file: std::fs::DirEntry| {
        let path = file.path();
        let text = files::read_plain_text(&path).ok().filter(|_| path.extension().is_some_and(|e| e == "rhai"))?;
        searches(&text).then(|| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
    };
    let mut names: Vec<String> = files.filter_map(name).collect();
    // The first is what a script takes by itself.
    names.sort_by_key(|name| (name != "is_darts", name.clone()));
    names
}

/// The file that messages name for the module `path` imported from the file `importer`.
pub fn source_of(path: &str, importer: &str) -> String {
    if let Some(file) = elsewhere(path) {
        return file.to_string_lossy().into_owned();
    }
    if STDLIB.iter().any(|(name, _)| *name == path) {
        return stdlib_file(path);
    }
    let file = with_extension(Path::new(path));
    Path::new(importer).parent().map_or(file.clone(), |folder| folder.join(&file)).to_string_lossy().into_owned()
}

/// The error for a module that is not there, in words.
pub fn not_found(path: &str) -> String {
    let known = STDLIB.iter().map(|(name, _)| *name);
    let hint = nearest(path, known.clone()).map_or(String::new(), |n| format!(", did you mean `{n}`?"));
    let known: Vec<&str> = known.collect();
    format!("unknown module `{path}`{hint}: expected one of {}, or {path}.rhai beside the script", known.join(", "))
}

/// The file of the module `nas/NAME` in the folder that `ISDARTS_STDLIB` names.
fn elsewhere(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("ISDARTS_STDLIB").filter(|_| path.starts_with("nas/"))?;
    Some(with_extension(&Path::new(&folder).join(path)))
}

fn stdlib_file(path: &str) -> String {
    format!("stdlib/{path}.rhai")
}

fn with_extension(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|e| e == "rhai") { path.to_path_buf() } else { path.with_extension("rhai") }
}
