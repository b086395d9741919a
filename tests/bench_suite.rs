//! DARTS-Bench-Suite: sizes are those of the reference, networks compute as their definition (`bench_suite/skips.rs`), and every method
//! runs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "bench_suite/skips.rs"]
mod skips;

use isdarts_host::host::{self, RunOptions, STDLIB};
use isdarts_host::search::Silent;
use isdarts_host::{
    Device, Family, Genotype, Param, Plan, Role, SearchSpace, Skeleton, Subnet, SubnetConfig, Supernet, SupernetConfig,
};
use std::path::Path;
use std::rc::Rc;

/// Name; weights of the supernet; weights of the network of a cell whose nodes read a `sep_conv_3x3` of input 0 and a `dil_conv_5x5` of
/// input 1. Counted with automl/ConfigurableOptimizer 13bde40 (`confopt.searchspace.darts.core`: `model_search.Network`,
/// `model.NetworkCIFAR`), without what only other methods use: `dan`, the attention of architecture parameters, and the skips that it
/// makes in every supernet (`mixop.AuxiliarySkipConnection`) and runs in those of all_skip.
///
/// By hand, wide-regular. An edge of C channels has 6 C^2 + 102 C weights, and C^2 more for its skip where it halves; stem 1 566, head
/// 2 890. Cells of 18, 36, 72, 72 channels, the two in the middle reduce; their preprocessing has 2 x 972, 1 944 + 2 592, 5 184 + 10 368
/// and 10 368 + 20 736. So 1 566 + 53 136 + 14 x 3 780 + 14 x 11 448 + 2 x 14 x 38 448 + 8 (36^2 + 72^2) + 2 890 = 1 399 168; the
/// next to last term, 51 840, is what no_skip lacks and what the skips of all_skip bring again. In the evaluated network of all_skip affine
/// norms bring 2 C each: 8 (36^2 + 72 + 72^2 + 144) = 53 568.
const COUNTED: [(&str, usize, usize); 9] = [
    ("wide-regular", 1_399_168, 241_048),
    ("wide-no_skip", 1_347_328, 241_048),
    ("wide-all_skip", 1_451_008, 294_616),
    ("deep-regular", 991_392, 177_992),
    ("deep-no_skip", 983_552, 177_992),
    ("deep-all_skip", 999_232, 186_504),
    ("single_cell-regular", 1_002_960, 97_952),
    ("single_cell-no_skip", 959_696, 97_952),
    ("single_cell-all_skip", 1_046_224, 142_880),
];

fn space(name: &str) -> SearchSpace {
    SearchSpace::by_name(&format!("bench-suite/{name}")).unwrap()
}

fn cell(space: &SearchSpace) -> Genotype {
    let inputs: Vec<String> =
        (0..space.nodes()).map(|_| "('sep_conv_3x3', 0), ('dil_conv_5x5', 1)".to_string()).collect();
    let (inputs, end) = (inputs.join(", "), space.nodes() + 2);
    let concat = format!("range({}, {end})", end - 4);
    let text =
        format!("Genotype(normal=[{inputs}], normal_concat={concat}, reduce=[{inputs}], reduce_concat={concat})");
    Genotype::parse_in(space, &text).unwrap()
}

fn config(space: &SearchSpace) -> SubnetConfig {
    let skeleton = space.skeleton().unwrap();
    let (channels, cells, auxiliary_skip) = (skeleton.channels, skeleton.cells, skeleton.auxiliary_skip);
    let usual = SubnetConfig::usual(Family::Cifar, 10, 1);
    SubnetConfig { channels, cells, auxiliary_skip, pool_norm: true, auxiliary: false, ..usual }
}

#[test]
fn the_nine_supernets_and_networks_have_as_many_weights_as_the_reference() {
    for (name, supernet, network) in COUNTED {
        let space = space(name);
        let Skeleton { channels, cells, auxiliary_skip, .. } = space.skeleton().unwrap();
        let usual = SupernetConfig { head_norm: false, pool_norm: true, ..Default::default() };
        let size = SupernetConfig { channels, cells, in_all: true, auxiliary_skip, ..usual };
        let net = Supernet::new(space.clone(), size, &Device::Cpu).unwrap();
        // Biases in front of a norm that cancels them are the authors' of IS-DARTS; here there are none.
        let counts =
            |p: &&Param| p.role == Role::Weight && !(p.name.starts_with("cells.") && p.name.ends_with(".bias"));
        let got: usize = net.params().iter().filter(counts).map(|p| p.var.elem_count()).sum();
        assert_eq!(got, supernet, "{name}");
        let found = Subnet::new(Plan::from(&cell(&space)), config(&space), &Device::Cpu).unwrap();
        assert_eq!(found.n_weights(), network, "{name}");
    }
}

/// Names of the modules with a search.
fn methods() -> Vec<String> {
    let searches = STDLIB.iter().filter(|(_, text)| text.contains("\nfn search(space, data, cfg)"));
    searches.map(|(path, _)| path.strip_prefix("nas/").unwrap().to_string()).collect()
}

fn search(method: &str, benchmark: &str) {
    let folder = tempfile::tempdir().unwrap();
    let options = RunOptions {
        script: Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/methods/strategy.rhai")),
        folder: Some(folder.path().join("run")),
        args: vec![method.to_string(), benchmark.to_string()],
        quiet: true,
        ..Default::default()
    };
    host::run(&options, Rc::new(Silent)).unwrap_or_else(|e| panic!("{method}, {benchmark}: {e}"));
}

#[test]
fn every_method_of_the_darts_space_searches_every_benchmark() {
    for method in methods() {
        SearchSpace::bench_suite_names().iter().for_each(|name| search(&method, name));
    }
}
