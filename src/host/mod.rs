//! Scripts: the ONLY place that names rhai. May use: everything below it.
//!
//! The face to `main` and the REPL: [`run`] a script, [`eval_expression`], a [`Session`] of lines, [`documentation`].
//! Inside: [`engine`] builds the engine; one file per chapter of the manual registers functions through [`api`];
//! [`context`] is what they share; [`epochs`] saves and resumes.

pub mod api;
pub mod arch;
pub mod batches;
pub mod complete;
pub mod context;
pub mod control;
pub mod convert;
pub mod data;
pub mod docs;
pub mod engine;
pub mod epochs;
pub mod errors;
pub mod figure;
pub mod genotype;
pub mod kept;
pub mod lexer;
pub mod lint;
pub mod made_of;
pub mod manifest;
pub mod modules;
pub mod net;
pub mod net_api;
pub mod options;
pub mod origin;
pub mod output;
pub mod own_space;
pub mod pass;
pub mod races;
pub mod random;
pub mod report;
pub mod run_files;
pub mod session;
pub mod settings;
pub mod show;
pub mod shrink;
pub mod space;
pub mod state;
pub mod statistics;
pub mod tensor;
pub mod tensor_math;
pub mod train_genotype;

pub use complete::Completion;
pub use options::RunOptions;
pub use session::{Outcome, Session};
pub use show::{Colours, Look};

use crate::error::{Error, Result};
use crate::files;
use crate::search::run_folder::CHECKPOINTS;
use crate::search::{Progress, RunFolder, Silent, Trace};
use context::Host;
use engine::Scripts;
use epochs::Loops;
use manifest::Manifest;
use origin::Origin;
use std::path::Path;
use std::rc::Rc;

/// Open the run folder, if there is one, before any work.
fn open(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<Rc<Host>> {
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

/// Run the script of `options` to its end: makes (or, with `resume`, reopens) the run folder, and saves after every
/// turn of an epochs loop. What the script prints goes to stdout. Ctrl-C: [`crate::Error::Interrupted`], everything up to
/// the last turn is in the folder.
pub fn run(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<()> {
    run_to_session(options, progress)?.1
}

/// The same, and a session with what the script left: variables, functions, imports. The run folder is closed: what the
/// session does is no part of the run.
pub fn run_to_session(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<(Session, Result<()>)> {
    let path = options.script.as_deref().ok_or_else(|| Error::invalid("run", "no script", "a script"))?;
    let (name, found) = (path.to_string_lossy(), files::read_text(path).map_err(Error::io("read", path)));
    let (original, error) = match found {
        Ok(text) => (Some(text), None),
        // A run that is resumed has its own copy; where there is nothing to run, nothing is made.
        Err(error) if options.resume => (None, Some(error)),
        Err(error) => return Err(error),
    };
    let host = open(options, progress)?;
    let text = host.text_of(&name, original)?;
    let text = text.ok_or_else(|| error.unwrap_or_else(|| Error::invalid("run", "no script", "a script")))?;
    let note = host.origin.loaded(&name, &text);
    note.iter().for_each(|note| host.note(note));
    let manifest = Manifest::begin(&host)?;
    // What stands in the folder beside a manifest is a run's.
    host.origin.keep(&name, &text)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut session = Session::over(Scripts::new(host.clone(), folder));
    let result = session.run_text(&text, &name);
    let result = result.and_then(|()| settings::all_read(&host)).and_then(|()| host.output.check());
    let result = result.and_then(|()| host.folder.borrow().as_ref().map_or(Ok(()), RunFolder::check_logs));
    let ended = manifest.end(&host, &result);
    host.folder.take();
    // The first error is the one to tell.
    Ok((session, result.and(ended)))
}

/// The value of an expression as text; empty for `()`.
pub fn eval_expression(
    expression: &str,
    options: &RunOptions,
    progress: Rc<dyn Progress>,
    look: &Look,
) -> Result<String> {
    let scripts = Scripts::new(open(options, progress)?, Path::new("."));
    let value = scripts.eval(expression, "expression")?;
    let text = show::show(&scripts, &value, look)?;
    scripts.host.output.check().map(|()| text)
}

/// The manual as text: an overview of all host functions and stdlib modules, or the entry of `name` (a function, a type
/// or
/// a module such as `nas/is_darts`). Unknown names are an error with the nearest.
pub fn documentation(name: Option<&str>) -> Result<String> {
    let host = open(&RunOptions::default(), Rc::new(Silent))?;
    docs::text(&Scripts::new(host, Path::new(".")).docs, name)
}

/// The manual as Markdown: all of it, or the entry of a function.
pub fn markdown(name: Option<&str>) -> Result<String> {
    let docs = manual()?;
    match name {
        None => Ok(docs::markdown::manual(&docs)),
        Some(name) => {
            let plain = docs::text(&docs, Some(name))?;
            let entries: String = docs.iter().filter(|d| d.name == name).map(docs::markdown::entry).collect();
            // A module is its own text.
            Ok(if entries.is_empty() { format!("```rhai\n{plain}\n```") } else { entries.trim_start().to_string() })
        }
    }
}

/// Write definition files for Rhai's language server to the folder `dir`; their paths.
pub fn write_definitions(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let host = open(&RunOptions::default(), Rc::new(Silent))?;
    docs::definitions::write(&Scripts::new(host, Path::new(".")), dir)
}

/// All entries of the manual.
pub fn manual() -> Result<Vec<api::Doc>> {
    Ok(Scripts::new(open(&RunOptions::default(), Rc::new(Silent))?, Path::new(".")).docs)
}
