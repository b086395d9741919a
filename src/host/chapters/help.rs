//! `help`: the manual within scripts.

use crate::error::Result;
use crate::host::docs;
use crate::host::run::Run;
use crate::host::script::api::Api;
use crate::host::script::doc::Doc;
use crate::host::script::functions::functions;
use std::cell::OnceCell;
use std::rc::Rc;

/// The manual, once it is complete.
pub type Manual = Rc<OnceCell<Rc<[Doc]>>>;

/// Register `help`, which shows what is in `manual` when it is called.
pub fn register(api: &mut Api, host: &Rc<Run>, manual: &Manual) {
    api.chapter("run");
    functions! { api, [host, manual];
        /// Print the manual in short; or the entry of a function, property or module.
        ///
        /// ```rhai
        /// help("measure_iim");
        /// ```
        fn help() -> Result<()> { help(&host, &manual, None) }
        fn help(name: String) -> Result<()> { help(&host, &manual, Some(&name)) }
    }
}

fn help(host: &Run, manual: &Manual, name: Option<&str>) -> Result<()> {
    let entries = manual.get().map_or(&[][..], |docs| docs);
    docs::text(entries, name).map(|text| host.print(&text))
}
