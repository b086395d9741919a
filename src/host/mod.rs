//! Scripts: the ONLY place that names rhai.
//!
//! The face to `main` and the prompt: [`run()`] a script, [`eval_expression`], a [`Session`] of lines, [`documentation`].
//! Behind it are rooms, each of which uses only those before it (`tests/architecture.rs` has the table):
//! - [`script`]: what is known of Rhai, and nothing of architecture search;
//! - [`show`]: how things look, on a terminal and in SVG files; knows no script;
//! - [`mod@run`]: a run, its folder, loops, random stream, settings;
//! - [`handles`]: what a script holds;
//! - [`docs`]: the manual;
//! - [`chapters`]: what a script can call, a file a chapter of the manual;
//! - [`mod@check`]: a script looked over before it runs;
//! - [`session`]: an engine with all chapters, and inputs one after the other;
//! - [`complete`]: what can stand at the cursor;
//! - [`embed`]: a host that another program makes.

pub mod chapters;
pub mod check;
pub mod complete;
pub mod docs;
pub mod embed;
pub mod handles;
pub mod probe;
pub mod run;
pub mod script;
pub mod session;
pub mod show;

pub use chapters::report::{mean, std};
pub use check::{Finding, Severity};
pub use complete::Completion;
pub use probe::probe;
pub use run::{RunOptions, device_name};
pub use script::bundled;
pub use script::doc::Doc;
pub use script::format::format;
pub use script::lexer;
pub use script::modules::STDLIB;
pub use session::{Outcome, Session};
pub use show::{Colours, Look};

use crate::data::nas_bench;
use crate::error::{Error, Result};
use crate::files;
use crate::search::{Progress, RunFolder, Silent};
use crate::space::SearchSpace;
use handles::genotype::genotype_of;
use run::Run;
use run::manifest;
use run::settings;
use script::modules::Texts;
use session::Scripts;
use std::path::Path;
use std::rc::Rc;

