//! What the host knows of Rhai, and nothing of architecture search: registering functions, values, errors, modules, and the
//! text of scripts.

pub mod api;
pub mod bundled;
pub mod doc;
pub mod errors;
pub mod explain;
pub mod format;
pub mod functions;
pub mod lexer;
pub mod lint;
pub mod modules;
pub mod names;
pub mod races;
pub mod types;
pub mod value;
