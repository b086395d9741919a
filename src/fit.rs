//! What is wider than a terminal: lines are folded at blanks, tables set in parts. It knows letters, not what they say.

use std::borrow::Cow;

/// How much further in a folded line goes on.
const INDENT: &str = "  ";

/// The letters of a text that take a place: orders for colours take none.
fn letters(text: &str) -> usize {
    let mut rest = text;
    let mut count = 0;
    while let Some(at) = rest.find("\x1b[") {
        count += rest[..at].chars().count();
        let end = rest[at..].find('m').map_or(rest.len(), |n| at + n + 1);
        rest = &rest[end..];
    }
    count + rest.chars().count()
}

/// `text` in rows of at most `width` letters, broken at blanks where it has some; what goes on stands two further in.
pub fn folded(text: &str, width: usize) -> String {
    let lines: Vec<Cow<'_, str>> = text.split('\n').map(|line| fold_line(line, width)).collect();
    lines.join("\n")
}

fn fold_line(line: &str, width: usize) -> Cow<'_, str> {
    if letters(line) <= width {
        return line.into();
    }
    // What stands at the left of the line stays there: an indent, a picture of blanks.
    let begin = line.len() - line.trim_start().len();
    let (mut rows, mut row) = (String::new(), line[..begin].to_string());
    let mut empty = true;
    for word in line[begin..].split(' ') {
        let blank = if empty { "" } else { " " };
        if !empty && letters(&row) + 1 + letters(word) > width {
            rows += row.trim_end();
            rows.push('\n');
            row = format!("{}{INDENT}{word}", &line[..begin]);
        } else {
            row += blank;
            row += word;
        }
        empty = false;
    }
    format!("{rows}{row}").into()
}

/// Columns of these widths, with `gap` letters between two and `sides` around all, in parts of at most `width` letters where one
/// column beside the first `keys` does not take more; those stand in each part.
pub fn parts(widths: &[usize], keys: usize, [gap, sides]: [usize; 2], width: usize) -> Vec<Vec<usize>> {
    let keys = keys.min(widths.len().saturating_sub(1));
    let room = |columns: &[usize]| {
        sides + columns.iter().map(|&at| widths[at]).sum::<usize>() + gap * columns.len().saturating_sub(1)
    };
    let mut parts: Vec<Vec<usize>> = vec![(0..widths.len().min(keys + 1)).collect()];
    for at in keys + 1..widths.len() {
        let last = parts.len() - 1;
        let with = [&parts[last][..], &[at]].concat();
        match room(&with) <= width {
            true => parts[last] = with,
            false => parts.push((0..keys).chain([at]).collect()),
        }
    }
    parts
}

/// Markdown tables in `text` that are wider than `width`, in parts below each other, each with the first column.
pub fn tables(text: &str, width: usize) -> Cow<'_, str> {
    if text.lines().all(|line| letters(line) <= width) {
        return text.into();
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let mut shown: Vec<String> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let length = lines[at..].iter().take_while(|line| is_row(line)).count();
        let table = &lines[at..at + length];
        match length > 1 && is_rule(table[1]) && table.iter().any(|line| letters(line) > width) {
            true => shown.push(in_parts(table, width)),
            false => shown.extend(lines[at..at + length.max(1)].iter().map(|line| line.to_string())),
        }
        at += length.max(1);
    }
    shown.join("\n").into()
}

fn is_row(line: &str) -> bool {
    line.len() > 1 && line.starts_with('|') && line.ends_with('|')
}

fn is_rule(line: &str) -> bool {
    line.chars().all(|c| "|-: ".contains(c)) && line.contains("---")
}

/// Cells as they stand, with their blanks. A bar within a cell is written `\|`.
fn cells(line: &str) -> Vec<&str> {
    let mut cells = Vec::new();
    let mut begin = 1;
    for (at, _) in line.match_indices('|').skip(1).filter(|(at, _)| !line[..*at].ends_with('\\')) {
        cells.push(&line[begin..at]);
        begin = at + 1;
    }
    cells
}

fn in_parts(table: &[&str], width: usize) -> String {
    let rows: Vec<Vec<&str>> = table.iter().map(|line| cells(line)).collect();
    let columns = rows[0].len();
    // Rows that are no table stay as they are.
    if rows.iter().any(|row| row.len() != columns) {
        return table.join("\n");
    }
    let widest = |at: usize| rows.iter().map(|row| letters(row[at])).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(widest).collect();
    let part = |part: Vec<usize>| {
        let row = |row: &Vec<&str>| format!("|{}|", part.iter().map(|&at| row[at]).collect::<Vec<_>>().join("|"));
        rows.iter().map(row).collect::<Vec<_>>().join("\n")
    };
    parts(&widths, 1, [1, 2], width).into_iter().map(part).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_folded_at_blanks_and_colours_take_no_place() {
        for (text, width, expected) in [
            ("short\n\nlines", 5, "short\n\nlines"),
            ("one two three", 7, "one two\n  three"),
            ("  in one two", 8, "  in one\n    two"),
            ("\x1b[31merror\x1b[0m: what it was", 11, "\x1b[31merror\x1b[0m: what\n  it was"),
            ("withoutablank anywhere", 8, "withoutablank\n  anywhere"),
            ("a  b", 3, "a\n  b"),
        ] {
            assert_eq!(folded(text, width), expected, "{text:?}");
        }
    }

    #[test]
    fn tables_that_are_too_wide_are_set_in_parts_with_the_first_column() {
        let table = "before\n| m   | valid | test  |\n|-----|-------|-------|\n| a\\| | 90.40 | 93.47 |\nafter";
        let parts = "before\n| m   | valid |\n|-----|-------|\n| a\\| | 90.40 |\n\n\
                     | m   | test  |\n|-----|-------|\n| a\\| | 93.47 |\nafter";
        for (width, expected) in [(23, table), (22, parts), (1, parts)] {
            assert_eq!(tables(table, width), expected, "{width}");
        }
        for no_table in ["| a | b |\n| 1 | 2 | 3 |", "|skip_connect~0|+|nor_conv_3x3~0|", "| a | b |\n|---|---|\n| 1 |"]
        {
            assert_eq!(tables(no_table, 3), no_table);
        }
    }
}
