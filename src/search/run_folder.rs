//! The run folder: manifest.json, metrics.csv, iim.csv, genotype.txt, checkpoint/.
//!
//! The first column of both logs is `search`, the label of the search that a row belongs to: a script may run several, and
//! that is known only when the second begins.

use super::{EpochStats, atomic};
use crate::error::{Error, Result};
use crate::space::{Candidate, CellType, Iim, Mask, SearchSpace};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";
const METRICS: (&str, &[&str]) =
    ("metrics.csv", &["search", "epoch", "net", "loss", "accuracy", "lr", "images", "seconds"]);
const IIM: (&str, &[&str]) = ("iim.csv", &["search", "epoch", "cell_type", "edge", "op", "score", "iim", "alive"]);
const GENOTYPES: &str = "genotype.txt";

/// A run's folder. Rows are appended and flushed at once; on resume, rows after the checkpoint are cut off.
pub struct RunFolder {
    path: PathBuf,
    /// What genotype.txt holds: search and text.
    genotypes: Vec<(String, String)>,
}

impl RunFolder {
    /// Make (or, with `resume`, reopen) the folder. A new one must be absent or empty.
    ///
    /// # Errors
    /// A folder that holds something, or nothing to resume; one that cannot be made or written.
    pub fn open(path: &Path, resume: bool) -> Result<Self> {
        if resume && !path.is_dir() {
            return Err(Error::file(path, "no such folder", "the folder of an earlier run (--resume)"));
        }
        std::fs::create_dir_all(path).map_err(Error::io("create", path))?;
        let found = contents(path)?;
        let refused = match (resume, found) {
            (false, Contents::Run) => Some(("an earlier run", "an empty or absent folder for a new run (--out)")),
            (false, Contents::Begun | Contents::Other) => {
                Some(("other files", "an empty or absent folder for a new run (--out)"))
            }
            (true, Contents::Other) => Some(("no manifest.json", "the folder of an earlier run (--resume)")),
            _ => None,
        };
        if let Some((what, expected)) = refused {
            return Err(Error::file(path, format!("a folder with {what} in it"), expected));
        }
        let folder = RunFolder { path: path.to_path_buf(), genotypes: vec![] };
        // Find out now, not after the first epoch.
        folder.append(METRICS.0, &[])?;
        folder.append(IIM.0, &[])?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Write manifest.json (atomically).
    pub fn write_manifest(&self, manifest: &Value) -> Result<()> {
        let text = serde_json::to_string_pretty(manifest).map_err(|e| Error::invalid(MANIFEST, e, "plain data"))?;
        atomic::write(&self.path.join(MANIFEST), (text + "\n").as_bytes())
    }

    /// The manifest of an earlier run.
    pub fn read_manifest(path: &Path) -> Result<Value> {
        let path = path.join(MANIFEST);
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        serde_json::from_str(&text).map_err(|e| Error::file(&path, e, "the manifest of an earlier run, as JSON"))
    }

    /// Append a row to metrics.csv: `search, epoch, net, loss, accuracy, lr, images, seconds`.
    pub fn log_epoch(&mut self, search: &str, epoch: usize, net: usize, stats: &EpochStats) -> Result<()> {
        self.append_rows(
            METRICS,
            &[[
                search.to_string(),
                epoch.to_string(),
                net.to_string(),
                stats.loss.to_string(),
                stats.accuracy.to_string(),
                stats.lr.to_string(),
                stats.images.to_string(),
                format!("{:.3}", stats.seconds),
            ]],
        )
    }

    /// Append rows to iim.csv: `search, epoch, cell_type, edge, op, score, iim, alive`; `alive` (0 or 1) is the mask's word,
    /// `score` and `iim` stay empty for a candidate that was dead when measured.
    pub fn log_iim(&mut self, search: &str, epoch: usize, space: &SearchSpace, iim: &Iim, mask: &Mask) -> Result<()> {
        let edges = space.edges();
        let row = |c: Candidate| {
            let number = |v: f64| if v.is_nan() { String::new() } else { v.to_string() };
            [
                search.to_string(),
                epoch.to_string(),
                match space.cell_types()[c.cell_type] {
                    CellType::Normal => "normal",
                    CellType::Reduction => "reduction",
                }
                .to_string(),
                format!("{}<-{}", edges[c.edge].to, edges[c.edge].from),
                space.ops()[c.op].name().to_string(),
                number(*iim.score.get(c)),
                number(iim.importance(c)),
                u8::from(mask.is_alive(c)).to_string(),
            ]
        };
        self.append_rows(IIM, &space.candidates().into_iter().map(row).collect::<Vec<_>>())
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
        atomic::write(&path, text.as_bytes())
    }

    /// Lengths of the logs now, for the checkpoint. What they measure is on the disk when this returns.
    pub fn log_lengths(&self) -> Result<Value> {
        let mut lengths = json!({ "genotypes": self.genotypes });
        for log in [METRICS.0, IIM.0] {
            let path = self.path.join(log);
            let file = File::open(&path).map_err(Error::io("read", &path))?;
            file.sync_data().map_err(Error::io("write", &path))?;
            lengths[log] = file.metadata().map_err(Error::io("read", &path))?.len().into();
        }
        Ok(lengths)
    }

    /// Cut the logs back to the lengths of a checkpoint (`null`: to nothing).
    ///
    /// # Errors
    /// A log that is shorter than the checkpoint says.
    pub fn truncate_logs(&mut self, lengths: &Value) -> Result<()> {
        for log in [METRICS.0, IIM.0] {
            let path = self.path.join(log);
            let length = lengths[log].as_u64().unwrap_or(0);
            let file = OpenOptions::new().write(true).open(&path).map_err(Error::io("write", &path))?;
            let found = file.metadata().map_err(Error::io("read", &path))?.len();
            if found < length {
                let expected = format!("at least the {length} bytes it had at the checkpoint; it was changed since");
                return Err(Error::file(&path, format!("{found} bytes"), expected));
            }
            file.set_len(length).map_err(Error::io("write", &path))?;
        }
        self.genotypes = serde_json::from_value(lengths["genotypes"].clone()).unwrap_or_default();
        self.rewrite_genotypes()
    }

    fn append_rows<const N: usize>(&self, (log, header): (&str, &[&str]), rows: &[[String; N]]) -> Result<()> {
        let mut csv = csv::Writer::from_writer(vec![]);
        let path = self.path.join(log);
        if std::fs::metadata(&path).map_err(Error::io("read", &path))?.len() == 0 {
            csv.write_record(header).map_err(|e| Error::invalid(log, e, "a row"))?;
        }
        for row in rows {
            csv.write_record(row).map_err(|e| Error::invalid(log, e, "a row"))?;
        }
        self.append(log, &csv.into_inner().map_err(|e| Error::invalid(log, e, "rows"))?)
    }

    /// One write for all: a kill leaves whole rows, or a tail that resuming cuts off.
    fn append(&self, log: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(log);
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::io("write", &path))?;
        file.write_all(bytes).map_err(Error::io("write", &path))
    }
}

