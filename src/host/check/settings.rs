//! Keys of the maps that functions take settings from.

use super::finding::Severity;
use super::known::{Field, Known};
use super::names::nearest;
use super::state::State;
use crate::host::run::settings::{self, EvaluationConfig, PassConfig, RunSettings, Taker, host_keys};
use crate::search::settings::Settings;
use rhai::{Dynamic, Map, Position};
use std::collections::BTreeMap;

impl State<'_> {
    /// The maps among the arguments of a function of the program: keys that it refuses, keys that nothing takes.
    pub fn settings_of(&mut self, name: &str, all: &[Known]) {
        let ids: Vec<_> = all.iter().map(|known| known.type_id(&self.words.types)).collect();
        let mut takes: Vec<(usize, Vec<String>, Option<Taker>)> = Vec::new();
        for signature in self.words.signatures(name) {
            let parameters: Vec<_> = signature.receiver.iter().chain(signature.parameters.iter().flatten()).collect();
            if parameters.len() != all.len() {
                continue;
            }
            let agrees = |(parameter, id): (&&crate::host::script::doc::Parameter, &Option<std::any::TypeId>)| {
                let own = Known::word(&(parameter.kind)()).type_id(&self.words.types);
                own.is_none() || id.is_none() || own == *id
            };
            if !parameters.iter().zip(&ids).all(agrees) {
                continue;
            }
            for (i, parameter) in parameters.iter().enumerate().filter(|(_, parameter)| (parameter.kind)() == "map") {
                let written = parameter.written();
                let entry = match (name, written.strip_prefix("#{ ")) {
                    (_, Some(keys)) => {
                        let keys = keys.trim_end_matches(" }").split(", ").map(str::to_string).collect();
                        (i, keys, None)
                    }
                    ("loss" | "logits", _) => (i, owned(PassConfig::NAMES), None),
                    ("evaluate", _) => (i, owned(EvaluationConfig::NAMES), None),
                    ("train_genotype", _) => (i, Vec::new(), Some(Taker::Training)),
                    _ if parameter.name == "cfg" => (i, Vec::new(), Some(Taker::Search)),
                    _ => continue,
                };
                takes.push(entry);
            }
        }
        takes.dedup_by_key(|entry| entry.0);
        for (i, keys, taker) in takes {
            let Some(Known::Fields(fields)) = all.get(i) else { continue };
            for (key, field) in fields.keys.clone() {
                let (file, at) = field.place;
                let before = std::mem::replace(&mut self.file, file);
                match taker {
                    None if !keys.contains(&key) => {
                        let hint = match nearest(&key, keys.iter().map(String::as_str)) {
                            Some(near) => format!(", did you mean `{near}`?"),
                            None => format!(": it has {}", keys.join(", ")),
                        };
                        self.wrong(at, format!("{name} has no option `{key}`{hint}"));
                    }
                    None => {}
                    Some(taker) => self.setting(&key, at, taker),
                }
                self.file = before;
            }
        }
        if name == "settings"
            && let Some(Known::Fields(fields)) = all.first()
        {
            self.declared.extend(fields.keys.keys().cloned());
        }
    }

    /// A key in a map that a function takes settings from, by the rule that the function itself has.
    fn setting(&mut self, key: &str, at: Position, taker: Taker) {
        let own = RunSettings::new(Vec::new(), false);
        own.declared.borrow_mut().extend(self.names.defaults.iter().cloned());
        own.declared.borrow_mut().extend(self.declared.iter().cloned());
        let map = Map::from([(key.into(), Dynamic::UNIT)]);
        if let Err(error) = settings::check(&own, &map, taker) {
            let text = error.to_string();
            self.wrong(at, text.split("; known: ").next().unwrap_or(&text).to_string());
        }
    }

    /// Keys of a map as it is written: one that nothing takes or reads, near to a setting, is misspelt.
    pub fn written_keys(&mut self, keys: &BTreeMap<String, Field>) {
        // Where a program tests errors it makes them.
        let keys = keys.iter().filter(|_| !self.names.tests_errors);
        for (key, field) in keys.collect::<Vec<_>>() {
            let known = host_keys().contains(&key.as_str()) || self.names.defaults.contains(key);
            if known || self.names.reads.contains(key) || self.words.has_word(key) {
                continue;
            }
            let settings = host_keys().iter().copied().chain(self.names.defaults.iter().map(String::as_str));
            if let Some(near) = nearest(key, settings) {
                let text = format!("nothing takes or reads the setting `{key}`, did you mean `{near}`?");
                self.report(Severity::Warning, field.place.1, text);
            }
        }
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}
