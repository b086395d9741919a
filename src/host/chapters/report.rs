//! The chapter on reports: notes, tables, CSV files, the report on a found genotype.

use crate::data::nas_bench;
use crate::error::{Error, Result};
use crate::host::handles::genotype::GenotypeHandle;
use crate::host::handles::saved::to_json;
use crate::host::run::{Run, files};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use crate::host::script::types::Number;
use crate::host::script::value::shown;
use crate::space::Genotype;
use rhai::{Array, Dynamic, Map, NativeCallContext};
use serde_json::Value;
use std::rc::Rc;

fn some(numbers: &[f64], what: &str) -> Fallible<()> {
    if numbers.is_empty() { Err(wrong(what, "an empty array", "at least one number")) } else { Ok(()) }
}

/// The mean.
pub fn mean(xs: &[f64]) -> f64 {
    xs.iter().sum::<f64>() / xs.len() as f64
}

/// Sample standard deviation (n - 1); 0 of one number.
pub fn std(xs: &[f64]) -> f64 {
    let m = mean(xs);
    let squares: f64 = xs.iter().map(|x| (x - m) * (x - m)).sum();
    if xs.len() < 2 { 0.0 } else { (squares / (xs.len() - 1) as f64).sqrt() }
}

/// Rows of cells as `print` shows them.
fn cells(context: &NativeCallContext, header: &Array, rows: &Array) -> Fallible<Vec<Vec<String>>> {
    let text = |cell: &Dynamic| context.call_native_fn::<String>("to_string", (cell.clone(),));
    let line = |row: &Array| row.iter().map(text).collect::<Fallible<Vec<_>>>();
    let mut lines = vec![line(header)?];
    for row in rows {
        let row = row.read_lock::<Array>().ok_or_else(|| wrong("row", shown(row), "an array"))?;
        if row.len() != header.len() {
            return Err(wrong("row", format!("{} cells", row.len()), format!("{}, as the header", header.len())));
        }
        lines.push(line(&row)?);
    }
    Ok(lines)
}

/// What follows belongs to the search of this name; progress shows what stands before it.
fn label(host: &Run, name: &str, before: &str) -> Fallible<()> {
    *host.label.borrow_mut() = one_line(name)?;
    host.progress.label(&format!("{before}{name}"));
    Ok(())
}

/// A Markdown table whose columns line up.
fn table(lines: &[Vec<String>]) -> String {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|l| l[column].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &[String]| {
        let each: Vec<String> = cells.iter().zip(&widths).map(|(c, w)| format!("{c:w$}", w = *w)).collect();
        format!("| {} |", each.join(" | "))
    };
    let rule = format!("|{}|", widths.iter().map(|w| "-".repeat(w + 2)).collect::<Vec<_>>().join("|"));
    let mut all: Vec<String> = lines.iter().map(|l| line(l)).collect();
    all.insert(1.min(all.len()), rule);
    all.join("\n")
}

fn write_csv(host: &Run, name: &str, lines: &[Vec<String>]) -> Result<String> {
    let mut csv = csv::Writer::from_writer(vec![]);
    let bad = |e: csv::Error| Error::invalid(name, e, "rows");
    lines.iter().try_for_each(|line| csv.write_record(line)).map_err(bad)?;
    files::write(host, name, &csv.into_inner().map_err(|e| Error::invalid(name, e, "rows"))?)
}

/// The name of a search: a field of tables and a part of genotype.txt's lines.
fn one_line(text: &str) -> Fallible<String> {
    match text.contains(char::is_control) {
        true => Err(wrong("label", format!("{text:?}"), "one line, without tabs and other control characters")),
        false => Ok(text.to_string()),
    }
}

/// The genotype, its table row beside the paper's, and the folder; genotype.txt.
fn report(host: &Run, label: &str, genotype: &Genotype) -> Result<()> {
    let title = if label.is_empty() { String::new() } else { format!("{label}: ") };
    host.print(&format!("{title}{genotype}"));
    if let Ok(row) = nas_bench::query(genotype) {
        host.print(&format!("\n{}", row.beside_paper()?));
    }
    record(host, label, genotype)?;
    if let Some(folder) = host.folder.borrow().as_ref() {
        host.print(&format!("\nrun folder: {}", folder.path().display()));
    }
    Ok(())
}

/// The genotype in genotype.txt and result.json.
fn record(host: &Run, label: &str, genotype: &Genotype) -> Result<()> {
    host.results.found(label, genotype);
    if let Some(folder) = host.folder.borrow_mut().as_mut() {
        folder.write_genotype(label, &genotype.to_string())?;
    }
    let drawing = || format!("```\n{genotype}\n\n{}\n```", genotype.draw().trim_end());
    host.logs(|folder, _| folder.log_text(label, "genotype", &drawing()))
}

