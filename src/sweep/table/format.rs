//! A table as text, Markdown, CSV, LaTeX.

use super::{Cell, Table};
use crate::error::{Error, Result};
use crate::fit;

/// As what a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For a terminal of so many columns, if it is known: what does not fit stands below, beside the settings again.
    Text(Option<usize>),
    /// Markdown.
    Markdown,
    /// CSV: a column of standard deviations behind each mean; all digits.
    Csv,
    /// LaTeX, for the package booktabs.
    Latex,
}

impl Table {
    /// The table as text.
    ///
    /// # Errors
    /// What CSV cannot hold.
    pub fn text(&self, format: Format) -> Result<String> {
        match format {
            Format::Text(width) => Ok(self.in_parts(width.unwrap_or(usize::MAX)).join("\n\n")),
            Format::Markdown => {
                let all: Vec<usize> = (0..self.header.len()).collect();
                Ok(self.aligned(&all, ["| ", " | ", " |"], true))
            }
            Format::Csv => self.csv(),
            Format::Latex => Ok(self.latex()),
        }
    }

    fn cells(&self, between: &str) -> Vec<Vec<String>> {
        self.rows.iter().map(|row| row.iter().map(|cell| plain(cell, between)).collect()).collect()
    }

    /// Columns, at most `width` wide together where one alone does not take more; those of texts that come first are in each part.
    fn in_parts(&self, width: usize) -> Vec<String> {
        let parts = fit::parts(&self.widths(), self.keys(), [2, 0], width);
        parts.iter().map(|columns| self.aligned(columns, ["", "  ", ""], false)).collect()
    }

    /// How many columns of texts come first.
    fn keys(&self) -> usize {
        self.rows.first().map_or(0, |row| row.iter().take_while(|c| matches!(c, Cell::Text(_))).count())
    }

    fn widths(&self) -> Vec<usize> {
        let cells = self.cells("+-");
        let width = |at: usize| {
            let lines = std::iter::once(&self.header).chain(&cells);
            lines.map(|line| line[at].chars().count()).max().unwrap_or(0).max(3)
        };
        (0..self.header.len()).map(width).collect()
    }

    fn aligned(&self, columns: &[usize], [left, middle, right]: [&str; 3], rule: bool) -> String {
        let (cells, widths) = (self.cells("+-"), self.widths());
        let line = |line: &Vec<String>| {
            let padded: Vec<String> = columns.iter().map(|&at| format!("{:w$}", line[at], w = widths[at])).collect();
            format!("{left}{}{right}", padded.join(middle)).trim_end().to_string()
        };
        let mut lines: Vec<String> = std::iter::once(&self.header).chain(&cells).map(line).collect();
        if rule {
            let dashes: Vec<String> = columns.iter().map(|&at| "-".repeat(widths[at] + 2)).collect();
            lines.insert(1, format!("|{}|", dashes.join("|")));
        }
        lines.join("\n")
    }

