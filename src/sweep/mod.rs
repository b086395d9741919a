//! Sweeps: many runs of one script, started by whatever engine there is, and one table of what they came to.
//!
//! A [`Sweep`] says what is asked; its [`Plan`] numbers the points and keeps its numbers when the sweep grows. A point is one run in a
//! folder of its own, started by one command that may be killed and started again ([`task`]). [`engine`]s do no more than start it.
//! [`status`] and [`table`] read the folders alone.

pub mod check;
pub mod engine;
pub mod file;
pub mod folder;
pub mod plan;
pub mod points;
pub mod ready;
pub mod status;
pub mod table;
pub mod task;
pub mod value;

pub use file::Sweep;
pub use folder::Folder;
pub use plan::{Plan, Row};
pub use points::Point;
