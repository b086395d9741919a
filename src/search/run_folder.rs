//! The run folder: manifest.json, metrics.csv, iim.csv, genotype.txt, result.json, an event file, checkpoint/, script/, lock.
//!
//! The first column of both logs is `search`, the label of the search that a row belongs to: a script may run several, and
//! that is known only when the second begins.

mod contents;
mod events;
mod found;
mod log;
mod manifest;
mod metrics;
mod overview;
mod state;

use super::EpochStats;
use crate::error::{Error, Result};
use crate::files::{self, Lock};
use crate::space::{Candidate, CellType, Iim, Mask, SearchSpace};
use contents::{Contents, contents, refusal};
use events::Events;
pub use found::found;
use log::Log;
pub use metrics::MetricsRow;
pub use overview::Overview;
use serde_json::{Value, json};
pub use state::RunState;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";
const METRICS: (&str, &[&str]) =
    ("metrics.csv", &["search", "epoch", "net", "loss", "accuracy", "lr", "images", "seconds", "step"]);
const IIM: (&str, &[&str]) = ("iim.csv", &["search", "epoch", "cell_type", "edge", "op", "score", "iim", "alive"]);
const GENOTYPES: &str = "genotype.txt";
const RESULT: &str = "result.json";
/// For TensorBoard, which knows its files by what is in the name.
const EVENTS: &str = "events.out.tfevents.0.isdarts-host";
/// Who works here.
const LOCK: &str = "lock";
/// Checkpoints, a folder each.
pub const CHECKPOINTS: &str = "checkpoint";
/// The texts that the run is made of.
pub const SCRIPTS: &str = "script";
/// What the names of folders with trained networks begin with.
pub const TRAINING: &str = "train-";

/// Whether a path in the run folder is one of the program's own: what resuming and readers trust, and scripts may not write.
pub fn is_own(inside: &Path) -> bool {
    let first = inside.components().next().map(|c| c.as_os_str().to_string_lossy().to_ascii_lowercase());
    let first = first.unwrap_or_default();
    // Some file systems do not tell case apart.
    let own = [MANIFEST, METRICS.0, IIM.0, GENOTYPES, RESULT, EVENTS, CHECKPOINTS, LOCK, SCRIPTS];
    own.contains(&first.as_str()) || first.starts_with(TRAINING)
}

/// A run's folder, which this process alone writes to. Rows are appended and flushed at once; on resume, rows after the
/// checkpoint are cut off.
pub struct RunFolder {
    path: PathBuf,
    metrics: Log,
    iim: Log,
    events: Events,
    /// What genotype.txt holds: search and text.
    genotypes: Vec<(String, String)>,
    _lock: Lock,
}