    /// Columns in which some row has a spread have their standard deviations in a column of their own.
    fn csv(&self) -> Result<String> {
        let spread = |at: usize| self.rows.iter().any(|row| matches!(row[at], Cell::Spread(..)));
        let spreads: Vec<bool> = (0..self.header.len()).map(spread).collect();
        let mut csv = csv::Writer::from_writer(vec![]);
        let wrong = |e: &dyn std::fmt::Display| Error::invalid("table as CSV", e, "rows");
        let heads = self.header.iter().zip(&spreads);
        let heads = heads.flat_map(|(head, spread)| [Some(head.clone()), spread.then(|| format!("{head}_std"))]);
        csv.write_record(heads.flatten()).map_err(|e| wrong(&e))?;
        for row in &self.rows {
            let cells = row.iter().zip(&spreads).flat_map(|(cell, spread)| match cell {
                Cell::Text(text) => [Some(text.clone()), spread.then(String::new)],
                Cell::Number(x) => [Some(x.to_string()), spread.then(String::new)],
                Cell::Spread(mean, std) => [Some(mean.to_string()), Some(std.to_string())],
            });
            csv.write_record(cells.flatten()).map_err(|e| wrong(&e))?;
        }
        let bytes = csv.into_inner().map_err(|e| wrong(&e))?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_string())
    }

    fn latex(&self) -> String {
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        let texts = self.keys();
        let columns = ["l".repeat(texts), "r".repeat(self.header.len() - texts)].concat();
        let mut text = format!("% \\usepackage{{booktabs}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n");
        text += &line(self.header.iter().map(|head| escaped(head)).collect());
        text += "\\midrule\n";
        for row in &self.rows {
            let cell = |cell: &Cell| match cell {
                Cell::Text(text) => escaped(text).replace("+-", "$\\pm$"),
                number => format!("${}$", plain(number, "\\pm")),
            };
            text += &line(row.iter().map(cell).collect());
        }
        text + "\\bottomrule\n\\end{tabular}"
    }
}

fn plain(cell: &Cell, between: &str) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Number(x) => rounded(*x),
        Cell::Spread(mean, std) => format!("{} {between} {}", rounded(*mean), rounded(*std)),
    }
}

/// Two digits behind the point, of what is large or whole none.
fn rounded(x: f64) -> String {
    if x.abs() >= 10_000.0 || (x.fract() == 0.0 && x.abs() >= 1000.0) { format!("{x:.0}") } else { format!("{x:.2}") }
}

fn escaped(text: &str) -> String {
    let one = |c: char| match c {
        '\\' => "\\textbackslash{}".into(),
        '~' => "\\textasciitilde{}".into(),
        '^' => "\\textasciicircum{}".into(),
        '|' => "\\textbar{}".into(),
        '_' | '%' | '&' | '#' | '$' | '{' | '}' => format!("\\{c}"),
        c => c.to_string(),
    };
    text.chars().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_the_same_in_each_format() {
        let table = Table {
            header: vec!["method".into(), "runs".into(), "test".into()],
            rows: vec![
                vec![Cell::Text("is_darts".into()), Cell::Text("4".into()), Cell::Spread(94.361, 0.02)],
                vec![Cell::Text("is_darts".into()), Cell::Text("paper".into()), Cell::Number(94.36)],
            ],
        };
        for (format, expected) in [
            (Format::Text(None), "method    runs   test\nis_darts  4      94.36 +- 0.02\nis_darts  paper  94.36"),
            (
                Format::Markdown,
                "| method   | runs  | test          |\n|----------|-------|---------------|\n\
                 | is_darts | 4     | 94.36 +- 0.02 |\n| is_darts | paper | 94.36         |",
            ),
            (Format::Csv, "method,runs,test,test_std\nis_darts,4,94.361,0.02\nis_darts,paper,94.36,"),
        ] {
            assert_eq!(table.text(format).unwrap(), expected, "{format:?}");
        }
        let mut wide = table;
        wide.header.push("train".into());
        wide.rows.iter_mut().for_each(|row| row.push(Cell::Number(1.5)));
        let text = |width| wide.text(Format::Text(Some(width))).unwrap();
        let parts = "method    runs   test\nis_darts  4      94.36 +- 0.02\nis_darts  paper  94.36\n\n\
                     method    runs   train\nis_darts  4      1.50\nis_darts  paper  1.50";
        assert_eq!((text(36), text(1)), (parts.to_string(), parts.to_string()));
        assert_eq!(text(37).lines().next(), Some("method    runs   test           train"));
        let latex = wide.text(Format::Latex).unwrap();
        for line in [
            "\\begin{tabular}{llrr}",
            "method & runs & test & train \\\\",
            "is\\_darts & 4 & $94.36 \\pm 0.02$ & $1.50$ \\\\",
        ] {
            assert!(latex.lines().any(|l| l == line), "{line} in\n{latex}");
        }
    }
}
