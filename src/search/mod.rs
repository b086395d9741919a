//! The verbs that scripts compose: train, evaluate, measure, architecture steps, checkpoints, the run folder.
//! Prints nothing: progress goes to a [`Progress`].

pub mod arch;
pub mod checkpoint;
mod classes;
pub mod config;
pub mod derive;
mod finite;
mod last_batch;
pub mod learner;
pub mod loss;
pub mod optimiser;
mod passed;
pub mod progress;
pub mod proxy;
pub mod recipe;
pub mod run_folder;
pub mod settings;
pub mod stats;
pub mod trace;
pub mod trainer;
pub mod trainer_config;
mod training;
pub mod variables;
pub mod weights_file;

pub use arch::{ArchConfig, ArchParams};
pub use checkpoint::{State, Stateful};
pub use config::TrainConfig;
pub use learner::{Learner, Measurement};
pub use optimiser::Optimiser;
pub use progress::{Progress, Silent};
pub use proxy::Proxy;
pub use recipe::Recipe;
pub use run_folder::{MetricsRow, Overview, RunFolder, RunState};
pub use stats::EpochStats;
pub use trace::Trace;
pub use trainer::Trainer;
pub use trainer_config::EvalConfig;
pub use training::in_order;
pub use variables::Variables;
