//! The chapter on genotypes, and their row in the NAS-Bench-201 table.

use crate::data::nas_bench::{self, Row};
use crate::error::Result;
use crate::host::handles::genotype::GenotypeHandle;
use crate::host::handles::space::{CandidateHandle, SpaceHandle, candidate_name, candidates};
use crate::host::handles::tensor::{TensorHandle, mask_tensors};
use crate::host::run::{Run, Stream};
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use crate::host::script::types::{Keys, Options};
use crate::host::script::value::{count, shown};
use crate::net::Cost;
use crate::space::literature::{LITERATURE, Published};
use crate::space::{Candidate, Family, Genotype, NetworkShape, Plan, Primitive, SearchSpace, Topology};
use rhai::{Dynamic, Map};
use std::rc::Rc;

/// A genotype of the candidates chosen.
fn of_candidates(chosen: &[CandidateHandle]) -> Fallible<Genotype> {
    let first = chosen.first().ok_or_else(|| wrong("genotype", "no candidates", "as many as the space keeps"))?;
    if chosen.iter().any(|candidate| candidate.space != first.space) {
        return Err(wrong("genotype", "candidates of several spaces", "of one"));
    }
    let places: Vec<Candidate> = chosen.iter().map(|candidate| candidate.place).collect();
    Ok(Genotype::new(&first.space, &places)?)
}

/// Uniform: NAS-Bench-201, any op on every edge; DARTS, two different edges into every node, any op but `none` on each,
/// as long as the lists of the edges leave that choice.
fn random(space: &SearchSpace, stream: &mut Stream) -> Genotype {
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
    let outputs = space.outputs();
    Genotype { space: space.clone(), chosen, outputs }
}

/// A table row as a map.
fn row_map(row: &Row) -> Map {
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

/// What `genotype.cost` may be told.
struct CostKeys;

impl Keys for CostKeys {
    const WHAT: &'static str = "size of a network";
    const KEYS: &'static [&'static str] = &["network", "channels", "cells", "classes", "size", "auxiliary"];
}

fn cost(genotype: &Genotype, options: &Options<CostKeys>) -> Fallible<Map> {
    let given = |key: &str| options.map.get(key);
    let family = match given("network") {
        None => Family::of(genotype.space.topology()),
        Some(name) => {
            let expected = "a text: \"cifar\", \"imagenet\" or \"nas-bench-201\"";
            Family::parse(&name.clone().into_string().map_err(|kind| wrong("network", kind, expected))?)?
        }
    };
    let mut shape = NetworkShape::usual(family);
    for (key, field) in [
        ("channels", &mut shape.channels),
        ("cells", &mut shape.cells),
        ("classes", &mut shape.classes),
        ("size", &mut shape.size),
    ] {
        if let Some(value) = given(key) {
            let other = |_| wrong(format!("{key} of a network"), shown(value), "a whole number");
            *field = count(value.as_int().map_err(other)?, key)? as u64;
        }
    }
    if let Some(value) = given("auxiliary") {
        let number = || value.as_int().map(|n| n != 0).or_else(|_| value.as_float().map(|x| x != 0.0));
        let is = value.as_bool().or_else(|_| number());
        shape.auxiliary = is.map_err(|_| wrong("auxiliary", shown(value), "true or false"))?;
    }
    let cost = Cost::of_plan(&Plan::from(genotype), shape)?;
    let counts = [("parameters", cost.parameters), ("multiply_adds", cost.multiply_adds)];
    Ok(counts.into_iter().map(|(key, n)| (key.into(), Dynamic::from(i64::try_from(n).unwrap_or(i64::MAX)))).collect())
}

