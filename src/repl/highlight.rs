//! Colours of the text being typed.

use crate::host::lexer::{Kind, tokens};

/// The line with its words in colours, and the brackets that belong together at the cursor `pos`.
pub fn coloured(line: &str, pos: usize) -> String {
    let tokens = tokens(line);
    let pair = brackets(line, pos);
    let mut text = String::with_capacity(2 * line.len());
    let mut at = 0;
    for (i, token) in tokens.iter().enumerate() {
        text.push_str(&line[at..token.range.start]);
        at = token.range.end;
        let word = token.text(line);
        let called = tokens.get(i + 1).is_some_and(|next| next.range.start == at && next.text(line) == "(");
        let code = match token.kind {
            Kind::Comment => "2",
            Kind::Text | Kind::OpenText => "32",
            Kind::Number => "33",
            Kind::Keyword => "35",
            Kind::Name if called => "36",
            Kind::Symbol if pair.is_some_and(|(a, b)| [a, b].contains(&token.range.start)) => "1;34",
            _ => "",
        };
        match code {
            "" => text.push_str(word),
            // A colour does not go on over lines: the editor may draw them one by one.
            code => text
                .push_str(&word.split('\n').map(|l| format!("\x1b[{code}m{l}\x1b[0m")).collect::<Vec<_>>().join("\n")),
        }
    }
    text.push_str(&line[at..]);
    text
}

/// The bracket before or at the cursor, and its partner.
fn brackets(line: &str, pos: usize) -> Option<(usize, usize)> {
    let tokens = tokens(line);
    let side = |text: &str| match text {
        "(" | "[" | "{" | "#{" => 1,
        ")" | "]" | "}" => -1,
        _ => 0,
    };
    let here = tokens.iter().rposition(|t| {
        t.kind == Kind::Symbol && side(t.text(line)) != 0 && (t.range.start == pos || t.range.end == pos)
    })?;
    let forward = side(tokens[here].text(line)) > 0;
    let mut depth = 0;
    let mut matches = |t: &&crate::host::lexer::Token| {
        depth += if t.kind == Kind::Symbol { side(t.text(line)) } else { 0 };
        depth == 0
    };
    let partner = if forward {
        tokens[here..].iter().find(&mut matches)
    } else {
        tokens[..=here].iter().rev().find(&mut matches)
    };
    let (a, b) = (tokens[here].range.start, partner?.range.start);
    Some((a.min(b), a.max(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without its escapes.
    fn plain(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let first = parts.next().unwrap().to_string();
        first + parts.map(|p| p.split_once('m').unwrap().1).collect::<String>().as_str()
    }

    #[test]
    fn words_have_colours_and_the_text_stays_what_it_was() {
        for line in ["let x = f(1, \"ä\"); // no", "for e in 0..3 {\n  `a\n${b}`", "", "\"open", "#{ a: [1, 2] }"] {
            for pos in (0..=line.len()).filter(|p| line.is_char_boundary(*p)) {
                assert_eq!(plain(&coloured(line, pos)), line, "{line} at {pos}");
            }
        }
        assert_eq!(coloured("let x", 0), "\x1b[35mlet\x1b[0m x");
        assert_eq!(coloured("f(1)", 0), "\x1b[36mf\x1b[0m(\x1b[33m1\x1b[0m)");
    }

    #[test]
    fn brackets_find_their_partners() {
        for (line, pos, pair) in [
            ("f(a[1])", 7, Some((1, 6))),
            ("f(a[1])", 1, Some((1, 6))),
            ("#{ a: 1 }", 0, Some((0, 8))),
            ("f(", 2, None),
            ("ab", 1, None),
        ] {
            assert_eq!(brackets(line, pos), pair, "{line}");
        }
    }
}
