//! The plan of a sweep, `points.csv`: the number, the folder and the settings of each point. A sweep that grows appends; a point
//! that is asked no more stays, with its number and its run, but is not `wanted`.

use super::points::Point;
use super::value;
use crate::error::{Error, Result};
use crate::files;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// A point in the plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number, for ever.
    pub index: usize,
    /// The name of its run's folder in the folder of the sweep.
    pub folder: String,
    /// Whether the sweep still asks for it.
    pub wanted: bool,
    /// Its settings.
    pub point: Point,
}

/// All points that a sweep has asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// By their numbers.
    pub rows: Vec<Row>,
}

/// The first columns of the file.
const HEAD: [&str; 3] = ["index", "folder", "wanted"];

/// Names of the sweep's own files and folders.
const TAKEN: [&str; 6] = ["points.csv", "sweep.toml", "logs", "failed", "table.csv", "lock"];

impl Plan {
    /// Ask for these points: known ones keep their numbers, new ones are appended, others are no longer wanted. How many are
    /// new.
    pub fn ask(&mut self, points: &[Point], varying: &[String]) -> usize {
        let mut known: HashMap<String, usize> =
            self.rows.iter().enumerate().map(|(at, row)| (row.point.identity(), at)).collect();
        // Some file systems do not tell case apart.
        let mut taken: HashSet<String> = self.rows.iter().map(|row| row.folder.to_lowercase()).collect();
        taken.extend(TAKEN.map(String::from));
        self.rows.iter_mut().for_each(|row| row.wanted = false);
        let before = self.rows.len();
        for point in points {
            let at = *known.entry(point.identity()).or_insert_with(|| {
                let (index, name) = (self.rows.len(), point.name(varying));
                let folder = if taken.contains(&name.to_lowercase()) { format!("{name}-{index}") } else { name };
                taken.insert(folder.to_lowercase());
                self.rows.push(Row { index, folder, wanted: true, point: point.clone() });
                index
            });
            self.rows[at].wanted = true;
        }
        self.rows.len() - before
    }

    /// The points that the sweep asks for.
    pub fn wanted(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.wanted)
    }

    /// The plan in a file; an empty one where there is none.
    ///
    /// # Errors
    /// A file that is no plan.
    pub fn read(path: &Path) -> Result<Self> {
        let text = match files::read_plain_text(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read", path)(e)),
        };
        let wrong = |line: usize, got: String| {
            Error::file(path, format!("{got} in line {line}"), "the plan of a sweep, as the program wrote it")
        };
        let mut csv = csv::Reader::from_reader(text.as_bytes());
        let header = csv.headers().map_err(|e| wrong(1, e.to_string()))?.clone();
        if header.iter().take(HEAD.len()).ne(HEAD) {
            return Err(wrong(1, header.iter().collect::<Vec<_>>().join(",")));
        }
        let mut rows = Vec::new();
        for (at, record) in csv.records().enumerate() {
            let record = record.map_err(|e| wrong(at + 2, e.to_string()))?;
            if record.get(0) != Some(&at.to_string()) || record.get(1).is_none_or(is_no_name) {
                return Err(wrong(at + 2, record.iter().take(2).collect::<Vec<_>>().join(",")));
            }
            let settings = header.iter().zip(&record).skip(HEAD.len()).filter(|(_, cell)| !cell.is_empty());
            rows.push(Row {
                index: at,
                folder: record[1].to_string(),
                wanted: &record[2] == "yes",
                point: Point(settings.map(|(key, cell)| (key.to_string(), value::read(cell))).collect()),
            });
        }
        Ok(Plan { rows })
    }

    /// Write it, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let (mut keys, mut known) = (Vec::new(), HashSet::new());
        for key in self.rows.iter().flat_map(|row| row.point.0.keys()) {
            if known.insert(key.as_str()) {
                keys.push(key.as_str());
            }
        }
        let mut csv = csv::Writer::from_writer(vec![]);
        let wrong = |e: csv::Error| Error::file(path, e, "rows");
        csv.write_record(HEAD.iter().chain(&keys)).map_err(wrong)?;
        for row in &self.rows {
            let head = [row.index.to_string(), row.folder.clone(), if row.wanted { "yes" } else { "no" }.into()];
            let cells = keys.iter().map(|key| row.point.0.get(*key).map_or_else(String::new, value::write));
            csv.write_record(head.into_iter().chain(cells)).map_err(wrong)?;
        }
        let bytes = csv.into_inner().map_err(|e| Error::file(path, e, "rows"))?;
        files::replace(path, &bytes)
    }

    /// The point of a number.
    ///
    /// # Errors
    /// There is none.
    pub fn row(&self, index: usize) -> Result<&Row> {
        let last = self.rows.len().saturating_sub(1);
        self.rows.get(index).ok_or_else(|| Error::invalid("point", index, format!("a number of the plan, 0 to {last}")))
    }
}

/// What leads out of the folder, or is none in it.
fn is_no_name(folder: &str) -> bool {
    folder.is_empty() || folder.starts_with('.') || folder.contains(['/', '\\'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::Sweep;

    fn ask(plan: &mut Plan, text: &str) -> usize {
        let sweep = Sweep::parse(&format!("script = \"s\"\n{text}"), "t").unwrap();
        plan.ask(&sweep.points().unwrap(), &sweep.varying())
    }

    fn folders(plan: &Plan) -> Vec<&str> {
        plan.wanted().map(|row| row.folder.as_str()).collect()
    }

    #[test]
    fn a_plan_grows_without_renumbering_and_reads_back() {
        let mut plan = Plan::default();
        assert_eq!(ask(&mut plan, "[grid]\nmethod = [\"a\", \"b\"]\nseed = [0, 1]"), 4);
        // More seeds and one method less.
        assert_eq!(ask(&mut plan, "[grid]\nseed = [0, 1, 2]\nmethod = [\"b\"]"), 1);
        assert_eq!(folders(&plan), ["b-seed0", "b-seed1", "seed2-b"]);
        let numbers: Vec<usize> = plan.wanted().map(|row| row.index).collect();
        assert_eq!(numbers, [2, 3, 4]);
        // Other settings of all are other points, in folders of their own.
        assert_eq!(ask(&mut plan, "[grid]\nmethod = [\"b\", \"B\"]\nseed = [0]\n[set]\nlr = 0.5\nnote = \"3\""), 2);
        assert_eq!(folders(&plan), ["b-seed0-5", "B-seed0-6"]);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points.csv");
        plan.write(&path).unwrap();
        assert_eq!(Plan::read(&path).unwrap(), plan);
        assert_eq!(Plan::read(&dir.path().join("none")).unwrap(), Plan::default());
    }

    #[test]
    fn what_is_no_plan_is_refused_with_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("points.csv");
        for (text, expected) in [
            ("index,where\n", "index,where in line 1"),
            ("index,folder,wanted\n1,a,yes\n", "1,a in line 2"),
            ("index,folder,wanted\n0,../a,yes\n", "0,../a in line 2"),
            ("index,folder,wanted\n0,a\n", "in line 2"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Plan::read(&path).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        assert!(Plan::default().row(3).is_err());
    }
}