/// `genotype` with one candidate in place of another of the same comparison subset.
fn replaced(genotype: &Genotype, old: &CandidateHandle, new: &CandidateHandle) -> Fallible<Genotype> {
    let space = &genotype.space;
    let (from, to) = (old.place_in(space)?, new.place_in(space)?);
    let mut chosen = genotype.chosen.clone();
    let place = chosen
        .iter()
        .position(|c| *c == from)
        .ok_or_else(|| wrong("replace", candidate_name(&old.space, old.place), "a candidate of the genotype"))?;
    chosen[place] = to;
    // A cell of the literature may be one that no search here finds.
    if genotype.outputs == space.outputs() && Genotype::new(space, &genotype.chosen).is_ok() {
        return Ok(Genotype::new(space, &chosen)?);
    }
    if !space.comparison_subsets().iter().any(|s| s.candidates.contains(&from) && s.candidates.contains(&to)) {
        let name = candidate_name(&new.space, to);
        return Err(wrong("replace", name, "a candidate of the same comparison subset"));
    }
    chosen.sort();
    Ok(Genotype { chosen, ..genotype.clone() })
}

/// A cell of a paper as a map.
fn published(cell: &Published) -> Map {
    let fields = [("name", cell.name), ("paper", cell.paper), ("source", cell.source)];
    fields.into_iter().map(|(key, text)| (key.into(), Dynamic::from(text.to_string()))).collect()
}

