//! Spaces of a script's own: `search_space(#{ ops: [...], ... })`.

use crate::error::Error;
use crate::host::handles::space::{Candidate, Space};
use crate::host::handles::tensor::mask_tensors;
use crate::host::run::Host;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::shown;
use crate::space::{Primitive, SearchSpace, Topology};
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

const KEYS: [&str; 5] = ["name", "topology", "nodes", "ops", "edge_ops"];

fn build(map: &Map) -> Fallible<SearchSpace> {
    if let Some(key) = map.keys().find(|k| !KEYS.contains(&k.as_str())) {
        return Err(raise(Error::unknown_name("key of a search space", key, KEYS)));
    }
    let text = |key: &str, usual: &str| match map.get(key) {
        None => Ok(usual.to_string()),
        Some(value) => {
            value.clone().into_string().map_err(|_| wrong(format!("{key} of a search space"), shown(value), "a text"))
        }
    };
    let name = text("name", "custom")?;
    let topology = Topology::by_name(&text("topology", "nas-bench-201")?).map_err(raise)?;
    let nodes = match map.get("nodes") {
        None => {
            if topology == Topology::Darts {
                4
            } else {
                3
            }
        }
        Some(value) => value
            .as_int()
            .ok()
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| wrong(format!("nodes of the search space {name}"), shown(value), "a whole number"))?,
    };
    let lists = map.get("edge_ops");
    let ops = match (map.get("ops"), lists) {
        (Some(value), _) => Some(list(value, &format!("ops of the search space {name}"))?),
        (None, Some(_)) => None,
        (None, None) => {
            let expected = "`ops`, a list of names; or `edge_ops`, a list for each edge";
            return Err(wrong(format!("search space {name}"), "neither `ops` nor `edge_ops`", expected));
        }
    };
    // Without `ops` the lists alone decide; any op stands in until they do.
    let plain = SearchSpace::custom(&name, topology, nodes, ops.as_deref().unwrap_or(&[Primitive::SkipConnect]))
        .map_err(raise)?;
    match lists {
        None => Ok(plain),
        Some(lists) => {
            let lists = of_cells(&plain, lists, ops.as_deref())?;
            plain.with_lists(&lists).map_err(raise)
        }
    }
}

/// Names of ops.
fn list(value: &Dynamic, what: &str) -> Fallible<Vec<Primitive>> {
    let items = value.read_lock::<Array>().ok_or_else(|| wrong(what, shown(value), "a list of names"))?;
    let op = |item: &Dynamic| {
        let name = item.clone().into_string().map_err(|_| wrong(what, shown(item), "the name of an op"))?;
        Primitive::parse(&name).map_err(|e| raise(e.at(what)))
    };
    items.iter().map(op).collect()
}

/// `edge_ops`: what [`of_edges`] takes, for all cell types; or a map of it by cell type.
fn of_cells(space: &SearchSpace, value: &Dynamic, usual: Option<&[Primitive]>) -> Fallible<Vec<Vec<Vec<Primitive>>>> {
    let types = space.cell_types();
    let by_cell = value.read_lock::<Map>().filter(|map| map.keys().any(|key| !key.contains("<-")));
    let Some(by_cell) = by_cell else {
        return (0..types.len()).map(|_| of_edges(space, value, usual)).collect();
    };
    for key in by_cell.keys() {
        space
            .cell_type_by_name(key)
            .map_err(|e| raise(e.at(format!("edge_ops of the search space {}", space.name()))))?;
    }
    let one = |cell: &crate::space::CellType| match (by_cell.get(cell.to_string().as_str()), usual) {
        (Some(value), _) => of_edges(space, value, usual),
        (None, Some(ops)) => Ok(vec![ops.to_vec(); space.n_edges()]),
        (None, None) => Err(wrong(
            format!("edge_ops of the search space {}", space.name()),
            format!("nothing for {cell} cells"),
            "lists for them, or `ops`",
        )),
    };
    types.iter().map(one).collect()
}

/// One list an edge, in order; or a map from edges, `"2<-0"`, to lists, where the others have `ops`.
fn of_edges(space: &SearchSpace, value: &Dynamic, usual: Option<&[Primitive]>) -> Fallible<Vec<Vec<Primitive>>> {
    let what = |edge: &dyn std::fmt::Display| format!("ops on edge {edge} of the search space {}", space.name());
    let edges = space.edges();
    if let Some(lists) = value.read_lock::<Array>() {
        if lists.len() != edges.len() {
            let names: Vec<String> = edges.iter().map(ToString::to_string).collect();
            let what = format!("edge_ops of the search space {}", space.name());
            let expected = format!("{}, one for each edge: {}", edges.len(), names.join(", "));
            return Err(wrong(what, format!("{} lists", lists.len()), expected));
        }
        return lists.iter().zip(&edges).map(|(value, edge)| list(value, &what(edge))).collect();
    }
    let map = value.read_lock::<Map>();
    let map = map.ok_or_else(|| {
        wrong(format!("edge_ops of the search space {}", space.name()), shown(value), "a list of lists, or a map")
    })?;
    for key in map.keys() {
        space.edge_by_name(key).map_err(raise)?;
    }
    let of = |edge: &crate::space::Edge| match (map.get(edge.to_string().as_str()), usual) {
        (Some(value), _) => list(value, &what(edge)),
        (None, Some(ops)) => Ok(ops.to_vec()),
        (None, None) => Err(wrong(what(edge), "nothing", "a list of names, or `ops` for all edges that have none")),
    };
    edges.iter().map(of).collect()
}

