//! `runs`: the runs in a folder, as a table; what two were asked; failed ones removed.

use super::args::{RUNS, Runs, TableFormat};
use super::print;
use isdarts_host::files::Lock;
use isdarts_host::search::{Overview, RunState};
use isdarts_host::{Error, Result, fit, streams};
use serde_json::{Map, Value};
use std::io::{BufRead, IsTerminal};
use std::path::Path;

/// Letters of a line where no terminal says how long one is.
const WIDTH: usize = 80;
/// Fewest letters of a cell that is cut.
const SHORTEST: usize = 12;
/// The columns that a table has unasked, where a run has something in them.
const COLUMNS: [&str; 10] =
    ["state", "method", "data", "seed", "search", "epoch", "accuracy", "test_accuracy", "cifar10_test", "seconds"];

/// Letters of a folder's name that are worth a column less.
const NAME: usize = 24;
/// The columns that go first where the line is full.
const SPARED: [&str; 4] = ["epoch", "accuracy", "seconds", "data"];

type Row = Map<String, Value>;

/// Do what was asked.
pub fn runs(args: &Runs) -> Result<()> {
    if let [one, other] = &args.diff[..] {
        return print(&diff(&Overview::read(one)?, &Overview::read(other)?));
    }
    let none_yet = args.folder == Path::new(RUNS) && !args.folder.exists();
    let found = if none_yet { Vec::new() } else { Overview::find(&args.folder)? };
    let mut runs = Vec::new();
    for path in &found {
        match Overview::read(path) {
            Ok(run) if chosen(&run, args) => runs.push(run),
            Ok(_) => {}
            // One damaged folder hides no other.
            Err(error) => streams::say(&format!("left out: {error}")),
        }
    }
    if args.remove_failed {
        return remove(&runs, args.yes);
    }
    let mut rows: Vec<Row> = runs.iter().flat_map(|run| rows(run, &args.folder, args.searches)).collect();
    let known = keys(&rows);
    let check = |key: &str| match known.iter().any(|k| k == key) {
        true => Ok(()),
        false => Err(Error::unknown_name("setting or result of these runs", key, known.iter().map(String::as_str))),
    };
    if let Some(key) = args.sort.as_deref().filter(|_| !rows.is_empty()) {
        let (key, down) = key.strip_prefix('-').map_or((key, false), |key| (key, true));
        check(key)?;
        sort(&mut rows, key, down);
    }
    let all = args.columns.iter().any(|c| c == "all");
    let mut columns: Vec<String> = match &args.columns[..] {
        [] if args.format == TableFormat::Json => known.clone(),
        [] => COLUMNS.iter().filter(|c| rows.iter().any(|row| is_said(row, c))).map(|c| c.to_string()).collect(),
        _ if all => known.clone(),
        some if rows.is_empty() => some.to_vec(),
        some => some.iter().map(|key| check(key).map(|()| key.clone())).collect::<Result<_>>()?,
    };
    columns.retain(|column| column != "run" && (args.searches || !args.columns.is_empty() || column != "search"));
    columns.insert(0, "run".into());
    if rows.is_empty() && args.format != TableFormat::Json {
        let among = match found.len() {
            _ if none_yet => ", which is not there; `isdarts-host runs DIR` looks elsewhere".to_string(),
            0 => String::new(),
            others => format!("; {others} of others"),
        };
        streams::say(&format!("no such run in {}{among}", args.folder.display()));
        return Ok(());
    }
    print(&match args.format {
        TableFormat::Table if args.columns.is_empty() => {
            for spared in SPARED {
                let widths = widths(&columns, &cells(&columns, &rows));
                if widths[0].min(NAME) + widths[1..].iter().map(|width| 2 + width).sum::<usize>() > line_width() {
                    columns.retain(|column| column != spared);
                }
            }
            let lines = cells(&columns, &rows);
            let widths = shortened(widths(&columns, &lines), line_width());
            aligned(&columns, &rows, &lines, &widths)
        }
        TableFormat::Table => in_parts(&columns, &rows, streams::stdout_width().unwrap_or(usize::MAX)),
        TableFormat::Markdown => markdown(&columns, &rows),
        TableFormat::Csv => csv(&columns, &rows)?,
        TableFormat::Json => {
            let only = |row: &Row| -> Row {
                let own = columns.iter().filter_map(|key| Some((key.clone(), row.get(key)?.clone())));
                own.collect()
            };
            serde_json::to_string_pretty(&rows.iter().map(only).collect::<Vec<_>>())
                .map_err(|e| Error::invalid("runs", e, "plain data"))?
        }
    })
}

/// Whether the filters let a run through.
fn chosen(run: &Overview, args: &Runs) -> bool {
    let asked = &run.manifest["run"];
    args.method.as_ref().is_none_or(|method| run.method() == *method)
        && args.data.as_ref().is_none_or(|data| asked["data"] == **data)
        && args.seed.is_none_or(|seed| asked["seed"] == seed)
        && args.state.as_ref().is_none_or(|state| run.state.name() == state)
}

