//! Points: what a sweep asks of each of its runs.

use super::file::{Map, Sweep};
use super::value;
use crate::error::{Error, Result};
use serde_json::Value;

/// Keys of a point that are options of the program; all others are settings of the script.
pub const OPTIONS: [&str; 4] = ["data", "seed", "device", "args"];

/// The most points of a sweep.
const MOST: usize = 1_000_000;

/// All settings of one run by name, in the order of the sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Point(pub Map);

impl Point {
    /// The same text for points that ask the same, in whatever order.
    pub fn identity(&self) -> String {
        let mut pairs: Vec<String> = self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.sort();
        pairs.join("\n")
    }

    /// `method=is_darts seed=0`, of the settings that vary.
    pub fn shown(&self, varying: &[String]) -> String {
        let own = self.0.iter().filter(|(key, _)| varying.contains(key));
        own.map(|(key, value)| format!("{key}={}", value::shown(value))).collect::<Vec<_>>().join(" ")
    }

    /// The words of a folder's name: `is_darts-cifar10-seed0-lr=0.1`.
    pub fn name(&self, varying: &[String]) -> String {
        let word = |(key, value): (&String, &Value)| {
            let text = value::shown(value);
            match key.as_str() {
                "seed" => format!("seed{text}"),
                // A folder of data by its last name.
                "data" => text.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_string(),
                "method" | "space" => text,
                _ => format!("{key}={text}"),
            }
        };
        let words: Vec<String> = self.0.iter().filter(|(key, _)| varying.contains(key)).map(word).collect();
        let plain = |c: char| if c.is_alphanumeric() || "._-=+".contains(c) { c } else { '_' };
        let name: String = words.join("-").chars().map(plain).take(100).collect();
        if name.is_empty() { "run".into() } else { name.trim_start_matches('.').to_string() }
    }

    /// Whether it has all of these, each with this value or one of a list.
    fn matches(&self, wanted: &Map) -> bool {
        wanted.iter().all(|(key, wanted)| match (self.0.get(key), wanted) {
            (Some(own), Value::Array(any)) => own == wanted || any.contains(own),
            (own, wanted) => own == Some(wanted),
        })
    }
}

impl Sweep {
    /// The keys that points differ in, in the order of the sweep.
    pub fn varying(&self) -> Vec<String> {
        let mut keys: Vec<String> = self.grid.keys().cloned().collect();
        for point in &self.point {
            keys.extend(point.keys().filter(|key| !keys.contains(key)).cloned().collect::<Vec<_>>());
        }
        keys
    }

    /// All points, each once: the product of the grid, the last key changing fastest, then the single ones.
    ///
    /// # Errors
    /// No point at all, too many, an exception that excepts nothing, a value that is neither number, bool, text nor list.
    pub fn points(&self) -> Result<Vec<Point>> {
        let mut grid = vec![Map::new()];
        for (key, values) in &self.grid {
            let values = values_of(key, values)?;
            if grid.len().saturating_mul(values.len()) > MOST {
                return Err(Error::invalid("[grid]", format!("more than {MOST} points"), "fewer values"));
            }
            let with = |point: &Map, value: &Value| {
                let mut point = point.clone();
                point.insert(key.clone(), value.clone());
                point
            };
            grid = grid.iter().flat_map(|point| values.iter().map(move |value| with(point, value))).collect();
        }
        if self.grid.is_empty() && !self.point.is_empty() {
            grid.clear();
        }
        let mut points: Vec<Point> = grid.into_iter().map(Point).collect();
        for except in &self.except {
            let before = points.len();
            points.retain(|point| !point.matches(except));
            if before == points.len() {
                let got = Point(except.clone()).shown(&except.keys().cloned().collect::<Vec<_>>());
                return Err(Error::invalid(
                    "[[except]]",
                    format!("{got}, which no point of the grid is"),
                    "some of them",
                ));
            }
        }
        points.extend(self.point.iter().cloned().map(Point));
        let mut seen = std::collections::HashSet::new();
        let points: Vec<Point> = points.into_iter().map(|point| self.complete(point)).collect::<Result<_>>()?;
        let points: Vec<Point> = points.into_iter().filter(|point| seen.insert(point.identity())).collect();
        match points.is_empty() {
            true => Err(Error::invalid("sweep", "no points", "a [grid] or a [[point]]")),
            false => Ok(points),
        }
    }

