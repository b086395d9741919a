//! The chapter on genotypes, and their row in the NAS-Bench-201 table.

use crate::data::nas_bench::{self, Row};
use crate::host::handles::genotype::{Genotype, genotype_of};
use crate::host::handles::space::{self, Space, handles};
use crate::host::handles::tensor::mask_tensors;
use crate::host::run::{Host, Stream};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, raise, wrong};
use crate::host::script::value::{count, shown};
use crate::net::Cost;
use crate::space::literature::{LITERATURE, Published};
use crate::space::{Candidate, Family, NetworkShape, Plan, Primitive, SearchSpace, Topology};
use rhai::{Array, Dynamic, Map};
use std::rc::Rc;

/// A genotype of the candidates chosen.
fn of_candidates(chosen: &Array) -> Fallible<crate::space::Genotype> {
    let mut space = None;
    let mut places = vec![];
    for value in chosen {
        let candidate = value.read_lock::<space::Candidate>();
        let candidate = candidate.ok_or_else(|| wrong("genotype", shown(value), "a Candidate"))?;
        if space.as_ref().is_some_and(|s| *s != candidate.space) {
            return Err(wrong("genotype", "candidates of several spaces", "of one"));
        }
        space = Some(candidate.space.clone());
        places.push(candidate.place);
    }
    let space = space.ok_or_else(|| wrong("genotype", "no candidates", "as many as the space keeps"))?;
    crate::space::Genotype::new(&space, &places).map_err(raise)
}

/// Uniform: NAS-Bench-201, any op on every edge; DARTS, two different edges into every node, any op but `none` on each,
/// as long as the lists of the edges leave that choice.
fn random(space: &SearchSpace, stream: &mut Stream) -> crate::space::Genotype {
    let mut chosen: Vec<Candidate> = Vec::new();
    let computes = |c: &Candidate| space.topology() == Topology::NasBench201 || space.ops()[c.op] != Primitive::None;
    for subset in space.comparison_subsets() {
        let mut picked: Vec<Candidate> = Vec::new();
        for _ in 0..subset.keep {
            let left = || subset.candidates.iter().filter(|c| !picked.contains(c)).copied();
            let fresh = |c: &Candidate| picked.iter().all(|p| p.edge != c.edge);
            let mut pool: Vec<Candidate> = left().filter(|c| computes(c) && fresh(c)).collect();
            if pool.is_empty() {
                pool = left().filter(computes).collect();
            }
            if pool.is_empty() {
                pool = left().collect();
            }
            picked.push(pool[stream.below(pool.len())]);
        }
        chosen.extend(picked);
    }
    chosen.sort();
    crate::space::Genotype { space: space.clone(), chosen, outputs: vec![] }
}

/// A table row as a map.
pub fn row_map(row: &Row) -> Map {
    let numbers = [
        ("cifar10_valid", row.cifar10_valid),
        ("cifar10_test", row.cifar10_test),
        ("cifar100_valid", row.cifar100_valid),
        ("cifar100_test", row.cifar100_test),
        ("imagenet16_valid", row.imagenet16_valid),
        ("imagenet16_test", row.imagenet16_test),
        ("params_mb", row.params_mb),
        ("flops_m", row.flops_m),
        ("train_s_per_epoch", row.train_s_per_epoch),
    ];
    let mut map: Map = numbers.into_iter().map(|(key, value)| (key.into(), Dynamic::from(value))).collect();
    map.insert("index".into(), Dynamic::from(row.index as i64));
    map.insert("arch".into(), row.arch.clone().into());
    map
}

