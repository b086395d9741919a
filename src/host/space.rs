//! Search spaces, candidates, masks, comparison subsets, importances and the shrink schedule in scripts.

use super::api::Api;
use super::convert::count;
use super::errors::{Fallible, raise, wrong};
use super::net::Net;
use crate::space::{
    Candidate as Place, ComparisonSubset, Iim, Mask as Alive, PerCandidate, Primitive, SearchSpace, ShrinkSchedule,
};
use rhai::{Array, Dynamic, INT};
use std::rc::Rc;

/// A search space.
#[derive(Clone, Debug, PartialEq)]
pub struct Space(pub Rc<SearchSpace>);

/// A candidate that knows its space (for its names).
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Where it is.
    pub place: Place,
    /// What it belongs to.
    pub space: Rc<SearchSpace>,
}

/// A mask as it was when asked for.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Which are alive.
    pub alive: Alive,
    /// Of this space.
    pub space: Rc<SearchSpace>,
}

/// A comparison subset of a live supernet.
#[derive(Clone)]
pub struct Subset {
    /// The candidates.
    pub subset: Rc<ComparisonSubset>,
    /// Whose mask tells which are alive.
    pub net: Net,
}

/// One number per candidate, the larger the more important: an IIM measurement, architecture weights, a script's own.
#[derive(Clone)]
pub struct Importance {
    /// The numbers.
    pub table: Rc<PerCandidate<f64>>,
    /// The raw scores, of an IIM measurement.
    pub score: Option<Rc<PerCandidate<f64>>>,
    /// Of this space.
    pub space: Rc<SearchSpace>,
}

impl Importance {
    /// Of an IIM measurement: `1 / score`.
    pub fn from_iim(iim: &Iim, space: &Rc<SearchSpace>) -> Self {
        let mut table = PerCandidate::filled(space, f64::NAN);
        space.candidates().into_iter().for_each(|c| *table.get_mut(c) = iim.importance(c));
        Importance { table: Rc::new(table), score: Some(Rc::new(iim.score.clone())), space: space.clone() }
    }
}

/// Text such as `nor_conv_3x3 on edge 2<-1`.
pub fn candidate_name(space: &SearchSpace, c: Place) -> String {
    let edge = space.edges()[c.edge];
    let cell = match (space.cell_types().len(), space.cell_types()[c.cell_type]) {
        (1, _) => String::new(),
        (_, kind) => format!("{kind:?} ").to_lowercase(),
    };
    format!("{} on {cell}edge {}<-{}", space.ops()[c.op].name(), edge.to, edge.from)
}

/// A table of numbers, one line an edge.
fn table_text(space: &SearchSpace, cell: impl Fn(Place) -> String) -> String {
    let mut text = String::new();
    for (cell_type, kind) in space.cell_types().iter().enumerate() {
        if space.cell_types().len() > 1 {
            text += &format!("{}\n", format!("{kind:?}").to_lowercase());
        }
        text += &format!("{:6}", "edge");
        space.ops().iter().for_each(|op| text += &format!(" {:>12}", op.name()));
        for edge in space.edges() {
            text += &format!("\n{:6}", format!("{}<-{}", edge.to, edge.from));
            for op in 0..space.ops().len() {
                text += &format!(" {:>12}", cell(Place { cell_type, edge: edge.index, op }));
            }
        }
        text.push('\n');
    }
    text.trim_end().to_string()
}

fn number_text(x: f64) -> String {
    if x.is_nan() { "-".into() } else { format!("{x:.4e}") }
}

fn candidate(space: &Space, cell_type: &str, edge: INT, op: &str) -> Fallible<Candidate> {
    let names: Vec<String> = space.0.cell_types().iter().map(|t| format!("{t:?}").to_lowercase()).collect();
    let cell_type =
        names.iter().position(|n| n == cell_type).ok_or_else(|| wrong("cell type", cell_type, names.join(" or ")))?;
    let op = Primitive::parse(op)
        .ok()
        .and_then(|p| space.0.ops().iter().position(|o| *o == p))
        .ok_or_else(|| raise(crate::Error::unknown_name("op", op, space.0.ops().iter().map(|o| o.name()))))?;
    let place = Place { cell_type, edge: count(edge, "edge")?, op };
    space.0.check(place).map_err(raise)?;
    Ok(Candidate { place, space: space.0.clone() })
}

