//! Reading genotype text: the notations of NAS-Bench-201 and of quark0/darts. May use: `space`, `error`.

use super::genotype::keyword;
use super::{Candidate, Genotype, Primitive, SearchSpace, Topology};
use crate::error::{Error, Result};

/// See [`Genotype::parse`], and for `Some` space [`Genotype::parse_in`].
pub(super) fn parse(text: &str, space: Option<&SearchSpace>) -> Result<Genotype> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    let (edges, nodes) = ("`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`", "`Genotype(normal=[...], ...)`");
    let space = match (space, cursor.peek()) {
        (Some(space), _) => space.clone(),
        (None, Some('|')) => SearchSpace::nas_bench_201(),
        (None, Some('G')) => SearchSpace::darts(),
        (None, _) => return Err(cursor.error(&format!("{edges} or {nodes}"))),
    };
    let genotype = match (space.topology(), cursor.peek()) {
        (Topology::NasBench201, Some('|')) => nas_bench_201(&mut cursor, &space)?,
        (Topology::Darts, Some('G')) => darts(&mut cursor, &space)?,
        (Topology::NasBench201, _) => return Err(cursor.error(edges)),
        (Topology::Darts, _) => return Err(cursor.error(nodes)),
    };
    cursor.skip_space();
    match cursor.peek() {
        None => Ok(genotype),
        Some(_) => Err(cursor.error("the end of the text")),
    }
}

/// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`
fn nas_bench_201(cursor: &mut Cursor, space: &SearchSpace) -> Result<Genotype> {
    let mut chosen = Vec::new();
    for edge in space.edges() {
        if edge.from == 0 {
            if edge.index > 0 {
                cursor.expect("+", "`+` and the next node")?;
            }
            cursor.expect("|", "`|` and the ops into the next node")?;
        }
        let op = cursor.op(space, &space.ops_of(0, edge.index), |c| !matches!(c, '~' | '|' | '+'))?;
        let source = format!("`~{}|` after the op of edge {edge}", edge.from);
        cursor.expect(&format!("~{}|", edge.from), &source)?;
        chosen.push(Candidate { cell_type: 0, edge: edge.index, op });
    }
    Genotype::new(space, &chosen)
}

/// `Genotype(normal=[('op', 0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`
fn darts(cursor: &mut Cursor, space: &SearchSpace) -> Result<Genotype> {
    let mut chosen = Vec::new();
    // One keyword for the inputs and one for the concatenation of each cell type, each of them once.
    let types = space.cell_types().iter().enumerate();
    let mut missing: Vec<(String, usize, bool)> = types
        .flat_map(|(t, cell)| [(keyword(*cell).to_string(), t, true), (format!("{}_concat", keyword(*cell)), t, false)])
        .collect();
    cursor.expect("Genotype", "`Genotype(`")?;
    cursor.token("(")?;
    while !missing.is_empty() {
        cursor.skip_space();
        let place = cursor.at;
        let word = cursor.word(|c| c.is_ascii_alphanumeric() || c == '_');
        let Some(i) = missing.iter().position(|(name, _, _)| name == word) else {
            cursor.at = place;
            let names: Vec<String> = missing.iter().map(|(name, _, _)| format!("`{name}=`")).collect();
            return Err(cursor.error(&format!("one of the keywords still missing: {}", names.join(", "))));
        };
        let (_, cell_type, is_inputs) = missing.remove(i);
        cursor.token("=")?;
        if is_inputs {
            inputs(cursor, space, cell_type, &mut chosen)?
        } else {
            concat(cursor, space)?
        }
        cursor.skip_space();
        if !missing.is_empty() || cursor.peek() == Some(',') {
            cursor.token(",")?;
        }
    }
    cursor.token(")")?;
    Genotype::new(space, &chosen)
}

