//! Literals of Python and JSON, as cells are written in papers' code, logs and dictionaries. Nothing is run: a call is kept
//! by its name, but for those that only wrap a value (`np.int64(0)`, `array([...])`, `range(2, 6)`).

use crate::error::{Error, Result};

/// Lists in lists, at most.
const DEPTH: usize = 32;
/// The longest `range` that is written out.
const LONGEST: usize = 64;
/// Calls and constructors that give what they are given.
const WRAPPERS: [&str; 22] = [
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "intc",
    "intp",
    "float",
    "float16",
    "float32",
    "float64",
    "str",
    "str_",
    "bytes_",
    "list",
    "tuple",
    "set",
    "array",
    "asarray",
    "tensor",
    "OrderedDict",
];

/// A value and where it begins in the text, in bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Literal {
    pub at: usize,
    pub value: LiteralValue,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum LiteralValue {
    /// `None`, `null`
    None,
    /// `True`, `true`
    Bool(bool),
    Int(i64),
    Float(f64),
    /// In quotes of either kind.
    Text(String),
    /// A list, tuple or set.
    List(Vec<Literal>),
    /// Keys and values, and what is written `dict(key=value)`.
    Dict(Vec<(Literal, Literal)>),
    /// `Name(value, ..., key=value)`: the last part of a dotted name, values, keywords.
    Call(String, Vec<Literal>, Vec<(Literal, Literal)>),
    /// A word without quotes.
    Word(String),
}

impl LiteralValue {
    /// For people: the kind of value.
    pub fn kind(&self) -> String {
        match self {
            LiteralValue::None => "None".into(),
            LiteralValue::Bool(b) => b.to_string(),
            LiteralValue::Int(n) => format!("the number {n}"),
            LiteralValue::Float(x) => format!("the number {x}"),
            LiteralValue::Text(text) => format!("the text '{}'", text.chars().take(20).collect::<String>()),
            LiteralValue::List(items) => format!("a list of {}", items.len()),
            LiteralValue::Dict(pairs) => format!("a dictionary of {}", pairs.len()),
            LiteralValue::Call(name, ..) => format!("`{name}(...)`"),
            LiteralValue::Word(word) => format!("the word {word}"),
        }
    }
}

