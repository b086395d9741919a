//! The words of script text, finished or not: for colours, completion and finding the source of a function.
//! The parser proper stops at the first thing that is wrong, while a line that is being typed is wrong most of the time.

use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `// ...` or `/* ... */`.
    Comment,
    /// A text in `"` or `` ` ``, or a character in `'`.
    Text,
    /// A text that has no end yet.
    OpenText,
    /// A number.
    Number,
    /// A word of the language.
    Keyword,
    /// A name.
    Name,
    /// Anything else: one character, or `::`, or `#{`.
    Symbol,
}

/// A token and where it stands, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub range: Range<usize>,
}

impl Token {
    /// Its text in `of`, which it was read from.
    pub fn text<'a>(&self, of: &'a str) -> &'a str {
        &of[self.range.clone()]
    }
}

impl Token {
    /// The script inside of a text in backticks: what stands between `${` and `}`.
    pub fn inserted(&self, of: &str) -> Vec<Range<usize>> {
        let text = self.text(of);
        let (mut found, mut open, mut depth) = (Vec::new(), 0, 0);
        for (i, c) in text.char_indices().filter(|_| text.starts_with('`')) {
            match c {
                '{' if depth > 0 => depth += 1,
                '{' if text[..i].ends_with('$') => (open, depth) = (i + 1, 1),
                '}' if depth > 0 => {
                    depth -= 1;
                    if depth == 0 {
                        found.push(self.range.start + open..self.range.start + i);
                    }
                }
                _ => {}
            }
        }
        found
    }
}

/// The words of the language.
pub const KEYWORDS: [&str; 28] = [
    "let",
    "const",
    "if",
    "else",
    "switch",
    "do",
    "while",
    "until",
    "loop",
    "for",
    "in",
    "continue",
    "break",
    "return",
    "throw",
    "try",
    "catch",
    "fn",
    "private",
    "import",
    "export",
    "as",
    "global",
    "this",
    "true",
    "false",
    "is_def_var",
    "is_def_fn",
];

/// All tokens of `text`; blanks are between them.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, len) = match c {
            c if c.is_whitespace() => {
                at += c.len_utf8();
                continue;
            }
            '/' if rest.starts_with("//") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (Kind::Comment, block_comment(rest)),
            '"' | '\'' | '`' => quoted(rest, c),
            c if c.is_ascii_digit() => (Kind::Number, number(rest)),
            c if c.is_alphabetic() || c == '_' => {
                let len = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
                (if KEYWORDS.contains(&&rest[..len]) { Kind::Keyword } else { Kind::Name }, len)
            }
            _ if rest.starts_with("::") || rest.starts_with("#{") => (Kind::Symbol, 2),
            c => (Kind::Symbol, c.len_utf8()),
        };
        found.push(Token { kind, range: at..at + len });
        at += len;
    }
    found
}

/// Length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// A text or character; in a text in backticks `${ ... }` may hold further texts.
fn quoted(text: &str, quote: char) -> (Kind, usize) {
    let mut chars = text.char_indices().skip(1).peekable();
    let mut depth = 0;
    while let Some((i, c)) = chars.next() {
        match c {
            '\\' if quote != '`' => drop(chars.next()),
            '$' if quote == '`' && depth == 0 && chars.peek().is_some_and(|(_, c)| *c == '{') => {
                chars.next();
                depth = 1;
            }
            '{' if depth > 0 => depth += 1,
            '}' if depth > 0 => depth -= 1,
            c if c == quote && depth == 0 => return (Kind::Text, i + c.len_utf8()),
            // Only a text in backticks goes on over lines.
            '\n' if quote != '`' => return (Kind::OpenText, i),
            _ => {}
        }
    }
    (Kind::OpenText, text.len())
}

/// `12`, `0x1f`, `1_000`, `1.5e-3`; the dots of `0..3` and of `1.max(2)` are not part of it.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let word = |from: usize| {
        bytes[from..].iter().position(|b| !(b.is_ascii_alphanumeric() || *b == b'_')).map_or(bytes.len(), |n| from + n)
    };
    let mut end = word(0);
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        end = word(end + 1);
    }
    let exponent = !text.starts_with("0x") && matches!(bytes[end - 1], b'e' | b'E');
    if exponent && matches!(bytes.get(end), Some(b'-' | b'+')) {
        end = word(end + 1);
    }
    end
}

/// A function in the text of a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// `name(x, y)`.
    pub signature: String,
    /// Its comments, without the slashes.
    pub comment: String,
    /// Whether only its own module may call it.
    pub private: bool,
    /// All of it, comments first.
    pub source: String,
}

