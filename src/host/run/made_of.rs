//! What the bits of a run depend on, but for the device: kept in the manifest and in each checkpoint, compared on resume. Names
//! no rhai.

use super::options::RunOptions;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_128;

/// Sum of a text or of other bytes, in hex.
pub fn sum(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// What a run is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeOf {
    /// The version of this program.
    pub version: String,
    /// Sums of the script and of the modules that were loaded, by the names that messages call them.
    pub texts: BTreeMap<String, String>,
    /// `--set`.
    pub set: Map<String, Value>,
    /// What stood behind `--`.
    pub args: Vec<String>,
    /// `--seed`.
    pub seed: u64,
    /// `--data`.
    pub data: String,
    /// Fingerprints of the data that was opened, by name and options.
    pub fingerprints: BTreeMap<String, String>,
}

impl MadeOf {
    /// What the command line says.
    pub fn of(options: &RunOptions) -> Self {
        MadeOf {
            version: env!("CARGO_PKG_VERSION").into(),
            set: options.sets.iter().cloned().collect(),
            args: options.args.clone(),
            seed: options.seed,
            data: options.data.clone(),
            ..MadeOf::default()
        }
    }

    /// What is another now than `then`, in words: "setting lr 0.05 -> 0.001". Texts and data count where both know them.
    pub fn differences(&self, then: &MadeOf) -> Vec<String> {
        let mut found = Vec::new();
        let mut compare = |what: String, then: String, now: String| {
            if then != now {
                found.push(format!("{what} {then} -> {now}"));
            }
        };
        compare("version".into(), then.version.clone(), self.version.clone());
        let keys: BTreeMap<&String, ()> = then.set.keys().chain(self.set.keys()).map(|key| (key, ())).collect();
        for key in keys.into_keys() {
            let value = |set: &Map<String, Value>| set.get(key).map_or("(the script's)".into(), Value::to_string);
            compare(format!("setting {key}"), value(&then.set), value(&self.set));
        }
        compare("arguments".into(), format!("{:?}", then.args), format!("{:?}", self.args));
        compare("seed".into(), then.seed.to_string(), self.seed.to_string());
        compare("data".into(), then.data.clone(), self.data.clone());
        for (what, now, then) in
            [("text of", &self.texts, &then.texts), ("fingerprint of data", &self.fingerprints, &then.fingerprints)]
        {
            for (name, now) in now {
                compare(format!("{what} {name},"), then.get(name).unwrap_or(now).clone(), now.clone());
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_thing_that_changed_is_named_with_both_values() {
        let sets = vec![("lr".to_string(), json!(0.05)), ("epochs".into(), json!(3))];
        let mut then = MadeOf::of(&RunOptions { sets, ..RunOptions::default() });
        then.texts.insert("own.rhai".into(), "a".into());
        then.fingerprints.insert("pics".into(), "c".into());
        assert_eq!(then.differences(&then), [""; 0]);
        let change = |change: &dyn Fn(&mut MadeOf)| {
            let mut now = then.clone();
            change(&mut now);
            now.differences(&then)
        };
        let lr = |m: &mut MadeOf, lr: Value| drop(m.set.insert("lr".into(), lr));
        assert_eq!(change(&|m| lr(m, json!(0.001))), ["setting lr 0.05 -> 0.001"]);
        assert_eq!(change(&|m| drop(m.set.remove("epochs"))), ["setting epochs 3 -> (the script's)"]);
        assert_eq!(change(&|m| m.seed = 7), ["seed 0 -> 7"]);
        assert_eq!(change(&|m| m.args.push("x".into())), ["arguments [] -> [\"x\"]"]);
        assert_eq!(change(&|m| m.data = "pics".into()), ["data digits -> pics"]);
        assert_eq!(change(&|m| m.version = "9".into()), [format!("version {} -> 9", then.version)]);
        assert_eq!(change(&|m| drop(m.texts.insert("own.rhai".into(), "b".into()))), ["text of own.rhai, a -> b"]);
        let other = |m: &mut MadeOf| drop(m.fingerprints.insert("pics".into(), "d".into()));
        assert_eq!(change(&other), ["fingerprint of data pics, c -> d"]);
        // What only one of them knows of is not compared.
        assert_eq!(change(&|m| drop(m.texts.insert("late.rhai".into(), "b".into()))), [""; 0]);
    }
}