/// `[('op', 0), ('op', 1), ...]`: two pairs for every node in order, of an op and the node it reads.
fn inputs(cursor: &mut Cursor, space: &SearchSpace, cell_type: usize, chosen: &mut Vec<Candidate>) -> Result<()> {
    let edges = space.edges();
    let last = space.inputs() + space.nodes() - 1;
    cursor.token("[")?;
    for to in space.inputs()..=last {
        for second in [false, true] {
            cursor.token("(")?;
            cursor.skip_space();
            let quote = cursor.peek().filter(|c| matches!(c, '\'' | '"'));
            let quote = quote.ok_or_else(|| cursor.error("an op in quotes"))?;
            cursor.token(quote.encode_utf8(&mut [0; 4]))?;
            let start = cursor.at;
            let op = cursor.op(space, space.ops(), |c| c != quote && c != '\n')?;
            cursor.expect(quote.encode_utf8(&mut [0; 4]), "the closing quote")?;
            cursor.token(",")?;
            cursor.skip_space();
            let (number_at, from) = (cursor.at, cursor.number());
            let Some(edge) = edges.iter().find(|e| e.to == to && Some(e.from) == from) else {
                cursor.at = number_at;
                return Err(cursor.error(&format!("an input of node {to}, from 0 to {}", to - 1)));
            };
            let candidate = Candidate { cell_type, edge: edge.index, op };
            if let Err(error) = space.check(candidate) {
                cursor.at = start;
                return Err(error.at(cursor.place()));
            }
            if second && chosen.last() == Some(&candidate) {
                cursor.at = start;
                return Err(cursor.error(&format!("an op on edge {edge} other than the first into node {to}")));
            }
            chosen.push(candidate);
            cursor.token(")")?;
            cursor.skip_space();
            if !(to == last && second) {
                let (which, of) = if second { ("first", to + 1) } else { ("second", to) };
                cursor.expect(",", &format!("`,` and the {which} input of node {of}"))?;
            } else if cursor.peek() == Some(',') {
                cursor.token(",")?;
                cursor.skip_space();
            }
        }
    }
    cursor.expect("]", &format!("`]` after the two inputs of each node from {} to {last}", space.inputs()))
}

/// `range(2, 6)`, `[2, 3, 4, 5]` or `(2, 3, 4, 5)`: all computed nodes, as there is no other output in the space.
fn concat(cursor: &mut Cursor, space: &SearchSpace) -> Result<()> {
    let nodes: Vec<usize> = (space.inputs()..space.inputs() + space.nodes()).collect();
    cursor.skip_space();
    let start = cursor.at;
    let is_range = cursor.peek() == Some('r');
    if is_range {
        cursor.expect("range", "`range(`")?;
        cursor.skip_space();
    }
    let (open, close) = match cursor.peek() {
        Some('[') if !is_range => ("[", "]"),
        _ => ("(", ")"),
    };
    cursor.token(open)?;
    let mut numbers = Vec::new();
    loop {
        cursor.skip_space();
        let Some(number) = cursor.number() else { break };
        numbers.push(number);
        cursor.skip_space();
        if cursor.peek() != Some(',') {
            break;
        }
        cursor.token(",")?;
    }
    cursor.token(close)?;
    let fits = if is_range { numbers == [nodes[0], nodes[0] + nodes.len()] } else { numbers == nodes };
    if fits {
        return Ok(());
    }
    cursor.at = start;
    Err(cursor.error(&format!("all nodes: `range({}, {})` or `{nodes:?}`", nodes[0], nodes[0] + nodes.len())))
}

/// A place in the text. `at` is a byte offset on a character boundary; errors count characters from 1.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// The characters from here on that `belongs` accepts.
    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !belongs(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn number(&mut self) -> Option<usize> {
        self.word(|c| c.is_ascii_digit()).parse().ok()
    }

    /// The index in the space of one of its ops that are `allowed`, by its name.
    fn op(&mut self, space: &SearchSpace, allowed: &[Primitive], belongs: impl Fn(char) -> bool) -> Result<usize> {
        let place = self.place();
        let op = Primitive::parse_among(self.word(belongs), allowed).map_err(|e| e.at(place))?;
        Ok(space.ops().iter().position(|p| *p == op).unwrap_or_default())
    }

    fn expect(&mut self, literal: &str, expected: &str) -> Result<()> {
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

    fn place(&self) -> String {
        format!("genotype text, character {}", self.text[..self.at].chars().count() + 1)
    }

    fn error(&self, expected: &str) -> Error {
        let got: String = self.rest().chars().take(20).collect();
        let got = if got.is_empty() { "the end".to_string() } else { format!("`{got}`") };
        Error::invalid(self.place(), got, expected)
    }
}

#[cfg(test)]
mod tests;
