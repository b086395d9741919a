//! Faults of kernels, each a line or a barrier: what a careless hand could leave behind, and the properties have to refuse.
//!
//! Left out is what an emulator cannot see: a missing fence (its threads share one memory), a bank conflict, a register too many,
//! `__syncwarp` between lanes that go on together anyway, a counter that groups share whose blocks come one group after the other; and
//! what would make it read or write memory of its host far away.

mod conv;
mod nodes;
mod separable;

use isdarts_host::ops::gpu::Arithmetic;

/// What is wrong; the text that stands once in the file; the text in its place.
pub type Fault = (&'static str, &'static str, &'static str);

/// Faults of a file that the properties of a family refuse.
pub struct Faults {
    pub file: &'static str,
    pub family: &'static str,
    pub arithmetic: Arithmetic,
    pub faults: &'static [Fault],
}

/// All of them.
pub fn all() -> impl Iterator<Item = (&'static Faults, Fault)> {
    let files = nodes::FAULTS.iter().chain(separable::FAULTS).chain(conv::FAULTS);
    files.flat_map(|file| file.faults.iter().map(move |fault| (file, *fault)))
}
