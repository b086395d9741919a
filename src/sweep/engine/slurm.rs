//! Slurm: a job array, a task each point. A task that reaches its time limit, or whose node is lost, is queued again.

use super::{program, quoted};
use crate::error::{Error, Result};
use crate::files;
use crate::processes;
use crate::sweep::{Folder, Row, value};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Numbers of an array: Slurm takes none from `MaxArraySize` on, which is 1001 unless a site says otherwise.
const ARRAY: usize = 1000;

/// What stands in the script unless `[slurm]` says otherwise. The signal gives a run two minutes to save before its time is over.
const OPTIONS: [(&str, &str); 3] = [("open-mode", "append"), ("requeue", ""), ("signal", "B:USR1@120")];

/// A name as Slurm takes it.
fn job_name(folder: &Folder) -> String {
    folder.path.file_name().map_or_else(|| "sweep".into(), |name| name.to_string_lossy().into_owned())
}

/// The script of the array, whose first argument is added to a task's number.
///
/// # Errors
/// A path that a script of Slurm cannot have; an option without a value.
pub fn script(folder: &Folder) -> Result<String> {
    let mut options: BTreeMap<String, String> =
        OPTIONS.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect();
    options.insert("job-name".into(), job_name(folder));
    let logs = folder.path.join("logs");
    options.insert("output".into(), format!("{}/slurm-%A_%a.log", logs.display()));
    let wanted = &folder.sweep.resources;
    let own = [
        ("cpus-per-task", wanted.threads.map(|n| n.to_string())),
        ("gres", wanted.gpus.map(|n| format!("gpu:{n}"))),
        ("mem", wanted.memory.clone()),
        ("time", wanted.minutes()?.map(|n| n.to_string())),
    ];
    options.extend(own.into_iter().filter_map(|(key, text)| Some((key.to_string(), text?))));
    for (key, value) in &folder.sweep.slurm {
        match value {
            Value::Bool(false) => options.remove(key),
            Value::Bool(true) => options.insert(key.clone(), String::new()),
            _ => options.insert(key.clone(), value::shown(value)),
        };
    }
    let mut lines = String::new();
    for (key, text) in &options {
        let line = if text.is_empty() { format!("--{key}") } else { format!("--{key}={text}") };
        if line.contains(char::is_control) || key.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
            return Err(Error::invalid("[slurm]", format!("{line:?}"), "one line, as sbatch takes it"));
        }
        lines += &format!("#SBATCH {line}\n");
    }
    let task =
        format!("{} sweep task {}", quoted(&program()?.to_string_lossy()), quoted(&folder.path.to_string_lossy()));
    Ok(format!("#!/bin/bash\n{lines}{}", include_str!("slurm.sh").replace("@task@", &task)))
}

/// The numbers of an array as sbatch takes them: `0-3,7`, and after `%` how many at a time.
pub fn array(numbers: &[usize], at_a_time: Option<usize>) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for &n in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => ranges.push((n, n)),
        }
    }
    let range = |(a, b): &(usize, usize)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    let text = ranges.iter().map(range).collect::<Vec<_>>().join(",");
    at_a_time.map_or(text.clone(), |n| format!("{text}%{n}"))
}

/// The words of sbatch for these points: one array for every thousand.
pub fn submissions(folder: &Folder, rows: &[Row], at_a_time: Option<usize>) -> Vec<Vec<String>> {
    let mut arrays: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for row in rows {
        arrays.entry(row.index / ARRAY * ARRAY).or_default().push(row.index % ARRAY);
    }
    let script = script_path(folder).to_string_lossy().into_owned();
    let words = |(first, numbers): (usize, Vec<usize>)| {
        let array = format!("--array={}", array(&numbers, at_a_time));
        vec!["sbatch".into(), "--parsable".into(), array, script.clone(), first.to_string()]
    };
    arrays.into_iter().map(words).collect()
}

fn script_path(folder: &Folder) -> PathBuf {
    folder.path.join("submit.sh")
}

/// Write the script and submit it; the numbers of the jobs.
///
/// # Errors
/// No sbatch; what sbatch says.
pub fn submit(folder: &Folder, rows: &[Row], at_a_time: Option<usize>) -> Result<Vec<String>> {
    files::replace(&script_path(folder), script(folder)?.as_bytes())?;
    let words = submissions(folder, rows, at_a_time);
    words.iter().map(|words| processes::answer(words, "--engine slurm")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Plan, Point, Sweep};

    #[test]
    fn an_array_names_ranges_and_a_thousand_numbers_at_most() {
        assert_eq!(array(&[0, 1, 2, 5, 7, 8], None), "0-2,5,7-8");
        assert_eq!(array(&[3], Some(2)), "3%2");
        let row = |index| Row { index, folder: String::new(), wanted: true, point: Point(Default::default()) };
        let folder = Folder { path: "/s".into(), sweep: Sweep::default(), plan: Plan::default() };
        let rows: Vec<Row> = [0, 999, 1000, 2001].into_iter().map(row).collect();
        let found: Vec<String> = submissions(&folder, &rows, None).iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            found,
            [
                "sbatch --parsable --array=0,999 /s/submit.sh 0",
                "sbatch --parsable --array=0 /s/submit.sh 1000",
                "sbatch --parsable --array=1 /s/submit.sh 2000",
            ]
        );
    }

    #[test]
    fn the_script_has_resources_and_options_and_those_of_the_sweep_last() {
        let text = "script = \"s\"\n[resources]\nthreads = 4\ngpus = 1\nmemory = \"4G\"\ntime = \"8h\"\n\
                    [slurm]\npartition = \"cpu\"\nsignal = \"B:USR1@60\"\nrequeue = false\nexclusive = true\nnice = 10";
        let mut folder = Folder { path: "/a b".into(), sweep: Sweep::parse(text, "t").unwrap(), plan: Plan::default() };
        let found = script(&folder).unwrap();
        for line in [
            "--cpus-per-task=4",
            "--gres=gpu:1",
            "--mem=4G",
            "--time=480",
            "--partition=cpu",
            "--signal=B:USR1@60",
            "--exclusive",
            "--nice=10",
            "--open-mode=append",
            "--output=/a b/logs/slurm-%A_%a.log",
        ] {
            assert!(found.lines().any(|l| l == format!("#SBATCH {line}")), "{line} in\n{found}");
        }
        assert!(!found.contains("--requeue") && !found.contains("@task@"), "{found}");
        assert!(found.contains("sweep task '/a b' $(( SLURM_ARRAY_TASK_ID + ${1:-0} )) &"), "{found}");
        folder.sweep.slurm.insert("partition".into(), "a\n#SBATCH --x".into());
        assert!(script(&folder).is_err());
    }
}