/// A place in the text. `at` is a byte offset on a character boundary; errors count characters from 1.
pub(super) struct Cursor<'a> {
    pub text: &'a str,
    pub at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// White space, comments, and the backslash at a line's end.
    pub fn skip_space(&mut self) {
        loop {
            let rest = self.rest().trim_start();
            self.at = self.text.len() - rest.len();
            if rest.starts_with('#') {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if rest.starts_with("\\\n") || rest.starts_with("\\\r\n") {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The characters from here on that `belongs` accepts.
    pub fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    pub fn expect(&mut self, literal: &str, expected: &str) -> Result<()> {
        if !self.rest().starts_with(literal) {
            return Err(self.error(expected));
        }
        self.at += literal.len();
        Ok(())
    }

    /// White space, then a literal.
    fn token(&mut self, literal: &str) -> Result<()> {
        self.skip_space();
        self.expect(literal, &format!("`{literal}`"))
    }

    pub fn place(&self) -> String {
        format!("genotype text, character {}", self.text[..self.at].chars().count() + 1)
    }

    pub fn error(&self, expected: &str) -> Error {
        let got: String = self.rest().chars().take(20).collect();
        let got = if got.is_empty() { "the end".to_string() } else { format!("`{got}`") };
        Error::invalid(self.place(), got, expected)
    }

    /// `return`, `NAME =`, `NAME: Type =`, or a log's `12/24 03:14:15 PM genotype = `: up to the first `=` or `: ` behind which a value
    /// begins, where no bracket or quote comes before.
    pub fn skip_prefix(&mut self) {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(['(', '[', '{', '\'', '"', '|', '\n', '#']).unwrap_or(rest.len());
        // What opens the value may be behind a name: `Genotype(`, `np.array(`.
        let head = rest[..end].trim_end_matches(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        let trimmed = head.trim_end_matches(|c: char| c.is_whitespace() || c == '\\');
        if trimmed.ends_with(['=', ':']) {
            self.at += head.len();
            self.skip_space();
        }
        if self.rest().starts_with("return ") {
            self.at += "return ".len();
            self.skip_space();
        }
    }

    /// The one value from here on.
    pub fn read(&mut self) -> Result<Literal> {
        self.value(0)
    }

    /// Nothing may follow but white space and `;`.
    pub fn end(&mut self) -> Result<()> {
        self.skip_space();
        while self.peek() == Some(';') {
            self.at += 1;
            self.skip_space();
        }
        if self.peek().is_none() { Ok(()) } else { Err(self.error("the end of the text")) }
    }

    fn value(&mut self, depth: usize) -> Result<Literal> {
        self.skip_space();
        let at = self.at;
        if depth > DEPTH {
            return Err(self.error("fewer lists in lists"));
        }
        let value = match self.peek() {
            Some('(') => self.parenthesis(depth)?,
            Some('[') => LiteralValue::List(self.items("[", "]", depth)?),
            Some('{') => self.braces(depth)?,
            Some('\'' | '"') => LiteralValue::Text(self.quoted()?),
            Some(c) if c.is_ascii_digit() || matches!(c, '-' | '+' | '.') => self.number()?,
            Some(c) if c.is_alphabetic() || c == '_' => return self.named(depth),
            _ => return Err(self.error("a value")),
        };
        Ok(Literal { at, value })
    }

    /// `(a)` is a; `(a,)`, `(a, b)` and `()` are tuples.
    fn parenthesis(&mut self, depth: usize) -> Result<LiteralValue> {
        let begin = self.at;
        let mut items = self.items("(", ")", depth)?;
        let inside = self.text[begin..self.at - 1].trim_end();
        match (items.len(), inside.ends_with(',')) {
            (1, false) => Ok(items.swap_remove(0).value),
            _ => Ok(LiteralValue::List(items)),
        }
    }

    fn items(&mut self, open: &str, close: &str, depth: usize) -> Result<Vec<Literal>> {
        self.token(open)?;
        let mut items = vec![];
        loop {
            self.skip_space();
            if self.rest().starts_with(close) {
                break;
            }
            items.push(self.value(depth + 1)?);
            // numpy prints its arrays without commas: [2 3 4 5].
            self.skip_space();
            let is_number =
                matches!(items.last(), Some(Literal { value: LiteralValue::Int(_) | LiteralValue::Float(_), .. }));
            if is_number && self.peek().is_some_and(|c| c.is_ascii_digit()) {
                continue;
            }
            if !self.comma(close)? {
                break;
            }
        }
        self.token(close)?;
        Ok(items)
    }

    /// Whether a comma came; else `close` must be next.
    fn comma(&mut self, close: &str) -> Result<bool> {
        self.skip_space();
        if self.peek() == Some(',') {
            self.at += 1;
            return Ok(true);
        }
        if self.rest().starts_with(close) { Ok(false) } else { Err(self.error(&format!("`,` or `{close}`"))) }
    }

    /// A dictionary or a set.
    fn braces(&mut self, depth: usize) -> Result<LiteralValue> {
        self.token("{")?;
        let (mut pairs, mut items) = (vec![], vec![]);
        loop {
            self.skip_space();
            if self.peek() == Some('}') {
                break;
            }
            let key = self.value(depth + 1)?;
            self.skip_space();
            if self.peek() == Some(':') && items.is_empty() {
                self.at += 1;
                pairs.push((key, self.value(depth + 1)?));
            } else if pairs.is_empty() {
                items.push(key);
            } else {
                return Err(self.error("`:` and a value"));
            }
            if !self.comma("}")? {
                break;
            }
        }
        self.token("}")?;
        Ok(if items.is_empty() { LiteralValue::Dict(pairs) } else { LiteralValue::List(items) })
    }

    fn quoted(&mut self) -> Result<String> {
        let quote = self.peek().unwrap_or('"');
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek().filter(|c| *c != '\n') else {
                return Err(self.error("the closing quote"));
            };
            self.at += c.len_utf8();
            match c {
                '\\' => {
                    let Some(next) = self.peek() else { return Err(self.error("the closing quote")) };
                    self.at += next.len_utf8();
                    text.push(if next == 'n' { '\n' } else { next });
                }
                c if c == quote => return Ok(text),
                c => text.push(c),
            }
        }
    }

    fn number(&mut self) -> Result<LiteralValue> {
        let begin = self.at;
        let sign = |c: char| matches!(c, '-' | '+');
        let mut word = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || sign(c)).to_string();
        word.retain(|c| c != '_');
        if let Ok(n) = word.parse() {
            return Ok(LiteralValue::Int(n));
        }
        match word.parse::<f64>() {
            Ok(x) => Ok(LiteralValue::Float(x)),
            Err(_) => {
                self.at = begin;
                Err(self.error("a number"))
            }
        }
    }

    /// A constant, a prefixed text, a call, or a word.
    fn named(&mut self, depth: usize) -> Result<Literal> {
        let at = self.at;
        let name = self.word(|c| c.is_alphanumeric() || c == '_' || c == '.');
        if matches!(name, "b" | "r" | "u" | "f" | "B" | "R" | "U") && matches!(self.peek(), Some('\'' | '"')) {
            return Ok(Literal { at, value: LiteralValue::Text(self.quoted()?) });
        }
        let last = name.rsplit('.').next().unwrap_or(name).to_string();
        self.skip_space();
        if self.peek() == Some('(') {
            return self.call(at, last, depth);
        }
        let value = match name {
            "None" | "null" => LiteralValue::None,
            "True" | "true" => LiteralValue::Bool(true),
            "False" | "false" => LiteralValue::Bool(false),
            "NaN" | "nan" | "inf" => LiteralValue::Float(f64::NAN),
            _ => LiteralValue::Word(name.to_string()),
        };
        Ok(Literal { at, value })
    }

    fn call(&mut self, at: usize, name: String, depth: usize) -> Result<Literal> {
        self.token("(")?;
        let (mut values, mut keywords) = (vec![], vec![]);
        loop {
            self.skip_space();
            if self.peek() == Some(')') {
                break;
            }
            let begin = self.at;
            let word = self.word(|c| c.is_alphanumeric() || c == '_').to_string();
            self.skip_space();
            if !word.is_empty() && self.peek() == Some('=') {
                self.at += 1;
                keywords.push((Literal { at: begin, value: LiteralValue::Text(word) }, self.value(depth + 1)?));
            } else {
                self.at = begin;
                values.push(self.value(depth + 1)?);
            }
            if !self.comma(")")? {
                break;
            }
        }
        self.token(")")?;
        let value = match (name.as_str(), values.len()) {
            ("range", 1..=3) => self.range(at, &values)?,
            ("dict", 0) => LiteralValue::Dict(keywords),
            ("set" | "frozenset" | "list" | "tuple", 0) => LiteralValue::List(vec![]),
            ("frozenset" | "dict", 1) => values.swap_remove(0).value,
            (wrapper, 1..) if WRAPPERS.contains(&wrapper) => values.swap_remove(0).value,
            _ => LiteralValue::Call(name, values, keywords),
        };
        Ok(Literal { at, value })
    }

    fn range(&mut self, at: usize, bounds: &[Literal]) -> Result<LiteralValue> {
        let number = |literal: &Literal| if let LiteralValue::Int(n) = literal.value { Some(n) } else { None };
        let numbers: Option<Vec<i64>> = bounds.iter().map(number).collect();
        let range = match numbers.as_deref() {
            Some(&[end]) => Some((0, end, 1)),
            Some(&[begin, end]) => Some((begin, end, 1)),
            Some(&[begin, end, step]) if step > 0 => Some((begin, end, step as usize)),
            _ => None,
        };
        let Some((begin, end, step)) = range.filter(|(begin, end, _)| end.saturating_sub(*begin) <= LONGEST as i64)
        else {
            self.at = at;
            return Err(self.error(&format!("a range of at most {LONGEST} whole numbers")));
        };
        Ok(LiteralValue::List(
            (begin..end).step_by(step).map(|n| Literal { at, value: LiteralValue::Int(n) }).collect(),
        ))
    }
}
