//! What all host functions of one run share: options, progress, the run folder, the values that hold state.

use super::RunOptions;
use super::epochs::Loops;
use super::origin::Origin;
use super::output::Output;
use super::random::Stream;
use crate::data::{DataOptions, Splits};
use crate::error::Result;
use crate::search::{Learner, Progress, RunFolder, State, Stateful, Trace};
use crate::space::{Iim, Mask, SearchSpace};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};
use std::time::Instant;

/// A value that holds state, as long as the script holds it.
#[derive(Clone)]
enum Live {
    Learner(Weak<RefCell<Learner>>),
    Other(Weak<RefCell<dyn Stateful>>),
}

/// Shared by all host functions of one run.
pub struct Host {
    /// What was asked for.
    pub options: RunOptions,
    /// Where long work reports to.
    pub progress: Rc<dyn Progress>,
    /// Where results are printed.
    pub output: Output,
    /// The run folder, if there is one.
    pub folder: RefCell<Option<RunFolder>>,
    /// What the run is made of.
    pub origin: Origin,
    /// The run's random stream.
    pub stream: RefCell<Stream>,
    /// Where its draws and steps are written.
    pub trace: Trace,
    /// The data opened last: it gives a supernet its classes.
    pub data: RefCell<Option<Rc<Splits>>>,
    /// The effective settings, for the manifest.
    pub settings: RefCell<serde_json::Map<String, serde_json::Value>>,
    /// Keys of `--set` that something has read.
    pub read: RefCell<BTreeSet<String>>,
    /// Keys that a script's settings declared, besides those the host knows.
    pub declared: RefCell<BTreeSet<String>>,
    /// The epochs loops of the run.
    pub loops: RefCell<Loops>,
    /// The name of the search that runs now, in the logs.
    pub label: RefCell<String>,
    live: RefCell<Vec<(u64, Live)>>,
    made: Cell<u64>,
    clock: Cell<(f64, Instant)>,
}

impl Host {
    /// For one run (or session).
    pub fn new(
        options: RunOptions,
        progress: Rc<dyn Progress>,
        folder: Option<RunFolder>,
        loops: Loops,
        origin: Origin,
        trace: Trace,
    ) -> Rc<Self> {
        Rc::new(Host {
            stream: RefCell::new(Stream::new(options.seed)),
            trace,
            options,
            origin,
            progress,
            output: Output::default(),
            folder: RefCell::new(folder),
            data: RefCell::default(),
            settings: RefCell::default(),
            declared: RefCell::default(),
            read: RefCell::default(),
            loops: RefCell::new(loops),
            label: RefCell::default(),
            live: RefCell::default(),
            made: Cell::new(0),
            clock: Cell::new((0.0, Instant::now())),
        })
    }

    /// A line worth keeping.
    pub fn note(&self, line: &str) {
        if !self.options.quiet {
            self.progress.note(line);
        }
    }

    /// Seconds that the run has taken, those before it was resumed among them.
    pub fn seconds(&self) -> f64 {
        let (before, since) = self.clock.get();
        before + since.elapsed().as_secs_f64()
    }

    /// Go on counting as a saved run did.
    pub fn set_seconds(&self, before: f64) {
        self.clock.set((before, Instant::now()));
    }

    /// Look over a script before it runs: its own settings are declared; warn of what a resumed run would not know. Only runs
    /// with a folder are resumed.
    pub fn look_over(&self, ast: &rhai::AST, file: &str) {
        self.declared.borrow_mut().extend(super::lint::named_by_defaults(ast));
        if self.folder.borrow().is_none() {
            return;
        }
        for (position, name) in super::lint::forgotten(ast) {
            self.note(&format!(
                "{file}:{}: `{name}` changes in an epochs loop; a resumed run will not know it: keep it in a run_state",
                position.line().unwrap_or_default()
            ));
        }
    }

    /// The text that the run goes on with under `name`, where `original` is found now: a resumed run goes on with what it began
    /// with. After the run: what is found.
    pub fn text_of(&self, name: &str, original: Option<String>) -> Result<Option<String>> {
        if self.folder.borrow().is_none() {
            return Ok(original);
        }
        let chosen = self.origin.choose(name, original)?;
        chosen.iter().filter_map(|chosen| chosen.note.as_ref()).for_each(|note| self.note(note));
        Ok(chosen.map(|chosen| chosen.text))
    }

    /// A module of the run was loaded: keep its text.
    pub fn keep_text(&self, name: &str, text: &str) -> Result<()> {
        if self.folder.borrow().is_none() {
            return Ok(());
        }
        self.origin.loaded(name, text).iter().for_each(|note| self.note(note));
        self.origin.keep(name, text)
    }

    /// Let a learner be saved after every turn; its number among all values made.
    pub fn register_learner(&self, learner: &Rc<RefCell<Learner>>) -> u64 {
        self.register(Live::Learner(Rc::downgrade(learner)))
    }

