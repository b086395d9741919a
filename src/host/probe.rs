//! The settings of a script without its work: what a sweep looks at before three hundred runs begin.

use super::run::settings;
use super::run::{Run, RunOptions};
use super::session::{Scripts, Session};
use crate::error::{Error, Result};
use crate::search::Silent;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

/// Runs the script of `options`, whose text is given, as far as its settings, and no farther: what it prints goes nowhere, nothing is written. The keys
/// that choose among a list of its own, on which other settings may depend.
///
/// # Errors
/// What the run itself would say of its settings: an unknown one, a value of another type or out of range, one that nothing reads.
pub fn probe(options: &RunOptions, text: &str) -> Result<BTreeSet<String>> {
    let path = options.script.as_deref().ok_or_else(|| Error::invalid("probe", "no script", "a script"))?;
    let options = RunOptions { probe: true, quiet: true, folder: None, trace: None, ..options.clone() };
    let host = Run::open(&options, Rc::new(Silent))?;
    host.output.pass_to(Some(Rc::new(|_| {})));
    let scripts = Scripts::new(host.clone(), path.parent().unwrap_or(Path::new(".")));
    let name = path.to_string_lossy();
    match Session::over(scripts).run_text(text, &name) {
        Err(Error::Interrupted) if host.settings.probe.as_ref().is_some_and(|reached| reached.get()) => {}
        result => result?,
    }
    // A setting of a training may be read yet, if the script has one.
    let trains = text.contains("train_genotype");
    if !trains || host.settings.probe.as_ref().is_none_or(|reached| !reached.get()) {
        settings::all_read(&host.settings)?;
    }
    Ok(host.settings.choices.take())
}
