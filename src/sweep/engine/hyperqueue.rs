//! HyperQueue: a job file, a task each point (<https://it4innovations.github.io/hyperqueue/stable/jobs/jobfile/>).

use super::command;
use crate::error::{Error, Result};
use crate::files;
use crate::processes;
use crate::sweep::{Folder, Row};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The job file.
///
/// # Errors
/// A path that is no text.
pub fn job_file(folder: &Folder, rows: &[Row]) -> Result<String> {
    let wanted = &folder.sweep.resources;
    let threads = wanted.threads.unwrap_or(1);
    let mut resources = serde_json::Map::from_iter([("cpus".to_string(), json!(threads))]);
    if let Some(gpus) = wanted.gpus {
        resources.insert("gpus/nvidia".into(), json!(gpus));
    }
    let minutes = wanted.minutes()?;
    let task = |row: &Row| -> Result<Value> {
        let log = folder.log(row);
        let words = [command(folder, row)?, vec!["--threads".into(), threads.to_string()]].concat();
        let mut task = json!({
            "id": row.index,
            "command": words,
            "stdout": log.with_extension("hq.out"),
            "stderr": log.with_extension("hq.err"),
        });
        if let Some(minutes) = minutes {
            task["time_limit"] = json!(format!("{minutes}m"));
        }
        task["request"] = json!([{ "resources": resources }]);
        Ok(task)
    };
    let name = folder.path.file_name().map_or("sweep".into(), |name| name.to_string_lossy().into_owned());
    let file = json!({ "name": name, "task": rows.iter().map(task).collect::<Result<Vec<_>>>()? });
    toml::to_string(&file).map_err(|e| Error::invalid("job file", e, "what TOML can say"))
}

/// The words that submit the file.
pub fn submission(folder: &Folder) -> Vec<String> {
    let words = ["hq", "--output-mode=quiet", "job", "submit-file"].map(String::from);
    words.into_iter().chain([path(folder).to_string_lossy().into_owned()]).collect()
}

fn path(folder: &Folder) -> PathBuf {
    folder.path.join("hyperqueue.toml")
}

/// Write the file and submit it; the number of the job.
///
/// # Errors
/// No `hq`; what it says.
pub fn submit(folder: &Folder, rows: &[Row]) -> Result<String> {
    files::replace(&path(folder), job_file(folder, rows)?.as_bytes())?;
    processes::answer(&submission(folder), "--engine hyperqueue")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Plan, Point, Sweep};

    #[test]
    fn the_job_file_has_a_task_each_point_with_what_it_needs() {
        let text = "script = \"s\"\n[resources]\nthreads = 2\ngpus = 1\ntime = \"90m\"";
        let folder = Folder { path: "/s/paper".into(), sweep: Sweep::parse(text, "t").unwrap(), plan: Plan::default() };
        let row = |index| Row { index, folder: String::new(), wanted: true, point: Point(Default::default()) };
        let found: Value = toml::from_str(&job_file(&folder, &[row(0), row(7)]).unwrap()).unwrap();
        assert_eq!((found["name"].as_str(), found["task"].as_array().unwrap().len()), (Some("paper"), 2));
        let task = &found["task"][1];
        assert_eq!((&task["id"], &task["command"][4], &task["time_limit"]), (&json!(7), &json!("7"), &json!("90m")));
        assert_eq!(task["request"][0]["resources"], json!({"cpus": 2, "gpus/nvidia": 1}));
    }
}
