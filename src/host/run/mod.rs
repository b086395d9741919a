//! A run: what was asked for, its folder, its loops, its random stream, its settings.

pub mod clock;
pub mod data;
pub mod dropped;
pub mod epochs;
pub mod files;
pub mod kept;
pub mod live;
pub mod loops;
pub mod made_of;
pub mod manifest;
pub mod options;
pub mod origin;
pub mod outcome;
pub mod output;
pub mod random;
pub mod results;
pub mod settings;
pub mod shared;
pub mod training;

pub use epochs::Epochs;
pub use options::{RunOptions, device_name};
pub use random::Stream;
pub use shared::Run;