fn handles(space: &Rc<SearchSpace>, places: impl IntoIterator<Item = Place>) -> Array {
    places.into_iter().map(|place| Dynamic::from(Candidate { place, space: space.clone() })).collect()
}

/// A space from its handle or name.
pub fn space_of(value: &Dynamic) -> Fallible<Space> {
    if let Some(space) = value.read_lock::<Space>() {
        return Ok(space.clone());
    }
    match value.as_immutable_string_ref() {
        Ok(name) => SearchSpace::by_name(&name).map(|s| Space(Rc::new(s))).map_err(raise),
        Err(_) => Err(wrong("space", super::convert::shown(value), "a Space, or the name of one")),
    }
}

/// Register the functions of spaces.
pub fn register(api: &mut Api) {
    spaces(api);
    subsets(api);
    schedules(api);
}

fn spaces(api: &mut Api) {
    api.chapter("search spaces");
    api.value::<Space>("Space", |s| format!("{} ({} edges, {} ops)", s.0.name(), s.0.edges().len(), s.0.ops().len()));
    api.value::<Candidate>("Candidate", |c| candidate_name(&c.space, c.place));
    api.also("==", |a: &mut Candidate, b: Candidate| *a == b);
    api.also("!=", |a: &mut Candidate, b: Candidate| *a != b);
    api.also("==", |a: &mut Space, b: Space| *a == b);
    api.value::<Mask>("Mask", |m| {
        table_text(&m.space, |c| (if m.alive.is_alive(c) { "alive" } else { "." }).to_string())
    });
    api.def(
        [
            "space",
            "space(name) -> Space",
            "A search space by name: \"nas-bench-201\" or \"darts\". Unknown names are an error with the nearest.",
            "let s = space(\"nas-bench-201\");\nassert(s.edges.len == 6);",
        ],
        |name: &str| SearchSpace::by_name(name).map(|s| Space(Rc::new(s))).map_err(raise),
    );
    api.get(
        [
            "name",
            "space.name -> string\nsubset.name -> string\ndata.name -> string",
            "Its name.",
            "assert(space(\"darts\").name == \"darts\");",
        ],
        |s: &mut Space| Ok(s.0.name().to_string()),
    );
    api.get(
        [
            "ops",
            "space.ops -> [string]",
            "Names of the candidate ops of every edge, in order.",
            "assert(\"none\" in space(\"darts\").ops);",
        ],
        |s: &mut Space| Ok(s.0.ops().iter().map(|o| o.name().into()).collect::<Array>()),
    );
    api.get(
        [
            "edges",
            "space.edges -> [[from, to]]",
            "The edges of a cell in order, as pairs of node numbers (NAS-Bench-201: node 0 is the input; DARTS: 0 and 1 are).",
            "assert(space(\"nas-bench-201\").edges[2] == [1, 2]);",
        ],
        |s: &mut Space| {
            let pair = |e: &crate::space::Edge| Dynamic::from(vec![Dynamic::from(e.from as INT), Dynamic::from(e.to as INT)]);
            Ok(s.0.edges().iter().map(pair).collect::<Array>())
        },
    );
    api.get(
        [
            "cell_types",
            "space.cell_types -> [string]",
            "`normal`, and in the DARTS space `reduction`.",
            "assert(space(\"darts\").cell_types.len == 2);",
        ],
        |s: &mut Space| Ok(s.0.cell_types().iter().map(|t| format!("{t:?}").to_lowercase().into()).collect::<Array>()),
    );
    api.get(
        [
            "candidates",
            "space.candidates -> [Candidate]\nsubset.candidates -> [Candidate]",
            "All candidates, dead ones too, in order: cell type, edge, op.",
            "assert(space(\"nas-bench-201\").candidates.len == 30);",
        ],
        |s: &mut Space| Ok(handles(&s.0, s.0.candidates())),
    );
    api.def(
        [
            "candidate",
            "space.candidate(edge, op) -> Candidate\nspace.candidate(cell_type, edge, op) -> Candidate",
            "The candidate `op` (a name) on the edge number `edge` (from 0, see `space.edges`) of a cell type (default: \"normal\").",
            "let c = space(\"nas-bench-201\").candidate(2, \"nor_conv_3x3\");\nassert(c.to_string() == \"nor_conv_3x3 on edge 2<-1\");",
        ],
        |s: &mut Space, edge: INT, op: &str| candidate(s, "normal", edge, op),
    );
    api.also("candidate", |s: &mut Space, kind: &str, edge: INT, op: &str| candidate(s, kind, edge, op));
    api.get(
        [
            "op",
            "candidate.op -> string",
            "Name of its op.",
            "assert(space(\"darts\").candidates[1].op == \"skip_connect\");",
        ],
        |c: &mut Candidate| Ok(c.space.ops()[c.place.op].name().to_string()),
    );
    api.get(
        [
            "edge",
            "candidate.edge -> integer",
            "Number of its edge, from 0.",
            "assert(space(\"nas-bench-201\").candidates[7].edge == 1);",
        ],
        |c: &mut Candidate| Ok(c.place.edge as INT),
    );
    api.get(
        [
            "cell_type",
            "candidate.cell_type -> string",
            "Name of its cell type.",
            "assert(space(\"darts\").candidates[0].cell_type == \"normal\");",
        ],
        |c: &mut Candidate| Ok(format!("{:?}", c.space.cell_types()[c.place.cell_type]).to_lowercase()),
    );
    api.def(
        [
            "is_alive",
            "mask.is_alive(candidate) -> bool",
            "Whether a candidate was alive when the mask was taken.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\nassert(net.mask.is_alive(net.space.candidates[0]));",
        ],
        |m: &mut Mask, c: Candidate| m.alive.is_alive(c.place),
    );
    api.get(
        [
            "n_alive",
            "mask.n_alive -> integer",
            "Number of candidates alive.",
            "assert(supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 }).mask.n_alive == 30);",
        ],
        |m: &mut Mask| Ok(m.alive.n_alive() as INT),
    );
    api.get(
        [
            "alive",
            "mask.alive -> [Candidate]\nsubset.alive -> [Candidate]",
            "The candidates alive (of a subset: in its supernet now), in order.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\nassert(net.mask.alive.len == 30);",
        ],
        |m: &mut Mask| Ok(handles(&m.space, m.alive.alive())),
    );
}

