//! `write_figure`: a script's figure.

use crate::host::run::{Run, files};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use crate::host::script::types::{Keys, Options};
use crate::host::script::value::{float, shown};
use crate::host::show::figure::{Figure, FigureSeries, Panel, svg};
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// What `write_figure`, a panel and a series take.
struct FigureKeys;
struct PanelKeys;
struct SeriesKeys;

impl Keys for FigureKeys {
    const WHAT: &'static str = "key of a figure";
    const KEYS: &'static [&'static str] =
        &["title", "x", "y", "log_x", "log_y", "scatter", "names", "series", "panels"];
}

impl Keys for PanelKeys {
    const WHAT: &'static str = "key of a panel";
    const KEYS: &'static [&'static str] = &["title", "series"];
}

impl Keys for SeriesKeys {
    const WHAT: &'static str = "key of a series";
    const KEYS: &'static [&'static str] = &["name", "points"];
}

fn figure(map: &Map) -> Fallible<Figure> {
    let flag = |key: &str| match map.get(key) {
        None => Ok(false),
        Some(v) => v.as_bool().map_err(|_| wrong(format!("{key} of a figure"), shown(v), "true or false")),
    };
    let panels = match (map.get("panels"), map.get("series")) {
        (Some(panels), None) => array(panels, "panels of a figure")?.iter().map(panel).collect::<Fallible<_>>()?,
        (None, Some(series)) => vec![Panel { title: String::new(), series: all_series(series)? }],
        _ => return Err(wrong("figure", "both or neither of `panels` and `series`", "one of them")),
    };
    Ok(Figure {
        title: text(map, "title")?,
        x: text(map, "x")?,
        y: text(map, "y")?,
        log_x: flag("log_x")?,
        log_y: flag("log_y")?,
        scatter: flag("scatter")?,
        names: names(map)?,
        panels,
    })
}

fn names(map: &Map) -> Fallible<Vec<String>> {
    let Some(value) = map.get("names") else { return Ok(vec![]) };
    if map.get("log_x").is_some_and(|log| log.as_bool() == Ok(true)) {
        return Err(wrong("names of a figure", "a logarithmic x axis", "a linear one"));
    }
    let name = |v: &Dynamic| v.clone().into_string().map_err(|_| wrong("name of a figure", shown(v), "a text"));
    array(value, "names of a figure")?.iter().map(name).collect()
}

fn panel(value: &Dynamic) -> Fallible<Panel> {
    let map = value.read_lock::<Map>().ok_or_else(|| wrong("panel of a figure", shown(value), "a map"))?;
    Options::<PanelKeys>::check(&map)?;
    let series = map.get("series").ok_or_else(|| wrong("panel of a figure", "no `series`", "#{ title, series }"))?;
    Ok(Panel { title: text(&map, "title")?, series: all_series(series)? })
}

fn all_series(value: &Dynamic) -> Fallible<Vec<FigureSeries>> {
    let point = |value: &Dynamic| {
        let pair = array(value, "point of a series")?;
        match pair.as_slice() {
            [x, y] => Ok((float(x, "x of a point")?, float(y, "y of a point")?)),
            other => Err(wrong("point of a series", format!("{} numbers", other.len()), "[x, y]")),
        }
    };
    let one = |value: &Dynamic| {
        let map =
            value.read_lock::<Map>().ok_or_else(|| wrong("series of a figure", shown(value), "#{ name, points }"))?;
        Options::<SeriesKeys>::check(&map)?;
        let points =
            map.get("points").ok_or_else(|| wrong("series of a figure", "no `points`", "#{ name, points }"))?;
        Ok(FigureSeries {
            name: text(&map, "name")?,
            points: array(points, "points")?.iter().map(point).collect::<Fallible<_>>()?,
        })
    };
    array(value, "series of a figure")?.iter().map(one).collect()
}

fn array(value: &Dynamic, what: &str) -> Fallible<Array> {
    value.read_lock::<Array>().map(|a| a.clone()).ok_or_else(|| wrong(what, shown(value), "an array"))
}

fn text(map: &Map, key: &str) -> Fallible<String> {
    match map.get(key) {
        None => Ok(String::new()),
        Some(v) => v.clone().into_string().map_err(|_| wrong(format!("{key} of a figure"), shown(v), "a text")),
    }
}

/// Register `write_figure`.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    functions! { api, [host];
        /// Draw a figure as an SVG file in the run folder (without one: a temporary folder of the process); its path.
        /// `series`: [#{ name, points: [[x, y], ...] }], lines, or points where `scatter` is true; or several
        /// `panels`, each #{ title, series }. `x`, `y` name the axes, `log_x`, `log_y` make them logarithmic (then
        /// only positive values are drawn). `names` stand at x = 1, 2, ... in place of numbers. What is not finite is
        /// left out.
        ///
        /// ```rhai
        /// write_figure("loss.svg", #{ title: "loss", x: "epoch", log_y: true,
        ///     series: [#{ name: "train", points: [[1, 2.3], [2, 1.1], [3, 0.7]] }] });
        /// ```
        fn write_figure(name: String, options: Options<FigureKeys>) -> Fallible<String> {
            let text = svg(&figure(&options.map)?)?;
            Ok(files::write(&host, &name, text.as_bytes())?)
        }
    }
}