/// Register the functions of genotypes.
pub fn register(api: &mut Api, host: &Rc<Run>) {
    api.chapter("genotypes");
    functions! { api, [host];
        /// A genotype from its text: `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`, or `Genotype(normal=[...], ...)` of
        /// quark0/darts and what papers write like it, in Python or JSON: with comments, behind `NAME =`, inputs two
        /// a node, nested by node or with the node's number, any number of nodes, one op twice into a node, part of
        /// the nodes in the output. Six whole numbers are NASLib's `op_indices` of NAS-Bench-201 (0 skip_connect, 1
        /// none, 2 nor_conv_3x3, 3 nor_conv_1x1, 4 avg_pool_3x3; edges 1<-0, 2<-0, 3<-0, 2<-1, 3<-1, 3<-2). Its space
        /// is the one that ships with these nodes and ops, or one of its own, or that given. Or from the candidates
        /// chosen, in any order: as many as each comparison subset keeps. A word is the name of a published cell (see
        /// `published_genotypes`), an integer an index of NAS-Bench-201. What does not parse is an error that says
        /// where.
        ///
        /// ```rhai
        /// let g = genotype(9930);
        /// assert(g == genotype(g.to_string()));
        /// let own = search_space(#{ nodes: 1, ops: ["noise", "nor_conv_7x7"] });
        /// print(genotype(own, "|nor_conv_7x7~0|"));
        /// ```
        fn genotype(text: Dynamic) -> Fallible<GenotypeHandle> { GenotypeHandle::of(&text) }
        fn genotype(space: SpaceHandle, text: String) -> Result<GenotypeHandle> {
            Ok(GenotypeHandle(Genotype::parse_in(&space.0, &text)?))
        }
        fn genotype(candidates: Vec<CandidateHandle>) -> Fallible<GenotypeHandle> {
            of_candidates(&candidates).map(GenotypeHandle)
        }

        get space(&genotype: GenotypeHandle) -> SpaceHandle { SpaceHandle(Rc::new(genotype.0.space.clone())) }

        /// The candidates chosen, in order: cell type, edge, op.
        ///
        /// ```rhai
        /// assert(genotype(9930).candidates.map(|c| c.op)[3] == "skip_connect");
        /// ```
        get candidates(&genotype: GenotypeHandle) -> Vec<CandidateHandle> {
            candidates(&Rc::new(genotype.0.space.clone()), genotype.0.chosen.clone())
        }

        /// The same cell with one of its candidates replaced by another of the same comparison subset.
        ///
        /// ```rhai
        /// let g = genotype(9930);
        /// let s = g.space;
        /// let h = g.replace(g.candidates[0], s.candidate(0, "none"));
        /// assert(h.candidates[0].op == "none");
        /// ```
        fn replace(&genotype: GenotypeHandle, old: CandidateHandle, new: CandidateHandle) -> Fallible<GenotypeHandle> {
            replaced(&genotype.0, &old, &new).map(GenotypeHandle)
        }

        fn mix(&genotype: GenotypeHandle) -> Fallible<Vec<TensorHandle>> {
            mask_tensors(&genotype.0.mask()?, &genotype.0.space, &host.options.device)
        }

        /// The cells of papers that `genotype(name)` knows: name, paper, and the repository and file they are from.
        ///
        /// ```rhai
        /// for cell in published_genotypes() { print(`${cell.name}: ${cell.paper}`); }
        /// assert(genotype("DARTS_V2").cost().parameters == 3349342);
        /// ```
        fn published_genotypes() -> Vec<Map> { LITERATURE.iter().map(published).collect() }

        /// A uniform draw from the run's random stream. NAS-Bench-201: any op on every edge. DARTS: two different
        /// edges into every node, any op but `none` on each.
        ///
        /// ```rhai
        /// set_seed(1);
        /// let g = random_genotype(space("nas-bench-201"));
        /// print(g);
        /// ```
        fn random_genotype(space: SpaceHandle) -> Result<GenotypeHandle> {
            let drawn = random(&space.0, &mut host.stream.borrow_mut());
            host.trace.draw("random_genotype", || Ok(drawn.to_string().into()))?;
            Ok(GenotypeHandle(drawn))
        }

        /// The row of a NAS-Bench-201 cell (genotype, text or index): accuracies in percent after 200 epochs, mean
        /// over seeds (cifar10_valid, cifar10_test, cifar100_valid, cifar100_test, imagenet16_valid,
        /// imagenet16_test), params_mb (million parameters), flops_m (million multiply-adds), train_s_per_epoch
        /// (seconds an epoch took the benchmark's authors), index, arch. A genotype of another space is an error.
        ///
        /// ```rhai
        /// assert(fixed(bench_query(9930).cifar10_test, 2) == "94.36");
        /// ```
        fn bench_query(genotype: Dynamic) -> Fallible<Map> {
            Ok(row_map(&nas_bench::query(&GenotypeHandle::of(&genotype)?.0)?))
        }

        /// The cell as a matrix for the terminal: a row for every node, a column for every node it may read.
        ///
        /// ```rhai
        /// print(genotype(9930).draw());
        /// ```
        fn draw(&genotype: GenotypeHandle) -> String { genotype.0.draw() }

        /// The cell as a graph in the DOT language, which `dot -Tsvg` of Graphviz draws.
        ///
        /// ```rhai
        /// assert(genotype(9930).to_dot().contains("digraph"));
        /// ```
        fn to_dot(&genotype: GenotypeHandle) -> String { genotype.0.to_dot() }

        /// The cell as a picture, SVG, which browsers show; no Graphviz is needed.
        ///
        /// ```rhai
        /// write_text("cell.svg", genotype("DARTS_V2").to_svg());
        /// ```
        fn to_svg(&genotype: GenotypeHandle) -> String { genotype.0.to_svg() }

        /// What the network of the cell costs: `parameters`, and `multiply_adds` for one image. network: `cifar`,
        /// `imagenet` or `nas-bench-201`, as `train_genotype` has them; by default that of CIFAR-10: 10 classes, 32 x
        /// 32 pixels; NAS-Bench-201 C=16, N=5, as in the benchmark's table; DARTS C=36, 20 cells. `imagenet`: C=48,
        /// 14 cells, 1000 classes, 224 x 224. The auxiliary head is counted with auxiliary: true. Counted are the
        /// multiply-adds of convolutions and classifier, whose biases are one each; batch norms, pools, ReLUs and
        /// sums count nothing.
        ///
        /// ```rhai
        /// assert(genotype(9930).cost().parameters == 1288506);
        /// assert(genotype(9930).cost(#{ channels: 32 }).parameters > 5000000);
        /// assert(genotype("DARTS_V2").cost(#{ network: "imagenet" }).parameters == 4718752);
        /// ```
        fn cost(&genotype: GenotypeHandle) -> Fallible<Map> { cost(&genotype.0, &Options::none()) }
        fn cost(&genotype: GenotypeHandle, options: Options<CostKeys>) -> Fallible<Map> { cost(&genotype.0, &options) }
    }
}
