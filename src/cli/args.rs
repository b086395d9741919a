//! The words of the command line.

mod runs;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use isdarts_host::sweep::value;
pub use runs::{RUNS, Runs, TableFormat};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  isdarts-host is_darts                     a search on the embedded data
  isdarts-host is_darts --data cifar10 --set channels=16 --set cells=5
  isdarts-host scripts --out mine           the scripts of the program, to change
  isdarts-host my_method.rhai --seed 3 --out runs/mine -- first second
  isdarts-host --resume runs/mine           go on where a run was interrupted
  isdarts-host my_method.rhai --out runs/a --continue
                                            begin, or go on, or see that it is finished
  isdarts-host                              explore: the REPL
  isdarts-host --repl-after my_method.rhai  run, then explore its variables
  isdarts-host -e 'space(\"darts\").ops'
  isdarts-host query 9930                   a cell of NAS-Bench-201, by index or text
  isdarts-host doc measure_iim              the manual
  isdarts-host completions bash > ~/.local/share/bash-completion/completions/isdarts-host

Environment:
  ISDARTS_DATA=DIR    where data sets are [default: ./data]
  ISDARTS_STDLIB=DIR  modules nas/NAME are those of DIR/nas/NAME.rhai, not the
                      binary's: for work on the library";

/// The largest seed that scripts can name.
pub const LARGEST_SEED: u64 = i64::MAX as u64;

/// Differentiable architecture search whose methods are short scripts.
#[derive(Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
#[command(override_usage = "isdarts-host [OPTIONS] [SCRIPT] [-- ARGS]\n       isdarts-host <COMMAND>")]
pub struct Args {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub run: Run,
}

#[derive(ClapArgs, Clone, Default)]
pub struct Run {
    /// The script to run: a file, or the name of one inside the program (isdarts-host scripts); without one, the REPL
    pub script: Option<PathBuf>,
    /// Evaluate an expression and print its value
    #[arg(short = 'e', long = "eval", value_name = "EXPR", conflicts_with_all = ["script", "resume"])]
    pub expression: Option<String>,
    /// After the script, a prompt over its variables
    #[arg(long, requires = "script")]
    pub repl_after: bool,
    /// Override a setting of the script (repeatable); VALUE is a whole number, a number, true, false, a list, or else text
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    pub sets: Vec<(String, serde_json::Value)>,
    /// Data set: digits (embedded), cifar10, cifar100, imagenet16-120, mnist, fashion-mnist, or a folder (also train/CLASS/*.jpg) [default: digits]
    #[arg(long, value_name = "NAME|DIR")]
    pub data: Option<String>,
    /// Where networks live: cpu, cuda, cuda:N, or auto (a GPU if there is one) [default: cpu]
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,
    /// Threads; results do not depend on it [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Seed of all random streams of the run [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=LARGEST_SEED))]
    pub seed: Option<u64>,
    /// The run folder, absent or empty [default: runs/<script>-<date>-<time>]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub out: Option<PathBuf>,
    /// With --out: go on with the run in that folder if it was begun by these words, end at once if it is finished, else begin it; the same
    /// line again does no harm
    #[arg(long = "continue", requires = "out", requires = "script")]
    pub go_on: bool,
    /// Go on with the interrupted run in this folder, to the bits that it would have come to
    #[arg(long, value_name = "DIR")]
    pub resume: Option<PathBuf>,
    /// With --resume: take what has changed since the run began (script, modules, settings, data, version), and say so
    #[arg(long, requires = "resume")]
    pub accept_changes: bool,
    /// Write what the run draws and does to this folder, absent or empty: images, draws, losses, weights, event by event in trace.jsonl
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub trace: Option<PathBuf>,
    /// Run the script without looking it over first (see `isdarts-host check --help`)
    #[arg(long)]
    pub unchecked: bool,
    /// No progress and no notes
    #[arg(long)]
    pub quiet: bool,
    /// Words for the script (its `args`)
    #[arg(last = true, value_name = "ARGS")]
    pub args: Vec<String>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Measure how fast this machine is
    Bench {
        #[command(subcommand)]
        command: Bench,
    },
    /// What is known of a cell: its NAS-Bench-201 row beside the paper's; of a DARTS cell drawing and cost
    Query {
        /// Its text, its index in NAS-Bench-201 (0 to 15624), the name of a published cell (DARTS_V2), or the folder of the run
        /// that found it (DIR#LABEL where it found several)
        #[arg(value_name = "CELL")]
        cell: String,
    },
    /// Data sets: what one holds, whether it is sound, where to get it
    Data {
        #[command(subcommand)]
        command: Data,
    },
    /// Many runs of one script, on this machine or a cluster, and their table
    Sweep(super::sweep::args::Sweep),
    /// The likeliest classes of pictures, by trained weights: path, then class and probability by turns, tab-separated
    Predict(Predict),
    /// Write trained weights as an ONNX file
    Export(Export),
    /// The runs in a folder: list, filter, sort, compare, remove
    Runs(Runs),
    /// The manual: functions of scripts, and the stdlib
    Doc {
        /// A function, property, type, setting or module, such as nas/is_darts; or words to look for
        #[arg(num_args = 0..)]
        name: Vec<String>,
        /// As what to print it
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Where the definition files go
        #[arg(long, value_name = "DIR", default_value = ".rhai/definitions", conflicts_with = "name")]
        out: PathBuf,
    },
    /// The scripts inside the program: a line each, or the text of one; with --out, files to begin from
    Scripts {
        /// Such as is_darts
        name: Option<String>,
        /// A folder to copy it to, or all of them
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Look scripts over without running them: unknown variables, functions, methods and settings, wrong numbers of arguments,
    /// values that nothing uses, what a resumed run would not know. Every run of a script begins with this
    #[command(
        after_help = "Exit code: 0 where every script can run (there may be warnings), 1 where one has a mistake \
        or cannot be read, 2 for words that are no command line."
    )]
    Check {
        /// Scripts and modules; a folder: all under it
        #[arg(required = true, value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
    },
    /// Scripts in the one style: indentation, blanks around operators, blank lines. Comments, columns and long lines stay
    Fmt {
        /// Scripts; a folder: all under it; - is standard input, to standard output
        #[arg(required = true, value_name = "FILE|DIR")]
        files: Vec<PathBuf>,
        /// Write nothing: name the files that are not in the style, and exit with 1 if there is one
        #[arg(long)]
        check: bool,
    },
    /// The language server for editors, over standard input and output (docs/editors.md)
    Lsp,
    /// A completion script for a shell; where to put it is the shell's affair
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// The man page, or with --out one file for each subcommand too
    Man {
        /// A folder for the pages
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
}

