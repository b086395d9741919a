//! Plan a sweep, check its points, start what is unfinished.

use super::args::{Engine, Kind, Scale, Start};
use super::cores;
use crate::cli::args::RUNS;
use crate::cli::{device, interrupts, print};
use isdarts_host::processes::Ended;
use isdarts_host::sweep::engine::local::{self, Places};
use isdarts_host::sweep::engine::{hyperqueue, print as lines, slurm};
use isdarts_host::sweep::status::{self, Standing, State};
use isdarts_host::sweep::{Folder, Row, Sweep, check, ready};
use isdarts_host::{Error, Result, streams};
use serde_json::Value;
use std::io::IsTerminal;
use std::path::Path;

/// Plan what the words say, and start it.
pub fn start(args: Start) -> Result<()> {
    device::threads(Some(1))?;
    let sweep = asked(&args)?;
    let (mut folder, new) = Folder::plan(sweep)?;
    interrupts::install_for_children();
    let all = status::standings(&folder);
    say_plan(&folder, &all, new);
    let rows = choose(&all, &[State::Waiting, State::Stopped]);
    check::check(&folder, &rows)?;
    if args.engine.dry_run {
        return show(&folder, &rows, &args.engine);
    }
    folder.write()?;
    let failed = all.iter().filter(|standing| standing.state == State::Failed).count();
    if failed > 0 {
        streams::say(&format!(
            "{failed} failed before and are left alone: isdarts-host sweep retry {}",
            shown(&folder)
        ));
    }
    go(&folder, &rows, &args.engine)
}

/// Start again what failed or was stopped: all of it, or these points.
pub fn retry(out: &Path, indices: &[usize], engine: &Engine) -> Result<()> {
    device::threads(Some(1))?;
    let folder = Folder::open(out)?;
    indices.iter().try_for_each(|index| folder.plan.row(*index).map(|_| ()))?;
    interrupts::install_for_children();
    let mut all = status::standings(&folder);
    all.retain(|standing| indices.is_empty() || indices.contains(&standing.row.index));
    let again = if indices.is_empty() { &[State::Failed, State::Stopped][..] } else { &State::ALL[2..] };
    let rows = choose(&all, again);
    check::check(&folder, &rows)?;
    if engine.dry_run { show(&folder, &rows, engine) } else { go(&folder, &rows, engine) }
}

/// The sweep that the words mean: a file's, a script's, a ready one, one planned before; with what the words say of it.
fn asked(args: &Start) -> Result<Sweep> {
    let what = args.what.as_deref().ok_or_else(|| {
        let ready = ready::names().collect::<Vec<_>>().join(", ");
        Error::invalid("sweep", "nothing", format!("a sweep's file, a script, `search`, a sweep's folder, or {ready}"))
    })?;
    let name = what.to_string_lossy();
    let mut sweep = if let Some(sweep) = ready::sweep(&name, args.scale == Scale::Paper) {
        sweep?
    } else if args.scale == Scale::Paper {
        let ready = ready::names().collect::<Vec<_>>().join(", ");
        return Err(Error::invalid("--scale", format!("`{name}`"), format!("one of the ready sweeps, {ready}")));
    } else if ready::script(&name).is_some() || what.extension().is_some_and(|e| e == "rhai") {
        Sweep { script: name.to_string(), ..Sweep::default() }
    } else if Folder::is_one(what) {
        Folder::open(what)?.sweep
    } else if what.extension().is_some_and(|e| e == "toml") || what.is_file() {
        Sweep::read(what)?
    } else {
        let known = ready::names().chain(["search"]);
        return Err(match what.components().count() {
            1 if !what.exists() => Error::unknown_name("sweep", &name, known),
            _ => Error::file(what, "no sweep", "a sweep's file (.toml), a script (.rhai), or a sweep's folder"),
        });
    };
    if let Some(out) = &args.out {
        sweep.out.clone_from(out);
    } else if sweep.out.as_os_str().is_empty() {
        sweep.out = Path::new(RUNS).join(what.file_stem().unwrap_or_default());
    }
    say_over(&mut sweep, args);
    Ok(sweep)
}

/// What the words say goes over what the file says: one value is for all runs, several are a key of the grid.
fn say_over(sweep: &mut Sweep, args: &Start) {
    let texts = |texts: &[String]| texts.iter().map(|text| Value::from(text.as_str())).collect::<Vec<_>>();
    let mut said: Vec<(String, Vec<Value>)> =
        args.sets.iter().map(|(key, list)| (key.clone(), list.0.clone())).collect();
    said.push(("data".into(), texts(&args.data)));
    said.push(("seed".into(), args.seed.as_ref().map_or_else(Vec::new, |list| list.0.clone())));
    said.push(("device".into(), texts(args.device.as_slice())));
    said.push(("args".into(), if args.args.is_empty() { vec![] } else { vec![args.args.clone().into()] }));
    for (key, list) in said {
        match (&list[..], sweep.grid.contains_key(&key)) {
            ([], _) => {}
            ([one], false) => drop(sweep.set.insert(key, one.clone())),
            _ => {
                sweep.set.remove(&key);
                sweep.grid.insert(key, list.into());
            }
        }
    }
    sweep.resources.threads = args.engine.threads.or(sweep.resources.threads);
}

