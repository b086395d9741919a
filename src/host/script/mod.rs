//! What the host knows of Rhai, and nothing of architecture search: registering functions, values, errors, modules, and the
//! text of scripts.

pub mod api;
pub mod errors;
pub mod explain;
pub mod lexer;
pub mod lint;
pub mod modules;
pub mod races;
pub mod value;
