//! Reading genotype text: the notation of NAS-Bench-201, and what quark0/darts and the code after it write as Python or JSON.

mod cells;

use super::literal::{Cursor, Literal, LiteralValue};
use super::{Genotype, Plan, Primitive, SearchSpace, Topology};
use crate::error::{Error, Result};

const EDGES: &str = "`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`";
const NODES: &str = "`Genotype(normal=[...], ...)`";
const PRINTED: &str = " nodes with ";
/// Fields of quark0/darts in order, and other names of them.
const FIELDS: [(&str, &str); 4] =
    [("normal", "normal_cell"), ("normal_concat", ""), ("reduce", "reduction"), ("reduce_concat", "reduction_concat")];
/// Fields that say nothing about the cells.
const IDLE: [&str; 5] = ["connectN", "connects", "name", "epoch", "seed"];
/// NASLib: the edges of a NAS-Bench-201 cell, from and to, and its ops, as `op_indices` numbers them
/// (automl/NASLib, `search_spaces/nasbench201/conversions.py`).
const NASLIB_EDGES: [(usize, usize); 6] = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)];
const NASLIB_OPS: [Primitive; 5] =
    [Primitive::SkipConnect, Primitive::None, Primitive::NorConv3x3, Primitive::NorConv1x1, Primitive::AvgPool3x3];

/// See [`Genotype::parse`], and for `Some` space [`Genotype::parse_in`].
pub(super) fn genotype(text: &str, space: Option<&SearchSpace>) -> Result<Genotype> {
    parse(text, space)?.genotype(space)
}

/// The cells as they are written; in a space, with its number of nodes and its ops.
pub(super) fn parse(text: &str, space: Option<&SearchSpace>) -> Result<Plan> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_prefix();
    // AutoDL-Projects prints `Structure(4 nodes with |...|)`.
    let printed = text.find(PRINTED).filter(|_| text.trim_end().ends_with(')'));
    if let Some(at) = printed {
        cursor.at = at + PRINTED.len();
    }
    let reader = Reader { text, space };
    let expected = match space.map(SearchSpace::topology) {
        Some(Topology::NasBench201) => EDGES.to_string(),
        Some(Topology::Darts) => NODES.to_string(),
        None => format!("{EDGES} or {NODES}"),
    };
    let is_edges = cursor.peek() == Some('|');
    let begin = cursor.at;
    let plan = if is_edges {
        reader.edges(&mut cursor)?
    } else {
        let literal = match cursor.peek() {
            None => return Err(cursor.error(&expected)),
            Some(_) => cursor.read()?,
        };
        if let LiteralValue::Word(_) = literal.value {
            cursor.at = begin;
            return Err(cursor.error(&expected));
        }
        cursor.end()?;
        reader.of_literal(&literal, &expected)?
    };
    if printed.is_some() {
        cursor.expect(")", "`)`")?;
    }
    cursor.end()?;
    if space.is_some_and(|s| s.topology() != plan.topology) {
        cursor.at = begin;
        return Err(cursor.error(&expected));
    }
    if let Some(space) = space.filter(|s| plan.cells.iter().any(|nodes| nodes.len() != s.nodes())) {
        let got = format!("cells of {} nodes", plan.cells[0].len());
        return Err(reader.wrong(begin, got, format!("{}, as the space {} has", space.nodes(), space.name())));
    }
    plan.check()?;
    Ok(plan)
}

struct Reader<'a> {
    text: &'a str,
    space: Option<&'a SearchSpace>,
}