/// Run the script of `options` to its end: makes (or, with `resume`, reopens) the run folder, and saves after every
/// turn of an epochs loop. What the script prints goes to stdout. Ctrl-C: [`crate::Error::Interrupted`], everything up to
/// the last turn is in the folder.
pub fn run(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<()> {
    run_to_session(options, progress)?.1
}

/// The same, and a session with what the script left: variables, functions, imports. The run folder is closed: what the
/// session does is no part of the run.
pub fn run_to_session(options: &RunOptions, progress: Rc<dyn Progress>) -> Result<(Session, Result<()>)> {
    run_prepared(options, progress, None, &|_| Ok(()))
}

/// The same of a script whose `text` may be given, over an engine that `prepare` has added to.
fn run_prepared(
    options: &RunOptions,
    progress: Rc<dyn Progress>,
    text: Option<&str>,
    prepare: &dyn Fn(&mut Scripts) -> Result<()>,
) -> Result<(Session, Result<()>)> {
    let path = options.script.as_deref().ok_or_else(|| Error::invalid("run", "no script", "a script"))?;
    let name = path.to_string_lossy();
    // What was piped in once is not waited for again.
    let read = if options.resume { files::read_plain_text } else { files::read_text };
    let read = || read(path).map_err(Error::io("read", path));
    // A file goes before the script of the binary that has its name.
    let bundled = || bundled::find(&name).filter(|_| !path.is_file()).map(|(_, text)| text);
    let found = text.or_else(bundled).map_or_else(read, |text| Ok(text.to_string()));
    let (original, error) = match found {
        Ok(text) => (Some(text), None),
        // A run that is resumed has its own copy; where there is nothing to run, nothing is made.
        Err(error) if options.resume => (None, Some(error)),
        Err(error) => return Err(error),
    };
    if let Some(text) = original.as_deref().filter(|_| !options.resume && !options.unchecked) {
        // Over an engine of its own, so that of what cannot run nothing is made.
        let host = Run::open(&RunOptions { folder: None, trace: None, ..options.clone() }, progress.clone())?;
        let mut scripts = Scripts::new(host, path.parent().unwrap_or(Path::new(".")));
        prepare(&mut scripts)?;
        let session = Session::over(scripts);
        session.look_over(text, &name)?;
        session.look_over_sets(text, &name)?;
    }
    let host = Run::open(options, progress)?;
    let text = host.text_of(&name, original)?;
    let text = text.ok_or_else(|| error.unwrap_or_else(|| Error::invalid("run", "no script", "a script")))?;
    let note = host.origin.loaded(&name, &text);
    note.iter().for_each(|note| host.note(note));
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut scripts = Scripts::new(host.clone(), folder);
    let prepared = prepare(&mut scripts);
    let mut session = Session::over(scripts);
    if options.resume && !options.unchecked && prepared.is_ok() {
        // The texts that go on, kept or changed, are known only now.
        session.look_over(&text, &name)?;
    }
    manifest::begin(&host)?;
    // What stands in the folder beside a manifest is a run's.
    host.origin.keep(&name, &text)?;
    let result = prepared.and_then(|()| session.run_text(&text, &name));
    let result = result.and_then(|()| settings::all_read(&host.settings)).and_then(|()| host.output.check());
    let result = result.and_then(|()| host.folder.borrow().as_ref().map_or(Ok(()), RunFolder::check_logs));
    if result.is_ok() {
        host.draw_curve();
    }
    if result.is_err() && host.settings.refused.get() && !options.resume {
        // Nothing was done with these settings, so nothing is left.
        if let Some(folder) = host.folder.borrow_mut().take_if(|folder| folder.is_untouched()) {
            folder.discard()?;
        }
    }
    let ended = manifest::end(&host, &result);
    host.folder.take();
    // The first error is the one to tell.
    Ok((session, result.and(ended)))
}

/// Looks over the text of a script that lies at `path`, and the modules that it imports.
pub fn check(text: &str, path: &Path) -> Result<Vec<Finding>> {
    let host = Run::open(&RunOptions::default(), Rc::new(Silent))?;
    let session = Session::over(Scripts::new(host, path.parent().unwrap_or(Path::new("."))));
    Ok(session.check(text, &path.to_string_lossy()))
}

/// The names of all settings that functions of the program take.
pub fn settings_names() -> Vec<String> {
    settings::host_keys().iter().map(|key| key.to_string()).collect()
}

/// The value of an expression as text; empty for `()`.
pub fn eval_expression(
    expression: &str,
    options: &RunOptions,
    progress: Rc<dyn Progress>,
    look: &Look,
) -> Result<String> {
    let scripts = Scripts::new(Run::open(options, progress)?, Path::new("."));
    let value = scripts.eval(expression, "expression")?;
    let text = scripts.show(&value, look)?;
    scripts.host.output.check().map(|()| text)
}

/// What is known of a cell that a text names (`handles::genotype::genotype_of` says how): its row of NAS-Bench-201 beside the
/// paper's, or, of another space, a drawing and what its network costs.
///
/// # Errors
/// The text names no cell.
pub fn query(cell: &str, look: &Look) -> Result<String> {
    let genotype = genotype_of(cell)?;
    match genotype.space == SearchSpace::nas_bench_201() {
        true => {
            let row = nas_bench::query(&genotype)?;
            Ok(format!("{}\n\n{}", row.arch, row.beside_paper()?))
        }
        false => show::found::genotype(&genotype, look),
    }
}

/// The manual as text: an overview of all host functions and stdlib modules, or the entry of `name` (a function, a type
/// or a module such as `nas/is_darts`). Unknown names are an error with the nearest.
pub fn documentation(name: Option<&str>) -> Result<String> {
    let host = Run::open(&RunOptions::default(), Rc::new(Silent))?;
    docs::text(&Scripts::new(host, Path::new(".")).docs, name)
}

/// Every name that [`documentation`] knows.
pub fn manual_names() -> Result<Vec<String>> {
    Ok(docs::names(&manual()?))
}

/// The settings that host functions take.
pub fn setting_names() -> &'static [&'static str] {
    settings::host_keys()
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
    let scripts = Scripts::new(Run::open(&RunOptions::default(), Rc::new(Silent))?, Path::new("."));
    docs::definitions::write(&scripts.engine, &scripts.docs, dir)
}

/// All entries of the manual.
pub fn manual() -> Result<Vec<Doc>> {
    Ok(Scripts::new(Run::open(&RunOptions::default(), Rc::new(Silent))?, Path::new(".")).docs.to_vec())
}
