//! The folder of a sweep: `sweep.toml` (what is asked), `points.csv` (the plan), a folder for each run, `logs/`, `failed/`.

use super::file::Sweep;
use super::plan::{Plan, Row};
use super::ready;
use crate::error::{Error, Result};
use crate::files::{self, Lock};
use std::path::{Path, PathBuf, absolute};
use xxhash_rust::xxh3::xxh3_128;

const SWEEP: &str = "sweep.toml";
const POINTS: &str = "points.csv";
const LOGS: &str = "logs";
const FAILED: &str = "failed";

/// A planned sweep in its folder.
#[derive(Clone, Debug)]
pub struct Folder {
    /// Where it is, from the root.
    pub path: PathBuf,
    /// What is asked.
    pub sweep: Sweep,
    /// The points.
    pub plan: Plan,
}

impl Folder {
    /// Whether a sweep was planned in `path`.
    pub fn is_one(path: &Path) -> bool {
        path.join(SWEEP).is_file()
    }

    /// A sweep that was planned before.
    ///
    /// # Errors
    /// A folder without one.
    pub fn open(path: &Path) -> Result<Self> {
        let path = absolute(path).map_err(Error::io("find", path))?;
        if !Self::is_one(&path) {
            let got = if path.is_dir() { "a folder without sweep.toml" } else { "no such folder" };
            return Err(Error::file(path, got, "the folder of a sweep"));
        }
        let file = path.join(SWEEP);
        let text = files::read_plain_text(&file).map_err(Error::io("read", &file))?;
        let sweep = Sweep::parse(&text, &file.display().to_string())?;
        Ok(Folder { plan: Plan::read(&path.join(POINTS))?, sweep, path })
    }

    /// The sweep as it would be planned in its folder, where it may have been before; nothing is written. How many points are
    /// new.
    ///
    /// # Errors
    /// A script that is not there, a sweep without points, a folder that holds something else.
    pub fn plan(mut sweep: Sweep) -> Result<(Self, usize)> {
        if sweep.out.as_os_str().is_empty() {
            return Err(Error::invalid("sweep", "no folder", "`out` in its file, or --out DIR"));
        }
        let path = absolute(&sweep.out).map_err(Error::io("find", &sweep.out))?;
        let text = match ready::script(&sweep.script) {
            Some(text) => text.to_string(),
            None => {
                let script = Path::new(&sweep.script);
                let text = files::read_plain_text(script).map_err(Error::io("read", script))?;
                sweep.script = absolute(script).map_err(Error::io("find", script))?.to_string_lossy().into_owned();
                text
            }
        };
        sweep.script_sum = Some(sum(&text));
        sweep.folder = std::env::current_dir().ok();
        sweep.out.clone_from(&path);
        let points = sweep.points()?;
        let mut plan = Plan::read(&path.join(POINTS))?;
        if plan.rows.is_empty() && std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Error::file(
                path,
                "a folder with other files in it",
                "an empty or absent folder, or a sweep's (--out)",
            ));
        }
        let new = plan.ask(&points, &sweep.varying());
        Ok((Folder { path, sweep, plan }, new))
    }

    /// Write what was planned; from now on numbers stay. A script of the program's own is put beside it.
    ///
    /// # Errors
    /// A folder that cannot be written; another process that plans in it.
    pub fn write(&mut self) -> Result<()> {
        for folder in [self.path.clone(), self.path.join(LOGS), self.path.join(FAILED)] {
            std::fs::create_dir_all(&folder).map_err(Error::io("create", &folder))?;
        }
        let _lock = Lock::take(&self.path.join("lock"))?;
        let now = Plan::read(&self.path.join(POINTS))?;
        let same = |(a, b): (&Row, &Row)| a.folder == b.folder && a.point == b.point;
        if now.rows.len() > self.plan.rows.len() || !now.rows.iter().zip(&self.plan.rows).all(same) {
            let got = "a plan that another process has changed since it was read";
            return Err(Error::file(self.path.join(POINTS), got, "that nobody else plans here; try again"));
        }
        if let Some(text) = ready::script(&self.sweep.script) {
            let script = self.path.join(format!("{}.rhai", self.sweep.script));
            files::replace(&script, text.as_bytes())?;
            self.sweep.script = script.to_string_lossy().into_owned();
        }
        self.plan.write(&self.path.join(POINTS))?;
        files::replace(&self.path.join(SWEEP), self.sweep.text()?.as_bytes())
    }

    /// The text of the script, if it is still what was planned.
    ///
    /// # Errors
    /// It was changed since: some runs would be of one text, some of another.
    pub fn script(&self) -> Result<String> {
        let path = Path::new(&self.sweep.script);
        let text = match ready::script(&self.sweep.script) {
            Some(text) => text.to_string(),
            None => files::read_plain_text(path).map_err(Error::io("read", path))?,
        };
        match self.sweep.script_sum.as_ref() {
            Some(planned) if *planned != sum(&text) => {
                let expected =
                    "the text that the sweep was planned with; plan it again if all runs are to have the new one";
                Err(Error::file(path, "a script that was changed since", expected))
            }
            _ => Ok(text),
        }
    }

    /// The folder of a run.
    pub fn run(&self, row: &Row) -> PathBuf {
        self.path.join(&row.folder)
    }

    /// What a run prints.
    pub fn log(&self, row: &Row) -> PathBuf {
        self.path.join(LOGS).join(format!("{}.log", row.index))
    }

    /// Why a run failed, if it did.
    pub fn failure(&self, row: &Row) -> PathBuf {
        self.path.join(FAILED).join(format!("{}.txt", row.index))
    }
}

fn sum(text: &str) -> String {
    format!("{:032x}", xxh3_128(text.as_bytes()))
}
