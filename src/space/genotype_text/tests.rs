//! Genotype text read, printed and refused, in the spaces that ship and in others.

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
        ("from collections import namedtuple".into(), "character 1: got `from collections imp`, expected `|op~0|"),
        (nb.replacen("3x3~0", "3x4~0", 1), "character 2: unknown op `nor_conv_3x4`, did you mean `nor_conv_3x3`?"),
        (nb.replacen("3x3~1", "3x3~0", 1), "expected `~1|` after the op of edge 2<-1"),
        (nb[..nb.len() - 1].into(), "character 93: got `~2`, expected `~2|` after the op of edge 3<-2"),
        (format!("{nb}+|none~0|"), "got the end, expected"),
        (format!("{nb}|none~0|"), "got `|none~0|`, expected the end of the text"),
        ("|é~0|".into(), "character 2: unknown op `é`"),
        ("Genotype".into(), "character 1: got `Genotype`, expected `|op~0|"),
        ("Genotype()".into(), "expected one of the keywords still missing: `normal=`, `reduce=`"),
        (DARTS_V2.replace("reduce=", "normal="), "expected one of the keywords still missing: `reduce=`"),
        (DARTS_V2.replacen("'sep_conv_3x3', 0", "'sep_conv_3x9', 0", 1), "character 20: unknown op `sep_conv_3x9`"),
        (DARTS_V2.replacen("'sep_conv_3x3', 0", "sep_conv_3x3, 0", 1), "expected an op in quotes"),
        (DARTS_V2.replacen("', 1)", "', 2)", 1), "expected an input of node 2, from 0 to 1"),
        (
            DARTS_V2.replacen("', 1)", "', 99999999999999999999999)", 1),
            "expected an op in quotes and the number of the node",
        ),
        (DARTS_V2.replacen("', 1)", "', -1)", 1), "expected an input of node 2, from 0 to 1"),
        (DARTS_V2.replacen(", ('dil_conv_3x3', 2)", "", 1), "got 7 inputs, expected two for each node"),
        (
            DARTS_V2.replace("('dil_conv_3x3', 2)]", "('dil_conv_3x3', 2), ('none', 1)]"),
            "got 9 inputs, expected two for each node",
        ),
        (
            DARTS_V2.replacen(", ('skip_connect', 0), ('dil_conv_3x3', 2)", "", 1),
            "got node 5 in the output, expected nodes of the cell, from 2 to 4",
        ),
        (
            DARTS_V2.replacen("[2, 3, 4, 5]", "range(2, 7)", 1),
            "got node 6 in the output, expected nodes of the cell, from 2 to 5",
        ),
        (DARTS_V2.replacen("[2, 3, 4, 5]", "[2, 2]", 1), "expected the nodes that are the output, each once"),
        (DARTS_V2.replacen("[2, 3, 4, 5]", "range(0, 1000000000)", 1), "expected a range of at most 64"),
        (DARTS_V2.replacen("[2, 3, 4, 5]", "[2, 3, 4", 1), "expected"),
        (DARTS_V2.replace("normal_concat=[2, 3, 4, 5]", "layers=20"), "got `layers=20"),
        ("Genotype(recurrent=[('relu', 0)], concat=range(1, 9))".into(), "got a recurrent cell (`recurrent=`)"),
        ("{'matrix': [[0]], 'ops': ['input']}".into(), "got a cell of NAS-Bench-101"),
        ("[0, 1, 2]".into(), "got a list of 3 whole numbers, expected six"),
        ("(2, 2, 0, 2, 2, 5)".into(), "got the op number 5, expected NASLib's: 0 skip_connect"),
        ("['none', 'none']".into(), "got 2 ops without their edges"),
        ("[[('none', 0), ('none', 1)]]".into(), "got lists of inputs without the names of their cells"),
        ("{'normal_n2_p0': 'sepconv3x3'}".into(), "got `'normal_n2_p0': 'sep`, expected one of the keywords"),
        (format!("{DARTS_V2}\n{DARTS_V2}"), "got `Genotype(normal=[('s`, expected the end of the text"),
        (format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000)), "expected fewer lists in lists"),
        (DARTS_V2.trim_end_matches(')').into(), "got the end, expected `,` or `)`"),
    ] {
        let message = Genotype::parse(&text).expect_err(&text).to_string();
        assert!(message.starts_with("genotype text, character ") && message.contains(says), "{text}\n{message}");
    }
}

