//! This machine: child processes, so many at a time; cores and GPUs are dealt out among them.

use super::command;
use crate::error::{Error, Result};
use crate::processes::{self, Ended};
use crate::sweep::{Folder, Row};

/// What each place of the machine has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Runs at a time.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
    /// GPUs of each place; none: they see what the parent sees.
    pub gpus: Vec<Vec<String>>,
}

impl Places {
    /// Deal out `cores` and `gpus` among runs of which each wants what the sweep's resources say: `jobs` at a time, or else as
    /// many as there is room for.
    ///
    /// # Errors
    /// A run that wants more GPUs than there are.
    pub fn deal(folder: &Folder, jobs: Option<usize>, cores: usize, gpus: &[String]) -> Result<Self> {
        let wanted = &folder.sweep.resources;
        let each = usize::from(wanted.gpus.unwrap_or(0));
        let room = match each {
            0 => usize::MAX,
            n if n > gpus.len() => {
                let expected = format!("at most {}: CUDA_VISIBLE_DEVICES, or --gpus 0,1, names them", gpus.len());
                return Err(Error::invalid("[resources], gpus", n, expected));
            }
            n => gpus.len() / n,
        };
        let by_cores = match (wanted.threads, each) {
            (Some(threads), _) => cores / usize::from(threads).max(1),
            (None, 0) => cores,
            (None, _) => room,
        };
        let jobs = jobs.unwrap_or(by_cores).min(room).max(1);
        let threads = wanted.threads.map_or(cores / jobs, usize::from).max(1);
        let gpus = if each == 0 { vec![] } else { gpus.chunks(each).take(jobs).map(<[_]>::to_vec).collect() };
        Ok(Places { jobs, threads, gpus })
    }
}

/// Run these points to their ends; `ended` hears of each.
///
/// # Errors
/// [`Error::Interrupted`] after Ctrl-C, when all children have saved and ended; a child that cannot be started.
pub fn run(
    folder: &Folder,
    rows: &[Row],
    places: &Places,
    ended: &mut dyn FnMut(&Row, Ended) -> Result<()>,
) -> Result<()> {
    let child = |job: usize, place: usize| {
        let row = &rows[job];
        let words = command(folder, row)?;
        let mut child = processes::logged(&words[0], &folder.log(row))?;
        child.args(&words[1..]).args(["--threads", &places.threads.to_string()]);
        if let Some(gpus) = places.gpus.get(place) {
            child.env("CUDA_VISIBLE_DEVICES", gpus.join(","));
        }
        Ok(child)
    };
    processes::run(rows.len(), places.jobs, &child, &mut |job, end| ended(&rows[job], end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Plan, Sweep};

    #[test]
    fn cores_and_gpus_are_dealt_out_among_the_runs() {
        let gpus = ["0", "1", "2", "3", "4"].map(String::from);
        for (resources, jobs, expected) in [
            ("", None, (8, 1, 0)),
            ("", Some(2), (2, 4, 0)),
            ("threads = 4", None, (2, 4, 0)),
            ("threads = 16", None, (1, 16, 0)),
            ("gpus = 1", None, (5, 1, 1)),
            ("gpus = 2", None, (2, 4, 2)),
            ("gpus = 2", Some(1), (1, 8, 2)),
            ("gpus = 1\nthreads = 4", None, (2, 4, 1)),
        ] {
            let text = format!("script = \"s\"\n[resources]\n{resources}");
            let sweep = Sweep::parse(&text, "t").unwrap();
            let folder = Folder { path: "f".into(), sweep, plan: Plan::default() };
            let places = Places::deal(&folder, jobs, 8, &gpus).unwrap();
            let found = (places.jobs, places.threads, places.gpus.first().map_or(0, Vec::len));
            assert_eq!(found, expected, "{resources}, {jobs:?}");
            assert!(Places::deal(&folder, jobs, 8, &[]).is_ok() != resources.contains("gpus"));
        }
    }
}
