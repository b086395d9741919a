//! The chapter on reports: notes, tables, CSV files, the report on a found genotype.

use crate::error::{Error, Result};
use crate::host::handles::genotype::{Genotype, genotype_of};
use crate::host::run::{Host, files};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::{count, float, shown};
use rhai::{Array, Dynamic, NativeCallContext};
use std::rc::Rc;

fn numbers(values: &Array, what: &str) -> Fallible<Vec<f64>> {
    if values.is_empty() {
        return Err(wrong(what, "an empty array", "at least one number"));
    }
    values.iter().map(|v| float(v, what)).collect()
}

fn mean(xs: &[f64]) -> f64 {
    xs.iter().sum::<f64>() / xs.len() as f64
}

/// Sample standard deviation (n - 1); 0 of one number.
fn std(xs: &[f64]) -> f64 {
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

fn write_csv(host: &Host, name: &str, lines: &[Vec<String>]) -> Result<String> {
    let mut csv = csv::Writer::from_writer(vec![]);
    let bad = |e: csv::Error| Error::invalid(name, e, "rows");
    lines.iter().try_for_each(|line| csv.write_record(line)).map_err(bad)?;
    files::write(host, name, &csv.into_inner().map_err(|e| Error::invalid(name, e, "rows"))?)
}

/// The name of a search: a field of tables and a part of genotype.txt's lines.
fn label(text: &str) -> Fallible<String> {
    match text.contains(char::is_control) {
        true => Err(wrong("label", format!("{text:?}"), "one line, without tabs and other control characters")),
        false => Ok(text.to_string()),
    }
}

/// The genotype, its table row beside the paper's, and the folder; genotype.txt.
fn report(host: &Host, label: &str, genotype: &crate::space::Genotype) -> Result<()> {
    let title = if label.is_empty() { String::new() } else { format!("{label}: ") };
    host.output.line(&format!("{title}{genotype}"));
    if let Ok(row) = crate::data::nas_bench::query(genotype) {
        host.output.line(&format!("\n{}", row.beside_paper()?));
    }
    if let Some(folder) = host.folder.borrow_mut().as_mut() {
        folder.write_genotype(label, &genotype.to_string())?;
        host.output.line(&format!("\nrun folder: {}", folder.path().display()));
    }
    Ok(())
}

/// Register the functions of reports.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("reports");
    let h = host.clone();
    api.def(
        [
            "report",
            "report(genotype)\nreport(label, genotype)",
            "The end of a search: print the genotype, its row of the NAS-Bench-201 table beside the paper's, and where \
             the run folder is; write genotype.txt.",
            "report(genotype(9930));",
        ],
        move |genotype: Dynamic| report(&h, &h.label.borrow(), &genotype_of(&genotype)?).map_err(raise),
    );
    let h = host.clone();
    api.also("report", move |text: &str, genotype: Genotype| {
        label(text).and_then(|label| report(&h, &label, &genotype.0).map_err(raise))
    });
    let h = host.clone();
    api.def(
        [
            "note",
            "note(text)",
            "A line of progress, on stderr; none under --quiet. `print` writes results, on stdout.",
            "note(\"half way\");",
        ],
        move |text: Dynamic| h.note(&text.to_string()),
    );
    let h = host.clone();
    api.def(
        [
            "label",
            "label(text)",
            "Name the search that begins now, in metrics.csv, iim.csv and genotype.txt: for scripts that run several.",
            "label(\"i_darts, seed 1\");",
        ],
        move |text: &str| label(text).map(|label| *h.label.borrow_mut() = label),
    );
    api.also("mean", |values: Array| numbers(&values, "mean").map(|xs| mean(&xs)));
    api.def(
        [
            "std",
            "std([number]) -> float",
            "Sample standard deviation (n - 1); 0 of one number.",
            "assert(std([1, 3]) > 1.41 && std([5]) == 0.0);",
        ],
        |values: Array| numbers(&values, "std").map(|xs| std(&xs)),
    );
    api.def(
        [
            "fixed",
            "fixed(number, digits) -> string",
            "A number with so many digits after the point.",
            "assert(fixed(94.363, 2) == \"94.36\");",
        ],
        |x: Dynamic, digits: rhai::INT| -> Fallible<String> {
            Ok(format!("{:.*}", count(digits, "digits")?.min(17), float(&x, "fixed")?))
        },
    );
    api.def(
        [
            "table",
            "table(header, rows) -> string",
            "A Markdown table whose columns line up; every row is an array as long as the header.",
            "print(table([\"method\", \"test\"], [[\"is_darts\", 94.36]]));",
        ],
        |context: NativeCallContext, header: Array, rows: Array| {
            cells(&context, &header, &rows).map(|lines| table(&lines))
        },
    );
    let h = host.clone();
    api.def(
        [
            "write_csv",
            "write_csv(name, header, rows) -> string",
            "Write a CSV file into the run folder (without one: a temporary folder of the process); its path.",
            "write_csv(\"results.csv\", [\"seed\", \"test\"], [[0, 94.36]]);",
        ],
        move |context: NativeCallContext, name: &str, header: Array, rows: Array| {
            let lines = cells(&context, &header, &rows)?;
            write_csv(&h, name, &lines).map_err(raise)
        },
    );
    let h = host.clone();
    api.def(
        [
            "write_text",
            "write_text(name, text) -> string",
            "Write a text file into the run folder (without one: a temporary folder of the process); its path.",
            "write_text(\"cell.dot\", genotype(9930).to_dot());",
        ],
        move |name: &str, text: &str| files::write(&h, name, text.as_bytes()).map_err(raise),
    );
    let h = host.clone();
    api.def(
        [
            "run_file",
            "run_file(name) -> string",
            "The path of a file in the run folder (without one: a temporary folder of the process).",
            "assert(run_file(\"w.safetensors\").contains(\"w.safetensors\"));",
        ],
        move |name: &str| files::run_file(&h, name).map(|p| p.to_string_lossy().into_owned()).map_err(raise),
    );
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
