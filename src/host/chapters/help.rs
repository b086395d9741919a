//! `help`: the manual within scripts.

use crate::host::docs::{entry, overview};
use crate::host::run::Host;
use crate::host::script::api::{Api, Doc};
use crate::host::script::errors::{Fallible, raise};
use std::rc::Rc;

/// Register `help`, which knows all entries registered before it (and itself).
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("run");
    api.note([
        "help",
        "help()\nhelp(name)",
        "Print the manual in short; or the entry of a function, property or module.",
        "help(\"measure_iim\");",
    ]);
    let docs: Rc<[Doc]> = api.docs().into();
    let all = docs.clone();
    let (out, out_of_name) = (host.clone(), host.clone());
    api.also("help", move || -> Fallible<()> {
        out.output.line(&overview(&all));
        Ok(())
    });
    api.also("help", move |name: &str| -> Fallible<()> {
        out_of_name.output.line(&entry(&docs, name).map_err(raise)?);
        Ok(())
    });
}