/// What the manual is printed as.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For the terminal
    Text,
    /// Markdown
    Markdown,
    /// Definition files for Rhai's language server, written to --out
    Definitions,
}

#[derive(Subcommand)]
pub enum Data {
    /// Images, classes, statistics, fingerprint
    Info {
        /// A name (cifar10, mnist, ...) or a folder
        #[arg(value_name = "NAME|DIR")]
        data: String,
        /// Of a folder of pictures without test pictures: the share of each class that is for training
        #[arg(long, value_name = "SHARE")]
        split: Option<f64>,
    },
    /// Read all of it, and look for what is wrong: repeated images, test images among those for training, empty classes
    Check {
        /// A name (cifar10, mnist, ...) or a folder
        #[arg(value_name = "NAME|DIR")]
        data: String,
        /// Of a folder of pictures without test pictures: the share of each class that is for training
        #[arg(long, value_name = "SHARE")]
        split: Option<f64>,
    },
    /// Download a data set from its official address, check its published sum, unpack it; prints its folder
    Get {
        /// cifar10, cifar100, mnist or fashion-mnist
        name: String,
        /// Where to put its folder [default: $ISDARTS_DATA, or ./data]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// A mirror: the address that file names are appended to
        #[arg(long, value_name = "URL")]
        from: Option<String>,
    },
}

