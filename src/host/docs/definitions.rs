//! Definition files for Rhai's language server: what an editor needs for completion, types and hovers.
//!
//! The format is that of `rhai` itself (its `Engine::definitions`), which knows the types of arguments but not their names
//! nor their meaning: those come from the manual. `.rhai/definitions` in the folder of the scripts is where the server
//! looks for them (its setting `source.include` takes other places).

use crate::error::{Error, Result};
use crate::files;
use crate::host::docs::RECEIVERS;
use crate::host::script::api::Doc;
use crate::host::script::lexer;
use crate::host::script::modules::STDLIB;
use rhai::Engine;
use std::path::{Path, PathBuf};

/// The files: name and text.
pub fn files(engine: &Engine, docs: &[Doc]) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> =
        engine.definitions().iter_files().filter(|(name, _)| name.starts_with("__builtin")).collect();
    files.push(("isdarts-host.d.rhai".into(), own(docs)));
    for (path, text) in STDLIB {
        files.push((format!("{}.d.rhai", path.replace('/', "-")), module(path, text)));
    }
    files
}

/// Write them to the folder `dir`; their paths.
pub fn write(engine: &Engine, docs: &[Doc], dir: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let write = |(name, text): (String, String)| {
        let path = dir.join(name);
        files::write(&path, text.as_bytes()).map(|()| path)
    };
    files(engine, docs).into_iter().map(write).collect()
}

/// The program's own functions.
fn own(docs: &[Doc]) -> String {
    let mut text = String::from("module static;\n");
    for doc in docs.iter().filter(|d| d.name.chars().all(|c| c.is_alphanumeric() || c == '_')) {
        for line in doc.signature.lines() {
            let comment = doc.text.to_string() + "\n\n```rhai\n" + doc.example + "\n```";
            text += "\n";
            comment.lines().for_each(|l| text += &format!("{}\n", format!("/// {l}").trim_end()));
            text += &definition(doc.name, line);
        }
    }
    text
}

/// `net.measure_iim(data, samples) -> Importance` as `fn measure_iim(net: Supernet, data: ?, samples: ?) -> Importance;`.
fn definition(name: &str, signature: &str) -> String {
    let (call, result) = signature.split_once("->").map_or((signature, "()"), |(c, r)| (c, r.trim()));
    let call = call.trim();
    let receiver = call.split('(').next().and_then(|head| head.rsplit_once('.')).map(|(receiver, _)| receiver);
    let kind = |name: &str| RECEIVERS.iter().find(|(r, _)| *r == name).map_or("?", |(_, kind)| kind);
    let mut parameters: Vec<String> = receiver.iter().map(|r| format!("{r}: {}", kind(r))).collect();
    let result = type_name(result);
    let Some((_, arguments)) = call.split_once('(') else {
        return format!("fn get {name}({}) -> {result};\n", parameters.join(", "));
    };
    // A list or map of names is one argument.
    let (mut depth, mut argument, mut all) = (0, String::new(), Vec::new());
    for c in arguments.trim_end_matches(')').chars() {
        match c {
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth -= 1,
            ',' if depth == 0 => {
                all.push(std::mem::take(&mut argument));
                continue;
            }
            _ => {}
        }
        argument.push(c);
    }
    all.push(argument);
    for argument in all.iter().map(|a| a.trim()).filter(|a| !a.is_empty()) {
        parameters.push(match argument {
            a if a.starts_with("#{") => "options: Map".into(),
            a if a.starts_with('[') => format!("{}s: Array", a.trim_matches(['[', ']'])),
            "cfg" | "map" | "defaults" => format!("{argument}: Map"),
            a => format!("{a}: {}", kind(a)),
        });
    }
    format!("fn {name}({}) -> {result};\n", parameters.join(", "))
}

/// The manual's name of a type as the language server's.
fn type_name(name: &str) -> String {
    match name {
        "" | "()" => "()".into(),
        "integer" => "int".into(),
        "string" | "text" => "String".into(),
        "map" => "Map".into(),
        "array" => "Array".into(),
        name if name.starts_with('[') => "Array".into(),
        name => name.into(),
    }
}

/// A module of the stdlib.
fn module(path: &str, text: &str) -> String {
    let mut definitions = format!("module \"{path}\";\n");
    for function in lexer::functions(text).into_iter().filter(|f| !f.private) {
        function.comment.lines().for_each(|l| definitions += &format!("\n/// {l}"));
        let names = function.signature.split_once('(').map_or("", |(_, rest)| rest.trim_end_matches(')'));
        let parameters: Vec<String> =
            names.split(',').map(str::trim).filter(|n| !n.is_empty()).map(|n| format!("{n}: ?")).collect();
        definitions += &format!("\nfn {}({}) -> ?;\n", function.name, parameters.join(", "));
    }
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_of_the_manual_become_definitions() {
        for (name, signature, expected) in [
            (
                "measure_iim",
                "net.measure_iim(data, samples) -> Importance",
                "fn measure_iim(net: Supernet, data: Data, samples: ?) -> Importance;\n",
            ),
            ("mask", "net.mask -> Mask", "fn get mask(net: Supernet) -> Mask;\n"),
            ("data", "data(name, #{ resize, limit }) -> DataSource", "fn data(name: ?, options: Map) -> DataSource;\n"),
            ("drop", "net.drop([candidate])", "fn drop(net: Supernet, candidates: Array) -> ();\n"),
            ("std", "std([number]) -> float", "fn std(numbers: Array) -> float;\n"),
        ] {
            assert_eq!(definition(name, signature), expected);
        }
    }
}