impl Reader<'_> {
    fn place(&self, at: usize) -> String {
        Cursor { text: self.text, at }.place()
    }

    /// An error at a place that quotes what stands there.
    fn error(&self, at: usize, expected: &str) -> Error {
        Cursor { text: self.text, at }.error(expected)
    }

    /// An error at a place that says in words what stands there.
    fn wrong(&self, at: usize, got: impl Into<String>, expected: impl std::fmt::Display) -> Error {
        Error::invalid(self.place(at), got.into(), expected)
    }

    /// An error where the space is of the `other` wiring.
    fn check_topology(&self, at: usize, other: Topology, expected: &str) -> Result<()> {
        match self.space.is_some_and(|s| s.topology() == other) {
            true => Err(self.error(at, expected)),
            false => Ok(()),
        }
    }

    /// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`
    fn edges(&self, cursor: &mut Cursor) -> Result<Plan> {
        self.check_topology(cursor.at, Topology::Darts, NODES)?;
        let mut nodes: Vec<Vec<(Primitive, usize)>> = vec![];
        cursor.skip_space();
        while nodes.is_empty() || self.space.map_or(cursor.peek() == Some('+'), |s| nodes.len() < s.nodes()) {
            if !nodes.is_empty() {
                cursor.expect("+", "`+` and the next node")?;
                cursor.skip_space();
            }
            cursor.expect("|", "`|` and the ops into the next node")?;
            let to = nodes.len() + 1;
            let mut inputs = vec![];
            for from in 0..to {
                let place = cursor.place();
                let word = cursor.word(|c| !matches!(c, '~' | '|' | '+' | '\'' | '"') && !c.is_whitespace());
                if word.is_empty() {
                    return Err(cursor.error(&format!("an op and `~{from}|`")));
                }
                let allowed = match self.space {
                    Some(space) => space.ops_of(0, to * (to - 1) / 2 + from),
                    None => Primitive::known(),
                };
                inputs.push((Primitive::parse_among(word, &allowed).map_err(|e| e.at(place))?, from));
                cursor.expect(&format!("~{from}|"), &format!("`~{from}|` after the op of edge {to}<-{from}"))?;
            }
            nodes.push(inputs);
            cursor.skip_space();
        }
        Ok(Plan { topology: Topology::NasBench201, cells: vec![nodes], outputs: vec![] })
    }

    fn of_literal(&self, literal: &Literal, expected: &str) -> Result<Plan> {
        match &literal.value {
            // A text in quotes, as JSON keeps it.
            LiteralValue::Text(text) if text.contains(['|', '(', '{', '[']) => parse(text, self.space),
            // `print(Genotype(...))`, `json.loads('...')`
            LiteralValue::Call(_, values, keywords) if values.len() == 1 && keywords.is_empty() => {
                match &values[0].value {
                    LiteralValue::Call(..) | LiteralValue::Dict(_) | LiteralValue::Text(_) => {
                        self.of_literal(&values[0], expected)
                    }
                    _ => self.of_fields(literal, values, keywords),
                }
            }
            LiteralValue::Call(_, values, keywords) => self.of_fields(literal, values, keywords),
            LiteralValue::Dict(pairs) => match &pairs[..] {
                [(key, inner)] if self.field(key).is_none() => match &inner.value {
                    LiteralValue::Dict(_) | LiteralValue::Call(..) | LiteralValue::List(_) => {
                        self.of_literal(inner, expected)
                    }
                    LiteralValue::Text(text) if text.contains(['|', '(']) => parse(text, self.space),
                    _ => self.of_fields(literal, &[], pairs),
                },
                _ => self.of_fields(literal, &[], pairs),
            },
            LiteralValue::List(items) => self.of_list(literal, items, expected),
            other => Err(self.wrong(literal.at, other.kind(), expected)),
        }
    }

    fn of_list(&self, literal: &Literal, items: &[Literal], expected: &str) -> Result<Plan> {
        let numbers: Option<Vec<i64>> = items.iter().map(cells::integer).collect();
        let is_list = |l: &Literal| matches!(l.value, LiteralValue::List(_));
        let is_concat =
            |l: &Literal| matches!(&l.value, LiteralValue::List(n) if n.iter().all(|n| cells::integer(n).is_some()));
        let are_texts = items.iter().all(|i| matches!(&i.value, LiteralValue::Text(t) if !t.contains('~')));
        match numbers {
            Some(numbers) if numbers.len() == 6 => self.naslib(literal.at, &numbers),
            Some(numbers) => Err(self.wrong(
                literal.at,
                format!("a list of {} whole numbers", numbers.len()),
                format!("six (NASLib's op_indices of a NAS-Bench-201 cell), {expected}"),
            )),
            // A named tuple as JSON keeps it: its fields in order.
            None if items.len() == 4 && items.iter().all(is_list) && is_concat(&items[1]) && is_concat(&items[3]) => {
                self.of_fields(literal, items, &[])
            }
            None if are_texts => Err(self.wrong(
                literal.at,
                format!("{} ops without their edges, of which there are two orders in use", items.len()),
                EDGES,
            )),
            None if items.iter().all(is_list) => self.groups(literal, items),
            None => Err(self.wrong(literal.at, format!("a list of {}", items.len()), expected)),
        }
    }

    fn naslib(&self, at: usize, numbers: &[i64]) -> Result<Plan> {
        let mut nodes = vec![vec![]; 3];
        for (number, (from, to)) in numbers.iter().zip(NASLIB_EDGES) {
            let op = usize::try_from(*number).ok().and_then(|n| NASLIB_OPS.get(n));
            let op = op.ok_or_else(|| {
                let names: Vec<String> = NASLIB_OPS.iter().enumerate().map(|(i, op)| format!("{i} {op}")).collect();
                self.wrong(at, format!("the op number {number}"), format!("NASLib's: {}", names.join(", ")))
            })?;
            nodes[to - 1].push((*op, from));
        }
        nodes.iter_mut().for_each(|inputs| inputs.sort_by_key(|(_, from)| *from));
        Ok(Plan { topology: Topology::NasBench201, cells: vec![nodes], outputs: vec![] })
    }

    /// NAS-Bench-201 as AutoDL-Projects keeps it: `((('op', 0),), (('op', 0), ('op', 1)), ...)`.
    fn groups(&self, literal: &Literal, items: &[Literal]) -> Result<Plan> {
        let expected = "a list for each node of a NAS-Bench-201 cell, with an op for each node before it; or the names of the \
                        cells, `normal=` and `reduce=`";
        let mut nodes = vec![];
        for (to, item) in (1..).zip(items) {
            let LiteralValue::List(inputs) = &item.value else {
                return Err(self.wrong(item.at, item.value.kind(), expected));
            };
            if inputs.len() != to || !inputs.iter().all(cells::is_input) {
                let got = format!("lists of inputs without the names of their cells ({} of them)", items.len());
                return Err(self.wrong(literal.at, got, expected));
            }
            let mut read = vec![];
            for input in inputs {
                let input = self.input(input)?;
                read.push((self.op(&input, None)?, input.from));
            }
            read.sort_by_key(|(_, from)| *from);
            if !read.iter().map(|(_, from)| *from).eq(0..to) {
                return Err(self.wrong(
                    item.at,
                    format!("other inputs of node {to}"),
                    format!("one from each of 0 to {}", to - 1),
                ));
            }
            nodes.push(read);
        }
        if nodes.is_empty() {
            return Err(self.wrong(literal.at, "an empty list", expected));
        }
        Ok(Plan { topology: Topology::NasBench201, cells: vec![nodes], outputs: vec![] })
    }

    /// Which of [`FIELDS`] a key names.
    fn field(&self, key: &Literal) -> Option<usize> {
        let LiteralValue::Text(name) = &key.value else { return None };
        FIELDS.iter().position(|(field, other)| name == field || !other.is_empty() && name == other)
    }

    /// Cells by their fields: values in the order of [`FIELDS`], then keys.
    fn of_fields(&self, literal: &Literal, values: &[Literal], keys: &[(Literal, Literal)]) -> Result<Plan> {
        self.check_topology(literal.at, Topology::NasBench201, EDGES)?;
        let mut fields: [Option<&Literal>; 4] = [None; 4];
        let missing = |fields: &[Option<&Literal>; 4]| {
            let needed = [0, 2].into_iter().filter(|i| fields[*i].is_none()).map(|i| format!("`{}=`", FIELDS[i].0));
            format!("one of the keywords still missing: {}", needed.collect::<Vec<_>>().join(", "))
        };
        for (i, value) in values.iter().enumerate() {
            match fields.get_mut(i) {
                Some(field) => *field = Some(value),
                None if value.value == LiteralValue::None => {}
                None => {
                    return Err(self.wrong(
                        value.at,
                        format!("{} values", values.len()),
                        "four: normal, its output, reduce, its output",
                    ));
                }
            }
        }
        let named = |name: &str| keys.iter().any(|(key, _)| matches!(&key.value, LiteralValue::Text(t) if t == name));
        if named("recurrent") {
            return Err(self.wrong(
                literal.at,
                "a recurrent cell (`recurrent=`)",
                "cells of images: `normal=` and `reduce=`",
            ));
        }
        if named("matrix") || named("module_adjacency") {
            return Err(self.wrong(
                literal.at,
                "a cell of NAS-Bench-101 (a matrix and ops)",
                format!("{EDGES} or {NODES}"),
            ));
        }
        for (key, value) in keys {
            match self.field(key) {
                Some(i) if fields[i].is_none() => fields[i] = Some(value),
                Some(_) => return Err(self.error(key.at, &missing(&fields))),
                None if value.value == LiteralValue::None => {}
                None if matches!(&key.value, LiteralValue::Text(name) if IDLE.contains(&name.as_str())) => {}
                None => return Err(self.error(key.at, &missing(&fields))),
            }
        }
        let (Some(normal), Some(reduce)) = (fields[0], fields[2]) else {
            // Where the closing bracket is, as far as the text goes.
            let end = self.text.trim_end().len().saturating_sub(1).max(literal.at);
            return Err(self.error(end, &missing(&fields)));
        };
        self.darts([(normal, fields[1]), (reduce, fields[3])])
    }
}

#[cfg(test)]
mod tests;