/// Numbers, texts and truth values of a script's own, for result.json.
fn record_values(host: &Run, label: &str, values: &Map) -> Result<()> {
    let plain = |(key, value): (&rhai::Identifier, &Dynamic)| match to_json(value, key)? {
        Value::Array(_) | Value::Object(_) => {
            Err(Error::invalid(format!("record, `{key}`"), shown(value), "a number, a text, true or false"))
        }
        plain => Ok((key.to_string(), plain)),
    };
    host.results.values(label, values.iter().map(plain).collect::<Result<_>>()?);
    Ok(())
}

/// Register the functions of reports.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("reports");
    functions! { api, [host];
        /// The end of a search: print the genotype, its row of the NAS-Bench-201 table beside the paper's, and where
        /// the run folder is; write genotype.txt, and keep it for result.json.
        ///
        /// ```rhai
        /// report(genotype(9930));
        /// ```
        fn report(genotype: Dynamic) -> Fallible<()> {
            Ok(report(&host, &host.label.borrow(), &GenotypeHandle::of(&genotype)?.0)?)
        }
        fn report(label: String, genotype: GenotypeHandle) -> Fallible<()> {
            Ok(report(&host, &one_line(&label)?, &genotype.0)?)
        }

        /// Keep what a search came to, without printing it: a genotype in genotype.txt and in result.json, as `report` does,
        /// or numbers, texts and truth values of one's own in result.json, under `values`. They stand under the label
        /// of the search; `isdarts-host runs` shows and sorts by them.
        ///
        /// ```rhai
        /// label("seed 1");
        /// record(genotype(9930));
        /// record(#{ tau: 0.42, images: 200 });
        /// ```
        fn record(genotype: GenotypeHandle) -> Fallible<()> {
            Ok(record(&host, &host.label.borrow(), &genotype.0)?)
        }
        fn record(values: Map) -> Fallible<()> { Ok(record_values(&host, &host.label.borrow(), &values)?) }

        /// A line of progress, on stderr; none under --quiet. `print` writes results, on stdout.
        ///
        /// ```rhai
        /// note("half way");
        /// ```
        fn note(text: Dynamic) { host.note(&text.to_string()) }

        /// Name the search that begins now, in metrics.csv, iim.csv and genotype.txt: for scripts that run several. `number`, `of`:
        /// the how many-th of how many it is, which progress shows.
        ///
        /// ```rhai
        /// label("i_darts, seed 1", 2, 6);
        /// ```
        fn label(text: String) -> Fallible<()> { label(&host, &text, "") }
        fn label(text: String, number: usize, of: usize) -> Fallible<()> {
            label(&host, &text, &format!("{number}/{of} "))
        }

        fn mean(numbers: Vec<f64>) -> Fallible<f64> { some(&numbers, "mean").map(|()| mean(&numbers)) }

        /// Sample standard deviation (n - 1); 0 of one number.
        ///
        /// ```rhai
        /// assert(std([1, 3]) > 1.41 && std([5]) == 0.0);
        /// ```
        fn std(numbers: Vec<f64>) -> Fallible<f64> { some(&numbers, "std").map(|()| std(&numbers)) }

        /// A number with so many digits after the point.
        ///
        /// ```rhai
        /// assert(fixed(94.363, 2) == "94.36");
        /// ```
        fn fixed(number: Number, digits: usize) -> String { format!("{:.*}", digits.min(17), number.0) }

        /// A Markdown table whose columns line up; every row is an array as long as the header.
        ///
        /// ```rhai
        /// print(table(["method", "test"], [["is_darts", 94.36]]));
        /// ```
        fn table(#context, header: Array, rows: Array) -> Fallible<String> {
            cells(&context, &header, &rows).map(|lines| table(&lines))
        }

        /// Write a CSV file into the run folder (without one: a temporary folder of the process); its path.
        ///
        /// ```rhai
        /// write_csv("results.csv", ["seed", "test"], [[0, 94.36]]);
        /// ```
        fn write_csv(#context, name: String, header: Array, rows: Array) -> Fallible<String> {
            Ok(write_csv(&host, &name, &cells(&context, &header, &rows)?)?)
        }

        /// Write a text file into the run folder (without one: a temporary folder of the process); its path.
        ///
        /// ```rhai
        /// write_text("cell.dot", genotype(9930).to_dot());
        /// ```
        fn write_text(name: String, text: String) -> Result<String> { files::write(&host, &name, text.as_bytes()) }

        /// The path of a file in the run folder (without one: a temporary folder of the process).
        ///
        /// ```rhai
        /// assert(run_file("w.safetensors").contains("w.safetensors"));
        /// ```
        fn run_file(name: String) -> Result<String> {
            files::run_file(&host, &name).map(|path| path.to_string_lossy().into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_standard_deviation_is_that_of_a_sample() {
        let cases = [(vec![2.0], 0.0), (vec![1.0, 3.0], 2f64.sqrt()), (vec![1.0, 2.0, 3.0, 4.0], (5f64 / 3.0).sqrt())];
        for (xs, expected) in cases {
            assert!((super::std(&xs) - expected).abs() < 1e-12, "{xs:?}");
        }
    }
}
