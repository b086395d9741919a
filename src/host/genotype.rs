//! Genotypes in scripts, and their row in the NAS-Bench-201 table.

use super::api::Api;
use super::context::Host;
use super::errors::{Fallible, raise, wrong};
use super::space::Space;
use super::{convert, random::Stream};
use crate::data::nas_bench::{self, Row};
use crate::space::{Candidate, NetworkShape, Primitive, SearchSpace, Topology};
use rhai::{Dynamic, Map};
use std::rc::Rc;

/// A found architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genotype(pub crate::space::Genotype);

/// A genotype from a handle, its text, or its index in NAS-Bench-201.
pub fn genotype_of(value: &Dynamic) -> Fallible<crate::space::Genotype> {
    if let Some(genotype) = value.read_lock::<Genotype>() {
        return Ok(genotype.0.clone());
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return crate::space::Genotype::parse(&text).map_err(raise);
    }
    if let Ok(index) = value.as_int() {
        let row = nas_bench::query_index(convert::count(index, "index")?).map_err(raise)?;
        return crate::space::Genotype::parse(&row.arch).map_err(raise);
    }
    Err(wrong("genotype", convert::shown(value), "a genotype, its text, or an index of NAS-Bench-201"))
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
    crate::space::Genotype { space: space.clone(), chosen }
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
            "genotype(text) -> Genotype\ngenotype(space, text) -> Genotype",
            "A genotype from its text, in either notation: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|` or \
             `Genotype(normal=[...], ...)`, of the space that ships with it; or of a space of one's own. An integer is \
             an index of NAS-Bench-201. What does not parse is an error that says where.",
            "let g = genotype(9930);\nassert(g == genotype(g.to_string()));\n\
             let own = search_space(#{ nodes: 1, ops: [\"noise\", \"nor_conv_7x7\"] });\n\
             print(genotype(own, \"|nor_conv_7x7~0|\"));",
        ],
        |text: Dynamic| genotype_of(&text).map(Genotype),
    );
    api.also("genotype", |space: Space, text: &str| {
        crate::space::Genotype::parse_in(&space.0, text).map(Genotype).map_err(raise)
    });
    let h = host.clone();
    api.def(
        [
            "random_genotype",
            "random_genotype(space) -> Genotype",
            "A uniform draw from the run's random stream. NAS-Bench-201: any op on every edge. DARTS: two different \
             edges into every node, any op but `none` on each.",
            "set_seed(1);\nlet g = random_genotype(space(\"nas-bench-201\"));\nprint(g);",
        ],
        move |space: Space| Genotype(random(&space.0, &mut h.stream.borrow_mut())),
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
            "cost",
            "genotype.cost() -> map",
            "What the network of the cell costs on CIFAR-10: `parameters`, and `multiply_adds` for one image. \
             NAS-Bench-201: C=16, N=5, as in the benchmark's table. DARTS: C=36, 20 cells, without the auxiliary head.",
            "assert(genotype(9930).cost().parameters == 1288506);",
        ],
        |g: &mut Genotype| -> Fallible<Map> {
            let cost = g.0.cost(NetworkShape::cifar10(g.0.space.topology())).map_err(raise)?;
            let counts = [("parameters", cost.parameters), ("multiply_adds", cost.multiply_adds)];
            Ok(counts.into_iter().map(|(key, n)| (key.into(), Dynamic::from(n as i64))).collect())
        },
    );
}