#[derive(ClapArgs)]
pub struct Predict {
    /// Weights that train_genotype wrote: last.safetensors, best.safetensors
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// JPEG or PNG files
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<PathBuf>,
    /// So many classes
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub top: u16,
    /// cpu, cuda, cuda:N, or auto
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

#[derive(ClapArgs)]
pub struct Export {
    /// Weights that train_genotype wrote
    #[arg(long, value_name = "FILE")]
    pub weights: PathBuf,
    /// The file to write: input `images` (normalised, [batch, 3, h, w]), output `logits`
    #[arg(long, value_name = "FILE")]
    pub onnx: PathBuf,
    /// Fold batch norms into the convolutions in front of them
    #[arg(long)]
    pub fold: bool,
}

#[derive(Subcommand)]
pub enum Bench {
    /// One training step of a supernet on random data, as one JSON line
    Step(Step),
    /// One training step of an evaluation network on random data, as one JSON line
    Train(Train),
}

#[derive(ClapArgs)]
pub struct Train {
    /// The cells: a published name, or text
    #[arg(long, value_name = "GENOTYPE", default_value = "DARTS_V2")]
    pub genotype: String,
    /// cifar, imagenet or nas-bench-201 [default: what suits cells and images]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub network: String,
    /// Channels of the first stage; 0: as the literature has it
    #[arg(short, long, default_value_t = 0)]
    pub channels: usize,
    /// Cells (nas-bench-201: a stage); 0: as the literature has it
    #[arg(short = 'n', long, default_value_t = 0)]
    pub cells: usize,
    /// Images a batch
    #[arg(short, long, default_value_t = 96)]
    pub batch: usize,
    /// Height and width of an image
    #[arg(long, default_value_t = 32)]
    pub size: usize,
    /// Classes
    #[arg(long, default_value_t = 10)]
    pub classes: usize,
    /// Steps timed, after one that is not
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
    /// cpu, cuda, cuda:N, or auto
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Seed of weights and data
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=LARGEST_SEED))]
    pub seed: u64,
}

#[derive(ClapArgs)]
pub struct Step {
    /// nas-bench-201 or darts
    #[arg(long, default_value = "nas-bench-201")]
    pub space: String,
    /// Channels of the first stage
    #[arg(short, long, default_value_t = 16)]
    pub channels: usize,
    /// Cells a stage (darts: 2 gives the usual 8 cells)
    #[arg(short = 'n', long, default_value_t = 5)]
    pub cells: usize,
    /// Images a batch
    #[arg(short, long, default_value_t = 64)]
    pub batch: usize,
    /// Height and width of an image
    #[arg(long, default_value_t = 32)]
    pub size: usize,
    /// Classes
    #[arg(long, default_value_t = 10)]
    pub classes: usize,
    /// Steps timed, after one that is not
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    pub steps: u16,
    /// Drop K candidates of every edge, drawn by the seed
    #[arg(long, value_name = "K", default_value_t = 0, conflicts_with = "drop")]
    pub masked: usize,
    /// Drop these ops of every edge, for example none,skip_connect
    #[arg(long, value_name = "OP,...", value_delimiter = ',')]
    pub drop: Vec<String>,
    /// In every step compute K candidates of every edge alone, drawn anew (0: all, mixed): what methods that sample paths do
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub paths: usize,
    /// Candidates get 1/K of the channels (PC-DARTS)
    #[arg(long, value_name = "K", default_value_t = 1)]
    pub partial: usize,
    /// cpu, cuda, cuda:N, or auto
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Threads [default: one a core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// On a GPU: what each kernel of a pass takes by itself, before the rest
    #[arg(long)]
    pub kernels: bool,
    /// Direct convolutions only (no Winograd)
    #[arg(long)]
    pub strict: bool,
    /// Seed of weights and data
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=LARGEST_SEED))]
    pub seed: u64,
}

/// `KEY=VALUE`, as [`value::parse`] reads it.
fn setting(text: &str) -> Result<(String, serde_json::Value), String> {
    let (key, text) = pair(text)?;
    Ok((key, value::parse(text)))
}

/// `KEY=TEXT`.
pub fn pair(text: &str) -> Result<(String, &str), String> {
    match text.split_once('=').filter(|(key, _)| !key.trim().is_empty()) {
        Some((key, text)) => Ok((key.trim().to_string(), text)),
        None => Err("expected KEY=VALUE, such as epochs=10".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_words_are_well_formed() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn a_setting_is_a_key_and_a_value() {
        for (text, value) in [("k=3", json!(3)), ("k=a=b", json!("a=b")), ("k=", json!("")), (" k =0.5", json!(0.5))] {
            assert_eq!(setting(text), Ok(("k".into(), value)), "{text}");
        }
        for text in ["epochs", "=3"] {
            assert!(setting(text).is_err(), "{text}");
        }
    }
}