/// The functions that a text defines, in order.
pub fn functions(text: &str) -> Vec<Function> {
    let tokens = tokens(text);
    let word = |i: usize| tokens.get(i).map_or("", |t: &Token| t.text(text));
    let starts =
        (0..tokens.len()).filter(|&i| word(i) == "fn" && tokens.get(i + 1).is_some_and(|t| t.kind == Kind::Name));
    let one = |at: usize| {
        let open = (at..tokens.len()).find(|&i| word(i) == "{")?;
        let mut depth = 0;
        let end = tokens[at..].iter().find(|token| {
            depth += match token.text(text) {
                "{" | "#{" => 1,
                "}" => -1,
                _ => return false,
            };
            depth == 0
        })?;
        let private = at > 0 && word(at - 1) == "private";
        let mut first = if private { at - 1 } else { at };
        while first > 0 && word(first - 1).starts_with("///") {
            first -= 1;
        }
        let comment = (first..at).filter_map(|i| word(i).strip_prefix("///")).map(str::trim).collect::<Vec<_>>();
        Some(Function {
            name: word(at + 1).to_string(),
            signature: text[tokens[at + 1].range.start..tokens[open].range.start].trim_end().to_string(),
            comment: comment.join("\n"),
            private,
            source: text[tokens[first].range.start..end.range.end].to_string(),
        })
    };
    starts.filter_map(one).collect()
}

/// The text of the function `name`, its comments in front of it; of all that share the name.
pub fn function_source(text: &str, name: &str) -> Option<String> {
    let found: Vec<String> = functions(text).into_iter().filter(|f| f.name == name).map(|f| f.source).collect();
    (!found.is_empty()).then(|| found.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_falls_into_words_also_where_it_is_not_finished() {
        use Kind::*;
        for (text, expected) in [
            ("let x = 1;", vec![(Keyword, "let"), (Name, "x"), (Symbol, "="), (Number, "1"), (Symbol, ";")]),
            ("a::b#{ c: 'd' }", {
                let (colons, brace) = ((Symbol, "::"), (Symbol, "#{"));
                vec![(Name, "a"), colons, (Name, "b"), brace, (Name, "c"), (Symbol, ":"), (Text, "'d'"), (Symbol, "}")]
            }),
            ("x.1e-3", vec![(Name, "x"), (Symbol, "."), (Number, "1e-3")]),
            ("0..3", vec![(Number, "0"), (Symbol, "."), (Symbol, "."), (Number, "3")]),
            ("1.5e-3+0x1e-1", {
                vec![(Number, "1.5e-3"), (Symbol, "+"), (Number, "0x1e"), (Symbol, "-"), (Number, "1")]
            }),
            ("\"a\\\"b\" // \"", vec![(Text, "\"a\\\"b\""), (Comment, "// \"")]),
            ("`a${f(\"`\") + #{b: 1}.b}` c", vec![(Text, "`a${f(\"`\") + #{b: 1}.b}`"), (Name, "c")]),
            ("/* a /* b */ c */ d", vec![(Comment, "/* a /* b */ c */"), (Name, "d")]),
            ("space(\"dar", vec![(Name, "space"), (Symbol, "("), (OpenText, "\"dar")]),
            ("/* open ü", vec![(Comment, "/* open ü")]),
            ("`ü", vec![(OpenText, "`ü")]),
        ] {
            let found: Vec<_> = tokens(text).into_iter().map(|t| (t.kind, &text[t.range])).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn the_script_inside_of_a_text_is_found() {
        let text = "x + `a${b + `${c}`} {d} ${#{e: 1}.e}` + \"${f}\"";
        let found: Vec<&str> = tokens(text).iter().flat_map(|t| t.inserted(text)).map(|r| &text[r]).collect();
        assert_eq!(found, ["b + `${c}`", "#{e: 1}.e"]);
    }

    #[test]
    fn the_source_of_a_function_has_its_comments_and_ends_at_its_brace() {
        let text = "/// Of the file.\n\n//! x\n/// One.\n/// Two.\nprivate fn a(x) {\n    if x { \"}\" } else { #{} }\n}\nfn b() { 1 }";
        assert_eq!(
            function_source(text, "a").unwrap(),
            "/// One.\n/// Two.\nprivate fn a(x) {\n    if x { \"}\" } else { #{} }\n}"
        );
        assert_eq!(function_source(text, "b").unwrap(), "fn b() { 1 }");
        assert_eq!(function_source(text, "c"), None);
        let all: Vec<_> = functions(text).into_iter().map(|f| (f.signature, f.comment, f.private)).collect();
        assert_eq!(all, [("a(x)".into(), "One.\nTwo.".into(), true), ("b()".into(), String::new(), false)]);
    }
}
