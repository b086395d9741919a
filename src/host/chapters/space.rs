//! The chapter on search spaces, candidates and masks.

use crate::host::handles::space::{Candidate, Mask, Space, candidate_name, handles};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise};
use crate::host::script::value::count;
use crate::host::show::{Look, tables};
use crate::space::{Candidate as Place, Primitive, SearchSpace};
use rhai::{Array, Dynamic, INT};
use std::rc::Rc;

fn candidate(space: &Space, cell_type: &str, edge: INT, op: &str) -> Fallible<Candidate> {
    let cell_type = space.0.cell_type_by_name(cell_type).map_err(raise)?;
    let op = Primitive::parse_among(op, space.0.ops()).map_err(raise)?;
    let op = space.0.ops().iter().position(|o| *o == op).unwrap_or_default();
    let place = Place { cell_type, edge: count(edge, "edge")?, op };
    space.0.check(place).map_err(raise)?;
    Ok(Candidate { place, space: space.0.clone() })
}

/// Register the functions of spaces.
pub fn register(api: &mut Api) {
    api.chapter("search spaces");
    api.value::<Space>("Space", |s| format!("{} ({} edges, {} ops)", s.0.name(), s.0.n_edges(), s.0.ops().len()));
    api.value::<Candidate>("Candidate", |c| candidate_name(&c.space, c.place));
    api.also("==", |a: &mut Candidate, b: Candidate| *a == b);
    api.also("!=", |a: &mut Candidate, b: Candidate| *a != b);
    api.also("==", |a: &mut Space, b: Space| *a == b);
    api.also("!=", |a: &mut Space, b: Space| *a != b);
    api.value::<Mask>("Mask", |m| tables::mask(&m.space, &m.alive, &Look::PLAIN));
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
            "Names of the candidate ops of every edge, in order; where edges have lists of their own (`ops_of`), of their \
             union.",
            "assert(\"none\" in space(\"darts\").ops);",
        ],
        |s: &mut Space| Ok(s.0.ops().iter().map(|o| o.name().into()).collect::<Array>()),
    );
    api.get(
        [
            "edges",
            "space.edges -> [[from, to]]",
            "The edges of a cell in order, as pairs of node numbers (NAS-Bench-201: node 0 is the input; DARTS: 0 and \
             1 are).",
            "assert(space(\"nas-bench-201\").edges[2] == [1, 2]);",
        ],
        |s: &mut Space| {
            let pair =
                |e: &crate::space::Edge| Dynamic::from(vec![Dynamic::from(e.from as INT), Dynamic::from(e.to as INT)]);
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
            "space.candidates -> [Candidate]\nsubset.candidates -> [Candidate]\ngenotype.candidates -> [Candidate]",
            "All candidates, dead ones too, in order: cell type, edge, op; of a genotype, those chosen.",
            "assert(space(\"nas-bench-201\").candidates.len == 30);",
        ],
        |s: &mut Space| Ok(handles(&s.0, s.0.candidates())),
    );
    api.def(
        [
            "candidate",
            "space.candidate(edge, op) -> Candidate\nspace.candidate(cell_type, edge, op) -> Candidate",
            "The candidate `op` (a name) on the edge number `edge` (from 0, see `space.edges`) of a cell type \
             (default: \"normal\").",
            "let c = space(\"nas-bench-201\").candidate(2, \"nor_conv_3x3\");\n\
             assert(c.to_string() == \"nor_conv_3x3 on edge 2<-1\");",
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
            "has_weights",
            "candidate.has_weights -> bool",
            "Whether its op has weights to train; skips (at stride 1), pools, noise and `none` are parameter-free.",
            "let free = genotype(\"DARTS_V2\").candidates.filter(|c| !c.has_weights);\nassert(free.len == 10);",
        ],
        |c: &mut Candidate| Ok(c.space.ops()[c.place.op].has_weights()),
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
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n\
             assert(net.mask.is_alive(net.space.candidates[0]));",
        ],
        |m: &mut Mask, c: Candidate| c.place_in(&m.space).map(|place| m.alive.is_alive(place)).map_err(raise),
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