impl RunFolder {
    /// Make (or, with `resume`, reopen) the folder. A new one must be absent or empty, or what a run left that was killed before
    /// it had begun.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process works in it. A folder that holds something, or nothing to resume; one that cannot
    /// be made or written.
    pub fn open(path: &Path, resume: bool) -> Result<Self> {
        if resume && !path.is_dir() {
            return Err(Error::file(path, "no such folder", "the folder of an earlier run (--resume)"));
        }
        std::fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let lock = path.join(LOCK);
        if let Some(error) = refusal(path, resume)? {
            // Who works in a run's folder now is the better answer; a folder that is no run's is left as it is.
            if matches!(contents(path)?, Contents::Run) && lock.exists() {
                Lock::take(&lock)?;
            }
            return Err(error);
        }
        let held = Lock::take(&lock)?;
        // Another process may have been here until the lock was ours.
        if let Some(error) = refusal(path, resume)? {
            return Err(error);
        }
        files::sweep(path);
        // Find out now, not after the first epoch.
        let metrics = Log::open(path.join(METRICS.0), METRICS.1)?;
        let iim = Log::open(path.join(IIM.0), IIM.1)?;
        let events = Events::open(path.join(EVENTS))?;
        Ok(RunFolder { path: path.to_path_buf(), metrics, iim, events, genotypes: vec![], _lock: held })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Append a row to metrics.csv: `search, epoch, net, loss, accuracy, lr, images, seconds, step`; `step` is the
    /// number of the row, which goes on where the epoch begins anew.
    pub fn log_epoch(&mut self, search: &str, epoch: usize, net: usize, stats: &EpochStats) -> Result<()> {
        let step = self.metrics.rows() + 1;
        self.metrics.append(&[[
            search.to_string(),
            epoch.to_string(),
            net.to_string(),
            stats.loss.to_string(),
            stats.accuracy.to_string(),
            stats.lr.to_string(),
            stats.images.to_string(),
            format!("{:.3}", stats.seconds),
            step.to_string(),
        ]])?;
        let net = if net == 0 { String::new() } else { format!("net{net}/") };
        let points = [("loss", stats.loss), ("accuracy", stats.accuracy), ("lr", stats.lr), ("seconds", stats.seconds)];
        let points = points.map(|(name, value)| (format!("{net}train/{name}"), value));
        self.log_points(search, epoch, points.into())
    }

    /// Points for TensorBoard alone.
    pub fn log_points(&mut self, search: &str, epoch: usize, points: Vec<(String, f64)>) -> Result<()> {
        let points: Vec<(String, f64)> = points.into_iter().map(|(tag, y)| (tagged(search, &tag), y)).collect();
        self.events.scalars(epoch, &points)
    }

    /// A text for TensorBoard alone, as Markdown.
    pub fn log_text(&mut self, search: &str, tag: &str, markdown: &str) -> Result<()> {
        self.events.text(0, &tagged(search, tag), markdown)
    }

    /// Whether there is such a text.
    pub fn has_text(&self, search: &str, tag: &str) -> bool {
        self.events.has(&tagged(search, tag))
    }

    /// For TensorBoard, how many candidates of each edge live.
    pub fn log_alive(
        &mut self,
        search: &str,
        epoch: usize,
        net: usize,
        space: &SearchSpace,
        mask: &Mask,
    ) -> Result<()> {
        let mut points: Vec<(String, f64)> = Vec::new();
        for c in space.candidates() {
            let net = if net == 0 { String::new() } else { format!("net{net}/") };
            let tag = format!("{net}alive/{}/{}", cell_name(space, c), edge_name(space, c));
            let alive = f64::from(u8::from(mask.is_alive(c)));
            match points.last_mut().filter(|(last, _)| *last == tag) {
                Some((_, n)) => *n += alive,
                None => points.push((tag, alive)),
            }
        }
        self.log_points(search, epoch, points)
    }

    /// Append rows to iim.csv: `search, epoch, cell_type, edge, op, score, iim, alive`; `alive` (0 or 1) is the mask's word,
    /// `score` and `iim` stay empty for a candidate that was dead when measured.
    pub fn log_iim(&mut self, search: &str, epoch: usize, space: &SearchSpace, iim: &Iim, mask: &Mask) -> Result<()> {
        let row = |c: Candidate| {
            let number = |v: f64| if v.is_nan() { String::new() } else { v.to_string() };
            [
                search.to_string(),
                epoch.to_string(),
                cell_name(space, c).to_string(),
                edge_name(space, c),
                space.ops()[c.op].name().to_string(),
                number(*iim.score.get(c)),
                number(iim.importance(c)),
                u8::from(mask.is_alive(c)).to_string(),
            ]
        };
        let candidates = space.candidates();
        self.iim.append(&candidates.iter().copied().map(row).collect::<Vec<_>>())?;
        let tag = |c| format!("iim/{}/{}/{}", cell_name(space, c), edge_name(space, c), space.ops()[c.op].name());
        let points = candidates.into_iter().map(|c| (tag(c), iim.importance(c))).filter(|(_, y)| y.is_finite());
        self.log_points(search, epoch, points.collect())
    }

    /// Write genotype.txt: the text alone if it is the only one, else one line each, `search<TAB>genotype`.
    pub fn write_genotype(&mut self, search: &str, genotype: &str) -> Result<()> {
        self.genotypes.push((search.into(), genotype.into()));
        self.rewrite_genotypes()
    }

    fn rewrite_genotypes(&self) -> Result<()> {
        let path = self.path.join(GENOTYPES);
        let text: String = match &self.genotypes[..] {
            [] => return std::fs::remove_file(&path).or_else(absent_is_fine).map_err(Error::io("remove", &path)),
            [(_, only)] => format!("{only}\n"),
            all => all.iter().map(|(search, genotype)| format!("{search}\t{genotype}\n")).collect(),
        };
        files::replace(&path, text.as_bytes())
    }

    /// Lengths and sums of the logs now, for the checkpoint. What they measure is on the disk when this returns.
    pub fn log_state(&self) -> Result<Value> {
        let (metrics, iim) = (self.metrics.state()?, self.iim.state()?);
        Ok(json!({ "genotypes": self.genotypes, METRICS.0: metrics, IIM.0: iim, EVENTS: self.events.state()? }))
    }

    /// Cut the logs back to what they were at a checkpoint (`null`: to nothing).
    ///
    /// # Errors
    /// A log that is shorter than the checkpoint says, or holds something else.
    pub fn restore_logs(&mut self, state: &Value) -> Result<()> {
        self.metrics.restore(&state[METRICS.0])?;
        self.iim.restore(&state[IIM.0])?;
        self.events.restore(&state[EVENTS])?;
        let bad = |e| Error::invalid("genotypes in the checkpoint", e, "labels and texts");
        self.genotypes = match state {
            Value::Null => vec![],
            _ => serde_json::from_value(state["genotypes"].clone()).map_err(bad)?,
        };
        self.rewrite_genotypes()
    }

    /// Whether the logs hold what this process wrote, when the run is over.
    pub fn check_logs(&self) -> Result<()> {
        self.metrics.check().and_then(|()| self.iim.check()).and_then(|()| self.events.check())
    }
}

/// The name of something of a search, for TensorBoard.
fn tagged(search: &str, name: &str) -> String {
    if search.is_empty() { name.to_string() } else { format!("{search}/{name}") }
}

fn cell_name(space: &SearchSpace, c: Candidate) -> &'static str {
    match space.cell_types()[c.cell_type] {
        CellType::Normal => "normal",
        CellType::Reduction => "reduction",
    }
}

