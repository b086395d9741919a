//! The words of `sweep`.

use crate::cli::args::{LARGEST_SEED, pair};
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use isdarts_host::sweep::value;
use serde_json::Value;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  isdarts-host sweep search --set method=is_darts,darts --seed 0..3 --out runs/two
  isdarts-host sweep paper.toml --engine slurm --jobs 20
  isdarts-host sweep table-a1                     Table A.1 of the IS-DARTS paper, made small
  isdarts-host sweep runs/two --dry-run           what there is yet to do
  isdarts-host sweep status runs/two
  isdarts-host sweep table runs/two --by method --format latex
  isdarts-host sweep retry runs/two";

#[derive(ClapArgs)]
#[command(args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
pub struct Sweep {
    #[command(subcommand)]
    pub command: Option<SweepCommand>,
    #[command(flatten)]
    pub start: Start,
}

#[derive(ClapArgs)]
pub struct Start {
    /// A sweep's file (.toml), a script (.rhai), `search`, the folder of a sweep, or table-1, table-a1, table-a2
    #[arg(value_name = "SWEEP")]
    pub what: Option<PathBuf>,
    /// The folder of all runs [default: runs/<name>]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Values of a setting (repeatable): one for all runs, or several, each for runs of its own; 0..3 is 0, 1, 2, 3
    #[arg(long = "set", value_name = "KEY=VALUE,...", value_parser = values)]
    pub sets: Vec<(String, Values)>,
    /// Data sets
    #[arg(long, value_name = "NAME|DIR,...", value_delimiter = ',')]
    pub data: Vec<String>,
    /// Seeds; 0..3 is 0, 1, 2, 3
    #[arg(long, value_name = "N,...", value_parser = seeds)]
    pub seed: Option<Values>,
    /// Where networks live: cpu, cuda, or auto
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Of a ready table: as it runs in minutes, or as the paper searched
    #[arg(long, value_enum, default_value_t = Scale::Reduced)]
    pub scale: Scale,
    #[command(flatten)]
    pub engine: Engine,
    /// Words for the script (its `args`)
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

#[derive(ClapArgs)]
pub struct Engine {
    /// What starts the runs
    #[arg(long, value_enum, default_value_t = Kind::Local)]
    pub engine: Kind,
    /// So many at a time [default: as many as there is room for; of slurm: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub jobs: Option<u16>,
    /// Threads of each run [default: those of [resources], or the cores divided by --jobs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// The GPUs to deal out among runs of this machine [default: CUDA_VISIBLE_DEVICES]
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    pub gpus: Vec<String>,
    /// Check all points and show what would be done; nothing is written or started
    #[arg(long)]
    pub dry_run: bool,
}

/// What starts the runs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Child processes on this machine
    Local,
    /// A job array of Slurm
    Slurm,
    /// A job file of HyperQueue
    Hyperqueue,
    /// Nothing: print the command lines
    Print,
}

/// The size of a ready table.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scale {
    /// Small networks on the embedded digits
    Reduced,
    /// The paper's networks and data
    Paper,
}

#[derive(Subcommand)]
pub enum SweepCommand {
    /// Run one point, from where it is: 0 finished, 130 stopped and saved, 75 another process works on it, 1 failed
    Task {
        /// The folder of the sweep
        #[arg(value_name = "DIR")]
        out: PathBuf,
        /// The number of the point [default: SLURM_ARRAY_TASK_ID, HQ_TASK_ID or PBS_ARRAY_INDEX]
        index: Option<usize>,
        /// Threads
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
        threads: Option<u16>,
    },
    /// How far it is; on a terminal live, until all is done or Ctrl-C
    Status {
        /// The folder of the sweep
        #[arg(value_name = "DIR")]
        out: PathBuf,
        /// Every point, those that are done too
        #[arg(long)]
        all: bool,
        /// Once, also on a terminal
        #[arg(long)]
        once: bool,
    },
    /// Results of finished runs: mean +- standard deviation
    Table(Table),
    /// Start what failed or was stopped again; it goes on where it was
    Retry {
        /// The folder of the sweep
        #[arg(value_name = "DIR")]
        out: PathBuf,
        /// Only these points
        index: Vec<usize>,
        #[command(flatten)]
        engine: Engine,
    },
}

#[derive(ClapArgs)]
pub struct Table {
    /// The folder of the sweep
    #[arg(value_name = "DIR")]
    pub out: PathBuf,
    /// A row for each combination of these settings [default: all that vary but the seed]
    #[arg(long, value_name = "KEY,...", value_delimiter = ',')]
    pub by: Vec<String>,
    /// These results [default: accuracies, parameters, seconds, as far as there are]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// As what to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// A row for each run
    #[arg(long, conflicts_with = "by")]
    pub runs: bool,
}

/// What a table is printed as.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For the terminal
    Text,
    /// Markdown
    Markdown,
    /// CSV: mean and standard deviation in columns of their own, all digits
    Csv,
    /// LaTeX, for booktabs
    Latex,
}

/// A list of values, in a type of its own: a plain list would be several options to clap.
#[derive(Clone, Debug)]
pub struct Values(pub Vec<Value>);

fn values(text: &str) -> Result<(String, Values), String> {
    let (key, text) = pair(text)?;
    Ok((key, Values(value::list(text))))
}

fn seeds(text: &str) -> Result<Values, String> {
    let values = value::list(text);
    let is_seed = |value: &Value| value.as_u64().is_some_and(|seed| seed <= LARGEST_SEED);
    match values.iter().all(is_seed) {
        true => Ok(Values(values)),
        false => Err("expected seeds, such as 0,1,2 or 0..3".into()),
    }
}
