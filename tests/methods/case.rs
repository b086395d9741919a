//! The recorded searches, and the program that runs them again.

use super::compare::{Outcome, Worst, compare};
use super::ended::ended;
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Far more than any case takes.
const LIMIT: Duration = Duration::from_secs(120);

/// A search that PyTorch has done, too.
pub struct Case {
    pub name: String,
    pub method: String,
    pub space: String,
    seed: u64,
    settings: serde_json::Map<String, Value>,
    pub want: Outcome,
}

/// What keeps a run from its case.
pub enum Apart {
    /// It did not run to its end.
    Failed(String),
    /// It came to something else.
    Deviates(String),
}

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/methods")
}

pub fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All cases, the cheap ones first.
pub fn all() -> Vec<Case> {
    let files = std::fs::read_dir(folder().join("cases")).unwrap().map(|e| e.unwrap().path());
    let mut cases: Vec<(u64, Case)> = files.map(|f| (f.metadata().unwrap().len(), Case::of(&f))).collect();
    cases.sort_by(|(a, x), (b, y)| (a, &x.name).cmp(&(b, &y.name)));
    cases.into_iter().map(|(_, case)| case).collect()
}

/// What a program printed; the error that it ended with, or that it did not end: a blunder may make a loop that never does.
fn printed(mut program: Command, folder: &Path) -> Result<String, String> {
    let (out, err) = (folder.join("stdout"), folder.join("stderr"));
    let mut child = program.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap()).spawn().unwrap();
    let status = ended(&mut child, LIMIT).ok_or_else(|| format!("it did not end in {} s", LIMIT.as_secs()))?;
    let text = |path| std::fs::read_to_string(path).unwrap();
    if status.success() { Ok(text(out)) } else { Err(text(err)) }
}

impl Case {
    fn of(path: &Path) -> Self {
        let case = read(path);
        let text = |key: &str| case[key].as_str().unwrap().to_string();
        Case {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            method: text("method"),
            space: text("space"),
            seed: case["seed"].as_u64().unwrap(),
            settings: case["settings"].as_object().unwrap().clone(),
            want: Outcome::of_case(case["outcome"].as_array().unwrap()),
        }
    }

    /// Channels and cells.
    pub fn size(&self) -> String {
        format!("{:?} {:?}", self.settings.get("channels"), self.settings.get("cells"))
    }

    /// Run the script, with modules of `stdlib`; the worst deviations.
    pub fn keeps(&self, stdlib: Option<&Path>) -> Result<Worst, Apart> {
        let temporary = tempfile::tempdir().unwrap();
        let trace = temporary.path().join("trace");
        let mut program = Command::new(env!("CARGO_BIN_EXE_isdarts-host"));
        program.args(["--quiet", "--threads", "1", "--seed", &self.seed.to_string()]);
        for (key, value) in &self.settings {
            program.args(["--set", &format!("{key}={value}")]);
        }
        program.arg("--trace").arg(&trace).arg("--out").arg(temporary.path().join("run"));
        program.arg(folder().join("search.rhai")).args(["--", &self.method, &self.space]);
        if let Some(stdlib) = stdlib {
            program.env("ISDARTS_STDLIB", stdlib);
        }
        let printed = printed(program, temporary.path()).map_err(Apart::Failed)?;
        let lines: Vec<&str> = printed.lines().collect();
        let [own, usual, ref more @ .., found] = lines[..] else { panic!("{}: got `{printed}`", self.name) };
        self.settings_are_the_papers(own, usual, more).map_err(Apart::Deviates)?;
        let bounds = read(&folder().join("tolerances.json"));
        compare(&Outcome::of_trace(&trace, found), &self.want, &bounds).map_err(Apart::Deviates)
    }

    /// `defaults(space)`, `defaults()` and `progressive(space)` against what is written down from paper and authors' code.
    fn settings_are_the_papers(&self, own: &str, usual: &str, more: &[&str]) -> Result<(), String> {
        let written = &read(&folder().join("defaults.json"))[&self.method];
        let more = more.iter().map(|printed| (*printed, self.space.as_str(), "progressive"));
        let usual = [(own, self.space.as_str(), "settings"), (usual, "nas-bench-201", "settings")];
        for (printed, space, which) in usual.into_iter().chain(more) {
            let family = if space == "nas-bench-201" { space } else { "darts" };
            let here = written.get(family).or(written.get("nas-bench-201")).unwrap_or(&Value::Null);
            let got: Value = serde_json::from_str(printed).unwrap();
            let want = here[which].as_object().cloned().unwrap_or_default();
            let number = |v: &Value| v.as_f64();
            let equal = |(key, value): (&String, &Value)| match (number(value), number(&got[key])) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * a.abs(),
                _ => got.get(key) == Some(value),
            };
            if got.as_object().unwrap().len() != want.len() || !want.iter().all(equal) {
                return Err(format!("{which} in {space}: got {got}, written down are {}", here[which]));
            }
        }
        Ok(())
    }
}