/// `to<-from`.
fn edge_name(space: &SearchSpace, c: Candidate) -> String {
    let edge = space.edges()[c.edge];
    format!("{}<-{}", edge.to, edge.from)
}

fn absent_is_fine(e: std::io::Error) -> std::io::Result<()> {
    if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::PerCandidate;

    fn read(folder: &RunFolder, name: &str) -> String {
        std::fs::read_to_string(folder.path().join(name)).unwrap()
    }

    #[test]
    fn rows_are_there_at_once_and_resuming_cuts_off_those_after_the_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::open(&dir.path().join("run"), false).unwrap();
        let stats = EpochStats { loss: 0.1, accuracy: 0.5, images: 64, seconds: 1.0, lr: 0.025 };
        let space = SearchSpace::nas_bench_201();
        let mut mask = space.full_mask();
        let mut score = PerCandidate::filled(&space, 4.0);
        let (none, dead) = (Candidate { cell_type: 0, edge: 0, op: 0 }, Candidate { cell_type: 0, edge: 3, op: 4 });
        *score.get_mut(none) = f64::INFINITY;
        *score.get_mut(dead) = f64::NAN;
        mask.drop(dead).unwrap();

        folder.log_epoch("is, one", 1, 0, &stats).unwrap();
        folder.log_iim("is", 1, &space, &Iim { score }, &mask).unwrap();
        folder.write_genotype("a", "|x|").unwrap();
        assert_eq!(read(&folder, "genotype.txt"), "|x|\n");
        assert_eq!(
            read(&folder, "metrics.csv"),
            "search,epoch,net,loss,accuracy,lr,images,seconds,step\n\"is, one\",1,0,0.1,0.5,0.025,64,1.000,1\n"
        );
        let iim = read(&folder, "iim.csv");
        assert_eq!(iim.lines().count(), 31);
        for line in [
            "is,1,normal,1<-0,none,inf,0,1",
            "is,1,normal,3<-0,avg_pool_3x3,,,0",
            "is,1,normal,2<-1,skip_connect,4,0.25,1",
        ] {
            assert!(iim.lines().any(|l| l == line), "{line} in\n{iim}");
        }

        let lengths = folder.log_state().unwrap();
        let before = ["metrics.csv", "iim.csv", "genotype.txt"].map(|name| read(&folder, name));
        folder.log_epoch("is, one", 2, 0, &stats).unwrap();
        folder.write_genotype("b", "|y|").unwrap();
        assert_eq!(read(&folder, "genotype.txt"), "a\t|x|\nb\t|y|\n");
        folder.write_manifest(&json!({"a": 1})).unwrap();

        let path = folder.path().to_path_buf();
        drop(folder);
        let mut again = RunFolder::open(&path, true).unwrap();
        again.restore_logs(&lengths).unwrap();
        assert_eq!(["metrics.csv", "iim.csv", "genotype.txt"].map(|name| read(&again, name)), before);
        again.restore_logs(&Value::Null).unwrap();
        assert_eq!(read(&again, "metrics.csv"), "");
        assert!(!again.path().join("genotype.txt").exists());
        let error = again.restore_logs(&lengths).unwrap_err().to_string();
        assert!(error.contains("metrics.csv: got 0 bytes, expected the "), "{error}");
    }

    #[test]
    fn a_folder_that_does_not_suit_is_refused_before_any_work() {
        let dir = tempfile::tempdir().unwrap();
        let (full, run, file) = (dir.path().join("full"), dir.path().join("run"), dir.path().join("file"));
        std::fs::create_dir_all(&full).unwrap();
        std::fs::write(full.join("thesis.tex"), "").unwrap();
        std::fs::write(&file, "").unwrap();
        RunFolder::open(&run, false).unwrap().write_manifest(&json!({})).unwrap();
        for (path, resume, message) in [
            (full.clone(), false, "got a folder with other files in it, expected an empty or absent folder"),
            (run, false, "got a folder with an earlier run in it, expected an empty or absent folder"),
            (full, true, "got a folder with no manifest.json in it, expected the folder of an earlier run"),
            (dir.path().join("gone"), true, "got no such folder, expected the folder of an earlier run"),
            (file.join("below"), false, "cannot create "),
        ] {
            let error = RunFolder::open(&path, resume).err().unwrap().to_string();
            assert!(error.contains(message) && error.contains(path.to_str().unwrap()), "{error}");
        }
        assert!(std::fs::read_dir(dir.path().join("full")).unwrap().count() == 1, "nothing was added");
    }

    #[test]
    fn a_run_that_was_killed_before_its_manifest_can_be_resumed_or_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        for leave in [&[][..], &["metrics.csv"], &["iim.csv", ".isdarts-0123456789abcdef.tmp", "metrics.csv"]] {
            for resume in [true, false] {
                leave.iter().for_each(|file| std::fs::write(dir.path().join(file), "").unwrap());
                RunFolder::open(dir.path(), resume).unwrap();
            }
        }
        std::fs::write(dir.path().join("metrics.csv"), "mine").unwrap();
        assert!(RunFolder::open(dir.path(), false).is_err());
    }

    #[test]
    fn logs_that_somebody_else_changed_are_an_error() {
        let stats = EpochStats { loss: 0.1, accuracy: 0.5, images: 64, seconds: 1.0, lr: 0.025 };
        let dir = tempfile::tempdir().unwrap();
        let mut folder = RunFolder::open(dir.path(), false).unwrap();
        folder.log_epoch("a", 1, 0, &stats).unwrap();
        let (state, whole) = (folder.log_state().unwrap(), read(&folder, "metrics.csv"));
        let log = dir.path().join("metrics.csv");
        std::fs::write(&log, whole.replace("0.025", "0.026")).unwrap();
        assert!(folder.check_logs().is_err());
        let error = folder.restore_logs(&state).unwrap_err().to_string();
        assert!(error.contains("metrics.csv: got 85 bytes with sum ") && error.contains("something else"), "{error}");
        std::fs::write(&log, "").unwrap();
        let error = folder.log_epoch("a", 2, 0, &stats).unwrap_err().to_string();
        assert!(error.contains("metrics.csv: got 0 bytes, expected the 85 bytes that the run wrote"), "{error}");
        std::fs::write(&log, whole).unwrap();
        folder.restore_logs(&state).and_then(|()| folder.check_logs()).unwrap();
    }
}
