//! What script text names: variables that it binds, keys of maps that it writes. For guesses and completion.

use super::lexer::{self, Kind};

/// Names that the text declares: by `let`, `const`, `for`, or as parameters.
pub fn declared(text: &str) -> Vec<String> {
    let tokens = lexer::tokens(text);
    let named = tokens.windows(2).filter(|pair| {
        pair[1].kind == Kind::Name
            && pair[1].range.end < text.len()
            && ["let", "const", "for"].contains(&pair[0].text(text))
    });
    let mut names: Vec<String> = named.map(|pair| pair[1].text(text).to_string()).collect();
    for at in (0..tokens.len()).filter(|&i| tokens[i].text(text) == "fn") {
        let parameters = tokens[at..].iter().skip(2).take_while(|t| t.text(text) != ")");
        names.extend(parameters.filter(|t| t.kind == Kind::Name).map(|t| t.text(text).to_string()));
    }
    names
}

/// Keys of the maps that the text writes out: `#{ key: ... }`.
pub fn keys(text: &str) -> Vec<String> {
    let tokens = lexer::tokens(text);
    let pairs = tokens.windows(2).filter(|pair| pair[0].kind == Kind::Name && pair[1].text(text) == ":");
    pairs.map(|pair| pair[0].text(text).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_text_binds_and_keys_those_that_it_writes() {
        let text = "fn f(a, b) { let c = #{ lr: 1, own: a }; for d in b {} } // let e = #{ no: 1 };";
        assert_eq!(declared(text), ["c", "d", "a", "b"]);
        assert_eq!(keys(text), ["lr", "own"]);
    }
}
