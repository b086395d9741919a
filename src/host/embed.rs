//! The library's face to scripts: a host that another program embeds, with functions, modules, data and output of its own.

use super::run::output::Sink;
use super::run::{self, RunOptions};
use super::run_prepared;
use super::session::{Scripts, Session};
use crate::data::Splits;
use crate::error::{Error, Result};
use crate::search::{Progress, Silent};
use candle_core::Device;
use rhai::{Dynamic, Engine, Module, Scope};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Something that is done to every engine of the host.
type Register = Rc<dyn Fn(&mut Engine)>;

/// Runs scripts inside another program. Made by [`Host::builder`]; every run begins anew.
///
/// ```
/// use isdarts_host::Host;
/// let host = Host::builder().seed(3).functions(|engine| {
///     engine.register_fn("twice", |x: i64| 2 * x);
/// });
/// let host = host.build()?;
/// let found: i64 = host.eval("twice(published_genotypes().len()) / 2")?;
/// assert!(found > 10);
/// # Ok::<(), isdarts_host::Error>(())
/// ```
pub struct Host {
    options: RunOptions,
    progress: Rc<dyn Progress>,
    sink: Option<Sink>,
    data: Option<Rc<Splits>>,
    functions: Vec<Register>,
    modules: Vec<(String, String)>,
}

/// What a [`Host`] will be.
pub struct HostBuilder(Host);

impl Host {
    /// A host of the embedded data on the CPU, with seed 0, without a run folder, whose scripts print to standard output.
    pub fn builder() -> HostBuilder {
        HostBuilder(Host {
            options: RunOptions::default(),
            progress: Rc::new(Silent),
            sink: None,
            data: None,
            functions: Vec::new(),
            modules: Vec::new(),
        })
    }

    /// Runs a script file to its end, as the program does: with a run folder, it saves after every turn of an epochs loop.
    ///
    /// # Errors
    /// Those of the program: a mistake of the script with its line, a setting that nothing reads, a full disk.
    pub fn run_file(&self, path: impl AsRef<Path>) -> Result<Ran> {
        let options = RunOptions { script: Some(path.as_ref().to_path_buf()), ..self.options.clone() };
        self.run(&options, None)
    }

    /// Runs the text of a script, which messages call `name`.
    ///
    /// # Errors
    /// As [`Host::run_file`].
    pub fn run_text(&self, name: &str, text: &str) -> Result<Ran> {
        let options = RunOptions { script: Some(PathBuf::from(name)), ..self.options.clone() };
        self.run(&options, Some(text))
    }

    /// The value of an expression, or of the last statement of a text; without the run folder.
    ///
    /// # Errors
    /// A mistake of the text; a value of another type.
    pub fn eval<T: Clone + 'static>(&self, text: &str) -> Result<T> {
        let options = RunOptions { folder: None, resume: false, ..self.options.clone() };
        let mut scripts = Scripts::new(run::Run::open(&options, self.progress.clone())?, Path::new("."));
        self.prepare(&mut scripts)?;
        let value = scripts.eval(text, "text")?;
        let got = value.type_name();
        value.try_cast().ok_or_else(|| Error::invalid("value of the text", got, std::any::type_name::<T>()))
    }

    fn run(&self, options: &RunOptions, text: Option<&str>) -> Result<Ran> {
        let prepare = |scripts: &mut Scripts| self.prepare(scripts);
        let (session, result) = run_prepared(options, self.progress.clone(), text, &prepare)?;
        result.map(|()| Ran(session))
    }

    /// Gives an engine what this host has of its own.
    fn prepare(&self, scripts: &mut Scripts) -> Result<()> {
        scripts.host.output.pass_to(self.sink.clone());
        *scripts.host.own_data.borrow_mut() = self.data.clone();
        self.functions.iter().for_each(|register| register(&mut scripts.engine));
        for (name, text) in &self.modules {
            let place = |e: &dyn std::fmt::Display| Error::Script(format!("module `{name}` of the program: {e}"));
            let ast = scripts.engine.compile(text).map_err(|e| place(&e))?;
            let module = Module::eval_ast_as_new(Scope::new(), &ast, &scripts.engine).map_err(|e| place(&e))?;
            scripts.engine.register_static_module(name, module.into());
        }
        Ok(())
    }
}

impl HostBuilder {
    /// Data by name or folder, as `--data`.
    pub fn data(mut self, name_or_folder: &str) -> Self {
        self.0.options.data = name_or_folder.into();
        self
    }

    /// Data from memory ([`Splits::in_memory`]): what `data()` opens, and `data(NAME)` by its name.
    pub fn data_set(mut self, data: Splits) -> Self {
        self.0.options.data = data.train.name.clone();
        self.0.data = Some(Rc::new(data));
        self
    }

    /// A setting, as `--set KEY=VALUE`.
    pub fn set(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.0.options.sets.push((key.into(), value.into()));
        self
    }

    /// The seed that all random streams of a run derive from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.0.options.seed = seed;
        self
    }

    /// Where networks live.
    pub fn device(mut self, device: Device) -> Self {
        self.0.options.device = device;
        self
    }

    /// Words for the script: its `args`.
    pub fn args<T: Into<String>>(mut self, args: impl IntoIterator<Item = T>) -> Self {
        self.0.options.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// The run folder of [`Host::run_file`] and [`Host::run_text`], absent or empty; with `resume`, one that goes on.
    pub fn folder(mut self, path: impl AsRef<Path>, resume: bool) -> Self {
        self.0.options.folder = Some(path.as_ref().to_path_buf());
        self.0.options.resume = resume;
        self
    }

    /// Where long work reports to.
    pub fn progress(mut self, progress: impl Progress + 'static) -> Self {
        self.0.progress = Rc::new(progress);
        self
    }

    /// Takes the lines that scripts print, instead of standard output.
    pub fn output(mut self, line: impl Fn(&str) + 'static) -> Self {
        self.0.sink = Some(Rc::new(line));
        self
    }

    /// Functions and types of the program's own, registered with every engine: see [`rhai::Engine::register_fn`].
    pub fn functions(mut self, register: impl Fn(&mut Engine) + 'static) -> Self {
        self.0.functions.push(Rc::new(register));
        self
    }

    /// A module of the program's own; scripts call its functions as `name::function()`, without an import.
    pub fn module(mut self, name: &str, text: &str) -> Self {
        self.0.modules.push((name.into(), text.into()));
        self
    }

    /// The host.
    ///
    /// # Errors
    /// A module that does not compile; an expression that the language does not have in it.
    pub fn build(self) -> Result<Host> {
        let HostBuilder(host) = self;
        host.eval::<Dynamic>("()").map(|_| host)
    }
}

/// A run that has ended: what its script left.
pub struct Ran(Session);

impl Ran {
    /// A variable of the script, if it has one of that name and type.
    pub fn get<T: Clone + 'static>(&self, name: &str) -> Option<T> {
        self.0.variable(name)
    }
}