#[test]
fn in_a_space_of_ones_own_its_nodes_ops_and_lists_count() {
    use Primitive::{NorConv7x7, SkipConnect};
    let space = SearchSpace::custom("own", Topology::NasBench201, 2, &[SkipConnect, NorConv7x7]).unwrap();
    let listed = space.clone().with_lists(&[vec![vec![NorConv7x7], vec![SkipConnect], vec![SkipConnect]]]).unwrap();
    let good = "|nor_conv_7x7~0|+|skip_connect~0|skip_connect~1|";
    assert_eq!(Genotype::parse_in(&space, good).unwrap().to_string(), good);
    assert_eq!(Genotype::parse_in(&listed, good).unwrap().chosen.len(), 3);
    for (text, says) in [
        (good.replacen("nor_conv_7x7", "none", 1), "character 2: unknown op `none`"),
        (format!("{good}+|none~0|"), "expected the end of the text"),
        ("(2, 2, 0, 2, 2, 2)".into(), "got cells of 3 nodes, expected 2, as the space own has"),
        (DARTS_V2.into(), "character 1: got `Genotype("),
    ] {
        let message = Genotype::parse_in(&space, &text).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
    let message = Genotype::parse_in(&listed, &good.replacen("nor_conv_7x7", "skip_connect", 1)).unwrap_err();
    assert!(message.to_string().contains("character 2: unknown op `skip_connect`"), "{message}");
    let darts = SearchSpace::custom("own", Topology::Darts, 1, &[SkipConnect, NorConv7x7]).unwrap();
    let list = |op| vec![vec![op], vec![SkipConnect]];
    let darts = darts.with_lists(&[list(NorConv7x7), list(SkipConnect)]).unwrap();
    let text = "Genotype(normal=[('nor_conv_7x7', 0), ('nor_conv_7x7', 1)], normal_concat=[2], \
        reduce=[('skip_connect', 0), ('skip_connect', 1)], reduce_concat=range(2, 3))";
    let message = Genotype::parse_in(&darts, text).unwrap_err().to_string();
    assert!(message.contains("character 41: op on normal edge 2<-1 of the space own: got nor_conv_7x7"), "{message}");
    let text = text.replacen("'nor_conv_7x7', 1", "'skip_connect', 1", 1);
    assert_eq!(Genotype::parse_in(&darts, &text).unwrap().chosen.len(), 4);
}

/// Each text is one of these two cells, as papers, logs, JSON and other programs write them.
#[test]
fn what_can_mean_one_cell_only_is_read() {
    let plan = Plan::parse(DARTS_V2).unwrap();
    let inputs = |t: usize| {
        plan.cells[t].iter().enumerate().flat_map(|(i, n)| n.iter().map(move |(op, from)| (*op, i + 2, *from)))
    };
    let listed = |t: usize, one: &dyn Fn((Primitive, usize, usize)) -> String| -> String {
        inputs(t).map(one).collect::<Vec<_>>().join(", ")
    };
    let whole = |one: &dyn Fn((Primitive, usize, usize)) -> String| {
        let range = "range(2, 6)";
        let [normal, reduce] = [0, 1].map(|t| listed(t, one));
        format!("Genotype(normal=[{normal}], normal_concat={range}, reduce=[{reduce}], reduce_concat={range})")
    };
    let nested = |t: usize| -> String {
        let node = |n: &Vec<(Primitive, usize)>| format!("(('{}', {}), ('{}', {}))", n[0].0, n[0].1, n[1].0, n[1].1);
        plan.cells[t].iter().map(node).collect::<Vec<_>>().join(",  # step\n")
    };
    let json = |t: usize| listed(t, &|(op, _, from)| format!("[\"{op}\", {from}]"));
    let by_node = |t: usize| -> String {
        let node = |(i, n): (usize, &Vec<(Primitive, usize)>)| {
            format!("\"{}\": [[\"{}\", {}], [\"{}\", {}]]", i + 2, n[0].0, n[0].1, n[1].0, n[1].1)
        };
        plan.cells[t].iter().enumerate().map(node).collect::<Vec<_>>().join(", ")
    };
    let (json_normal, json_reduce) = (json(0), json(1));
    let as_dict = format!(
        "{{\"normal\": [{json_normal}], \"normal_concat\": [2, 3, 4, 5], \"reduce\": [{json_reduce}], \"reduce_concat\": [2, 3, 4, 5]}}"
    );
    for text in [
        format!("DARTS_V9 = {DARTS_V2}"),
        format!("DARTS: Genotype = genotypes.{DARTS_V2};\n"),
        format!("12/24 03:14:15 PM genotype = {DARTS_V2}"),
        format!("# found\nbest = \\\n  {}  # the end", DARTS_V2.replace("), (", "),  # an input\n  (")),
        DARTS_V2.replace(", normal_concat=[2, 3, 4, 5]", "").replace(", reduce_concat=[2, 3, 4, 5]", ""),
        DARTS_V2
            .replace("normal=", "")
            .replace("normal_concat=", "")
            .replace("reduce=", "")
            .replace("reduce_concat=", ""),
        format!("print({DARTS_V2})"),
        format!("return {DARTS_V2}"),
        DARTS_V2.replace("[2, 3, 4, 5]", "[2 3 4 5]"),
        DARTS_V2.replace("[2, 3, 4, 5]", "array([2, 3, 4, 5], dtype=int64)"),
        DARTS_V2.replace("[2, 3, 4, 5]", "list(range(2, 6))").replace(", 0)", ", np.int64(0))"),
        DARTS_V2.replace("'sep_conv_3x3'", "np.str_('sep_conv_3x3')").replace("'skip_connect'", "b'skip_connect'"),
        DARTS_V2.replace("])", "], connectN=None, connects=None)"),
        whole(&|(op, _, from)| format!("('{op}', {from}, 0.1301)")),
        whole(&|(op, _, from)| format!("('{op}', {from}, tensor(1.3e-1, device='cuda:0'))")),
        whole(&|(op, node, from)| format!("('{op}', {node}, {from})")),
        whole(&|(op, node, from)| format!("['{op}', {from}, {node}]")),
        whole(&|(op, _, from)| format!("({from}, '{op}')")),
        whole(&|(op, _, from)| format!("array(['{op}', '{from}'], dtype='<U12')")),
        whole(&|(op, _, from)| format!("'{op}~{from}'")),
        whole(&|(op, _, from)| format!("dict(op='{op}', input={from})")),
        format!(
            "Genotype(normal=[{}], normal_concat=[2, 3, 4, 5], reduce=[{}], reduce_concat=[2, 3, 4, 5])",
            nested(0),
            nested(1)
        ),
        as_dict.clone(),
        format!("{{\"genotype\": {as_dict}}}"),
        format!("{{\"arch\": \"{DARTS_V2}\"}}"),
        format!("\"{DARTS_V2}\""),
        format!("[[{json_normal}], [2, 3, 4, 5], [{json_reduce}], [2, 3, 4, 5]]"),
        format!("{{\"normal\": {{{}}}, \"reduce\": {{{}}}}}", by_node(0), by_node(1)),
    ] {
        assert_eq!(Plan::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}")), plan, "{text}");
    }
    let cell = Plan::parse(FOUND_BY_IS_DARTS).unwrap();
    for text in [
        "(2, 2, 0, 2, 2, 2)",
        "arch = [2, 2, 0, 2, 2, 2]",
        "[2 2 0 2 2 2]",
        &FOUND_BY_IS_DARTS.replace('+', " + "),
        &format!("Structure(4 nodes with {FOUND_BY_IS_DARTS})"),
        "((('nor_conv_3x3', 0),), (('nor_conv_3x3', 0), ('nor_conv_3x3', 1)), (('skip_connect', 0), ('nor_conv_3x3', 1), ('nor_conv_3x3', 2)))",
        "[['nor_conv_3x3~0'], ['nor_conv_3x3~0', 'nor_conv_3x3~1'], ['nor_conv_3x3~2', 'skip_connect~0', 'nor_conv_3x3~1']]",
        &format!("arch: '{FOUND_BY_IS_DARTS}'"),
        &format!("best = {FOUND_BY_IS_DARTS}"),
    ] {
        assert_eq!(Plan::parse(text).unwrap_or_else(|e| panic!("{e}\n{text}")), cell, "{text}");
    }
}

#[test]
fn cells_of_any_number_of_nodes_with_an_op_twice_and_part_of_the_nodes_as_output_read_and_print() {
    let nasnet = crate::space::literature::published("NASNet_A").unwrap().text();
    let plan = Plan::parse(&nasnet).unwrap();
    assert_eq!((plan.cells[0].len(), plan.outputs_of(1)), (5, vec![4, 5, 6]));
    assert_eq!(plan.cells[0][3], [(Primitive::AvgPool3x3, 0); 2]);
    assert_eq!(plan.to_string(), nasnet);
    let genotype = Genotype::parse(&nasnet).unwrap();
    assert_eq!((genotype.space.nodes(), genotype.chosen.len()), (5, 20));
    assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
    assert!(genotype.mask().unwrap_err().to_string().contains("twice"), "no mask says it");
    assert!(genotype.draw().contains("output = concat of 4 to 6"), "{}", genotype.draw());
    let five = SearchSpace::custom("five", Topology::Darts, 5, &Primitive::ALL).unwrap();
    assert_eq!(Genotype::parse_in(&five, &nasnet).unwrap().chosen.len(), 20);

    let amoeba = crate::space::literature::published("AmoebaNet_B").unwrap().text();
    let plan = Plan::parse(&amoeba).unwrap();
    assert_eq!((plan.outputs_of(0), plan.to_string()), (vec![1, 3, 4, 6], amoeba.clone()));
    let drawn = Genotype::parse(&amoeba).unwrap();
    assert!(drawn.draw().contains("output = concat of c_{k-1}, 3, 4, 6"), "{}", drawn.draw());
    assert!(drawn.to_dot().contains(r#""normal c_{k-1}" -> "normal output";"#), "{}", drawn.to_dot());

    // A node without inputs is not there, nor is what reads it.
    let fair = Plan::parse(&crate::space::literature::published("FairDARTS_c").unwrap().text()).unwrap();
    assert_eq!((fair.outputs_of(0), fair.outputs_of(1)), (vec![2, 4, 5], vec![2, 3, 4, 5]));
    assert_eq!(fair.cells[0][3], [(Primitive::SepConv3x3, 0)], "the skip of node 3, which has no inputs, is gone");
    assert_eq!(Plan::parse(&fair.to_string()).unwrap(), fair);
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

/// A space of one's own: some nodes, some ops in some order, on some edges fewer of them.
fn any_custom_space() -> impl Strategy<Value = SearchSpace> {
    let ops = prop::sample::subsequence(Primitive::ALL.to_vec(), 2..6).prop_shuffle();
    (any::<bool>(), 1usize..6, ops, prop::collection::vec(any::<prop::sample::Index>(), 0..60)).prop_filter_map(
        "every list is `none`",
        |(is_darts, nodes, ops, picks)| {
            let topology = if is_darts { Topology::Darts } else { Topology::NasBench201 };
            let space = SearchSpace::custom("own", topology, nodes, &ops).unwrap();
            let mut lists = vec![vec![ops.clone(); space.n_edges()]; space.cell_types().len()];
            for (list, pick) in lists.iter_mut().flatten().zip(picks) {
                list.truncate(1 + pick.index(list.len()));
            }
            space.with_lists(&lists).ok()
        },
    )
}

/// A valid genotype of a space: in every subset, `keep` candidates picked at random.
fn any_genotype_of(space: impl Strategy<Value = SearchSpace>) -> impl Strategy<Value = Genotype> {
    (space, prop::collection::vec(any::<prop::sample::Index>(), 20)).prop_map(|(space, picks)| {
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

fn any_genotype() -> impl Strategy<Value = Genotype> {
    any_genotype_of(prop::sample::select(vec![SearchSpace::nas_bench_201(), SearchSpace::darts()]))
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(genotype in any_genotype()) {
        prop_assert_eq!(Genotype::parse(&genotype.to_string()).unwrap(), genotype);
    }

    #[test]
    fn in_a_space_of_ones_own_what_is_printed_reads_back_the_same(genotype in any_genotype_of(any_custom_space())) {
        prop_assert_eq!(&Genotype::parse_in(&genotype.space, &genotype.to_string()).unwrap(), &genotype);
        let _ = (genotype.draw(), genotype.to_dot());
    }

    #[test]
    fn reading_in_a_space_of_ones_own_never_panics(
        space in any_custom_space(), other in any_genotype_of(any_custom_space()), text in any::<String>(),
    ) {
        let _ = (Genotype::parse_in(&space, &text), Genotype::parse_in(&space, &other.to_string()));
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
