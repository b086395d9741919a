//! Reading genotype text: the notations of NAS-Bench-201 and of quark0/darts. May use: `space`, `error`.

use super::genotype::keyword;
use super::{Candidate, Genotype, Primitive, SearchSpace};
use crate::error::{Error, Result};

/// See [`Genotype::parse`].
pub(super) fn parse(text: &str) -> Result<Genotype> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.skip_space();
    let genotype = match cursor.peek() {
        Some('|') => nas_bench_201(&mut cursor)?,
        Some('G') => darts(&mut cursor)?,
        _ => return Err(cursor.error("`|op~0|+|op~0|op~1|+|op~0|op~1|op~2|` or `Genotype(normal=[...], ...)`")),
    };
    cursor.skip_space();
    match cursor.peek() {
        None => Ok(genotype),
        Some(_) => Err(cursor.error("the end of the text")),
    }
}

/// `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`
fn nas_bench_201(cursor: &mut Cursor) -> Result<Genotype> {
    let space = SearchSpace::nas_bench_201();
    let mut chosen = Vec::new();
    for edge in space.edges() {
        if edge.from == 0 {
            if edge.index > 0 {
                cursor.expect("+", "`+` and the next node")?;
            }
            cursor.expect("|", "`|` and the ops into the next node")?;
        }
        let op = cursor.op(&space, |c| !matches!(c, '~' | '|' | '+'))?;
        let source = format!("`~{}|` after the op of edge {edge}", edge.from);
        cursor.expect(&format!("~{}|", edge.from), &source)?;
        chosen.push(Candidate { cell_type: 0, edge: edge.index, op });
    }
    Genotype::new(&space, &chosen)
}

