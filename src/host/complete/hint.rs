//! What the call at the cursor still takes, shown while it is typed.

use super::infer;
use crate::host::script::doc::Signature;
use crate::host::script::lexer::{self, Kind};
use crate::host::session::Session;

impl Session {
    /// What is left of the signature of the call that is open at the end of `before`: `data, samples) -> Importance` behind
    /// its bracket, `, samples) -> Importance` within its first argument.
    pub fn call_hint(&self, before: &str) -> Option<String> {
        let tokens = lexer::tokens(before);
        if tokens.last().is_some_and(|t| matches!(t.kind, Kind::OpenText | Kind::Comment)) {
            return None;
        }
        let name = infer::callee(before, &tokens)?;
        let open = infer::opener(before, &tokens)?;
        let arguments = &tokens[open + 1..];
        let commas = commas(before, arguments);
        let begun = arguments.last().is_some_and(|t| t.text(before) != ",");
        let method = open > 1 && tokens[open - 2].text(before) == ".";
        let declares = open > 1 && tokens[open - 2].text(before) == "fn";
        if declares {
            return None;
        }
        let own = self.own_functions().into_iter().find(|f| f.name == name).map(|f| f.signature);
        let (parameters, end) = match own {
            Some(signature) => {
                let inside = signature.split_once('(')?.1.trim_end_matches(')').to_string();
                let parameters: Vec<String> =
                    inside.split(',').map(|p| p.trim().to_string()).filter(|p| !p.is_empty()).collect();
                (parameters, ")".to_string())
            }
            None => {
                let all = self.scripts.docs.iter().filter(|d| d.name == name).flat_map(|d| &d.signatures);
                let fits =
                    |s: &&Signature| s.parameters.as_ref().is_some_and(|p| p.len() >= commas + usize::from(begun));
                let all: Vec<&Signature> = all.filter(fits).collect();
                let alike = all.iter().find(|s| s.has_receiver() == method);
                let signature = alike.or(all.first())?;
                let parameters = signature.parameters.iter().flatten().map(|p| p.written()).collect();
                let result = (signature.result)();
                (parameters, if result.is_empty() { ")".into() } else { format!(") -> {result}") })
            }
        };
        let rest = parameters.get(commas + usize::from(begun)..)?.join(", ");
        Some(match (begun, rest.is_empty()) {
            (true, false) => format!(", {rest}{end}"),
            _ => format!("{rest}{end}"),
        })
    }
}

/// Commas outside of brackets.
fn commas(text: &str, tokens: &[lexer::Token]) -> usize {
    let mut depth = 0;
    let mut found = 0;
    for token in tokens {
        match token.text(text) {
            "(" | "[" | "{" | "#{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            "," if depth == 0 => found += 1,
            _ => {}
        }
    }
    found
}
