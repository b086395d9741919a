//! The chapter on shrinking: comparison subsets, importances, the schedule.

use crate::error::Result;
use crate::host::handles::genotype::GenotypeHandle;
use crate::host::handles::importance::{DerivationKeys, Importance};
use crate::host::handles::space::{CandidateHandle, candidate_name, candidates};
use crate::host::handles::subset::Subset;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use crate::host::script::types::Options;
use crate::space::ShrinkSchedule;

/// Register the functions of shrinking.
pub fn register(api: &mut Api) {
    api.chapter("shrinking");
    subsets(api);
    schedules(api);
}

fn subsets(api: &mut Api) {
    functions! { api, [];
        get name(&subset: Subset) -> String { subset.subset.name.clone() }
        get candidates(&subset: Subset) -> Vec<CandidateHandle> {
            candidates(&subset.net.space(), subset.subset.candidates.clone())
        }
        get alive(&subset: Subset) -> Vec<CandidateHandle> { candidates(&subset.net.space(), subset.alive()) }

        /// How many candidates of the subset survive (NAS-Bench-201: 1; DARTS: 2).
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(net.comparison_subsets()[0].keep == 1);
        /// ```
        get keep(&subset: Subset) -> usize { subset.subset.keep }

        /// The `n` live candidates of the subset with the smallest importance, least important first. `importance` is
        /// what `measure_iim`, `alpha.importance()` or `importance(space, tables)` give. Ties: the lower edge, then
        /// the lower op, goes first. NaN of a live candidate is an error, and so is a larger `n` than are alive.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 4, cells: 1 });
        /// let iim = net.measure_iim(data().train, 16);
        /// let subset = net.comparison_subsets()[0];
        /// assert(subset.least_important(iim, 1)[0].op == "none");
        /// ```
        fn least_important(&subset: Subset, importance: Importance, n: usize) -> Fallible<Vec<CandidateHandle>> {
            let space = subset.net.space();
            if *importance.space != *space {
                let got = format!("one of {}", importance.space.name());
                return Err(wrong("least_important, importance", got, format!("one of {}", space.name())));
            }
            if let Some(c) = subset.alive().into_iter().find(|c| importance.table.get(*c).is_nan()) {
                let what = format!("least_important, importance of {}", candidate_name(&space, c));
                return Err(wrong(what, "NaN", "a number"));
            }
            let alive = subset.alive().len();
            if n > alive {
                return Err(wrong("least_important, n", n, format!("at most {alive}: so many of the subset are alive")));
            }
            Ok(candidates(&space, subset.subset.least_important(&importance.table, &subset.net.mask(), n)))
        }

        /// The importance of one candidate: for an IIM measurement 1/score, 0 for an infinite score, NaN where it was
        /// dead.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 4, cells: 1 });
        /// assert(net.measure_iim(data().train, 16).of(net.space.candidates[0]) == 0.0);
        /// ```
        fn of(&importance: Importance, candidate: CandidateHandle) -> Fallible<f64> {
            importance.number(&importance.table, &candidate)
        }

        /// The cell of the most important candidates (NAS-Bench-201: of every edge; DARTS: of the two best edges into a
        /// node, each by its best op but `none`, an edge once; where the importance is NaN, a candidate is dead).
        /// threshold: what is less important than that gives its place to `none`, as the authors of FairDARTS leave
        /// it out (0.85). edges: "all" keeps the best op of every edge, `none` included, as the authors of SNAS do (a
        /// DARTS cell then has an op on each of its 14 edges); "best" is the default.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// let alpha = architecture_parameters(net, #{ arch_init: 1.0 });
        /// let own = importance(net.space, alpha.softmax());
        /// assert(own.genotype() == alpha.genotype());
        /// print(own.genotype(#{ threshold: 0.85 }));
        /// ```
        fn genotype(&importance: Importance) -> Fallible<GenotypeHandle> { importance.genotype(&Options::none()) }
        fn genotype(&importance: Importance, options: Options<DerivationKeys>) -> Fallible<GenotypeHandle> {
            importance.genotype(&options)
        }

        /// The score of one candidate of an IIM measurement: mean of 3 (x - m)^2 / s^6, m and s^2 over the channels
        /// of a pixel; the larger, the less important. An error for importances that are not measured.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 4, cells: 1 });
        /// assert(net.measure_iim(data().train, 16).score(net.space.candidates[2]) > 0.0);
        /// ```
        fn score(&iim: Importance, candidate: CandidateHandle) -> Fallible<f64> {
            match &iim.score {
                Some(score) => iim.number(score, &candidate),
                None => Err(wrong("score", "an importance that is not measured", "what measure_iim gives")),
            }
        }
    }
}

fn schedules(api: &mut Api) {
    functions! { api, [];
        /// S steps, I epochs apart: they fall after the epochs E - S*I, ..., E - 2*I, E - I. I = 0, with S = 1, is
        /// one step after the last epoch. An error unless S >= 1 and S * I < E.
        ///
        /// ```rhai
        /// let s = shrink_schedule(30, 4, 2);
        /// assert(s.is_due(22) && !s.is_due(23));
        /// ```
        fn shrink_schedule(epochs: usize, steps: usize, every: usize) -> Result<ShrinkSchedule> {
            ShrinkSchedule::new(epochs, steps, every)
        }

        /// Whether a shrink step falls after this epoch (from 1).
        ///
        /// ```rhai
        /// assert(shrink_schedule(50, 7, 3).is_due(29));
        /// ```
        fn is_due(&schedule: ShrinkSchedule, epoch: usize) -> bool { schedule.is_due(epoch) }

        /// How many candidates of the subset the step after this epoch drops: ceil((alive - keep) / steps left); 0 if
        /// none is due.
        ///
        /// ```rhai
        /// let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        /// assert(shrink_schedule(30, 2, 2).n_to_drop(net.comparison_subsets()[0], 26) == 2);
        /// ```
        fn n_to_drop(&schedule: ShrinkSchedule, subset: Subset, epoch: usize) -> usize {
            schedule.n_to_drop(subset.alive().len(), subset.subset.keep, epoch)
        }
    }
}
