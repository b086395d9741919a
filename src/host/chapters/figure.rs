//! `write_figure`: a script's figure.

use crate::error::Error;
use crate::host::run::{Host, files};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::{float, shown};
use crate::host::show::figure::{Figure, Panel, Series, svg};
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

fn figure(map: &Map) -> Fallible<Figure> {
    const KEYS: [&str; 8] = ["title", "x", "y", "log_x", "log_y", "scatter", "series", "panels"];
    known(map, &KEYS)?;
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
        panels,
    })
}

fn panel(value: &Dynamic) -> Fallible<Panel> {
    let map = value.read_lock::<Map>().ok_or_else(|| wrong("panel of a figure", shown(value), "a map"))?;
    known(&map, &["title", "series"])?;
    let series = map.get("series").ok_or_else(|| wrong("panel of a figure", "no `series`", "#{ title, series }"))?;
    Ok(Panel { title: text(&map, "title")?, series: all_series(series)? })
}

fn all_series(value: &Dynamic) -> Fallible<Vec<Series>> {
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
        known(&map, &["name", "points"])?;
        let points =
            map.get("points").ok_or_else(|| wrong("series of a figure", "no `points`", "#{ name, points }"))?;
        Ok(Series {
            name: text(&map, "name")?,
            points: array(points, "points")?.iter().map(point).collect::<Fallible<_>>()?,
        })
    };
    array(value, "series of a figure")?.iter().map(one).collect()
}

fn known(map: &Map, keys: &[&str]) -> Fallible<()> {
    match map.keys().find(|k| !keys.contains(&k.as_str())) {
        Some(key) => Err(raise(Error::unknown_name("key of a figure", key, keys.iter().copied()))),
        None => Ok(()),
    }
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
pub fn register(api: &mut Api, host: &Rc<Host>) {
    let h = host.clone();
    api.def(
        [
            "write_figure",
            "write_figure(name, #{ title, x, y, log_x, log_y, scatter, series | panels }) -> string",
            "Draw a figure as an SVG file in the run folder (without one: a temporary folder of the process); its path. `series`: \
             [#{ name, points: [[x, y], ...] }], lines, or points where `scatter` is true; or several `panels`, each #{ \
             title, series }. `x`, `y` name the axes, `log_x`, `log_y` make them logarithmic (then only positive values \
             are drawn). What is not finite is left out.",
            "write_figure(\"loss.svg\", #{ title: \"loss\", x: \"epoch\", log_y: true,\n    \
             series: [#{ name: \"train\", points: [[1, 2.3], [2, 1.1], [3, 0.7]] }] });",
        ],
        move |name: &str, map: Map| -> Fallible<String> {
            let text = svg(&figure(&map)?).map_err(raise)?;
            files::write(&h, name, text.as_bytes()).map_err(raise)
        },
    );
}