/// A row for the run, with what its last search found, or one for each search.
fn rows(run: &Overview, root: &Path, searches: bool) -> Vec<Row> {
    let name = run.path.strip_prefix(root).ok().filter(|name| !name.as_os_str().is_empty()).unwrap_or(&run.path);
    let mut results = run.results();
    if !searches {
        results.drain(..results.len().saturating_sub(1));
    }
    let asked = run.asked();
    let row = |result: Row| {
        let mut row = Row::from_iter([("run".to_string(), name.to_string_lossy().into())]);
        row.extend(asked.clone());
        row.extend(result);
        row
    };
    results.into_iter().map(row).collect()
}

fn keys(rows: &[Row]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for key in rows.iter().flat_map(|row| row.keys()) {
        if seen.insert(key.as_str()) {
            all.push(key.clone());
        }
    }
    all
}

fn is_said(row: &Row, key: &str) -> bool {
    row.get(key).is_some_and(|value| !value.is_null() && value != "")
}

/// Numbers before texts; what has none comes last, whichever way.
fn sort(rows: &mut [Row], key: &str, down: bool) {
    rows.sort_by(|a, b| {
        let (said_a, said_b) = (is_said(a, key), is_said(b, key));
        if !(said_a && said_b) {
            return said_b.cmp(&said_a);
        }
        let order = match (a[key].as_f64(), b[key].as_f64()) {
            (Some(x), Some(y)) => x.total_cmp(&y),
            (x, y) => y.is_some().cmp(&x.is_some()).then_with(|| whole(&a[key]).cmp(&whole(&b[key]))),
        };
        if down { order.reverse() } else { order }
    });
}