/// Register the functions of genotypes.
pub fn register(api: &mut Api, host: &Rc<Host>) {
    api.chapter("genotypes");
    api.value::<Genotype>("Genotype", |g| g.0.to_string());
    api.also("==", |a: &mut Genotype, b: Genotype| *a == b);
    api.also("!=", |a: &mut Genotype, b: Genotype| *a != b);
    api.def(
        [
            "genotype",
            "genotype(text) -> Genotype\ngenotype(space, text) -> Genotype\ngenotype([candidate]) -> Genotype",
            "A genotype from its text: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, or `Genotype(normal=[...], ...)` of \
             quark0/darts and what papers write like it, in Python or JSON: with comments, behind `NAME =`, inputs two a node, \
             nested by node or with the node's number, any number of nodes, one op twice into a node, part of the nodes in the \
             output. Six whole numbers are NASLib's `op_indices` of NAS-Bench-201 (0 skip_connect, 1 none, 2 nor_conv_3x3, \
             3 nor_conv_1x1, 4 avg_pool_3x3; edges 1<-0, 2<-0, 3<-0, 2<-1, 3<-1, 3<-2). Its space is the one that ships with these nodes and ops, or one of its own, or \
             that given. Or from the candidates chosen, in any order: as many as each comparison subset keeps. A word is the \
             name of a published cell (see `published_genotypes`), an integer an index of NAS-Bench-201. What does not \
             parse is an error that says where.",
            "let g = genotype(9930);\nassert(g == genotype(g.to_string()));\n\
             let own = search_space(#{ nodes: 1, ops: [\"noise\", \"nor_conv_7x7\"] });\n\
             print(genotype(own, \"|nor_conv_7x7~0|\"));",
        ],
        |text: Dynamic| genotype_of(&text).map(Genotype),
    );
    api.also("genotype", |chosen: Array| of_candidates(&chosen).map(Genotype));
    api.also_get("space", |g: &mut Genotype| Ok(Space(Rc::new(g.0.space.clone()))));
    api.also_get("candidates", |g: &mut Genotype| Ok(handles(&Rc::new(g.0.space.clone()), g.0.chosen.clone())));
    api.def(
        [
            "replace",
            "genotype.replace(old, new) -> Genotype",
            "The same cell with one of its candidates replaced by another of the same comparison subset.",
            "let g = genotype(9930);\nlet s = g.space;\n\
             let h = g.replace(g.candidates[0], s.candidate(0, \"none\"));\nassert(h.candidates[0].op == \"none\");",
        ],
        |g: &mut Genotype, old: space::Candidate, new: space::Candidate| -> Fallible<Genotype> {
            let mut chosen = g.0.chosen.clone();
            let [from, to] = [&old, &new].map(|c| c.place_in(&g.0.space).map_err(raise));
            let (from, to) = (from?, to?);
            let place = chosen.iter().position(|c| *c == from).ok_or_else(|| {
                let name = space::candidate_name(&old.space, old.place);
                wrong("replace", name, "a candidate of the genotype")
            })?;
            chosen[place] = to;
            // A cell of the literature may be one that no search here finds.
            let space = &g.0.space;
            if g.0.outputs.is_empty() && crate::space::Genotype::new(space, &g.0.chosen).is_ok() {
                return crate::space::Genotype::new(space, &chosen).map(Genotype).map_err(raise);
            }
            if !space.comparison_subsets().iter().any(|s| s.candidates.contains(&from) && s.candidates.contains(&to)) {
                let name = space::candidate_name(&new.space, to);
                return Err(wrong("replace", name, "a candidate of the same comparison subset"));
            }
            chosen.sort();
            Ok(Genotype(crate::space::Genotype { chosen, ..g.0.clone() }))
        },
    );
    let h = host.clone();
    api.also("mix", move |g: &mut Genotype| -> Fallible<Array> {
        mask_tensors(&g.0.mask().map_err(raise)?, &g.0.space, &h.options.device)
    });
    api.also("genotype", |space: Space, text: &str| {
        crate::space::Genotype::parse_in(&space.0, text).map(Genotype).map_err(raise)
    });
    api.def(
        [
            "published_genotypes",
            "published_genotypes() -> [map]",
            "The cells of papers that `genotype(name)` knows: name, paper, and the repository and file they are from.",
            "for cell in published_genotypes() { print(`${cell.name}: ${cell.paper}`); }\n\
             assert(genotype(\"DARTS_V2\").cost().parameters == 3349342);",
        ],
        || -> Array {
            let text = |s: &str| Dynamic::from(s.to_string());
            let one = |p: &Published| -> Map {
                [("name", p.name), ("paper", p.paper), ("source", p.source)]
                    .map(|(k, v)| (k.into(), text(v)))
                    .into_iter()
                    .collect()
            };
            LITERATURE.iter().map(|p| Dynamic::from(one(p))).collect()
        },
    );
    let h = host.clone();
    api.def(
        [
            "random_genotype",
            "random_genotype(space) -> Genotype",
            "A uniform draw from the run's random stream. NAS-Bench-201: any op on every edge. DARTS: two different \
             edges into every node, any op but `none` on each.",
            "set_seed(1);\nlet g = random_genotype(space(\"nas-bench-201\"));\nprint(g);",
        ],
        move |space: Space| -> Fallible<Genotype> {
            let drawn = random(&space.0, &mut h.stream.borrow_mut());
            h.trace.draw("random_genotype", || Ok(drawn.to_string().into())).map_err(raise)?;
            Ok(Genotype(drawn))
        },
    );
    api.def(
        [
            "bench_query",
            "bench_query(genotype) -> map",
            "The row of a NAS-Bench-201 cell (genotype, text or index): accuracies in percent after 200 epochs, mean \
             over seeds (cifar10_valid, cifar10_test, cifar100_valid, cifar100_test, imagenet16_valid, \
             imagenet16_test), params_mb (million parameters), flops_m (million multiply-adds), train_s_per_epoch \
             (seconds an epoch took the benchmark's authors), index, arch. A genotype of another space is an error.",
            "assert(fixed(bench_query(9930).cifar10_test, 2) == \"94.36\");",
        ],
        |genotype: Dynamic| nas_bench::query(&genotype_of(&genotype)?).map(|row| row_map(&row)).map_err(raise),
    );
    api.def(
        [
            "draw",
            "genotype.draw() -> text",
            "The cell as a matrix for the terminal: a row for every node, a column for every node it may read.",
            "print(genotype(9930).draw());",
        ],
        |g: &mut Genotype| g.0.draw(),
    );
    api.def(
        [
            "to_dot",
            "genotype.to_dot() -> text",
            "The cell as a graph in the DOT language, which `dot -Tsvg` of Graphviz draws.",
            "assert(genotype(9930).to_dot().contains(\"digraph\"));",
        ],
        |g: &mut Genotype| g.0.to_dot(),
    );
    api.def(
        [
            "to_svg",
            "genotype.to_svg() -> text",
            "The cell as a picture, SVG, which browsers show; no Graphviz is needed.",
            "write_text(\"cell.svg\", genotype(\"DARTS_V2\").to_svg());",
        ],
        |g: &mut Genotype| g.0.to_svg(),
    );
    api.def(
        [
            "cost",
            "genotype.cost() -> map\ngenotype.cost(#{ network, channels, cells, classes, size, auxiliary }) -> map",
            "What the network of the cell costs: `parameters`, and `multiply_adds` for one image. network: `cifar`, `imagenet` or \
             `nas-bench-201`, as `train_genotype` has them; by default that of CIFAR-10: 10 classes, 32 x 32 pixels; \
             NAS-Bench-201 C=16, N=5, as in the benchmark's table; DARTS C=36, 20 cells. `imagenet`: C=48, 14 cells, 1000 \
             classes, 224 x 224. The auxiliary head is counted with auxiliary: true. Counted are the multiply-adds of \
             convolutions and classifier, whose biases are one each; batch norms, pools, ReLUs and sums count nothing.",
            "assert(genotype(9930).cost().parameters == 1288506);\n\
             assert(genotype(9930).cost(#{ channels: 32 }).parameters > 5000000);\n\
             assert(genotype(\"DARTS_V2\").cost(#{ network: \"imagenet\" }).parameters == 4718752);",
        ],
        |g: &mut Genotype| cost(g, Map::new()),
    );
    api.also("cost", |g: &mut Genotype, shape: Map| cost(g, shape));
}

