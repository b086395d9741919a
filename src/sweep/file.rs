//! The file of a sweep, as TOML.

use crate::error::{Error, Result};
use crate::files;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Settings by name, in the order of the file.
pub type Map = serde_json::Map<String, Value>;

/// What a sweep asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sweep {
    /// The script that each point runs: a file, found from the folder of the sweep's file, or `search`, the program's own.
    pub script: String,
    /// The folder of all runs.
    #[serde(default)]
    pub out: PathBuf,
    /// Where the sweep was planned: names of data are found from there. The program writes this and the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// The sum of the script's text when the sweep was planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_sum: Option<String>,
    /// Lists of values: every combination is a point.
    #[serde(default)]
    pub grid: Map,
    /// Settings that all points have.
    #[serde(default)]
    pub set: Map,
    /// What engines are asked for, for each run.
    #[serde(default)]
    pub resources: Resources,
    /// Options of sbatch, as `partition = "gpu"`.
    #[serde(default)]
    pub slurm: Map,
    /// Single points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub point: Vec<Map>,
    /// Points that the grid has and that are left out: those with all of these settings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<Map>,
    /// Settings of some points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#where: Vec<Where>,
    /// Rows of somebody else's for the table: settings, results, and `source`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<Map>,
}

/// Settings of the points that `when` fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Where {
    /// A value, or a list of values, for each key.
    pub when: Map,
    /// What they get.
    pub set: Map,
}

/// What a run needs. It is passed on; the program itself counts threads and GPUs only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Threads, and so many cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<u16>,
    /// GPUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<u16>,
    /// Memory, as `4G`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Time, as `90m`, `8h`, `2d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

impl Resources {
    /// The time in minutes.
    ///
    /// # Errors
    /// A text that is no time.
    pub fn minutes(&self) -> Result<Option<u64>> {
        let Some(text) = &self.time else { return Ok(None) };
        let wrong = || Error::invalid("[resources], time", format!("`{text}`"), "a time such as 90m, 8h or 2d");
        let unit = text.chars().last().ok_or_else(wrong)?;
        let factor = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            _ => return Err(wrong()),
        };
        let number: u64 = text[..text.len() - 1].trim().parse().map_err(|_| wrong())?;
        number.checked_mul(factor).filter(|minutes| *minutes > 0).map(Some).ok_or_else(wrong)
    }
}

impl Sweep {
    /// The sweep in `text`; messages call it `name`.
    ///
    /// # Errors
    /// What is no TOML, or has keys that a sweep has not.
    pub fn parse(text: &str, name: &str) -> Result<Self> {
        let sweep: Sweep =
            toml::from_str(text).map_err(|e| Error::Script(format!("{name}: {}", e.to_string().trim())))?;
        sweep.resources.minutes()?;
        Ok(sweep)
    }

    /// The sweep in a file; paths in it are found from its folder.
    ///
    /// # Errors
    /// Those of [`Sweep::parse`], and a file that cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let text = files::read_plain_text(path).map_err(Error::io("read", path))?;
        let mut sweep = Self::parse(&text, &path.display().to_string())?;
        let beside = path.parent().unwrap_or(Path::new("")).join(&sweep.script);
        if beside.is_file() {
            sweep.script = beside.to_string_lossy().into_owned();
        }
        Ok(sweep)
    }

    /// As TOML.
    ///
    /// # Errors
    /// A value that TOML has not.
    pub fn text(&self) -> Result<String> {
        toml::to_string(self).map_err(|e| Error::invalid("sweep", e, "what TOML can say"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_reads_back_as_what_was_written() {
        let text = "script = \"a.rhai\"\nout = \"o\"\n[grid]\nz = [1, 2]\na = [0.5, \"x\"]\n[set]\nlr = 1e-3\n\
                    [resources]\nthreads = 2\ntime = \"8h\"\n[slurm]\npartition = \"cpu\"\n[[except]]\nz = 1\na = \"x\"";
        let sweep = Sweep::parse(text, "t").unwrap();
        assert_eq!(sweep.varying(), ["z", "a"], "the order of the file");
        assert_eq!(Sweep::parse(&sweep.text().unwrap(), "again").unwrap(), sweep);
    }

    #[test]
    fn times_are_minutes_hours_and_days() {
        for (text, minutes) in
            [("90m", Some(90)), ("8h", Some(480)), ("2d", Some(2880)), ("8", None), ("h", None), ("0h", None)]
        {
            let resources = Resources { time: Some(text.into()), ..Resources::default() };
            assert_eq!(resources.minutes().ok().flatten(), minutes, "{text}");
        }
    }
}
