//! What all host functions of one run share: options, progress, the run folder, the values that hold state.

use super::loops::Loops;
use super::options::RunOptions;
use super::origin::Origin;
use super::output::Output;
use super::random::Stream;
use crate::data::Splits;
use crate::error::Result;
use crate::host::script::lint;
use crate::host::script::modules::Texts;
use crate::search::run_folder::CHECKPOINTS;
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
    /// Open the run folder, if there is one, before any work.
    pub fn open(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<Rc<Self>> {
        let mut folder = options.folder.as_deref().map(|path| RunFolder::open(path, options.resume)).transpose()?;
        let mut loops = Loops::default();
        if let Some(folder) = folder.as_mut().filter(|_| options.resume) {
            loops = Loops::resume(&folder.path().join(CHECKPOINTS))?;
        }
        let origin = Origin::of(options, folder.as_ref(), &loops)?;
        if let Some(folder) = folder.as_mut().filter(|_| !loops.replaying()) {
            // Where it was cut off before the first turn was over: begin anew.
            folder.restore_logs(&serde_json::Value::Null)?;
        }
        let trace = options.trace.as_deref().map(Trace::open).transpose()?.unwrap_or_default();
        let host = Host::new(options.clone(), progress, folder, loops, origin, trace);
        host.origin.accepted.iter().for_each(|change| host.note(&format!("going on with changes: {change}")));
        Ok(host)
    }

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
}

impl Texts for Host {
    fn look_over(&self, ast: &rhai::AST, file: &str) {
        self.declared.borrow_mut().extend(lint::named_by_defaults(ast));
        if self.folder.borrow().is_none() {
            return;
        }
        for (position, name) in lint::forgotten(ast) {
            self.note(&format!(
                "{file}:{}: `{name}` changes in an epochs loop; a resumed run will not know it: keep it in a run_state",
                position.line().unwrap_or_default()
            ));
        }
    }

    fn text_of(&self, name: &str, original: Option<String>) -> Result<Option<String>> {
        if self.folder.borrow().is_none() {
            return Ok(original);
        }
        let chosen = self.origin.choose(name, original)?;
        chosen.iter().filter_map(|chosen| chosen.note.as_ref()).for_each(|note| self.note(note));
        Ok(chosen.map(|chosen| chosen.text))
    }

    fn keep_text(&self, name: &str, text: &str) -> Result<()> {
        if self.folder.borrow().is_none() {
            return Ok(());
        }
        self.origin.loaded(name, text).iter().for_each(|note| self.note(note));
        self.origin.keep(name, text)
    }
}
