//! `mutations.txt`: one blunder a paragraph, `METHOD: what it breaks`, lines `- ` of the script, lines `+ ` in their place.

use std::path::{Path, PathBuf};

/// A blunder in a script of the stdlib.
pub struct Mutation {
    pub method: String,
    pub breaks: String,
    from: String,
    to: String,
}

/// The table.
pub fn all() -> Vec<Mutation> {
    let text = std::fs::read_to_string(super::case::folder().join("mutations.txt")).unwrap();
    let paragraphs = text.split("\n\n").map(str::trim_end).filter(|p| !p.is_empty() && !p.starts_with('#'));
    paragraphs.map(Mutation::of).collect()
}

impl Mutation {
    fn of(paragraph: &str) -> Self {
        let (head, body) = paragraph.split_once('\n').unwrap_or_else(|| panic!("no lines: {paragraph}"));
        let (method, breaks) = head.split_once(": ").unwrap_or_else(|| panic!("no method: {head}"));
        let lines = |mark: &str| -> String {
            let own = body.lines().filter_map(|line| line.strip_prefix(mark));
            own.collect::<Vec<_>>().join("\n")
        };
        assert!(
            body.lines().all(|l| l.starts_with("- ") || l.starts_with("+ ") || l == "+"),
            "neither - nor +: {head}"
        );
        Mutation { method: method.into(), breaks: breaks.into(), from: lines("- "), to: lines("+ ") }
    }

    /// A stdlib with the blunder in `folder`, made from the one in `stdlib`. What is not in the script is in one of the parts
    /// that it is made of.
    pub fn apply(&self, stdlib: &Path, folder: &Path) -> Result<(), String> {
        std::fs::create_dir_all(folder.join("nas/parts")).unwrap();
        let (own, parts) = (scripts(stdlib), parts(stdlib));
        for file in own.iter().chain(&parts) {
            std::fs::copy(file, folder.join(file.strip_prefix(stdlib).unwrap())).unwrap();
        }
        let script = stdlib.join("nas").join(&self.method).with_extension("rhai");
        let holds = |file: &&PathBuf| std::fs::read_to_string(file).unwrap().contains(&self.from);
        let file = std::iter::once(&script).chain(&parts).find(holds).unwrap_or(&script);
        let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let file = folder.join(file.strip_prefix(stdlib).unwrap());
        match text.matches(&self.from).count() {
            1 => std::fs::write(file, text.replacen(&self.from, &self.to, 1)).map_err(|e| e.to_string()),
            n => Err(format!("`{}` stands {n} times in the script or in a part, not once", self.from)),
        }
    }
}

/// The modules of a stdlib but the parts.
pub fn scripts(stdlib: &Path) -> Vec<PathBuf> {
    modules(&stdlib.join("nas"))
}

fn parts(stdlib: &Path) -> Vec<PathBuf> {
    modules(&stdlib.join("nas/parts"))
}

fn modules(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "rhai"));
    files.sort();
    files
}
