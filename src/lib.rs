//! Differentiable architecture search whose methods are short scripts, as a library.
//!
//! The program `isdarts-host` runs scripts; this library lets another program do the same, and offers what scripts compose to
//! Rust. Start where you are:
//!
//! - **You have a script and want to run it in your program**: [`Host`]. Its builder takes options, a place for progress and
//!   output, functions and modules of your own, and data from memory. `examples/script_function.rs` gives a Rust function to a
//!   script; `examples/own_data.rs` searches on images that it made.
//! - **You want to search from Rust**: a [`SearchSpace`] and a [`SupernetConfig`] make a [`Supernet`]; a [`Learner`] trains it and
//!   measures its [`Iim`]; a [`ShrinkSchedule`] and the [`ComparisonSubset`]s say what to drop from its [`Mask`]; what survives is
//!   a [`Genotype`]. `examples/search.rs` is IS-DARTS in thirty lines, with a callback after each epoch.
//! - **You want another op**: [`Primitive::add`] makes one of a known [`Form`]. `examples/own_primitive.rs` searches with two.
//! - **You want to train what was found**: [`Plan`], [`Subnet`], [`Trainer`]; [`Cost`] counts its parameters and multiply-adds.
//!
//! ```
//! use isdarts_host::{Device, Mode, SearchSpace, Supernet, SupernetConfig, Tensor};
//!
//! let config = SupernetConfig { channels: 4, cells: 1, ..Default::default() };
//! let net = Supernet::new(SearchSpace::nas_bench_201(), config, &Device::Cpu)?;
//! let x = Tensor::zeros((2, 3, 8, 8), isdarts_host::DType::F32, &Device::Cpu)?;
//! let logits = net.forward(&x, &net.mask_mixing()?, Mode::Train)?;
//! assert_eq!(logits.dims(), [2, 10]);
//! # Ok::<(), isdarts_host::Error>(())
//! ```
//!
//! What this page names is the surface: it changes with the version number only (`CHANGELOG.md`). The modules behind it are for
//! the program and its tests, and may change at any time; `ARCHITECTURE.md` leads through them.

#[doc(hidden)]
pub mod data;
#[doc(hidden)]
pub mod error;
#[doc(hidden)]
pub mod files;
#[doc(hidden)]
pub mod fit;
#[doc(hidden)]
pub mod host;
#[doc(hidden)]
pub mod interrupt;
#[doc(hidden)]
pub mod memory;
#[doc(hidden)]
pub mod net;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod processes;
#[doc(hidden)]
pub mod repl;
#[doc(hidden)]
pub mod search;
#[doc(hidden)]
pub mod space;
#[doc(hidden)]
pub mod streams;
#[doc(hidden)]
pub mod sweep;

#[doc(inline)]
pub use data::{Augment, Batch, DataOptions, Dataset, InMemory, Splits};
#[doc(inline)]
pub use error::{Error, Result};
#[doc(inline)]
pub use host::embed::{Host, HostBuilder, Ran};
#[doc(inline)]
pub use net::ids::{ParamId, Table};
#[doc(inline)]
pub use net::{
    Cost, DropPath, Gradients, Logits, Mode, Param, Params, Pass, Paths, Role, ScoreSums, Subnet, SubnetConfig,
    Supernet, SupernetConfig,
};
#[doc(inline)]
pub use search::progress::Tick;
#[doc(inline)]
pub use search::{
    ArchConfig, ArchParams, EpochStats, EvalConfig, Learner, Measurement, Progress, Silent, TrainConfig, Trainer,
};
#[doc(inline)]
pub use space::primitive::Form;
#[doc(inline)]
pub use space::{
    Candidate, CellType, ComparisonSubset, Edge, Family, Genotype, Iim, Mask, NetworkShape, PerCandidate, Plan,
    Primitive, SearchSpace, ShrinkSchedule, Skeleton, Topology,
};

pub use candle_core::{DType, Device, Tensor};
pub use {rhai, serde_json};
