//! What an editor asks about a file: as the prompt asks about an input, though nothing of the file has run.

use super::infer;
use crate::host::check::known::Known;
use crate::host::docs::markdown;
use crate::host::script::lexer::{self, Kind, Token};
use crate::host::session::Session;
use rhai::Position;

/// Where a function is written.
pub struct Origin {
    /// What messages call the file: `stdlib/nas/NAME.rhai` is inside of the program.
    pub file: String,
    /// The text of that file.
    pub text: String,
    /// The byte at which its name stands.
    pub at: usize,
}

impl Session {
    /// Takes the imports and functions of a file for those of the session; nothing of it is run.
    pub fn look_at(&mut self, text: &str, path: &str) {
        let tokens = lexer::tokens(text);
        let word = |i: usize| tokens.get(i).map_or("", |token| token.text(text));
        let mut imports = Vec::new();
        for i in (0..tokens.len()).filter(|&i| word(i) == "import" && word(i + 2) == "as") {
            let quoted = word(i + 1);
            if quoted.len() > 2 && tokens[i + 1].kind == Kind::Text {
                imports.push((word(i + 3).to_string(), quoted[1..quoted.len() - 1].to_string(), path.to_string()));
            }
        }
        self.suppose(imports, text);
    }

    /// The signatures of the function whose brackets `before` ends in, and the number of the argument there.
    pub fn signatures_at(&self, before: &str) -> Option<(Vec<String>, usize)> {
        let tokens = lexer::tokens(before);
        let open = infer::opener(before, &tokens)?;
        let name = tokens[..open].last().filter(|t| t.kind == Kind::Name && tokens[open].text(before) == "(")?;
        let name = name.text(before);
        let mut depth = 0;
        let commas = tokens[open + 1..].iter().filter(|token| {
            match token.text(before) {
                "(" | "[" | "{" | "#{" => depth += 1,
                ")" | "]" | "}" => depth -= 1,
                _ => {}
            }
            depth == 0 && token.text(before) == ","
        });
        let number = commas.count();
        let found = match self.written_at(before, &tokens[..open]) {
            Some((_, function)) => vec![function.signature],
            None => self.scripts.docs.iter().filter(|d| d.name == name).flat_map(|d| d.lines()).collect(),
        };
        (!found.is_empty()).then_some((found, number))
    }

    /// What the name at a byte of a text is: the manual's entry in Markdown, or the comments of a function, or its type.
    pub fn about(&self, text: &str, at: usize) -> Option<String> {
        let (tokens, last) = up_to(text, at)?;
        let name = tokens[last].text(text);
        if let Some((_, function)) = self.written_at(text, &tokens[..=last]) {
            return Some(format!("```rhai\nfn {}\n```\n\n{}", function.signature, function.comment));
        }
        let member = last > 0 && tokens[last - 1].text(text) == ".";
        let own = infer::at_end(self, text, &tokens[..=last]);
        let receiver = member.then(|| infer::at_end(self, text, &tokens[..last - 1]).name()).flatten();
        let entries = self.scripts.docs.iter().filter(|doc| doc.name == name);
        let fits = |doc: &&crate::host::Doc| {
            let kind = |s: &crate::host::script::doc::Signature| s.receiver.as_ref().map(|p| (p.kind)());
            doc.signatures.iter().any(|s| kind(s).is_some() == member && (receiver.is_none() || kind(s) == receiver))
        };
        let entries: String = entries.filter(fits).map(markdown::entry).collect();
        match (entries.is_empty(), own) {
            (false, _) => Some(entries.trim_start().to_string()),
            (true, Known::Nothing) => None,
            (true, known) => known.name().map(|kind| format!("```rhai\n{name}: {kind}\n```")),
        }
    }

    /// Where the function at a byte of a text is written: in this text, in a module, in the stdlib.
    pub fn origin(&self, text: &str, at: usize) -> Option<Origin> {
        let (tokens, last) = up_to(text, at)?;
        let (module, function) = self.written_at(text, &tokens[..=last])?;
        let (file, text) = match module {
            None => (String::new(), text.to_string()),
            Some(module) => module,
        };
        let start = text.find(&function.source)?;
        let at = start + function.source.rfind(&format!("fn {}", function.signature))? + 3;
        Some(Origin { file, text, at })
    }

    /// The function of a script that the last of the tokens names, and file and text of the module that it is in.
    fn written_at(&self, text: &str, tokens: &[Token]) -> Option<(Option<(String, String)>, lexer::Function)> {
        let name = tokens.last().filter(|token| token.kind == Kind::Name)?.text(text);
        let before = |n: usize| tokens.len().checked_sub(n).map_or("", |i| tokens[i].text(text));
        if before(2) == "." {
            return None;
        }
        let named = |text: &str| lexer::functions(text).into_iter().find(|f| f.name == name);
        if before(2) == "::" {
            let (_, path, importer) = self.import_of(before(3))?;
            let module = self.scripts.modules.find(Some(&importer), &path, Position::NONE).ok()?;
            let function = named(&module.1)?;
            return Some((Some(module), function));
        }
        self.own_functions().into_iter().find(|f| f.name == name).map(|function| (None, function))
    }
}

/// The words of a text, and which of them is the name at a byte.
fn up_to(text: &str, at: usize) -> Option<(Vec<Token>, usize)> {
    let tokens: Vec<Token> = lexer::tokens(text).into_iter().filter(|token| token.kind != Kind::Comment).collect();
    let last = tokens.iter().position(|t| t.kind == Kind::Name && t.range.start <= at && at <= t.range.end)?;
    Some((tokens, last))
}
