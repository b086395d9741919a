//! The recorded searches, and the program that runs them again.

use super::compare::{Outcome, Worst, compare};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

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
        let done = program.output().unwrap();
        if !done.status.success() {
            return Err(Apart::Failed(String::from_utf8_lossy(&done.stderr).into_owned()));
        }
        let printed = String::from_utf8(done.stdout).unwrap();
        let lines: Vec<&str> = printed.lines().collect();
        let [own, usual, .., found] = lines[..] else { panic!("{}: got `{printed}`", self.name) };
        self.settings_are_the_papers(own, usual).map_err(Apart::Deviates)?;
        let bounds = read(&folder().join("tolerances.json"));
        compare(&Outcome::of_trace(&trace, found), &self.want, &bounds).map_err(Apart::Deviates)
    }

    /// `defaults(space)` and `defaults()` against what is written down from paper and authors' code.
    fn settings_are_the_papers(&self, own: &str, usual: &str) -> Result<(), String> {
        let written = &read(&folder().join("defaults.json"))[&self.method];
        for (printed, space) in [(own, self.space.as_str()), (usual, "nas-bench-201")] {
            let family = if space == "nas-bench-201" { space } else { "darts" };
            let here = written.get(family).or(written.get("nas-bench-201")).unwrap_or(&Value::Null);
            let got: Value = serde_json::from_str(printed).unwrap();
            let want = here["settings"].as_object().cloned().unwrap_or_default();
            let number = |v: &Value| v.as_f64();
            let equal = |(key, value): (&String, &Value)| match (number(value), number(&got[key])) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * a.abs(),
                _ => got.get(key) == Some(value),
            };
            if got.as_object().unwrap().len() != want.len() || !want.iter().all(equal) {
                return Err(format!("settings in {space}: got {got}, written down are {}", here["settings"]));
            }
        }
        Ok(())
    }
}