/// Register `search_space` and what spaces of one's own are asked for.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.def(
        [
            "search_space",
            "search_space(#{ name, topology, nodes, ops, edge_ops }) -> Space",
            "A search space of one's own. `ops`: names out of `primitives()`. `topology`: \"nas-bench-201\" (the default; \
             one input, an edge keeps 1 op, the last node is the output) or \"darts\" (two inputs, normal and reduction \
             cells, a node keeps 2 ops, the nodes together are the output). `nodes`: computed nodes, 3 or 4 by default. \
             `edge_ops`: lists for single edges, either one for each edge in order or a map such as #{ \"2<-0\": [...] } \
             (other edges have `ops`); of all cell types, or #{ normal: ..., reduction: ... }. Unknown or repeated ops, \
             empty lists, edges that do not exist and spaces of `none` alone are errors.",
            "let s = search_space(#{ name: \"mine\", ops: [\"skip_connect\", \"nor_conv_7x7\"], nodes: 2,\n    \
             edge_ops: #{ \"1<-0\": [\"nor_conv_7x7\"] } });\n\
             assert(s.candidates.len == 5);\n\
             print(supernet(s, #{ channels: 2, cells: 1 }));",
        ],
        |map: Map| build(&map).map(|space| Space(Rc::new(space))),
    );
    api.def(
        [
            "primitives",
            "primitives() -> [string]",
            "The names of all ops that a space may have.",
            "assert(\"noise\" in primitives());",
        ],
        || -> Array { Primitive::ALL.iter().map(|p| p.name().into()).collect() },
    );
    api.def(
        [
            "ops_of",
            "space.ops_of(edge) -> [string]\nspace.ops_of(cell_type, edge) -> [string]",
            "Names of the ops on the edge number `edge` (from 0, see `space.edges`) of a cell type (default: \"normal\").",
            "assert(space(\"darts\").ops_of(\"reduction\", 13).len == 8);",
        ],
        |s: &mut Space, edge: rhai::INT| ops_of(s, "normal", edge),
    );
    api.also("ops_of", |s: &mut Space, cell_type: &str, edge: rhai::INT| ops_of(s, cell_type, edge));
    let h = host.clone();
    api.def(
        [
            "mix",
            "space.mix([candidate]) -> [Tensor]\ngenotype.mix() -> [Tensor]",
            "1 at the candidates (of a genotype: those chosen), 0 elsewhere, one [edges, ops] tensor per cell type: a \
             mix. Under that of a genotype a supernet computes its cell, with the supernet's weights.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n\
             print(net.evaluate(data().test.take(32), genotype(9930).mix()).accuracy);\n\
             let skips = net.space.mix(net.space.candidates.filter(|c| c.op == \"skip_connect\"));\n\
             assert(skips[0].sum().to_float() == 6.0);",
        ],
        move |s: &mut Space, candidates: Array| -> Fallible<Array> {
            let place = |value: &Dynamic| match value.read_lock::<Candidate>() {
                Some(c) => c.place_in(&s.0).map_err(raise),
                None => Err(wrong("mix", shown(value), "a Candidate")),
            };
            let places = candidates.iter().map(place).collect::<Fallible<Vec<_>>>()?;
            let mask = crate::space::Mask::only(&s.0, &places).map_err(raise)?;
            mask_tensors(&mask, &s.0, &h.options.device)
        },
    );
    api.def(
        [
            "paper_settings",
            "space.paper_settings() -> map",
            "The settings of the IS-DARTS paper for a search in this topology: epochs (E), shrink_steps (S), \
             shrink_every (I), iim_samples. NAS-Bench-201 (appendix A.1): 30, 4, 2, 200; DARTS (section 4.1): 50, 7, 3, \
             600.",
            "assert(space(\"darts\").paper_settings().shrink_steps == 7);",
        ],
        |s: &mut Space| -> Map {
            let d = s.0.defaults();
            let keys = ["epochs", "shrink_steps", "shrink_every", "iim_samples"];
            let values = [d.epochs, d.shrink_steps, d.shrink_every, d.iim_samples];
            keys.into_iter().zip(values).map(|(k, v)| (k.into(), Dynamic::from(v as i64))).collect()
        },
    );
}

fn ops_of(space: &Space, cell_type: &str, edge: rhai::INT) -> Fallible<Array> {
    let cell_type = space.0.cell_type_by_name(cell_type).map_err(raise)?;
    let edges = space.0.n_edges();
    let known = usize::try_from(edge).ok().filter(|e| *e < edges);
    let edge = known.ok_or_else(|| wrong("edge", edge, format!("0 to {}", edges - 1)))?;
    Ok(space.0.ops_of(cell_type, edge).iter().map(|p| p.name().into()).collect())
}
