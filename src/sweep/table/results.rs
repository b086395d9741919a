//! What a finished run came to, from the `result.json` in its folder.

use crate::error::{Error, Result};
use crate::files;
use serde_json::Value;
use std::path::Path;

/// The numbers of a run by name, and the cell that it found. Of a run with several searches these are the last one's; of the numbers
/// that its script recorded, those of the last that has one of the name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results {
    /// Numbers, in the order in which people ask for them.
    pub numbers: Numbers,
    /// How many of them, from the first on, its script recorded.
    pub recorded: usize,
    /// The genotype, if one was reported.
    pub genotype: String,
}

/// Numbers by name; few, so that a list will do.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers(Vec<(String, f64)>);

impl Numbers {
    /// The number of a name.
    pub fn get(&self, name: &str) -> Option<&f64> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, number)| number)
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The numbers that are members of an object, their names behind `before`; of two of one name the first stays.
    fn take(&mut self, before: &str, object: &Value) {
        for (name, value) in object.as_object().into_iter().flatten() {
            let name = format!("{before}{name}");
            if let Some(number) = value.as_f64().filter(|_| self.get(&name).is_none()) {
                self.0.push((name, number));
            }
        }
    }
}

impl Results {
    /// Those of the run in `folder`; none of a run that left none.
    ///
    /// # Errors
    /// A file that is no JSON.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("result.json");
        let text = match files::read_plain_text(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read", &path)(e)),
        };
        let value = serde_json::from_str(&text).map_err(|e| Error::file(&path, e, "the results of a run, as JSON"))?;
        Ok(Self::of(&value))
    }

    fn of(run: &Value) -> Self {
        let mut numbers = Numbers::default();
        let last = |list: &Value| list.as_array().and_then(|all| all.last()).cloned().unwrap_or(Value::Null);
        let search = last(&run["searches"]);
        for search in run["searches"].as_array().into_iter().flatten().rev() {
            numbers.take("", &search["values"]);
        }
        let recorded = numbers.0.len();
        numbers.take("", &search["nas_bench_201"]);
        numbers.take("trained_", &last(&search["trainings"]));
        numbers.take(
            "",
            &serde_json::json!({
                "parameters": search["parameters"], "multiply_adds": search["multiply_adds"],
                "seconds": run["seconds"], "cpu_seconds": run["cpu_seconds"],
            }),
        );
        let net = &search["metrics"][0];
        numbers.take("", &serde_json::json!({ "epochs": net["epochs"] }));
        numbers.take("last_", &net["last"]);
        numbers.take("best_", &net["best"]);
        Results { numbers, recorded, genotype: search["genotype"].as_str().unwrap_or_default().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_numbers_of_the_last_search_have_names_of_their_own_and_no_recorded_one_is_lost() {
        let results = Results::of(&json!({
            "seconds": 3.5, "seed": 7, "settings": {"lr": 0.1},
            "searches": [{"genotype": "a", "values": {"tau": 0.1, "images": 200}}, {
                "genotype": "b", "parameters": 5, "nas_bench_201": {"cifar10_test": 94.36, "rank": 3},
                "values": {"tau": 0.5}, "metrics": [{"epochs": 2, "last": {"loss": 1.0}, "best": {"accuracy": 0.5}}],
                "trainings": [{"accuracy": 90.0}],
            }],
        }));
        let names: Vec<&str> = results.numbers.keys().map(String::as_str).collect();
        let expected =
            "tau images cifar10_test rank trained_accuracy parameters seconds epochs last_loss best_accuracy";
        assert_eq!((names.join(" ").as_str(), results.genotype.as_str()), (expected, "b"));
        assert_eq!((results.numbers.get("tau"), results.recorded), (Some(&0.5), 2));
        assert_eq!(Results::of(&json!([])), Results::default());
    }
}