fn subsets(api: &mut Api) {
    api.chapter("shrinking");
    api.value::<Subset>("Subset", |s| {
        format!("{} ({} alive, keeps {})", s.subset.name, s.alive().len(), s.subset.keep)
    });
    api.value::<Importance>("Importance", importance_text);
    api.also_get("name", |s: &mut Subset| Ok(s.subset.name.clone()));
    api.also_get("candidates", |s: &mut Subset| Ok(handles(&s.net.space(), s.subset.candidates.clone())));
    api.also_get("alive", |s: &mut Subset| Ok(handles(&s.net.space(), s.alive())));
    api.get(
        [
            "keep",
            "subset.keep -> integer",
            "How many candidates of the subset survive (NAS-Bench-201: 1; DARTS: 2).",
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\nassert(net.comparison_subsets()[0].keep == 1);",
        ],
        |s: &mut Subset| Ok(s.subset.keep as INT),
    );
    api.def(
        [
            "least_important",
            "subset.least_important(importance, n) -> [Candidate]",
            "The `n` live candidates of the subset with the smallest importance, least important first. `importance` is what `measure_iim`, \
             `alpha.importance()` or `importance(space, tables)` give. Ties: the lower edge, then the lower op, goes first; NaN counts as least.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 4, cells: 1 });\n\
             let iim = net.measure_iim(data().train, 16);\n\
             let subset = net.comparison_subsets()[0];\n\
             assert(subset.least_important(iim, 1)[0].op == \"none\");",
        ],
        |s: &mut Subset, importance: Importance, n: INT| {
            let n = count(n, "least_important, n")?;
            let chosen = s.subset.least_important(&importance.table, &s.net.mask(), n);
            Ok::<Array, Box<rhai::EvalAltResult>>(handles(&s.net.space(), chosen))
        },
    );
    api.def(
        [
            "of",
            "importance.of(candidate) -> float",
            "The importance of one candidate: for an IIM measurement 1/score, 0 for an infinite score, NaN where it was dead.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 4, cells: 1 });\n\
             assert(net.measure_iim(data().train, 16).of(net.space.candidates[0]) == 0.0);",
        ],
        |i: &mut Importance, c: Candidate| *i.table.get(c.place),
    );
    api.def(
        [
            "score",
            "iim.score(candidate) -> float",
            "The score of one candidate of an IIM measurement: mean of 3 (x - m)^2 / s^6, m and s^2 over the channels of a pixel; the larger, the less important. \
             An error for importances that are not measured.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 4, cells: 1 });\n\
             assert(net.measure_iim(data().train, 16).score(net.space.candidates[2]) > 0.0);",
        ],
        |i: &mut Importance, c: Candidate| match &i.score {
            Some(score) => Ok(*score.get(c.place)),
            None => Err(wrong("score", "an importance that is not measured", "what measure_iim gives")),
        },
    );
}