/// A value in full.
fn whole(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A value as people read it: fractions with four digits that count.
fn short(value: Option<&Value>) -> String {
    match value {
        Some(Value::Number(n)) if n.is_f64() => {
            let x = n.as_f64().unwrap_or_default();
            let digits = if x == 0.0 { 1 } else { (3 - x.abs().log10().floor() as i32).clamp(0, 8) };
            format!("{x:.*}", digits as usize)
        }
        Some(value) => streams::plain(&whole(value)).replace('\n', " "),
        None => String::new(),
    }
}

/// Letters of a line.
fn line_width() -> usize {
    terminal_size::terminal_size().map_or(WIDTH, |(width, _)| usize::from(width.0))
}

/// The head, and a line for each row.
fn cells(columns: &[String], rows: &[Row]) -> Vec<Vec<String>> {
    let row = |row: &Row| columns.iter().map(|c| short(row.get(c))).collect();
    std::iter::once(columns.to_vec()).chain(rows.iter().map(row)).collect()
}

fn widths(columns: &[String], lines: &[Vec<String>]) -> Vec<usize> {
    let widest = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or_default();
    (0..columns.len()).map(widest).collect()
}

/// Widths at which columns fit, two blanks between them: the longest texts are cut.
fn shortened(mut widths: Vec<usize>, line: usize) -> Vec<usize> {
    let gaps = 2 * (widths.len() - 1);
    while widths.iter().sum::<usize>() + gaps > line {
        let Some(longest) = widths.iter_mut().max().filter(|width| **width > SHORTEST) else { break };
        *longest -= 1;
    }
    widths
}

/// All columns that were asked for: what does not fit into a line stands below, beside the runs again.
fn in_parts(columns: &[String], rows: &[Row], line: usize) -> String {
    let lines = cells(columns, rows);
    let widths = widths(columns, &lines);
    let part = |part: Vec<usize>| {
        let columns: Vec<String> = part.iter().map(|&at| columns[at].clone()).collect();
        let lines: Vec<Vec<String>> =
            lines.iter().map(|line| part.iter().map(|&at| line[at].clone()).collect()).collect();
        let widths = shortened(part.iter().map(|&at| widths[at]).collect(), line);
        aligned(&columns, rows, &lines, &widths)
    };
    fit::parts(&widths, 1, [2, 0], line).into_iter().map(part).collect::<Vec<_>>().join("\n\n")
}

/// Columns side by side, two blanks between them.
fn aligned(columns: &[String], rows: &[Row], lines: &[Vec<String>], widths: &[usize]) -> String {
    let has_numbers = |column: &String| rows.iter().filter_map(|row| row.get(column)).any(Value::is_number);
    let numbers: Vec<bool> = columns.iter().map(has_numbers).collect();
    let cell = |(i, text): (usize, &String)| {
        let text = cut(text, widths[i]);
        if numbers[i] { format!("{text:>w$}", w = widths[i]) } else { format!("{text:w$}", w = widths[i]) }
    };
    let line =
        |line: &Vec<String>| line.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_string();
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The beginning and the end of a text, which tell run folders apart.
fn cut(text: &str, width: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= width {
        return text.to_string();
    }
    let (first, last) = ((width - 1) / 2, width - 1 - (width - 1) / 2);
    letters[..first].iter().chain(&['…']).chain(&letters[letters.len() - last..]).collect()
}

fn markdown(columns: &[String], rows: &[Row]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let row = |row: &Row| line(columns.iter().map(|c| short(row.get(c)).replace('|', "\\|")).collect());
    let rule = line(columns.iter().map(|_| "---".to_string()).collect());
    [line(columns.to_vec()), rule].into_iter().chain(rows.iter().map(row)).collect::<Vec<_>>().join("\n")
}

fn csv(columns: &[String], rows: &[Row]) -> Result<String> {
    let mut csv = csv::Writer::from_writer(vec![]);
    let bad = |e: &dyn std::fmt::Display| Error::invalid("runs", e, "rows");
    csv.write_record(columns).map_err(|e| bad(&e))?;
    for row in rows {
        csv.write_record(columns.iter().map(|c| row.get(c).map_or(String::new(), whole))).map_err(|e| bad(&e))?;
    }
    let bytes = csv.into_inner().map_err(|e| bad(&e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What differs of what two runs were asked, a line each.
fn diff(one: &Overview, other: &Overview) -> String {
    let asked = |run: &Overview| {
        let mut all = run.asked();
        for key in ["state", "error", "started", "host", "threads"] {
            all.shift_remove(key);
        }
        all.insert("args".into(), run.manifest["run"]["args"].clone());
        for kind in ["texts", "fingerprints"] {
            for (name, sum) in run.manifest["made_of"][kind].as_object().into_iter().flatten() {
                all.insert(
                    format!("{} {name}", if kind == "texts" { "text of" } else { "fingerprint of" }),
                    sum.clone(),
                );
            }
        }
        all
    };
    let (one_asked, other_asked) = (asked(one), asked(other));
    let names = keys(&[one_asked.clone(), other_asked.clone()]);
    let mut rows = Vec::new();
    for name in names {
        let (a, b) = (one_asked.get(&name), other_asked.get(&name));
        if a != b {
            let text = |value: Option<&Value>| Value::from(value.map_or("-".into(), whole));
            rows.push(Row::from_iter([
                ("setting".into(), name.into()),
                ("one".into(), text(a)),
                ("other".into(), text(b)),
            ]));
        }
    }
    match rows.is_empty() {
        true => "they were asked the same".into(),
        false => {
            let columns = ["setting", "one", "other"].map(String::from);
            in_parts(&columns, &rows, streams::stdout_width().unwrap_or(usize::MAX))
        }
    }
}

/// Remove the folders of failed runs.
fn remove(runs: &[Overview], yes: bool) -> Result<()> {
    let failed: Vec<&Overview> = runs.iter().filter(|run| run.state == RunState::Failed).collect();
    if failed.is_empty() {
        return print("no failed run");
    }
    for run in &failed {
        let why = run.manifest["error"].as_str().and_then(|e| e.lines().next()).unwrap_or("failed");
        print(&format!("{}: {}", run.path.display(), streams::plain(why)))?;
    }
    if !yes {
        if !std::io::stdin().is_terminal() {
            return Err(Error::invalid("runs --remove-failed", "nobody to ask", "a terminal, or --yes"));
        }
        streams::say(&format!("remove {} with all that is in them? [y/N]", folders(failed.len())));
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer).map_err(Error::io("read", "the answer"))?;
        if !matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
            return print("nothing was removed");
        }
    }
    let mut removed = 0;
    for run in &failed {
        // Nobody may begin to work in it now.
        let _held = Lock::take(&run.path.join("lock"))?;
        if Overview::read(&run.path)?.manifest["status"] != "failed" {
            streams::say(&format!("{} goes on by now: left alone", run.path.display()));
            continue;
        }
        std::fs::remove_dir_all(&run.path).map_err(Error::io("remove", &run.path))?;
        removed += 1;
    }
    print(&format!("removed {}", folders(removed)))
}

fn folders(n: usize) -> String {
    if n == 1 { "1 folder".into() } else { format!("{n} folders") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_do_not_fit_stand_below_beside_the_runs() {
        let row = |run: &str, seed: u64| {
            Row::from_iter([
                ("run".to_string(), run.into()),
                ("seed".into(), seed.into()),
                ("data".into(), "digits".into()),
            ])
        };
        let (columns, rows) = (["run", "seed", "data"].map(String::from), [row("one", 0), row("other", 11)]);
        for (line, expected) in [
            (19, "run    seed  data\none       0  digits\nother    11  digits"),
            (18, "run    seed\none       0\nother    11\n\nrun    data\none    digits\nother  digits"),
        ] {
            assert_eq!(in_parts(&columns, &rows, line), expected, "{line}");
        }
    }
}
