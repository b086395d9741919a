//! isdarts-host: differentiable architecture search whose methods are short scripts.
//!
//! Bird's-eye view: `main, repl -> host -> search -> net -> ops -> candle`; `net -> space`; `search -> data`.
//! - [`space`]: what can be searched; plain data, no tensor, no I/O.
//! - [`ops`]: how an op computes, forward and backward; knows no cell and no edge.
//! - [`net`]: networks = space + ops.
//! - [`data`]: data sets, loaders, the NAS-Bench-201 table.
//! - [`search`]: the verbs that scripts compose.
//! - [`host`]: the only place that names rhai.
//! - [`repl`]: with `main`, the only place that touches the terminal.
//!
//! Invariants, each held by `tests/architecture.rs`: rhai only in `host/`; no tensors in `space/`; `ops/` knows no cell
//! or edge; `unsafe` only in kernels; a strategy never needs Rust.

pub mod data;
pub mod error;
pub mod files;
pub mod host;
pub mod interrupt;
pub mod memory;
pub mod net;
pub mod ops;
pub mod repl;
pub mod search;
pub mod space;
pub mod streams;

pub use error::{Error, Result};