/// The points in one of these states.
fn choose(all: &[Standing], states: &[State]) -> Vec<Row> {
    all.iter().filter(|standing| states.contains(&standing.state)).map(|standing| standing.row.clone()).collect()
}

/// The folder as it can be said in a command.
fn shown(folder: &Folder) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    folder.path.strip_prefix(here).unwrap_or(&folder.path).display().to_string()
}

fn say_plan(folder: &Folder, all: &[Standing], new: usize) {
    let of = |(key, values): (&String, &Value)| match values {
        Value::Array(values) => format!("{key} ({})", values.len()),
        one => format!("{key} ({})", isdarts_host::sweep::value::shown(one)),
    };
    let grid: Vec<String> = folder.sweep.grid.iter().map(of).collect();
    let grid = if grid.is_empty() { String::new() } else { format!(" of {}", grid.join(" x ")) };
    streams::say(&format!("{}{grid}: {}, {new} of them new", shown(folder), status::summary(all)));
}

/// What would be done.
fn show(folder: &Folder, rows: &[Row], engine: &Engine) -> Result<()> {
    let varying = folder.sweep.varying();
    let width = rows.iter().map(|row| row.folder.chars().count()).max().unwrap_or(0);
    let line = |row: &Row| format!("{:>6}  {:width$}  {}", row.index, row.folder, row.point.shown(&varying));
    let mut text: Vec<String> = rows.iter().map(line).collect();
    let at_a_time = engine.jobs.map(usize::from);
    match engine.engine {
        Kind::Local => {
            let places = Places::deal(folder, at_a_time, cores(), &gpus(engine))?;
            text.push(format!("\n{} at a time, {} each", places.jobs, status::count(places.threads, "thread")));
        }
        Kind::Slurm => {
            text.push(format!("\n{}", slurm::script(folder)?));
            text.extend(slurm::submissions(folder, rows, at_a_time).iter().map(|words| words.join(" ")));
        }
        Kind::Hyperqueue => {
            text.push(format!("\n{}{}", hyperqueue::job_file(folder, rows)?, hyperqueue::submission(folder).join(" ")));
        }
        Kind::Print => text = lines::lines(folder, rows)?,
    }
    print(&text.join("\n"))
}

/// Start these points.
fn go(folder: &Folder, rows: &[Row], engine: &Engine) -> Result<()> {
    if rows.is_empty() {
        streams::say(&format!("nothing to start; results: isdarts-host sweep table {}", shown(folder)));
        return Ok(());
    }
    let at_a_time = engine.jobs.map(usize::from);
    match engine.engine {
        Kind::Local => run_here(folder, rows, engine),
        Kind::Slurm => {
            let jobs = slurm::submit(folder, rows, at_a_time)?;
            streams::say(&format!(
                "{} submitted; look on: isdarts-host sweep status {}",
                status::count(rows.len(), "point"),
                shown(folder)
            ));
            print(&jobs.join("\n"))
        }
        Kind::Hyperqueue => {
            let job = hyperqueue::submit(folder, rows)?;
            streams::say(&format!(
                "{} submitted; look on: isdarts-host sweep status {}",
                status::count(rows.len(), "point"),
                shown(folder)
            ));
            print(&job)
        }
        Kind::Print => print(&lines::lines(folder, rows)?.join("\n")),
    }
}

fn run_here(folder: &Folder, rows: &[Row], engine: &Engine) -> Result<()> {
    let places = Places::deal(folder, engine.jobs.map(usize::from), cores(), &gpus(engine))?;
    let (mut done, mut bad) = (0, 0);
    let mut ended = |row: &Row, end: Ended| {
        done += 1;
        bad += usize::from(end != Ended::Code(0));
        let why = if end == Ended::Code(1) { status::standing(folder, row).word } else { String::new() };
        let why = if why.is_empty() { why } else { format!(": {why}") };
        streams::say(&format!("[{done}/{}] {} {}{why}", rows.len(), row.folder, end.shown()));
        Ok(())
    };
    let to = shown(folder);
    if std::io::stderr().is_terminal() {
        streams::say(&format!("how far they are: isdarts-host sweep status {to}; Ctrl-C saves and stops them"));
    }
    let result = local::run(folder, rows, &places, &mut ended);
    if let Err(Error::Interrupted) = result {
        streams::say(&format!("stopped; go on with: isdarts-host sweep {to}"));
    }
    result?;
    match bad {
        0 => {
            streams::say(&format!("all finished; results: isdarts-host sweep table {to}"));
            Ok(())
        }
        _ => {
            let expected = format!("all finished (isdarts-host sweep status {to}; logs are in {to}/logs)");
            Err(Error::invalid("sweep", format!("{bad} of {} runs that did not finish", rows.len()), expected))
        }
    }
}

/// The GPUs of this machine that may be used.
fn gpus(engine: &Engine) -> Vec<String> {
    let visible = || std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    let split = |text: String| text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(String::from).collect();
    if engine.gpus.is_empty() { split(visible()) } else { engine.gpus.clone() }
}
