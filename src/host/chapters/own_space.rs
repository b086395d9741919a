//! Spaces of a script's own: `search_space(#{ ops: [...], ... })`.

use crate::host::handles::space::{CandidateHandle, SpaceHandle};
use crate::host::handles::tensor::{TensorHandle, mask_tensors};
use crate::host::run::Run;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::functions::functions;
use crate::host::script::types::{Keys, Options};
use crate::host::script::value::shown;
use crate::space::{CellType, Edge, Mask, Primitive, SearchSpace, Topology};
use rhai::{Array, Dynamic, INT, Map};
use std::rc::Rc;

/// What `search_space` takes.
struct SpaceKeys;

impl Keys for SpaceKeys {
    const WHAT: &'static str = "key of a search space";
    const KEYS: &'static [&'static str] = &["name", "topology", "nodes", "ops", "edge_ops"];
}

fn build(map: &Map) -> Fallible<SearchSpace> {
    let text = |key: &str, usual: &str| match map.get(key) {
        None => Ok(usual.to_string()),
        Some(value) => {
            value.clone().into_string().map_err(|_| wrong(format!("{key} of a search space"), shown(value), "a text"))
        }
    };
    let name = text("name", "custom")?;
    let topology = Topology::by_name(&text("topology", "nas-bench-201")?)?;
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
    let plain = SearchSpace::custom(&name, topology, nodes, ops.as_deref().unwrap_or(&[Primitive::SkipConnect]))?;
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
    let one = |cell: &CellType| match (by_cell.get(cell.to_string().as_str()), usual) {
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
        space.edge_by_name(key)?;
    }
    let of = |edge: &Edge| match (map.get(edge.to_string().as_str()), usual) {
        (Some(value), _) => list(value, &what(edge)),
        (None, Some(ops)) => Ok(ops.to_vec()),
        (None, None) => Err(wrong(what(edge), "nothing", "a list of names, or `ops` for all edges that have none")),
    };
    edges.iter().map(of).collect()
}

/// Register `search_space` and what spaces of one's own are asked for.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    functions! { api, [host];
        /// A search space of one's own. `ops`: names out of `primitives()`. `topology`: "nas-bench-201" (the default;
        /// one input, an edge keeps 1 op, the last node is the output) or "darts" (two inputs, normal and reduction
        /// cells, a node keeps 2 ops, the nodes together are the output). `nodes`: computed nodes, 3 or 4 by default.
        /// `edge_ops`: lists for single edges, either one for each edge in order or a map such as #{ "2<-0": [...] }
        /// (other edges have `ops`); of all cell types, or #{ normal: ..., reduction: ... }. Unknown or repeated ops,
        /// empty lists, edges that do not exist and spaces of `none` alone are errors.
        ///
        /// ```rhai
        /// let s = search_space(#{ name: "mine", ops: ["skip_connect", "nor_conv_7x7"], nodes: 2,
        ///     edge_ops: #{ "1<-0": ["nor_conv_7x7"] } });
        /// assert(s.candidates.len == 5);
        /// print(supernet(s, #{ channels: 2, cells: 1 }));
        /// ```
        fn search_space(options: Options<SpaceKeys>) -> Fallible<SpaceHandle> {
            build(&options.map).map(|space| SpaceHandle(Rc::new(space)))
        }

        /// The names of all ops that a space may have.
        ///
        /// ```rhai
        /// assert("noise" in primitives());
        /// ```
        fn primitives() -> Vec<String> { Primitive::ALL.iter().map(|p| p.name().to_string()).collect() }

        /// Names of the ops on the edge number `edge` (from 0, see `space.edges`) of a cell type (default: "normal").
        ///
        /// ```rhai
        /// assert(space("darts").ops_of("reduction", 13).len == 8);
        /// ```
        fn ops_of(&space: SpaceHandle, edge: INT) -> Fallible<Vec<String>> { ops_of(&space.0, "normal", edge) }
        fn ops_of(&space: SpaceHandle, cell_type: String, edge: INT) -> Fallible<Vec<String>> {
            ops_of(&space.0, &cell_type, edge)
        }

        /// 1 at the candidates (of a genotype: those chosen), 0 elsewhere, one [edges, ops] tensor per cell type: a
        /// mix. Under that of a genotype a supernet computes its cell, with the supernet's weights.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// print(net.evaluate(data().test.take(32), genotype(9930).mix()).accuracy);
        /// let skips = net.space.mix(net.space.candidates.filter(|c| c.op == "skip_connect"));
        /// assert(skips[0].sum().to_float() == 6.0);
        /// ```
        fn mix(&space: SpaceHandle, candidates: Vec<CandidateHandle>) -> Fallible<Vec<TensorHandle>> {
            let places = candidates.iter().map(|c| c.place_in(&space.0)).collect::<crate::Result<Vec<_>>>()?;
            mask_tensors(&Mask::only(&space.0, &places)?, &space.0, &host.options.device)
        }

        /// The settings of the IS-DARTS paper for a search in this topology: epochs (E), shrink_steps (S),
        /// shrink_every (I), iim_samples. NAS-Bench-201 (appendix A.1): 30, 4, 2, 200; DARTS (section 4.1): 50, 7, 3,
        /// 600.
        ///
        /// ```rhai
        /// assert(space("darts").paper_settings().shrink_steps == 7);
        /// ```
        fn paper_settings(&space: SpaceHandle) -> Map {
            let d = space.0.defaults();
            let keys = ["epochs", "shrink_steps", "shrink_every", "iim_samples"];
            let values = [d.epochs, d.shrink_steps, d.shrink_every, d.iim_samples];
            keys.into_iter().zip(values).map(|(k, v)| (k.into(), Dynamic::from(v as INT))).collect()
        }
    }
}

fn ops_of(space: &SearchSpace, cell_type: &str, edge: INT) -> Fallible<Vec<String>> {
    let cell_type = space.cell_type_by_name(cell_type)?;
    let edges = space.n_edges();
    let known = usize::try_from(edge).ok().filter(|e| *e < edges);
    let edge = known.ok_or_else(|| wrong("edge", edge, format!("0 to {}", edges - 1)))?;
    Ok(space.ops_of(cell_type, edge).iter().map(|p| p.name().to_string()).collect())
}