/// What a folder holds.
enum Contents {
    Nothing,
    /// A run with its manifest.
    Run,
    /// What a run leaves that was killed before it had written its manifest.
    Begun,
    Other,
}

fn contents(path: &Path) -> Result<Contents> {
    let mut found = Contents::Nothing;
    for entry in std::fs::read_dir(path).map_err(Error::io("read", path))? {
        let name = entry.map_err(Error::io("read", path))?.file_name();
        match name.to_str() {
            Some(MANIFEST) => return Ok(Contents::Run),
            Some("manifest.json.tmp") => found = Contents::Begun,
            Some(log) if log == METRICS.0 || log == IIM.0 => found = Contents::Begun,
            _ => return Ok(if path.join(MANIFEST).is_file() { Contents::Run } else { Contents::Other }),
        }
    }
    Ok(found)
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
            "search,epoch,net,loss,accuracy,lr,images,seconds\n\"is, one\",1,0,0.1,0.5,0.025,64,1.000\n"
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

        let lengths = folder.log_lengths().unwrap();
        let before = ["metrics.csv", "iim.csv", "genotype.txt"].map(|name| read(&folder, name));
        folder.log_epoch("is, one", 2, 0, &stats).unwrap();
        folder.write_genotype("b", "|y|").unwrap();
        assert_eq!(read(&folder, "genotype.txt"), "a\t|x|\nb\t|y|\n");
        folder.write_manifest(&json!({"a": 1})).unwrap();

        let mut again = RunFolder::open(folder.path(), true).unwrap();
        again.truncate_logs(&lengths).unwrap();
        assert_eq!(["metrics.csv", "iim.csv", "genotype.txt"].map(|name| read(&again, name)), before);
        again.truncate_logs(&Value::Null).unwrap();
        assert_eq!(read(&again, "metrics.csv"), "");
        assert!(!again.path().join("genotype.txt").exists());
        let error = again.truncate_logs(&lengths).unwrap_err().to_string();
        assert!(error.contains("metrics.csv: got 0 bytes, expected at least the "), "{error}");
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
    fn a_run_that_was_killed_before_its_manifest_can_be_resumed() {
        let dir = tempfile::tempdir().unwrap();
        for leave in [&[][..], &["metrics.csv"], &["iim.csv", "manifest.json.tmp", "metrics.csv"]] {
            for file in leave {
                std::fs::write(dir.path().join(file), "").unwrap();
            }
            RunFolder::open(dir.path(), true).unwrap();
        }
        assert!(RunFolder::open(dir.path(), false).is_err());
    }
}
