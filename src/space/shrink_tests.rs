//! Mask, comparison subsets and schedule together: a shrink run ends in a genotype, whatever the scores are.

use super::*;
use proptest::prelude::*;

/// A value that an importance may have, awkward ones often.
fn any_importance() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0..1.0f64,
        1 => prop::sample::select(vec![0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        1 => any::<f64>(),
    ]
}

fn any_space() -> impl Strategy<Value = SearchSpace> {
    prop::sample::select(SearchSpace::NAMES.to_vec()).prop_map(|name| SearchSpace::by_name(name).unwrap())
}

fn any_schedule() -> impl Strategy<Value = ShrinkSchedule> {
    (1usize..50, 0usize..6, 1usize..40).prop_map(|(steps, every, spare)| {
        let steps = if every == 0 { 1 } else { steps };
        ShrinkSchedule::new(steps * every + spare, steps, every).unwrap()
    })
}

/// A mask with at least `keep` alive in every subset: candidates are dropped at random as long as that holds.
fn random_mask(space: &SearchSpace, drops: &[bool]) -> Mask {
    let mut mask = space.full_mask();
    let subsets = space.comparison_subsets();
    for (c, _) in space.candidates().into_iter().zip(drops).filter(|(_, drop)| **drop) {
        let subset = subsets.iter().find(|s| s.candidates.contains(&c)).unwrap();
        if subset.alive(&mask).len() > subset.keep {
            mask.drop(c).unwrap();
        }
    }
    mask
}

proptest! {
    #[test]
    fn every_subset_ends_with_exactly_the_kept_number_alive(
        space in any_space(),
        schedule in any_schedule(),
        drops in prop::collection::vec(any::<bool>(), 224),
        scores in prop::collection::vec(any_importance(), 224..500),
    ) {
        let mut mask = random_mask(&space, &drops);
        let mut scores = scores.iter().cycle();
        for epoch in 1..=schedule.epochs {
            let mut importance = PerCandidate::filled(&space, 0.0);
            space.candidates().into_iter().for_each(|c| *importance.get_mut(c) = *scores.next().unwrap());
            for subset in space.comparison_subsets() {
                let before = subset.alive(&mask);
                let n = schedule.n_to_drop(before.len(), subset.keep, epoch);
                prop_assert!(n == 0 || schedule.is_due(epoch));
                let least = subset.least_important(&importance, &mask, n);
                prop_assert_eq!(least.len(), n);
                for c in least {
                    mask.drop(c).unwrap();
                }
                prop_assert!(subset.alive(&mask).len() >= subset.keep);
            }
        }
        let genotype = Genotype::from_mask(&space, &mask).unwrap();
        prop_assert_eq!(genotype.chosen, mask.alive());
    }

    #[test]
    fn what_is_dropped_is_never_more_important_than_what_stays(
        space in any_space(),
        drops in prop::collection::vec(any::<bool>(), 224),
        scores in prop::collection::vec(0.0..1.0f64, 224),
        n in 0usize..6,
    ) {
        let mask = random_mask(&space, &drops);
        let mut importance = PerCandidate::filled(&space, 0.0);
        space.candidates().into_iter().zip(&scores).for_each(|(c, s)| *importance.get_mut(c) = *s);
        for subset in space.comparison_subsets() {
            let least = subset.least_important(&importance, &mask, n);
            let highest = least.iter().map(|c| *importance.get(*c)).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least.is_sorted_by_key(|c| *importance.get(*c)));
            let stays = subset.alive(&mask).into_iter().filter(|c| !least.contains(c));
            stays.for_each(|c| assert!(*importance.get(c) >= highest));
        }
    }
}
