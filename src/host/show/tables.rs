//! Tables by edge and op: importances with bars and ranks, masks.

use super::look::{Look, Style, bar};
use crate::space::{Candidate, Mask, PerCandidate, SearchSpace, Topology};

/// An importance: number, bar and rank of every candidate among those it competes with. `measured`: it is an IIM.
pub fn importance(space: &SearchSpace, table: &PerCandidate<f64>, measured: bool, look: &Look) -> String {
    let ranks = Ranks::new(space, table);
    let digits = ranks.rank.iter().map(|(_, r)| r.to_string().len()).max().unwrap_or(1);
    let wide = Columns { number: 7, bar: 3, rank: digits };
    let narrow = Columns { number: 6, bar: 1, rank: 0 };
    let columns = if wide.total(space) <= look.width { wide } else { narrow };
    let cell = |c: Candidate| {
        let x = *table.get(c);
        if x.is_nan() {
            return look.dropped(space.ops()[c.op].name(), columns.width()).to_string();
        }
        let rank = *ranks.rank.get(c);
        let share = *ranks.share.get(c);
        let text = match columns.rank {
            0 => format!("{:>6} {}", number(x, 1), vertical(share)),
            r => format!("{:>7} {:3} {rank:>r$}", number(x, 2), bar(share, 3)),
        };
        let text = format!("{text:w$}", w = columns.width());
        match (rank, *ranks.of.get(c)) {
            (rank, (keep, _)) if rank <= keep => look.paint(Style::Good, &text),
            (rank, (_, alive)) if rank == alive => look.paint(Style::Bad, &text),
            _ => text,
        }
    };
    let among = match space.topology() {
        Topology::NasBench201 => "of the edge",
        Topology::Darts => "into the node",
    };
    let what = if measured { "IIM = 1/score" } else { "importance" };
    let title = match columns.rank {
        0 => format!("{what}; bar: share of the largest {among}"),
        _ => format!("{what}; bar and rank among the candidates {among} (1: most important)"),
    };
    format!("{}\n{}", look.paint(Style::Title, &title), grid(space, columns.width(), look, cell))
}

/// Which candidates are alive, by name.
pub fn mask(space: &SearchSpace, mask: &Mask, look: &Look) -> String {
    let longest = space.ops().iter().map(|op| op.name().len()).max().unwrap_or_default();
    let full = EDGE + space.ops().len() * (longest + 1) <= look.width;
    let width = if full { longest } else { 8 };
    let cell = |c: Candidate| {
        let name = space.ops()[c.op].name();
        match (mask.is_alive(c), full) {
            (true, true) => look.paint(Style::Good, &format!("{name:width$}")),
            (true, false) => look.paint(Style::Good, &format!("{:width$}", "●")),
            (false, true) => look.dropped(name, width),
            (false, false) => look.paint(Style::Faint, &format!("{:width$}", "·")),
        }
    };
    let title = format!("{} of {} candidates alive", mask.n_alive(), space.candidates().len());
    format!("{}\n{}", look.paint(Style::Title, &title), grid(space, width, look, cell))
}

/// One short text a candidate, by edge and op.
pub fn grid(space: &SearchSpace, width: usize, look: &Look, cell: impl Fn(Candidate) -> String) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (cell_type, kind) in space.cell_types().iter().enumerate() {
        if space.cell_types().len() > 1 {
            lines.push(look.paint(Style::Title, &kind.to_string()));
        }
        for (i, row) in heads(space, width).into_iter().enumerate() {
            let row: Vec<String> = row.iter().map(|name| format!("{name:width$}")).collect();
            let edge = if i == 0 { "edge" } else { "" };
            lines.push(look.paint(Style::Faint, format!("{edge:EDGE$}{}", row.join(" ")).trim_end()));
        }
        for edge in space.edges() {
            let at = |op: usize| {
                let c = Candidate { cell_type, edge: edge.index, op };
                // Edges may have lists of their own.
                if space.check(c).is_ok() { cell(c) } else { " ".repeat(width) }
            };
            let cells: Vec<String> = (0..space.ops().len()).map(at).collect();
            let name = look.paint(Style::Faint, &format!("{:EDGE$}", format!("{}<-{}", edge.to, edge.from)));
            lines.push(format!("{name}{}", cells.join(" ")).trim_end().to_string());
        }
    }
    lines.join("\n")
}

/// Columns of the name of an edge.
const EDGE: usize = 7;

/// Names of ops in one row, or, where one is too long, in two, broken at the last underscore.
fn heads(space: &SearchSpace, width: usize) -> Vec<Vec<String>> {
    let names: Vec<&str> = space.ops().iter().map(|op| op.name()).collect();
    if names.iter().all(|name| name.len() <= width) {
        return vec![names.iter().map(|name| name.to_string()).collect()];
    }
    let halves = names.iter().map(|name| name.rsplit_once('_').unwrap_or((name, "")));
    let (above, below) = halves.map(|(a, b)| (a.to_string(), b.to_string())).unzip();
    vec![above, below]
}

