//! The stack machine: protocols 0 to 5, but for what only persistent, extension and out-of-band objects need.
//! Source of the opcodes: `Lib/pickletools.py` of CPython.

use super::numpy::{self, KNOWN};
use super::{Id, Object, Pickle};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;

/// Read the pickle in `bytes`; `path` is for messages.
pub(in crate::data) fn read(bytes: &[u8], path: &Path) -> Result<Pickle> {
    let mut machine =
        Machine { bytes, at: 0, values: vec![], stack: vec![], marks: vec![], memo: HashMap::new(), built: 0 };
    match machine.run() {
        Ok(root) => Ok(Pickle { values: machine.values, root }),
        Err(got) => {
            let got = format!("{got} (byte {} of {})", machine.at, bytes.len());
            Err(Error::file(path, got, "a pickle of plain values and numpy arrays; nothing in it was run"))
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Object>,
    stack: Vec<Id>,
    /// Heights of the stack at each mark.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
    /// Bytes of all values made so far.
    built: usize,
}

/// How many times its own length a pickle may build: numpy's write a text, its bytes and an array of them, once each; but what
/// is remembered can be copied again and again for a few bytes.
const TIMES: usize = 8;
/// How many bytes a pickle may build besides, however short it is.
const BESIDES: usize = 1 << 16;

/// A value, or what was got instead of one, in words.
type Parsed<T> = std::result::Result<T, String>;

impl<'a> Machine<'a> {
    fn run(&mut self) -> Parsed<Id> {
        loop {
            let code = self.take(1)?[0];
            if code == b'.' {
                return self.pop();
            }
            self.step(code)?;
            if self.built > TIMES * self.bytes.len() + BESIDES {
                return Err(format!("values of {} bytes in all, copies of each other", self.built));
            }
        }
    }

    fn step(&mut self, code: u8) -> Parsed<()> {
        match code {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }
            b'N' => self.push(Object::None),
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            b'I' => match self.line()? {
                "01" => self.push(Object::Bool(true)),
                "00" => self.push(Object::Bool(false)),
                text => {
                    let n = text.parse().map_err(|_| format!("the number `{text}`"))?;
                    self.push(Object::Int(n));
                }
            },
            b'J' => {
                let n = self.take(4)?;
                self.push(Object::Int(i32::from_le_bytes([n[0], n[1], n[2], n[3]]).into()));
            }
            b'K' | b'M' => {
                let n = self.number(if code == b'K' { 1 } else { 2 })?;
                self.push(Object::Int(n as i64));
            }
            b'L' => {
                let text = self.line()?.trim_end_matches('L');
                let n = text.parse().map_err(|_| format!("the number `{text}`"))?;
                self.push(Object::Int(n));
            }
            0x8a | 0x8b => self.long(if code == 0x8a { 1 } else { 4 })?,
            b'F' => {
                let text = self.line()?;
                let x = text.parse().map_err(|_| format!("the number `{text}`"))?;
                self.push(Object::Float(x));
            }
            b'G' => {
                let mut x = [0; 8];
                x.copy_from_slice(self.take(8)?);
                self.push(Object::Float(f64::from_be_bytes(x)));
            }
            b'S' => {
                let text = self.line()?;
                let inner = ['\'', '"'].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
                let inner = inner.filter(|t| !t.contains('\\')).ok_or_else(|| format!("the text {text}"))?;
                self.push(Object::Bytes(inner.into()));
            }
            b'T' | b'B' => self.bytes_of(4)?,
            b'U' | b'C' => self.bytes_of(1)?,
            0x8e | 0x96 => self.bytes_of(8)?,
            b'V' => {
                let text = unescaped(self.raw_line()?)?;
                self.push(Object::Text(text));
            }
            b'X' | 0x8c | 0x8d => {
                let width = [(b'X', 4), (0x8c, 1)].iter().find(|(c, _)| *c == code).map_or(8, |(_, n)| *n);
                let n = self.number(width)?;
                let text = std::str::from_utf8(self.take(n)?).map_err(|_| "a text that is not UTF-8")?.to_string();
                self.push(Object::Text(text));
            }
            b')' => self.push(Object::Tuple(vec![])),
            b']' => self.push(Object::List(vec![])),
            b'}' => self.push(Object::Dict(vec![])),
            b't' => {
                let items = self.above_mark()?;
                self.push(Object::Tuple(items));
            }
            0x85..=0x87 => {
                let n = usize::from(code - 0x84);
                let start = self.stack.len().checked_sub(n).filter(|s| *s >= self.floor()).ok_or(EMPTY)?;
                let items = self.stack.split_off(start);
                self.push(Object::Tuple(items));
            }
            b'l' => {
                let items = self.above_mark()?;
                self.push(Object::List(items));
            }
            b'd' => {
                let pairs = pairs(self.above_mark()?)?;
                self.push(Object::Dict(pairs));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' => {
                let items = self.above_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(vec![(key, value)])?;
            }
            b'u' => {
                let items = pairs(self.above_mark()?)?;
                self.set(items)?;
            }
            b'q' | b'r' => {
                let key = self.number(if code == b'q' { 1 } else { 4 })?;
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            0x94 => {
                let top = self.top()?;
                self.memo.insert(self.memo.len(), top);
            }
            b'p' => {
                let key = self.key()?;
                let top = self.top()?;
                self.memo.insert(key, top);
            }
            b'h' | b'j' | b'g' => {
                let key = match code {
                    b'h' => self.number(1)?,
                    b'j' => self.number(4)?,
                    _ => self.key()?,
                };
                let id = *self.memo.get(&key).ok_or_else(|| format!("memo {key}, which holds nothing"))?;
                self.stack.push(id);
            }
            b'c' => {
                let name = format!("{}.{}", self.line()?, self.line()?);
                self.global(name)?;
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.values[module], &self.values[name]) {
                    (Object::Text(module), Object::Text(name)) => self.global(format!("{module}.{name}"))?,
                    _ => return Err("a name that is not a text".into()),
                }
            }
            b'R' => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let (Object::Global(name), Object::Tuple(arguments)) =
                    (&self.values[function], &self.values[arguments])
                else {
                    return Err("a call of what is no function".into());
                };
                let value = numpy::call(name, arguments, &self.values)?;
                self.push(value);
            }
            b'b' => {
                let (state, object) = (self.pop()?, self.top()?);
                let value = numpy::build(&self.values[object], &self.values[state], &self.values)?;
                self.built += value.bytes();
                self.values[object] = value;
            }
            other => return Err(format!("the opcode 0x{other:02x}, which builds other objects")),
        }
        Ok(())
    }

    fn take(&mut self, n: usize) -> Parsed<&'a [u8]> {
        let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| format!("the end, where {n} bytes more should be"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    /// A whole number of `width` bytes, little end first.
    fn number(&mut self, width: usize) -> Parsed<usize> {
        let mut wide = [0; 8];
        wide[..width].copy_from_slice(self.take(width)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| "a length beyond this machine".into())
    }

    fn raw_line(&mut self) -> Parsed<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&b| b == b'\n').ok_or("a line without an end")?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    fn line(&mut self) -> Parsed<&'a str> {
        std::str::from_utf8(self.raw_line()?).map_err(|_| "a line that is not UTF-8".into())
    }

    fn key(&mut self) -> Parsed<usize> {
        let text = self.line()?;
        text.parse().map_err(|_| format!("the memo `{text}`"))
    }

    fn push(&mut self, value: Object) {
        self.built += value.bytes();
        self.values.push(value);
        self.stack.push(self.values.len() - 1);
    }

    fn bytes_of(&mut self, width: usize) -> Parsed<()> {
        let n = self.number(width)?;
        let bytes = self.take(n)?.to_vec();
        self.push(Object::Bytes(bytes));
        Ok(())
    }

    /// A signed number of as many bytes as the length in front of it says.
    fn long(&mut self, width: usize) -> Parsed<()> {
        let n = self.number(width)?;
        let bytes = self.take(n)?;
        if n > 8 {
            return Err(format!("a number of {n} bytes"));
        }
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        wide[..n].copy_from_slice(bytes);
        self.push(Object::Int(i64::from_le_bytes(wide)));
        Ok(())
    }

    /// Values below the last mark are out of reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Parsed<Id> {
        self.stack.last().copied().filter(|_| self.stack.len() > self.floor()).ok_or_else(|| EMPTY.into())
    }

    fn pop(&mut self) -> Parsed<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn above_mark(&mut self) -> Parsed<Vec<Id>> {
        let mark = self.marks.pop().ok_or("no mark on the stack")?;
        Ok(self.stack.split_off(mark))
    }

    fn extend(&mut self, items: Vec<Id>) -> Parsed<()> {
        let top = self.top()?;
        match &mut self.values[top] {
            Object::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err("items for what is no list".into()),
        }
    }

    fn set(&mut self, pairs: Vec<(Id, Id)>) -> Parsed<()> {
        let top = self.top()?;
        match &mut self.values[top] {
            Object::Dict(dict) => {
                dict.extend(pairs);
                Ok(())
            }
            _ => Err("entries for what is no dictionary".into()),
        }
    }

    fn global(&mut self, name: String) -> Parsed<()> {
        if !KNOWN.contains(&name.as_str()) {
            return Err(format!("the name of a function, `{name}`"));
        }
        self.push(Object::Global(name));
        Ok(())
    }
}

const EMPTY: &str = "an empty stack";

fn pairs(items: Vec<Id>) -> Parsed<Vec<(Id, Id)>> {
    if !items.len().is_multiple_of(2) {
        return Err("a key without a value".into());
    }
    Ok(items.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

/// Python's `raw-unicode-escape`: latin1, but for `\uXXXX` and `\UXXXXXXXX`.
fn unescaped(bytes: &[u8]) -> Parsed<String> {
    let (mut text, mut at) = (String::new(), 0);
    while at < bytes.len() {
        let digits = match bytes[at..] {
            [b'\\', b'u', ..] => 4,
            [b'\\', b'U', ..] => 8,
            _ => 0,
        };
        if digits == 0 {
            text.push(char::from(bytes[at]));
            at += 1;
            continue;
        }
        let code = bytes.get(at + 2..at + 2 + digits).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
        text.push(code.ok_or("a text with a broken escape")?);
        at += 2 + digits;
    }
    Ok(text)
}
