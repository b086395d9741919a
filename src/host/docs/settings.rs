//! The settings of the manual: a table for each function or group of functions that takes them.

use crate::host::run::settings;
use crate::search::settings::Setting;
use serde_json::Value;

/// The table for the terminal.
pub fn text() -> String {
    let mut lines = Vec::new();
    for (taker, all, defaults) in settings::table() {
        lines.push(format!("{}: name, default, meaning", taker.to_uppercase()));
        lines.extend(all.iter().map(|s| format!("  {:18} {:8} {}", s.name, default(s, &defaults), meaning(s))));
        lines.push(String::new());
    }
    lines.join("\n").trim_end().to_string()
}

/// The table as Markdown.
pub fn markdown() -> String {
    let mut text = String::from("\n## Settings\n");
    for (taker, all, defaults) in settings::table() {
        text += &format!("\n### Of {taker}\n\n| name | default | meaning |\n|---|---|---|\n");
        for s in &all {
            text += &format!("| `{}` | {} | {} |\n", s.name, default(s, &defaults), meaning(s));
        }
    }
    text
}

/// Its default; where there is none for all, the recipe's.
pub(super) fn default(setting: &Setting, defaults: &Value) -> String {
    match &defaults[setting.name] {
        Value::Null => "recipe".into(),
        Value::String(text) if text.is_empty() => "\"\"".into(),
        Value::Number(n) if n.is_f64() => n.as_f64().unwrap_or_default().to_string(),
        value => value.to_string(),
    }
}

pub(super) fn meaning(setting: &Setting) -> String {
    match setting.range.words() {
        "" => setting.text.to_string(),
        words => format!("{} Expected: {words}.", setting.text),
    }
}