fn schedules(api: &mut Api) {
    api.value::<ShrinkSchedule>("ShrinkSchedule", |s| {
        let due: Vec<String> = (1..=s.epochs).filter(|e| s.is_due(*e)).map(|e| e.to_string()).collect();
        format!("shrinks after epochs {} of {}", due.join(", "), s.epochs)
    });
    api.def(
        [
            "shrink_schedule",
            "shrink_schedule(epochs, steps, every) -> ShrinkSchedule",
            "S steps, I epochs apart: they fall after the epochs E - S*I, ..., E - 2*I, E - I. I = 0, with S = 1, is one step after the last epoch. \
             An error unless S >= 1 and S * I < E.",
            "let s = shrink_schedule(30, 4, 2);\nassert(s.is_due(22) && !s.is_due(23));",
        ],
        |epochs: INT, steps: INT, every: INT| {
            let [epochs, steps, every] =
                [count(epochs, "epochs")?, count(steps, "shrink steps")?, count(every, "shrink every")?];
            ShrinkSchedule::new(epochs, steps, every).map_err(raise)
        },
    );
    api.def(
        [
            "is_due",
            "schedule.is_due(epoch) -> bool",
            "Whether a shrink step falls after this epoch (from 1).",
            "assert(shrink_schedule(50, 7, 3).is_due(29));",
        ],
        |s: &mut ShrinkSchedule, epoch: INT| count(epoch, "epoch").map(|e| s.is_due(e)),
    );
    api.def(
        [
            "n_to_drop",
            "schedule.n_to_drop(subset, epoch) -> integer",
            "How many candidates of the subset the step after this epoch drops: ceil((alive - keep) / steps left); 0 if none is due.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n\
             assert(shrink_schedule(30, 2, 2).n_to_drop(net.comparison_subsets()[0], 26) == 2);",
        ],
        |s: &mut ShrinkSchedule, subset: Subset, epoch: INT| {
            count(epoch, "epoch").map(|e| s.n_to_drop(subset.alive().len(), subset.subset.keep, e) as INT)
        },
    );
}

impl Subset {
    /// The candidates alive now.
    pub fn alive(&self) -> Vec<Place> {
        self.subset.alive(&self.net.mask())
    }
}

/// An importance as a table, one line an edge.
pub fn importance_text(importance: &Importance) -> String {
    table_text(&importance.space, |c| number_text(*importance.table.get(c)))
}
