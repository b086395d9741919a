//! `:scope`: the variables of a session.

use super::{LAST, Session};
use crate::host::handles;
use crate::host::script::value::kind;
use crate::host::show::look::Style;
use rhai::{Array, Dynamic, Map};
use std::collections::BTreeMap;

impl Session {
    /// Variables by name, the latest of those that share one.
    pub(in crate::host) fn variables(&self) -> BTreeMap<String, Dynamic> {
        self.scope.iter().map(|(name, _, value)| (name.to_string(), value)).collect()
    }

    /// A table of names, types and shapes; imports and functions below it.
    pub fn scope_table(&self) -> String {
        let variables = self.variables();
        let mut rows: Vec<[String; 3]> = Vec::new();
        for (name, value) in variables.iter().filter(|(name, _)| *name != LAST) {
            rows.push([name.clone(), kind(&value.flatten_clone()).to_string(), self.summary(value)]);
        }
        for import in &self.imports {
            rows.push([import.alias.clone(), "module".into(), import.path.clone()]);
        }
        let mut seen = std::collections::BTreeSet::new();
        for function in self.own_functions().into_iter().filter(|f| seen.insert(f.name.clone())) {
            rows.push([function.name, "function".into(), function.signature]);
        }
        if rows.is_empty() {
            return "no variables yet".into();
        }
        let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or_default();
        let (names, kinds) = (width(0), width(1));
        let room = self.look.width.saturating_sub(names + kinds + 4).max(20);
        let line = |[name, kind, about]: &[String; 3]| {
            let about = about.lines().next().unwrap_or_default();
            let cut: String = about.chars().take(room).collect();
            let kind = self.look.paint(Style::Faint, &format!("{kind:kinds$}"));
            format!("{}  {kind}  {cut}", self.look.paint(Style::Title, &format!("{name:names$}")))
                .trim_end()
                .to_string()
        };
        rows.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Shape, size or value in a few words.
    fn summary(&self, value: &Dynamic) -> String {
        let value = value.flatten_clone();
        if let Some(summary) = handles::summary(&value) {
            return summary;
        }
        if let Some(array) = value.read_lock::<Array>() {
            let of = array.first().map_or(String::new(), |first| format!(" of {}", kind(first)));
            return format!("[{}]{of}", array.len());
        }
        if let Some(map) = value.read_lock::<Map>() {
            return map.keys().map(|k| k.as_str()).collect::<Vec<_>>().join(", ");
        }
        self.scripts.text(&value).unwrap_or_default()
    }
}
