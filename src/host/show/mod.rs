//! How things look: on a terminal, of which [`Look`] says what it can, and in SVG files. Nothing here knows scripts.

pub mod figure;
pub mod found;
pub mod look;
pub mod pictures;
pub mod plot;
pub mod tables;

pub use look::{Colours, Look};
