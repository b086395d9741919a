//! Arrays and maps: histories as sparklines, results line by line.

use super::handle::Handle;
use super::importance::Importance;
use super::tensor::TensorHandle;
use crate::error::Result;
use crate::host::script::value::float;
use crate::host::show::look::{Look, Style};
use crate::host::show::plot::sparkline;
use crate::host::show::tables;
use rhai::{Array, Dynamic, Map};

/// What `print` shows of a value.
pub type TextOf<'a> = &'a dyn Fn(&Dynamic) -> Result<String>;

/// Columns of a sparkline in a row of its own.
const LINE: usize = 60;
/// From how many whole numbers on a sparkline says more than they do: fewer are a shape, or a pair.
const SERIES: usize = 5;
/// Items shown at each end of a long array.
const ENDS: usize = 4;
/// Columns of one of many.
const SHORT: usize = 12;
/// Numbers of a tensor that are shown where it is one of many things; of a larger one its sizes are. A table of mixing weights has fewer.
const NUMBERS: usize = 256;

/// The sizes of a large tensor; nothing for other values.
fn large(value: &Dynamic) -> Option<String> {
    let tensor = value.read_lock::<TensorHandle>()?;
    (tensor.0.elem_count() > NUMBERS).then(|| format!("tensor {}", tensor.summary()))
}

/// One of many things.
fn item(text_of: TextOf, value: &Dynamic) -> Result<String> {
    large(value).map_or_else(|| text_of(value), Ok)
}

/// Numbers with their sparkline; maps and importances as histories; anything else as the language writes it, one item a
/// line where a line is too short.
pub fn array(text_of: TextOf, array: &Array, look: &Look) -> Result<String> {
    if let Some(numbers) = numbers(array.iter())
        && (numbers.len() >= SERIES || numbers.len() > 1 && array.iter().any(Dynamic::is_float))
    {
        let text = if array.len() > look.most { ends(text_of, array)? } else { text_of(&array.clone().into())? };
        let line = look.paint(Style::Series(0), &sparkline(&numbers, LINE.min(look.width)));
        return Ok(format!("{text}\n{line}"));
    }
    let importances: Option<Vec<Importance>> =
        array.iter().map(|v| v.read_lock::<Importance>().map(|i| i.clone())).collect();
    if let Some(history) = importances.filter(|h| h.len() > 1 && h.iter().all(|i| *i.space == *h[0].space)) {
        return Ok(importance_history(&history, look));
    }
    let maps: Option<Vec<Map>> = array.iter().map(|v| v.read_lock::<Map>().map(|m| m.clone())).collect();
    if let Some(text) = maps.filter(|m| m.len() > 1).and_then(|maps| map_history(&maps, look)) {
        return Ok(text);
    }
    if array.len() > look.most {
        return ends(text_of, array);
    }
    if array.iter().all(|v| large(v).is_none()) {
        let text = text_of(&array.clone().into())?;
        if text.chars().count() <= look.width {
            return Ok(text);
        }
    }
    let items = array.iter().map(|v| Ok(format!("    {},", item(text_of, v)?.replace('\n', "\n    "))));
    Ok(format!("[\n{}\n]", items.collect::<Result<Vec<_>>>()?.join("\n")))
}

/// How many items there are, the first and the last of them.
fn ends(text_of: TextOf, array: &Array) -> Result<String> {
    let texts =
        |items: &[Dynamic]| items.iter().map(|v| item(text_of, v)).collect::<Result<Vec<_>>>().map(|t| t.join(", "));
    let (first, last) = (texts(&array[..ENDS])?, texts(&array[array.len() - ENDS..])?);
    Ok(format!("{} items: [{first}, ..., {last}]", array.len()))
}

/// A text, or its beginning and how long it is.
pub fn text(text: String, look: &Look) -> String {
    let room = look.most.saturating_mul(look.width);
    match text.chars().nth(room) {
        Some(_) => {
            let begin: String = text.chars().take(room).collect();
            format!("{begin}...\n({} characters, of which these are the first {room})", text.chars().count())
        }
        None => text,
    }
}

/// One line a key.
pub fn map(text_of: TextOf, map: &Map, look: &Look) -> Result<String> {
    if map.is_empty() {
        return Ok("#{}".into());
    }
    let width = map.keys().map(|k| k.chars().count()).max().unwrap_or_default();
    let line = |(key, value): (&rhai::Identifier, &Dynamic)| {
        // A key without a value is to be seen.
        let text = if value.is_unit() { "()".to_string() } else { item(text_of, value)? };
        let text = text.replace('\n', &format!("\n{:w$}", "", w = width + 2));
        let cut: String = text.chars().take(20 * look.width).collect();
        let more = if cut.len() < text.len() { "..." } else { "" };
        Ok(format!("{}  {cut}{more}", look.paint(Style::Faint, &format!("{key:width$}"))))
    };
    let mut lines = map.iter().take(look.most).map(line).collect::<Result<Vec<_>>>()?;
    if map.len() > look.most {
        lines.push(format!("... {} more keys", map.len() - look.most));
    }
    Ok(lines.join("\n"))
}

/// All of them as numbers, if they are.
pub fn numbers<'a>(values: impl Iterator<Item = &'a Dynamic>) -> Option<Vec<f64>> {
    values.map(|v| if v.is_int() || v.is_float() { float(v, "number").ok() } else { None }).collect()
}

/// What the maps of a history have in common: the keys whose values are numbers in all of them.
pub fn numeric_keys(maps: &[Map]) -> Vec<(String, Vec<f64>)> {
    let keys = maps.first().into_iter().flat_map(|m| m.keys());
    let column = |key: &rhai::Identifier| {
        let column: Option<Vec<&Dynamic>> = maps.iter().map(|m| m.get(key)).collect();
        Some((key.to_string(), numbers(column?.into_iter())?))
    };
    keys.filter_map(column).collect()
}

/// `loss       1.93 -> 0.41  █▅▃▂▁`.
fn map_history(maps: &[Map], look: &Look) -> Option<String> {
    let columns = numeric_keys(maps);
    if columns.is_empty() {
        return None;
    }
    let width = columns.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    let mut lines = vec![look.paint(Style::Title, &format!("{} maps, first -> last", maps.len()))];
    for (i, (key, values)) in columns.iter().enumerate() {
        let ends = format!("{:>10} -> {:<10}", short(values[0]), short(values[values.len() - 1]));
        let line = look.paint(Style::Series(i), &sparkline(values, LINE));
        lines.push(format!("{key:width$} {ends} {line}"));
    }
    Some(lines.join("\n"))
}

/// Four digits that matter.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        a if !(1e-3..1e6).contains(&a) => format!("{x:.2e}"),
        _ if x.fract() == 0.0 => format!("{x}"),
        a => format!("{x:.*}", (3.0 - a.log10().floor()).max(0.0) as usize),
    }
}

/// A sparkline of every candidate over all measurements.
fn importance_history(history: &[Importance], look: &Look) -> String {
    let space = &history[0].space;
    let last = &history[history.len() - 1];
    let width = SHORT.max(history.len().min(SHORT));
    let cell = |c| {
        let values: Vec<f64> = history.iter().map(|i| *i.table.get(c)).collect();
        if last.table.get(c).is_nan() {
            return look.dropped(space.ops()[c.op].name(), width);
        }
        look.paint(Style::Series(0), &format!("{:width$}", sparkline(&values, width)))
    };
    let title = format!("{} measurements; each candidate from its least to its largest", history.len());
    format!("{}\n{}", look.paint(Style::Title, &title), tables::grid(space, width, look, cell))
}