/// `Genotype(normal=[('op', 0), ...], normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`
fn darts(cursor: &mut Cursor) -> Result<Genotype> {
    let space = SearchSpace::darts();
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
            inputs(cursor, &space, cell_type, &mut chosen)?
        } else {
            concat(cursor, &space)?
        }
        cursor.skip_space();
        if !missing.is_empty() || cursor.peek() == Some(',') {
            cursor.token(",")?;
        }
    }
    cursor.token(")")?;
    Genotype::new(&space, &chosen)
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
            let op = cursor.op(space, |c| c != quote && c != '\n')?;
            cursor.expect(quote.encode_utf8(&mut [0; 4]), "the closing quote")?;
            cursor.token(",")?;
            cursor.skip_space();
            let (number_at, from) = (cursor.at, cursor.number());
            let Some(edge) = edges.iter().find(|e| e.to == to && Some(e.from) == from) else {
                cursor.at = number_at;
                return Err(cursor.error(&format!("an input of node {to}, from 0 to {}", to - 1)));
            };
            let candidate = Candidate { cell_type, edge: edge.index, op };
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

    /// The index of an op of the space, by its name.
    fn op(&mut self, space: &SearchSpace, belongs: impl Fn(char) -> bool) -> Result<usize> {
        let place = self.place();
        let op = Primitive::parse_among(self.word(belongs), space.ops()).map_err(|e| e.at(place))?;
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DARTS_V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), \
        ('sep_conv_3x3', 1), ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
        normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
        ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], \
        reduce_concat=[2, 3, 4, 5])";

    const FOUND_BY_IS_DARTS: &str =
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";

    #[test]
    fn a_nas_bench_201_cell_reads_into_one_op_an_edge() {
        let genotype = Genotype::parse(&format!("  {FOUND_BY_IS_DARTS}\n")).unwrap();
        assert_eq!(genotype.chosen.iter().map(|c| c.op).collect::<Vec<_>>(), [3, 3, 3, 1, 3, 3]);
        assert_eq!(genotype.chosen.iter().map(|c| c.edge).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(genotype.to_string(), FOUND_BY_IS_DARTS);
    }

    #[test]
    fn the_second_published_darts_cell_reads_and_prints_sorted_by_edge() {
        let genotype = Genotype::parse(DARTS_V2).unwrap();
        assert_eq!(
            genotype.to_string(),
            "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
             ('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
             normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), \
             ('skip_connect', 2), ('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], \
             reduce_concat=range(2, 6))"
        );
        assert_eq!(genotype.inputs_of_nodes(0)[3], [(0, Primitive::SkipConnect), (2, Primitive::DilConv3x3)]);
    }

    #[test]
    fn spellings_that_python_allows_mean_the_same() {
        let genotype = Genotype::parse(DARTS_V2).unwrap();
        for other in [
            DARTS_V2.replace("[2, 3, 4, 5]", "range(2, 6)"),
            DARTS_V2.replace("[2, 3, 4, 5]", "( 2,3,4,5, )"),
            DARTS_V2.replace('\'', "\""),
            DARTS_V2.replace(", ", ","),
            DARTS_V2.replace(", ", " ,\n\t").replace('(', "( ").replace(']', " ]").replace('=', " = "),
            DARTS_V2.replace("])", "],\n)").replace("1)]", "1),]"),
            DARTS_V2.replace("sep_conv", "dua_sepc").replace("dil_conv", "dil_sepc"),
        ] {
            assert_eq!(Genotype::parse(&other).unwrap(), genotype, "{other}");
        }
        let (normal, reduce) =
            DARTS_V2.trim_start_matches("Genotype(").trim_end_matches(')').split_once(", reduce=").unwrap();
        assert_eq!(Genotype::parse(&format!("Genotype(reduce={reduce}, {normal})")).unwrap(), genotype);
    }

    #[test]
    fn two_candidates_into_a_node_may_be_on_one_edge() {
        let text = DARTS_V2.replace("('skip_connect', 0), ('dil_conv_3x3', 2)", "('skip_connect', 2), ('none', 2)");
        let genotype = Genotype::parse(&text).unwrap();
        assert_eq!(genotype.inputs_of_nodes(0)[3], [(2, Primitive::None), (2, Primitive::SkipConnect)]);
        assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
    }

    #[test]
    fn a_wrong_text_is_refused_with_its_place_what_was_got_and_what_was_expected() {
        let nb = FOUND_BY_IS_DARTS;
        for (text, says) in [
            (String::new(), "character 1: got the end, expected `|op~0|"),
            ("nor_conv_3x3".into(), "character 1: got `nor_conv_3x3`, expected `|op~0|"),
            (nb.replacen("3x3~0", "3x4~0", 1), "character 2: unknown op `nor_conv_3x4`, did you mean `nor_conv_3x3`?"),
            (nb.replacen("nor_conv_3x3", "sep_conv_3x3", 1), "unknown op `sep_conv_3x3`"),
            (nb.replacen("3x3~1", "3x3~0", 1), "expected `~1|` after the op of edge 2<-1"),
            (nb[..nb.len() - 1].into(), "character 93: got `~2`, expected `~2|` after the op of edge 3<-2"),
            (nb[..48].into(), "expected `+` and the next node"),
            (format!("{nb}+|none~0|"), "got `+|none~0|`, expected the end of the text"),
            ("|é~0|".into(), "character 2: unknown op `é`"),
            ("Genotype".into(), "character 9: got the end, expected `(`"),
            ("Genotype()".into(), "expected one of the keywords still missing: `normal=`, `normal_concat=`, `reduce=`"),
            (DARTS_V2.replace("reduce=", "normal="), "missing: `reduce=`, `reduce_concat=`"),
            (DARTS_V2.replacen("'sep_conv_3x3', 0", "'sep_conv_3x9', 0", 1), "character 20: unknown op `sep_conv_3x9`"),
            (DARTS_V2.replacen("'sep_conv_3x3', 0", "sep_conv_3x3, 0", 1), "expected an op in quotes"),
            (DARTS_V2.replacen("', 1)", "', 2)", 1), "expected an input of node 2, from 0 to 1"),
            (DARTS_V2.replacen("', 1)", "', 99999999999999999999999)", 1), "expected an input of node 2"),
            (DARTS_V2.replacen(", ('dil_conv_3x3', 2)", "", 1), "expected `,` and the second input of node 5"),
            (DARTS_V2.replacen("_3x3', 1)", "_3x3', 0)", 1), "on edge 2<-0 other than the first into node 2"),
            (
                DARTS_V2.replace("('dil_conv_3x3', 2)]", "('dil_conv_3x3', 2), ('none', 1)]"),
                "expected `]` after the two inputs",
            ),
            (
                DARTS_V2.replacen("[2, 3, 4, 5]", "range(2, 5)", 1),
                "expected all nodes: `range(2, 6)` or `[2, 3, 4, 5]`",
            ),
            (DARTS_V2.replacen("[2, 3, 4, 5]", "[2, 3, 4", 1), "expected `]`"),
            (DARTS_V2.trim_end_matches(')').into(), "got the end, expected `)`"),
        ] {
            let message = Genotype::parse(&text).expect_err(&text).to_string();
            assert!(message.starts_with("genotype text, character ") && message.contains(says), "{text}\n{message}");
        }
    }

    #[test]
    fn a_mask_with_too_many_or_too_few_alive_is_no_genotype() {
        let space = SearchSpace::darts();
        let message = Genotype::from_mask(&space, &space.full_mask()).unwrap_err().to_string();
        assert_eq!(message, "genotype of the space darts, normal node 2: got 16 candidates alive, expected 2");
        assert!(Genotype::from_mask(&SearchSpace::nas_bench_201(), &space.full_mask()).is_err());
        let genotype = Genotype::parse(DARTS_V2).unwrap();
        assert_eq!(Genotype::from_mask(&space, &genotype.mask().unwrap()).unwrap(), genotype);
        let twice = [&genotype.chosen[..], &genotype.chosen[15..]].concat();
        let message = Genotype::new(&space, &twice).unwrap_err().to_string();
        assert_eq!(message, "genotype: got reduction edge 5<-2 skip_connect twice, expected it once");
    }

    /// A valid genotype of either space: in every subset, `keep` candidates picked at random.
    fn any_genotype() -> impl Strategy<Value = Genotype> {
        (any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 16)).prop_map(|(is_darts, picks)| {
            let space = if is_darts { SearchSpace::darts() } else { SearchSpace::nas_bench_201() };
            let mut picks = picks.into_iter();
            let mut chosen = Vec::new();
            for mut subset in space.comparison_subsets() {
                for _ in 0..subset.keep {
                    let i = picks.next().unwrap().index(subset.candidates.len());
                    chosen.push(subset.candidates.remove(i));
                }
            }
            Genotype::new(&space, &chosen).unwrap()
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(genotype in any_genotype()) {
            prop_assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
        }

        #[test]
        fn reading_never_panics_on_any_text(text in any::<String>()) {
            let _ = Genotype::parse(&text);
        }

        #[test]
        fn reading_never_panics_on_nearly_right_text(
            genotype in any_genotype(), at in any::<prop::sample::Index>(), n in 0usize..4, insert in "[|~+()\\[\\]',0-9a-zé]{0,3}",
        ) {
            let mut chars: Vec<char> = genotype.to_string().chars().collect();
            let at = at.index(chars.len());
            chars.splice(at..(at + n).min(chars.len()), insert.chars());
            let text: String = chars.into_iter().collect();
            if let Ok(read) = Genotype::parse(&text) {
                prop_assert_eq!(Genotype::parse(&read.to_string()).unwrap(), read);
            }
        }
    }
}