fn cost(genotype: &Genotype, given: Map) -> Fallible<Map> {
    let family = match given.get("network") {
        None => Family::of(genotype.0.space.topology()),
        Some(name) => {
            let name = name.clone().into_string();
            let name =
                name.map_err(|kind| wrong("network", kind, "a text: \"cifar\", \"imagenet\" or \"nas-bench-201\""))?;
            Family::parse(&name).map_err(raise)?
        }
    };
    let mut shape = NetworkShape::usual(family);
    for (key, value) in given.iter().filter(|(key, _)| *key != "network") {
        if key == "auxiliary" {
            let is = value
                .as_bool()
                .ok()
                .or_else(|| value.as_int().ok().map(|n| n != 0))
                .or_else(|| value.as_float().ok().map(|x| x != 0.0));
            shape.auxiliary = is.ok_or_else(|| wrong("auxiliary", shown(value), "true or false"))?;
            continue;
        }
        let known = [
            ("channels", &mut shape.channels),
            ("cells", &mut shape.cells),
            ("classes", &mut shape.classes),
            ("size", &mut shape.size),
        ];
        let names = known.each_ref().map(|(name, _)| *name).into_iter().chain(["network", "auxiliary"]);
        let names: Vec<&str> = names.collect();
        let field = known.into_iter().find(|(name, _)| *name == key.as_str());
        let (_, field) = field.ok_or_else(|| raise(crate::Error::unknown_name("size of a network", key, names)))?;
        let number =
            value.as_int().map_err(|_| wrong(format!("{key} of a network"), shown(value), "a whole number"))?;
        *field = count(number, key)? as u64;
    }
    let cost = Cost::of_plan(&Plan::from(&genotype.0), shape).map_err(raise)?;
    let counts = [("parameters", cost.parameters), ("multiply_adds", cost.multiply_adds)];
    Ok(counts.into_iter().map(|(key, n)| (key.into(), Dynamic::from(i64::try_from(n).unwrap_or(i64::MAX)))).collect())
}
