//! What networks cost, against the table of NAS-Bench-201; published cells are in `src/net/cost.rs`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use isdarts_host::data::nas_bench::{CELLS, query_index};
use isdarts_host::net::Cost;
use isdarts_host::space::{NetworkShape, Plan, Topology};

#[test]
fn parameters_and_multiply_adds_of_all_cells_of_nas_bench_201_are_those_of_its_table() {
    let shape = NetworkShape::cifar10(Topology::NasBench201);
    for index in 0..CELLS {
        let row = query_index(index).unwrap();
        let cost = Cost::of_plan(&Plan::parse(&row.arch).unwrap(), shape).unwrap();
        assert_eq!(row.params_mb, cost.parameters as f64 / 1e6, "{}", row.arch);
        assert_eq!(row.flops_m, cost.multiply_adds as f64 / 1e6, "{}", row.arch);
    }
}
