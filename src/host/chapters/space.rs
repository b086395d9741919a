//! The chapter on search spaces, candidates and masks.

use crate::error::Result;
use crate::host::handles::space::{CandidateHandle, MaskHandle, SpaceHandle, candidates};
use crate::host::script::api::Api;
use crate::host::script::functions::functions;
use crate::space::SearchSpace;
use rhai::{Dynamic, INT, Map};
use std::rc::Rc;

/// Register the functions of spaces.
pub fn register(api: &mut Api) {
    api.chapter("search spaces");
    functions! { api, [];
        /// A search space by name: "nas-bench-201", "darts", or one of DARTS-Bench-Suite (arXiv 2507.16533):
        /// "bench-suite/wide-regular", supernets wide (C=18, 4 cells), deep (C=7, 18 cells) and single_cell (C=26, one
        /// cell of 8 nodes, which reduces; its output are the last 4), each with the candidates of the DARTS space
        /// (regular), without skip_connect (no_skip), or with a skip beside those of every edge (all_skip). In these,
        /// supernets have by default that size (`cells` counts all cells), batch norm behind pools and none before the
        /// head. Unknown names are an error with the nearest.
        ///
        /// ```rhai
        /// let s = space("nas-bench-201");
        /// assert(s.edges.len == 6);
        /// assert(space("bench-suite/single_cell-no_skip").edges.len == 44);
        /// ```
        fn space(name: String) -> Result<SpaceHandle> { Ok(SpaceHandle(Rc::new(SearchSpace::by_name(&name)?))) }

        /// Its name.
        ///
        /// ```rhai
        /// assert(space("darts").name == "darts");
        /// ```
        get name(&space: SpaceHandle) -> String { space.0.name().to_string() }

        /// What the network of a cell of a DARTS-Bench-Suite space is made with, as settings of `train_genotype`
        /// (channels, cells, auxiliary_skip, pool_norm, auxiliary: 0); empty for other spaces.
        ///
        /// ```rhai
        /// assert(space("bench-suite/deep-all_skip").network.channels == 7 && space("darts").network == #{});
        /// ```
        get network(&space: SpaceHandle) -> Map {
            let Some(s) = space.0.skeleton() else { return Map::new() };
            let sizes = [("channels", s.channels), ("cells", s.cells), ("auxiliary", 0)];
            let flags = [("auxiliary_skip", s.auxiliary_skip), ("pool_norm", true)];
            let sizes = sizes.map(|(key, n)| (key.into(), Dynamic::from(n as INT)));
            sizes.into_iter().chain(flags.map(|(key, is)| (key.into(), Dynamic::from(is)))).collect()
        }

        /// Names of the candidate ops of every edge, in order; where edges have lists of their own (`ops_of`), of
        /// their union.
        ///
        /// ```rhai
        /// assert("none" in space("darts").ops);
        /// ```
        get ops(&space: SpaceHandle) -> Vec<String> { space.0.ops().iter().map(|op| op.name().to_string()).collect() }

        /// The edges of a cell in order, as pairs of node numbers (NAS-Bench-201: node 0 is the input; DARTS: 0 and 1
        /// are).
        ///
        /// ```rhai
        /// assert(space("nas-bench-201").edges[2] == [1, 2]);
        /// ```
        get edges(&space: SpaceHandle) -> Vec<Vec<usize>> {
            space.0.edges().iter().map(|e| vec![e.from, e.to]).collect()
        }

        /// `normal`, and in the DARTS space `reduction`.
        ///
        /// ```rhai
        /// assert(space("darts").cell_types.len == 2);
        /// ```
        get cell_types(&space: SpaceHandle) -> Vec<String> {
            space.0.cell_types().iter().map(|t| t.to_string()).collect()
        }

        /// All candidates, dead ones too, in order: cell type, edge, op.
        ///
        /// ```rhai
        /// assert(space("nas-bench-201").candidates.len == 30);
        /// ```
        get candidates(&space: SpaceHandle) -> Vec<CandidateHandle> { candidates(&space.0, space.0.candidates()) }

        /// The candidate `op` (a name) on the edge number `edge` (from 0, see `space.edges`) of a cell type (default:
        /// "normal").
        ///
        /// ```rhai
        /// let c = space("nas-bench-201").candidate(2, "nor_conv_3x3");
        /// assert(c.to_string() == "nor_conv_3x3 on edge 2<-1");
        /// ```
        fn candidate(&space: SpaceHandle, edge: usize, op: String) -> Result<CandidateHandle> {
            space.candidate("normal", edge, &op)
        }
        fn candidate(&space: SpaceHandle, cell_type: String, edge: usize, op: String) -> Result<CandidateHandle> {
            space.candidate(&cell_type, edge, &op)
        }

        /// Name of its op.
        ///
        /// ```rhai
        /// assert(space("darts").candidates[1].op == "skip_connect");
        /// ```
        get op(&candidate: CandidateHandle) -> String {
            candidate.space.ops()[candidate.place.op].name().to_string()
        }

        /// Whether its op has weights to train; skips (at stride 1), pools, noise and `none` are parameter-free.
        ///
        /// ```rhai
        /// let free = genotype("DARTS_V2").candidates.filter(|c| !c.has_weights);
        /// assert(free.len == 10);
        /// ```
        get has_weights(&candidate: CandidateHandle) -> bool {
            candidate.space.ops()[candidate.place.op].has_weights()
        }

        /// Number of its edge, from 0.
        ///
        /// ```rhai
        /// assert(space("nas-bench-201").candidates[7].edge == 1);
        /// ```
        get edge(&candidate: CandidateHandle) -> usize { candidate.place.edge }

        /// Name of its cell type.
        ///
        /// ```rhai
        /// assert(space("darts").candidates[0].cell_type == "normal");
        /// ```
        get cell_type(&candidate: CandidateHandle) -> String {
            candidate.space.cell_types()[candidate.place.cell_type].to_string()
        }

        /// Whether a candidate was alive when the mask was taken.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.mask.is_alive(net.space.candidates[0]));
        /// ```
        fn is_alive(&mask: MaskHandle, candidate: CandidateHandle) -> Result<bool> {
            Ok(mask.alive.is_alive(candidate.place_in(&mask.space)?))
        }

        /// Number of candidates alive.
        ///
        /// ```rhai
        /// assert(supernet("nas-bench-201", #{ channels: 2, cells: 1 }).mask.n_alive == 30);
        /// ```
        get n_alive(&mask: MaskHandle) -> usize { mask.alive.n_alive() }

        /// The candidates alive (of a subset: in its supernet now), in order.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.mask.alive.len == 30);
        /// ```
        get alive(&mask: MaskHandle) -> Vec<CandidateHandle> { candidates(&mask.space, mask.alive.alive()) }
    }
}