    /// A point with what `[set]` and `[[where]]` give to it; what it says itself stays.
    fn complete(&self, point: Point) -> Result<Point> {
        let mut all = point.0.clone();
        let mut known = Point(self.set.clone());
        known.0.extend(point.0);
        let given = self.r#where.iter().rev().filter(|rule| known.matches(&rule.when)).map(|rule| &rule.set);
        for (key, value) in given.chain([&self.set]).flatten() {
            if !all.contains_key(key) {
                all.insert(key.clone(), value.clone());
            }
        }
        all.iter().try_for_each(|(key, value)| plain(key, value))?;
        Ok(Point(all))
    }
}

/// The values of a key of the grid: a list, a range as text, or one.
fn values_of(key: &str, values: &Value) -> Result<Vec<Value>> {
    let values = match values {
        Value::Array(values) => values.clone(),
        Value::String(text) => value::range(text).unwrap_or_else(|| vec![values.clone()]),
        one => vec![one.clone()],
    };
    match values.is_empty() {
        true => Err(Error::invalid(format!("[grid], `{key}`"), "an empty list", "at least one value")),
        false => Ok(values),
    }
}

fn plain(key: &str, value: &Value) -> Result<()> {
    let (ok, expected) = match (key, value) {
        ("seed", value) => (value.as_i64().is_some_and(|seed| seed >= 0), "a whole number from 0 on"),
        ("data" | "device", value) => (value.is_string(), "a text"),
        (_, value) => (!value.is_object() && !value.is_null(), "a number, true, false, a text or a list"),
    };
    if ok { Ok(()) } else { Err(Error::invalid(format!("sweep, `{key}`"), value, expected)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>> {
        let sweep = Sweep::parse(&format!("script = \"a.rhai\"\nout = \"o\"\n{text}"), "sweep.toml")?;
        Ok(sweep.points()?.iter().map(|point| point.name(&sweep.varying())).collect())
    }

    #[test]
    fn points_are_the_product_of_the_grid_but_for_exceptions_and_single_ones() {
        for (text, expected) in [
            ("[grid]\nmethod = [\"a\", \"b\"]\nseed = [0, 1]", "a-seed0 a-seed1 b-seed0 b-seed1"),
            ("[grid]\nseed = \"3..5\"\n[[except]]\nseed = 4", "seed3 seed5"),
            ("[grid]\nseed = [0, 1, 2]\n[[except]]\nseed = [0, 1]\n[[point]]\nlr = 0.5", "seed2 lr=0.5"),
            ("[[point]]\nseed = 1\ndata = \"/d/my set\"", "seed1-my_set"),
            ("[grid]\nseed = [1, 1]", "seed1"),
            ("[set]\nlr = 0.5", "run"),
        ] {
            assert_eq!(names(text).unwrap().join(" "), expected, "{text}");
        }
        for (text, expected) in [
            ("[grid]\nseed = []", "`seed`: got an empty list"),
            ("[grid]\nseed = [-1]", "got -1, expected a whole number from 0 on"),
            ("[grid]\nseed = [1]\n[[except]]\nseed = 2", "[[except]]: got seed=2, which no point of the grid is"),
            ("[grid]\na = [{x = 1}]", "`a`: got {\"x\":1}"),
            ("[gird]\na = [1]", "unknown field `gird`, expected one of `script`"),
        ] {
            let error = names(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn settings_of_a_point_go_over_those_of_where_and_these_over_those_of_all() {
        let text = "script = \"a\"\nout = \"o\"\n[grid]\nmethod = [\"a\", \"b\", \"c\"]\n[set]\nn = 1\nk = 1\n\
                    [[where]]\nwhen = {method = [\"b\", \"c\"]}\nset = {n = 2}\n[[point]]\nmethod = \"c\"\nn = 3";
        let points = Sweep::parse(text, "sweep.toml").unwrap().points().unwrap();
        let found: Vec<i64> = points.iter().map(|point| point.0["n"].as_i64().unwrap()).collect();
        assert_eq!(found, [1, 2, 2, 3]);
        assert!(points.iter().all(|point| point.0["k"] == 1));
    }
}
