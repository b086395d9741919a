//! Definition files for Rhai's language server: what an editor needs for completion, types and hovers.
//!
//! The format is that of `rhai` itself (its `Engine::definitions`), which knows the types of arguments but not their names
//! nor their meaning: those come from the manual. `.rhai/definitions` in the folder of the scripts is where the server
//! looks for them (its setting `source.include` takes other places).

use crate::error::{Error, Result};
use crate::files;
use crate::host::script::doc::{Doc, Parameter, Signature};
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
        for signature in &doc.signatures {
            let comment = format!("{}\n\n```rhai\n{}\n```", doc.text(), doc.example());
            text += "\n";
            comment.lines().for_each(|l| text += &format!("{}\n", format!("/// {l}").trim_end()));
            text += &definition(signature);
        }
    }
    text
}

/// `net.measure_iim(data, samples) -> Importance` as `fn measure_iim(net: Supernet, data: Data, samples: int) -> Importance;`.
fn definition(signature: &Signature) -> String {
    let typed = |p: &Parameter| format!("{}: {}", p.name, type_name(&(p.kind)()));
    let parameters: Vec<String> =
        signature.receiver.iter().chain(signature.parameters.iter().flatten()).map(typed).collect();
    let keyword = if signature.parameters.is_none() { "fn get" } else { "fn" };
    format!("{keyword} {}({}) -> {};\n", signature.name, parameters.join(", "), type_name(&(signature.result)()))
}

/// The manual's name of a type as the language server's.
fn type_name(name: &str) -> String {
    match name {
        "" | "()" => "()".into(),
        "integer" => "int".into(),
        "string" => "String".into(),
        "number" | "value" => "?".into(),
        "closure" => "Fn".into(),
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
    use crate::host::script::types::{Argument, Number, Returned};

    #[test]
    fn signatures_become_definitions() {
        let receiver = Some(f64::parameter("net"));
        let parameters = Some(vec![Vec::<f64>::parameter("data"), usize::parameter("samples")]);
        let method = Signature {
            name: "measure",
            receiver: receiver.clone(),
            parameters,
            result: <Vec<bool> as Returned>::kind,
        };
        assert_eq!(definition(&method), "fn measure(net: float, data: Array, samples: int) -> Array;\n");
        let property = Signature { name: "mask", receiver, parameters: None, result: <String as Returned>::kind };
        assert_eq!(definition(&property), "fn get mask(net: float) -> String;\n");
        let parameters = Some(vec![Number::parameter("seconds")]);
        let function = Signature { name: "sleep", receiver: None, parameters, result: <() as Returned>::kind };
        assert_eq!(definition(&function), "fn sleep(seconds: ?) -> ();\n");
    }
}