    /// Let any other value be saved after every turn.
    pub fn register_state(&self, value: &Rc<RefCell<dyn Stateful>>) -> u64 {
        self.register(Live::Other(Rc::downgrade(value)))
    }

    fn register(&self, live: Live) -> u64 {
        let id = self.made.get() + 1;
        self.made.set(id);
        self.live.borrow_mut().push((id, live));
        id
    }

    /// How many values were made so far.
    pub fn made(&self) -> u64 {
        self.made.get()
    }

    /// Go on counting as a saved run did.
    pub fn set_made(&self, made: u64) {
        self.made.set(made);
    }

    fn each_live(&self) -> Vec<(u64, Live)> {
        let mut live = self.live.borrow_mut();
        live.retain(|(_, value)| match value {
            Live::Learner(weak) => weak.strong_count() > 0,
            Live::Other(weak) => weak.strong_count() > 0,
        });
        live.clone()
    }

    /// Numbers of the values alive, in order of creation.
    pub fn live_ids(&self) -> Vec<u64> {
        self.each_live().iter().map(|(id, _)| *id).collect()
    }

    /// The learners alive, in order of creation.
    pub fn learners(&self) -> Vec<(u64, Rc<RefCell<Learner>>)> {
        let learner = |(id, value)| match value {
            Live::Learner(weak) => weak.upgrade().map(|l: Rc<RefCell<Learner>>| (id, l)),
            Live::Other(_) => None,
        };
        self.each_live().into_iter().filter_map(learner).collect()
    }

    /// `(number, kind, state)` of every value alive.
    pub fn states(&self) -> Result<Vec<(u64, &'static str, State)>> {
        let mut states = Vec::new();
        for (id, value) in self.each_live() {
            match value {
                Live::Learner(weak) => {
                    if let Some(learner) = weak.upgrade() {
                        let learner = learner.borrow();
                        states.push((id, learner.kind(), learner.state()?));
                    }
                }
                Live::Other(weak) => {
                    if let Some(value) = weak.upgrade() {
                        let value = value.borrow();
                        states.push((id, value.kind(), value.state()?));
                    }
                }
            }
        }
        Ok(states)
    }

    /// Give the value `id` a saved state back, if it lives; whether it does and is of this kind.
    pub fn restore(&self, id: u64, kind: &str, state: State) -> Result<bool> {
        let Some((_, value)) = self.each_live().into_iter().find(|(live, _)| *live == id) else { return Ok(false) };
        let value: Option<Rc<RefCell<dyn Stateful>>> = match value {
            Live::Learner(weak) => weak.upgrade().map(|l| l as Rc<RefCell<dyn Stateful>>),
            Live::Other(weak) => weak.upgrade(),
        };
        let Some(value) = value else { return Ok(false) };
        let mut value = value.borrow_mut();
        if value.kind() != kind {
            return Ok(false);
        }
        value.restore(state)?;
        Ok(true)
    }

    /// Do something with the run folder's logs, unless there is none or the rows are there already (while a resumed run
    /// walks over what was done).
    pub fn logs(&self, write: impl FnOnce(&mut RunFolder, &str) -> Result<()>) -> Result<()> {
        if self.loops.borrow().replaying() {
            return Ok(());
        }
        match self.folder.borrow_mut().as_mut() {
            Some(folder) => write(folder, &self.label.borrow()),
            None => Ok(()),
        }
    }

    /// Keep a measurement in iim.csv.
    pub fn log_iim(&self, epoch: usize, space: &SearchSpace, iim: &Iim, mask: &Mask) -> Result<()> {
        self.logs(|folder, label| folder.log_iim(label, epoch, space, iim, mask))
    }

    /// The data opened last, or else the run's own data.
    pub fn current_data(&self) -> Result<Rc<Splits>> {
        if let Some(data) = self.data.borrow().as_ref() {
            return Ok(data.clone());
        }
        self.open_data(&self.options.data, &super::data::settings(self, &rhai::Map::new())?)
    }

    /// Open data and make it the current one.
    pub fn open_data(&self, name: &str, options: &DataOptions) -> Result<Rc<Splits>> {
        let splits = Rc::new(Splits::open(name, options)?);
        if let Some(folder) = self.folder.borrow().as_ref().map(RunFolder::path) {
            let option = |what: &str, n: Option<usize>| n.map_or(String::new(), |n| format!(" {what}={n}"));
            let split = options.split.map_or(String::new(), |share| format!(" split={share}"));
            let key = format!("{name}{}{}{split}", option("resize", options.resize), option("limit", options.limit));
            let note = self.origin.opened(&key, &splits.fingerprint, Some(folder))?;
            note.iter().for_each(|note| self.note(note));
        }
        self.trace.data(&splits)?;
        *self.data.borrow_mut() = Some(splits.clone());
        Ok(splits)
    }
}
