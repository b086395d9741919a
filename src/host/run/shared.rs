//! What all host functions of one run share.

use super::clock::Clock;
use super::dropped::Dropping;
use super::live::Live;
use super::loops::Loops;
use super::options::RunOptions;
use super::origin::RunOrigin;
use super::output::Output;
use super::random::Stream;
use super::results::Results;
use super::settings::RunSettings;
use crate::data::Splits;
use crate::error::Result;
use crate::host::script::lint;
use crate::host::script::modules::Texts;
use crate::host::show::Look;
use crate::host::show::plot::{Plot, Series};
use crate::search::run_folder::CHECKPOINTS;
use crate::search::{Progress, RunFolder, Trace};
use crate::space::{Iim, Mask, SearchSpace};
use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;

/// What TensorBoard calls the text of settings.
const SETTINGS: &str = "settings";

/// Shared by all host functions of one run.
pub struct Run {
    /// What was asked for.
    pub options: RunOptions,
    /// Where long work reports to.
    pub progress: Rc<dyn Progress>,
    /// Where results are printed.
    pub output: Output,
    /// The run folder, if there is one.
    pub folder: RefCell<Option<RunFolder>>,
    /// What the run is made of.
    pub origin: RunOrigin,
    /// The run's random stream.
    pub stream: RefCell<Stream>,
    /// Where its draws and steps are written.
    pub trace: Trace,
    /// The data opened last: it gives a supernet its classes.
    pub data: RefCell<Option<Rc<Splits>>>,
    /// Data from memory, which opens by its name.
    pub own_data: RefCell<Option<Rc<Splits>>>,
    /// What was set, and what came of it.
    pub settings: RunSettings,
    /// What the manifest begins with, once it is begun.
    pub head: OnceCell<serde_json::Value>,
    /// Whether the manifest has been written again since, with settings and data.
    pub said: Cell<bool>,
    /// The epochs loops of the run.
    pub loops: RefCell<Loops>,
    /// The name of the search that runs now, in the logs.
    pub label: RefCell<String>,
    /// The values that hold state.
    pub live: Live,
    /// What it came to so far.
    pub results: Results,
    /// What the shrink step under way has dropped.
    pub dropping: Dropping,
    /// Loss and accuracy of the first supernet after each epoch.
    pub curve: RefCell<Vec<[f64; 2]>>,
    /// How long it has taken.
    pub clock: Clock,
}

impl Run {
    /// Open the run folder, if there is one, before any work.
    pub fn open(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<Rc<Self>> {
        let mut folder = options.folder.as_deref().map(|path| RunFolder::open(path, options.resume)).transpose()?;
        let mut loops = Loops::default();
        if let Some(folder) = folder.as_mut().filter(|_| options.resume) {
            loops = Loops::resume(&folder.path().join(CHECKPOINTS))?;
        }
        let origin = RunOrigin::of(options, folder.as_ref(), &loops)?;
        if let Some(folder) = folder.as_mut().filter(|_| !loops.replaying()) {
            // Where it was cut off before the first turn was over: begin anew.
            folder.restore_logs(&serde_json::Value::Null)?;
        }
        let trace = options.trace.as_deref().map(Trace::open).transpose()?.unwrap_or_default();
        let host = Run::new(options.clone(), progress, folder, loops, origin, trace);
        host.origin.accepted.iter().for_each(|change| host.note(&format!("going on with changes: {change}")));
        Ok(host)
    }

    /// Makes the host of one run (or session).
    pub fn new(
        options: RunOptions,
        progress: Rc<dyn Progress>,
        folder: Option<RunFolder>,
        loops: Loops,
        origin: RunOrigin,
        trace: Trace,
    ) -> Rc<Self> {
        Rc::new(Run {
            stream: RefCell::new(Stream::new(options.seed)),
            settings: RunSettings::new(options.sets.clone(), options.probe),
            trace,
            options,
            origin,
            progress,
            output: Output::default(),
            folder: RefCell::new(folder),
            data: RefCell::default(),
            own_data: RefCell::default(),
            head: OnceCell::new(),
            said: Cell::new(false),
            loops: RefCell::new(loops),
            label: RefCell::default(),
            live: Live::default(),
            results: Results::default(),
            dropping: Dropping::default(),
            curve: RefCell::default(),
            clock: Clock::default(),
        })
    }

    /// A candidate, its op and its edge, was dropped from the supernet and in the epoch `of`; so many live of so many.
    pub fn dropped(&self, of: (usize, usize), candidate: (&str, &str), alive: (usize, usize)) {
        self.tell(self.dropping.add(of, candidate, alive));
    }

    /// Something else comes now: the line about what was dropped is due.
    pub fn settle(&self) {
        self.tell(self.dropping.take());
    }

    fn tell(&self, line: Option<String>) {
        if let Some(line) = line.filter(|_| !self.options.quiet) {
            self.progress.note(&line);
        }
    }

    /// A line of results.
    pub fn print(&self, line: &str) {
        self.settle();
        self.progress.clear();
        self.output.line(line);
    }

    /// A line worth keeping.
    pub fn note(&self, line: &str) {
        self.settle();
        if !self.options.quiet {
            self.progress.note(line);
        }
    }

    /// The learning curve of a run that was one search, for who looks at a terminal.
    pub fn draw_curve(&self) {
        let curve = self.curve.borrow();
        let Some(width) = self.progress.columns().filter(|_| curve.len() > 1 && self.loops.borrow().started == 1)
        else {
            return;
        };
        let of = |name: &str, i: usize| Series { name: name.into(), values: curve.iter().map(|row| row[i]).collect() };
        let plot = Plot { series: vec![of("loss", 0), of("accuracy", 1)] };
        self.note(&plot.draw(&Look { width, ..Look::PLAIN }));
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

    /// Keep the settings for TensorBoard, once.
    pub fn log_settings(&self) -> Result<()> {
        let row = |(key, value): (&String, &serde_json::Value)| {
            format!("| {key} | {} |\n", value.to_string().trim_matches('"').replace('|', "\\|"))
        };
        let rows: String = self.settings.effective.borrow().iter().map(row).collect();
        self.logs(|folder, _| match folder.has_text("", SETTINGS) {
            true => Ok(()),
            false => folder.log_text("", SETTINGS, &format!("| setting | value |\n|---|---|\n{rows}")),
        })
    }

    /// Keep a measurement in iim.csv.
    pub fn log_iim(&self, epoch: usize, space: &SearchSpace, iim: &Iim, mask: &Mask) -> Result<()> {
        self.logs(|folder, label| folder.log_iim(label, epoch, space, iim, mask))
    }
}

impl Texts for Run {
    fn look_over(&self, ast: &rhai::AST) {
        self.settings.declared.borrow_mut().extend(lint::named_by_defaults(ast));
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
