//! Sources as the tests of the architecture read them: files, and their code without comments and texts.

use std::fs;
use std::path::{Path, PathBuf};

pub struct Source {
    /// Path from the root of the package.
    pub path: String,
    /// `space` for all below `src/space`; `main` for `src/main.rs`.
    pub module: String,
    pub text: String,
}

impl Source {
    /// The tokens of its code: words, and other characters one by one.
    pub fn tokens(&self) -> Vec<String> {
        let (mut tokens, mut word) = (Vec::new(), String::new());
        for c in code_of(&self.text).chars() {
            if c.is_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
        }
        tokens
    }

    /// The modules of the crate that it names: `crate::x`, `crate::{x, y::z}`, or `super::x` where that is no neighbour.
    pub fn uses(&self) -> Vec<String> {
        let tokens = self.tokens();
        let mut used = Vec::new();
        for (i, start) in tokens.windows(3).enumerate() {
            let is_crate = matches!(start[0].as_str(), "crate" | "isdarts_host");
            if start[1..] != [":", ":"] || !(is_crate || start[0] == "super") {
                continue;
            }
            let names = first_names(&tokens[i + 3..]);
            used.extend(names.into_iter().filter(|n| is_crate || !self.has_submodule(n)));
        }
        used
    }

    fn has_submodule(&self, name: &str) -> bool {
        let folder = root().join("src").join(&self.module);
        folder.join(format!("{name}.rs")).exists() || folder.join(name).is_dir()
    }
}

/// The names a path goes on with: `a::b` -> a; `{a, b::{c, d}}` -> a, b.
fn first_names(tokens: &[String]) -> Vec<String> {
    if tokens.first().is_none_or(|t| t != "{") {
        return tokens.first().cloned().into_iter().collect();
    }
    let (mut names, mut depth) = (Vec::new(), 0);
    for pair in tokens.windows(2) {
        match pair[0].as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        match depth {
            0 => break,
            1 if pair[0] == "{" || pair[0] == "," => names.push(pair[1].clone()),
            _ => {}
        }
    }
    names
}

/// The code without comments, texts and characters.
fn code_of(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let starts = |i: usize, s: &str| s.chars().enumerate().all(|(k, c)| at(i + k) == c);
    let find = |from: usize, s: &str| (from..chars.len()).find(|i| starts(*i, s)).map_or(chars.len(), |i| i + s.len());
    let (mut code, mut i) = (String::new(), 0);
    while i < chars.len() {
        let in_word = i > 0 && (at(i - 1).is_alphanumeric() || at(i - 1) == '_');
        let hashes = (i + 1..).take_while(|k| at(*k) == '#').count();
        if starts(i, "//") {
            i = find(i, "\n");
            code.push('\n');
        } else if starts(i, "/*") {
            i = find(i + 2, "*/");
        } else if at(i) == 'r' && !in_word && at(i + 1 + hashes) == '"' {
            i = find(i + 2 + hashes, &format!("\"{}", "#".repeat(hashes)));
        } else if at(i) == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if at(i) == '\'' && at(i + 1) == '\\' {
            i = find(i + 3, "'");
        } else if at(i) == '\'' && at(i + 2) == '\'' {
            i += 3;
        } else {
            code.push(at(i));
            i += 1;
        }
    }
    code
}

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the package whose name ends so.
pub fn files(folder: &str, ending: &str) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    found.retain(|path| path.to_string_lossy().ends_with(ending));
    let source = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
        let module = path.split('/').nth(1).unwrap().trim_end_matches(".rs").to_string();
        Source { path, module, text }
    };
    found.into_iter().map(source).collect()
}