/// Widths within a cell of the table of importances.
struct Columns {
    number: usize,
    bar: usize,
    rank: usize,
}

impl Columns {
    fn width(&self) -> usize {
        self.number + 1 + self.bar + if self.rank > 0 { 1 + self.rank } else { 0 }
    }

    fn total(&self, space: &SearchSpace) -> usize {
        EDGE + space.ops().len() * (self.width() + 1)
    }
}

/// For every candidate, among its live competitors: its rank from 1, its share of the largest, how many survive and how many
/// there are.
struct Ranks {
    rank: PerCandidate<usize>,
    share: PerCandidate<f64>,
    of: PerCandidate<(usize, usize)>,
}

impl Ranks {
    fn new(space: &SearchSpace, table: &PerCandidate<f64>) -> Self {
        let mut ranks = Ranks {
            rank: PerCandidate::filled(space, 0),
            share: PerCandidate::filled(space, 0.0),
            of: PerCandidate::filled(space, (0, 0)),
        };
        let alive = Mask::from_table(table.map(|x| !x.is_nan()));
        for subset in space.comparison_subsets() {
            let order = subset.least_important(table, &alive, subset.alive(&alive).len());
            let finite = order.iter().map(|c| *table.get(*c)).filter(|x| x.is_finite());
            let largest = finite.fold(0.0, f64::max);
            for (i, c) in order.iter().enumerate() {
                *ranks.rank.get_mut(*c) = order.len() - i;
                *ranks.of.get_mut(*c) = (subset.keep, order.len());
                let x = *table.get(*c);
                *ranks.share.get_mut(*c) = if x == f64::INFINITY { 1.0 } else { (x / largest).max(0.0) };
            }
        }
        ranks
    }
}

/// `2.13e-2` with `digits` after the point; 0 and infinities plain.
pub fn number(x: f64, digits: usize) -> String {
    match x {
        0.0 => "0".into(),
        x if x.is_infinite() => if x > 0.0 { "inf" } else { "-inf" }.into(),
        x => format!("{x:.digits$e}"),
    }
}

/// A bar one character wide.
fn vertical(part: f64) -> char {
    let eighths = (part.clamp(0.0, 1.0) * 8.0).round() as usize;
    [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][if part > 0.0 { eighths.max(1) } else { 0 }]
}

#[cfg(test)]
mod tests {
    use super::super::look::Colours;
    use super::*;

    fn example(space: SearchSpace, look: &Look) -> String {
        let mut table = PerCandidate::filled(&space, f64::NAN);
        for c in space.candidates().into_iter().filter(|c| c.op != 2) {
            *table.get_mut(c) = (c.op * (c.edge + 1)) as f64 * 1e-3;
        }
        importance(&space, &table, false, look)
    }

    #[test]
    fn an_importance_shows_numbers_bars_and_ranks_and_what_was_dropped() {
        let text = example(SearchSpace::nas_bench_201(), &Look::PLAIN);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[1], "edge   none          skip_connect  nor_conv_1x1  nor_conv_3x3  avg_pool_3x3");
        assert_eq!(lines[2], "1<-0         0     4 1.00e-3 ▊   3 ·             3.00e-3 ██▎ 2 4.00e-3 ███ 1");
        assert!(lines.iter().all(|l| l.chars().count() <= 80), "{text}");
    }

    #[test]
    fn what_survives_and_what_goes_next_have_colours_and_the_dropped_are_struck() {
        let look = Look { colours: Colours::Palette, width: 80, ..Look::PLAIN };
        let text = example(SearchSpace::nas_bench_201(), &look);
        let line = text.lines().nth(2).unwrap();
        for part in ["\x1b[31m      0     4\x1b[0m", "\x1b[2;9mnor_conv_1x1\x1b[0m", "\x1b[32m4.00e-3 ███ 1\x1b[0m"]
        {
            assert!(line.contains(part), "{part:?} in {line:?}");
        }
    }

    #[test]
    fn a_table_that_is_too_wide_is_shown_in_short() {
        for (width, most) in [(130, 130), (80, 80)] {
            let look = Look { width, ..Look::PLAIN };
            let text = example(SearchSpace::darts(), &look);
            assert!(text.lines().all(|l| l.chars().count() <= most), "{text}");
            assert_eq!(text.lines().count(), if width == 80 { 1 + 2 * 17 } else { 1 + 2 * 16 }, "{text}");
        }
    }

    #[test]
    fn a_mask_names_the_living() {
        let space = SearchSpace::nas_bench_201();
        let mut alive = space.full_mask();
        alive.drop(Candidate { cell_type: 0, edge: 0, op: 0 }).unwrap();
        let shown = mask(&space, &alive, &Look::PLAIN);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "29 of 30 candidates alive");
        assert_eq!(lines[2], "1<-0   ·            skip_connect nor_conv_1x1 nor_conv_3x3 avg_pool_3x3");
        assert_eq!(lines[3], "2<-0   none         skip_connect nor_conv_1x1 nor_conv_3x3 avg_pool_3x3");
    }
}
