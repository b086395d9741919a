//! The one error type: what was got, what was expected, where.

use std::path::{Path, PathBuf};

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

/// Known names that an error lists.
const MOST_NAMES: usize = 60;

/// What went wrong, in words for the person who can mend it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that is not in a fixed list: an op, a data set, a setting, a space, a parameter.
    #[error("unknown {what} `{got}`{}; known: {known}", nearest.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    UnknownName {
        /// What kind of name it is ("op", "setting", ...).
        what: &'static str,
        /// The name as given.
        got: String,
        /// The nearest known name, where one is near.
        nearest: Option<String>,
        /// All known names, comma-separated; of very many, how many there are.
        known: String,
    },
    /// A value of the wrong size, range or kind.
    #[error("{what}: got {got}, expected {expected}")]
    Invalid {
        /// What was looked at.
        what: String,
        /// What was got.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// A file whose contents are not what they should be.
    #[error("{}: got {got}, expected {expected}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was found in it (a byte count, a header).
        got: String,
        /// What was expected.
        expected: String,
    },
    /// The operating system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The verb: "read", "write", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's word on it.
        source: std::io::Error,
    },
    /// A folder that another process works in.
    #[error("{}: got a folder that {by} works in, expected one that is free; {advice}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process and its machine.
        by: String,
        /// What to do.
        advice: String,
    },
    /// An error inside a longer thing, with its place there.
    #[error("{place}: {source}")]
    At {
        /// Where: "genotype text, character 17".
        place: String,
        /// What is wrong there.
        source: Box<Error>,
    },
    /// Training left the range of numbers.
    #[error("{what} became {value} in {place}{cause}; try a smaller learning rate (lr) or a stronger clip")]
    Diverged {
        /// The loss, the logits, the gradient of a parameter.
        what: String,
        /// What it became.
        value: f32,
        /// 1-based epoch and step, or what else was going on.
        place: String,
        /// What was not finite before it, in brackets; empty where that is not known.
        cause: String,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
    /// An error of a tensor operation.
    #[error("{}", without_backtrace(.0))]
    Tensor(#[from] candle_core::Error),
    /// A script failed; the text names file, line and column.
    #[error("{0}")]
    Script(String),
}

/// The text of a tensor error. With `RUST_BACKTRACE` in the environment candle appends the frames of its own code, a hundred lines
/// that tell a user nothing.
pub fn without_backtrace(error: &candle_core::Error) -> String {
    let text = error.to_string();
    text.split("\n   0: ").next().unwrap_or_default().to_string()
}

impl Error {
    /// An [`Error::UnknownName`] that offers the nearest of `known`.
    pub fn unknown_name<'a>(what: &'static str, got: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        let known: Vec<&str> = known.into_iter().collect();
        let nearest = known
            .iter()
            .map(|k| (strsim::damerau_levenshtein(got, k), *k))
            .filter(|(d, k)| *d <= 2.max(k.len() / 3) && *d < k.chars().count())
            .min()
            .map(|(_, k)| k.to_string());
        // More than a few rows of names tell nobody anything.
        let listed = if known.len() > MOST_NAMES { format!("{} names", known.len()) } else { known.join(", ") };
        Error::UnknownName { what, got: got.to_string(), nearest, known: listed }
    }

    /// An [`Error::Invalid`].
    pub fn invalid(what: impl Into<String>, got: impl ToString, expected: impl ToString) -> Self {
        Error::Invalid { what: what.into(), got: got.to_string(), expected: expected.to_string() }
    }

    /// An [`Error::File`].
    pub fn file(path: impl AsRef<Path>, got: impl ToString, expected: impl ToString) -> Self {
        Error::File { path: path.as_ref().to_path_buf(), got: got.to_string(), expected: expected.to_string() }
    }

    /// The same error, with the place it happened in.
    pub fn at(self, place: impl Into<String>) -> Self {
        Error::At { place: place.into(), source: Box::new(self) }
    }

    /// For `map_err`: an [`Error::Io`] with its verb and path.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Error::Io { action, path, source }
    }
}
