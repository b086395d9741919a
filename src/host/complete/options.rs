//! Keys of the map at the cursor, by the function that it goes to, and the texts that can stand behind a key.

use super::{Completion, infer};
use crate::host::run::settings::{EvaluationConfig, PassConfig, PictureConfig, SizeConfig, host_keys};
use crate::host::script::lexer::{Kind, Token};
use crate::host::script::modules::STDLIB;
use crate::host::script::{lexer, names};
use crate::host::session::Session;
use crate::search::arch::ArchConfig;
use crate::search::settings::Settings;
use crate::search::{EvalConfig, TrainConfig};
use crate::space::network::Family;
use crate::space::{Primitive, SearchSpace};
use std::collections::BTreeSet;

impl Session {
    /// Keys for the map at the end of `before`, without those that stand in it.
    pub(super) fn keys(&self, before: &str, tokens: &[Token]) -> BTreeSet<Completion> {
        let open = infer::opener(before, tokens).unwrap_or_default();
        let callee = infer::callee(before, &tokens[..open]);
        let mut keys = callee.and_then(|name| self.keys_of(&name)).unwrap_or_else(all_keys);
        for pair in tokens[open + 1..].windows(2).filter(|pair| pair[1].text(before) == ":") {
            keys.remove(pair[0].text(before));
        }
        keys.into_iter().map(|key| Completion { text: format!("{key}: "), name: key }).collect()
    }

    /// The keys that a function takes, if it is known which: from its signature, or as a setting of its own.
    fn keys_of(&self, function: &str) -> Option<BTreeSet<String>> {
        let set = |names: &[&[&str]]| Some(names.concat().iter().map(|name| name.to_string()).collect());
        match function {
            "supernet" => set(&[SizeConfig::NAMES, &["batch_size"]]),
            "data" => set(&[PictureConfig::NAMES]),
            "train_epoch" | "step" | "batches" | "pair_batches" => set(&[TrainConfig::NAMES]),
            "architecture_parameters" => set(&[ArchConfig::NAMES]),
            "loss" | "logits" => set(&[PassConfig::NAMES]),
            "evaluate" => set(&[EvaluationConfig::NAMES]),
            "train_genotype" => set(&[EvalConfig::NAMES]),
            _ => {
                let signatures = self.scripts.docs.iter().filter(|d| d.name == function).flat_map(|d| &d.signatures);
                let written = signatures.flat_map(|s| s.parameters.iter().flatten()).map(|p| p.written());
                let options = written.filter_map(|w| Some(w.strip_prefix("#{")?.strip_suffix('}')?.to_string()));
                let keys: BTreeSet<String> =
                    options.flat_map(|o| o.split(',').map(|key| key.trim().to_string()).collect::<Vec<_>>()).collect();
                (!keys.is_empty()).then_some(keys)
            }
        }
    }
}

/// Every key that the program or a module of the stdlib knows.
fn all_keys() -> BTreeSet<String> {
    let mut keys: BTreeSet<String> = host_keys().iter().map(|key| key.to_string()).collect();
    for (_, text) in STDLIB.iter().filter(|(path, _)| path.starts_with("nas/")) {
        keys.extend(lexer::function_source(text, "defaults").iter().flat_map(|source| names::keys(source)));
    }
    keys
}

/// The texts that can stand behind the key before the open end: `mode: "`, `ops: ["none", "`.
pub(super) fn values(before: &str, outside: &[Token]) -> Option<Vec<String>> {
    let mut end = outside.len();
    // Inside of a list the key stands before it.
    if let Some(open) = infer::opener(before, outside).filter(|open| outside[*open].text(before) == "[") {
        end = open;
    }
    let [.., key, colon] = &outside[..end] else { return None };
    if colon.text(before) != ":" || key.kind != Kind::Name {
        return None;
    }
    let texts = |names: &[&str]| Some(names.iter().map(|name| name.to_string()).collect());
    match key.text(before) {
        "ops" => Some(Primitive::known().iter().map(|p| p.name().to_string()).collect()),
        "mode" => texts(&["train", "eval"]),
        "paths" => texts(&["all", "drawn"]),
        "arch_optimiser" => texts(&["adam", "sgd"]),
        "topology" => texts(&SearchSpace::NAMES),
        "network" => texts(&Family::NAMES.map(|(name, _)| name)),
        "recipe" => texts(&["paper", "quark0", "nas-bench-201"]),
        _ => None,
    }
}
