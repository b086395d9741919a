//! The chapter on shrinking: comparison subsets, importances, the schedule.

use crate::host::handles::importance::{Importance, genotype, of};
use crate::host::handles::space::{Candidate, candidate_name, handles};
use crate::host::handles::subset::Subset;
use crate::host::script::api::Api;
use crate::host::script::errors::{raise, wrong};
use crate::host::script::value::count;
use crate::host::show::{Look, tables};
use crate::space::ShrinkSchedule;
use rhai::{Array, INT, Map};

/// Register the functions of shrinking.
pub fn register(api: &mut Api) {
    subsets(api);
    schedules(api);
}

fn subsets(api: &mut Api) {
    api.chapter("shrinking");
    api.value::<Subset>("Subset", |s| {
        format!("{} ({} alive, keeps {})", s.subset.name, s.alive().len(), s.subset.keep)
    });
    api.value::<Importance>("Importance", |i| tables::importance(&i.space, &i.table, i.score.is_some(), &Look::PLAIN));
    api.also_get("name", |s: &mut Subset| Ok(s.subset.name.clone()));
    api.also_get("candidates", |s: &mut Subset| Ok(handles(&s.net.space(), s.subset.candidates.clone())));
    api.also_get("alive", |s: &mut Subset| Ok(handles(&s.net.space(), s.alive())));
    api.get(
        [
            "keep",
            "subset.keep -> integer",
            "How many candidates of the subset survive (NAS-Bench-201: 1; DARTS: 2).",
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n\
             assert(net.comparison_subsets()[0].keep == 1);",
        ],
        |s: &mut Subset| Ok(s.subset.keep as INT),
    );
    api.def(
        [
            "least_important",
            "subset.least_important(importance, n) -> [Candidate]",
            "The `n` live candidates of the subset with the smallest importance, least important first. `importance` \
             is what `measure_iim`, `alpha.importance()` or `importance(space, tables)` give. Ties: the lower edge, \
             then the lower op, goes first. NaN of a live candidate is an error.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 4, cells: 1 });\n\
             let iim = net.measure_iim(data().train, 16);\nlet subset = net.comparison_subsets()[0];\n\
             assert(subset.least_important(iim, 1)[0].op == \"none\");",
        ],
        |s: &mut Subset, importance: Importance, n: INT| {
            let n = count(n, "least_important, n")?;
            let space = s.net.space();
            if *importance.space != *space {
                let got = format!("one of {}", importance.space.name());
                return Err(wrong("least_important, importance", got, format!("one of {}", space.name())));
            }
            if let Some(c) = s.alive().into_iter().find(|c| importance.table.get(*c).is_nan()) {
                let what = format!("least_important, importance of {}", candidate_name(&space, c));
                return Err(wrong(what, "NaN", "a number"));
            }
            let chosen = s.subset.least_important(&importance.table, &s.net.mask(), n);
            Ok::<Array, Box<rhai::EvalAltResult>>(handles(&space, chosen))
        },
    );
    api.def(
        [
            "of",
            "importance.of(candidate) -> float",
            "The importance of one candidate: for an IIM measurement 1/score, 0 for an infinite score, NaN where it \
             was dead.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 4, cells: 1 });\n\
             assert(net.measure_iim(data().train, 16).of(net.space.candidates[0]) == 0.0);",
        ],
        |i: &mut Importance, c: Candidate| of(&i.table, &i.space, &c),
    );
    api.also("genotype", |i: &mut Importance| genotype(i, &Map::new()));
    api.also("genotype", |i: &mut Importance, cfg: Map| genotype(i, &cfg));
    api.def(
        [
            "score",
            "iim.score(candidate) -> float",
            "The score of one candidate of an IIM measurement: mean of 3 (x - m)^2 / s^6, m and s^2 over the channels \
             of a pixel; the larger, the less important. An error for importances that are not measured.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 4, cells: 1 });\n\
             assert(net.measure_iim(data().train, 16).score(net.space.candidates[2]) > 0.0);",
        ],
        |i: &mut Importance, c: Candidate| match &i.score {
            Some(score) => of(score, &i.space, &c),
            None => Err(wrong("score", "an importance that is not measured", "what measure_iim gives")),
        },
    );
}

fn schedules(api: &mut Api) {
    api.value::<ShrinkSchedule>("ShrinkSchedule", |s| {
        let due: Vec<String> = (1..=s.epochs).filter(|e| s.is_due(*e)).map(|e| e.to_string()).collect();
        format!("shrinks after epochs {} of {}", due.join(", "), s.epochs)
    });
    api.def(
        [
            "shrink_schedule",
            "shrink_schedule(epochs, steps, every) -> ShrinkSchedule",
            "S steps, I epochs apart: they fall after the epochs E - S*I, ..., E - 2*I, E - I. I = 0, with S = 1, is \
             one step after the last epoch. An error unless S >= 1 and S * I < E.",
            "let s = shrink_schedule(30, 4, 2);\nassert(s.is_due(22) && !s.is_due(23));",
        ],
        |epochs: INT, steps: INT, every: INT| {
            let [epochs, steps, every] =
                [count(epochs, "epochs")?, count(steps, "shrink steps")?, count(every, "shrink every")?];
            ShrinkSchedule::new(epochs, steps, every).map_err(raise)
        },
    );
    api.def(
        [
            "is_due",
            "schedule.is_due(epoch) -> bool",
            "Whether a shrink step falls after this epoch (from 1).",
            "assert(shrink_schedule(50, 7, 3).is_due(29));",
        ],
        |s: &mut ShrinkSchedule, epoch: INT| count(epoch, "epoch").map(|e| s.is_due(e)),
    );
    api.def(
        [
            "n_to_drop",
            "schedule.n_to_drop(subset, epoch) -> integer",
            "How many candidates of the subset the step after this epoch drops: ceil((alive - keep) / steps left); 0 \
             if none is due.",
            "let net = supernet(\"nas-bench-201\", #{ channels: 2, cells: 1 });\n\
             assert(shrink_schedule(30, 2, 2).n_to_drop(net.comparison_subsets()[0], 26) == 2);",
        ],
        |s: &mut ShrinkSchedule, subset: Subset, epoch: INT| {
            count(epoch, "epoch").map(|e| s.n_to_drop(subset.alive().len(), subset.subset.keep, e) as INT)
        },
    );
}
