//! The words of `runs`.

use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// The folder that runs are in unasked.
pub const RUNS: &str = "runs";

#[derive(ClapArgs)]
pub struct Runs {
    /// Where to look for run folders, at any depth
    #[arg(default_value = RUNS, value_name = "DIR")]
    pub folder: PathBuf,
    /// Only runs of this method (the setting `method`, or else the script's name)
    #[arg(long, value_name = "NAME")]
    pub method: Option<String>,
    /// Only runs on this data
    #[arg(long, value_name = "NAME|DIR")]
    pub data: Option<String>,
    /// Only runs with this seed
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Only runs in this state
    #[arg(long, value_name = "STATE", value_parser = clap::builder::PossibleValuesParser::new(isdarts_host::search::RunState::NAMES))]
    pub state: Option<String>,
    /// Sort by a setting or a result, such as cifar10_test, accuracy, seconds; with - in front of it, the largest first
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub sort: Option<String>,
    /// Columns besides the folder's: settings and results by name; `all`
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// A row for each search of a run that has several
    #[arg(long)]
    pub searches: bool,
    /// As what to print it
    #[arg(long, value_enum, default_value_t = TableFormat::Table)]
    pub format: TableFormat,
    /// What two runs were asked that is not the same: settings, seed, data, scripts, version
    #[arg(long, num_args = 2, value_names = ["RUN", "RUN"], conflicts_with_all = ["method", "data", "seed", "state", "sort", "columns", "searches", "remove_failed"])]
    pub diff: Vec<PathBuf>,
    /// Remove the folders of the listed runs that have failed, after asking
    #[arg(long)]
    pub remove_failed: bool,
    /// With --remove-failed: do not ask
    #[arg(long, requires = "remove_failed")]
    pub yes: bool,
}

/// What a table is printed as.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For the terminal
    Table,
    /// Comma-separated values, numbers in full
    Csv,
    /// A list of objects
    Json,
    /// A Markdown table
    Markdown,
}
