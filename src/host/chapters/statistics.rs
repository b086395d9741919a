//! Statistics that scripts report: how well two lists of numbers agree.

use crate::error::Error;
use crate::host::script::api::Api;
use crate::host::script::errors::{Fallible, wrong};
use crate::host::script::functions::functions;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An error unless these are two lists of equal length, of at least two numbers.
fn pair(a: &[f64], b: &[f64], what: &str) -> Fallible<()> {
    if a.len() != b.len() || a.len() < 2 {
        let got = format!("{} and {} numbers", a.len(), b.len());
        return Err(wrong(what, got, "two lists of equal length, at least 2"));
    }
    if a.iter().chain(b).any(|x| x.is_nan()) {
        return Err(wrong(what, "NaN", "numbers that can be compared"));
    }
    Ok(())
}

/// Kendall's tau-b: pairs in the same order less pairs in the opposite order, over the geometric mean of the pairs not
/// tied in each list; 0 if one list is all ties.
fn kendall(a: &[f64], b: &[f64]) -> f64 {
    let (mut sum, mut untied_a, mut untied_b) = (0.0, 0.0, 0.0);
    for i in 0..a.len() {
        for j in 0..i {
            let sign = |x: &[f64]| f64::from(i8::from(x[i] > x[j]) - i8::from(x[i] < x[j]));
            let (s, t) = (sign(a), sign(b));
            sum += s * t;
            untied_a += s * s;
            untied_b += t * t;
        }
    }
    ratio(sum, untied_a, untied_b)
}

/// Ranks from 1, the mean rank where values tie.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |x: f64| {
        let (less, same) = values.iter().fold((0, 0), |(l, s), v| (l + usize::from(*v < x), s + usize::from(*v == x)));
        less as f64 + (same as f64 + 1.0) / 2.0
    };
    values.iter().map(|x| rank(*x)).collect()
}

fn pearson(a: &[f64], b: &[f64]) -> f64 {
    let mean = |x: &[f64]| x.iter().sum::<f64>() / x.len() as f64;
    let (ma, mb) = (mean(a), mean(b));
    let product =
        |x: &[f64], mx: f64, y: &[f64], my: f64| x.iter().zip(y).map(|(p, q)| (p - mx) * (q - my)).sum::<f64>();
    ratio(product(a, ma, b, mb), product(a, ma, a, ma), product(b, mb, b, mb))
}

fn ratio(sum: f64, a: f64, b: f64) -> f64 {
    if a == 0.0 || b == 0.0 { 0.0 } else { sum / (a * b).sqrt() }
}

/// Places of the numbers from the largest to the smallest; equals in order, NaN last.
fn ranking(values: &[f64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    let key = |i: usize| if values[i].is_nan() { f64::NEG_INFINITY } else { values[i] + 0.0 };
    places.sort_by(|a, b| values[*a].is_nan().cmp(&values[*b].is_nan()).then(key(*b).total_cmp(&key(*a))));
    places
}

fn spearman(a: &[f64], b: &[f64]) -> f64 {
    pearson(&ranks(a), &ranks(b))
}

/// The 2.5 and 97.5 percentiles of a statistic of pairs that are drawn anew from these, with replacement. The draws are the same
/// at each call.
fn interval(statistic: fn(&[f64], &[f64]) -> f64, a: &[f64], b: &[f64], resamples: usize) -> [f64; 2] {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let mut once = || {
        let places: Vec<usize> = (0..a.len()).map(|_| random.random_range(0..a.len())).collect();
        let drawn = |x: &[f64]| places.iter().map(|i| x[*i]).collect::<Vec<f64>>();
        statistic(&drawn(a), &drawn(b))
    };
    let mut values: Vec<f64> = (0..resamples.max(1)).map(|_| once()).collect();
    values.sort_by(f64::total_cmp);
    [0.025, 0.975].map(|share| values[((values.len() - 1) as f64 * share).round() as usize])
}

/// Register the statistics.
pub fn register(api: &mut Api) {
    functions! { api, [];
        /// The places of the numbers, from the largest to the smallest; equals stay in order, NaN goes last.
        ///
        /// ```rhai
        /// assert(ranking([0.5, 2, 1]) == [1, 2, 0]);
        /// ```
        fn ranking(numbers: Vec<f64>) -> Vec<usize> { ranking(&numbers) }

        /// Kendall's rank correlation (tau-b) of two lists: 1 the same order, -1 the opposite; 0 if one list is all
        /// ties. NaN is an error.
        ///
        /// ```rhai
        /// assert(kendall([1, 2, 3], [10, 20, 30]) == 1.0 && kendall([1, 2], [2, 1]) == -1.0);
        /// ```
        fn kendall(a: Vec<f64>, b: Vec<f64>) -> Fallible<f64> { pair(&a, &b, "kendall").map(|()| kendall(&a, &b)) }

        /// Spearman's rank correlation of two lists, ties at their mean rank; 0 if one list is all ties. NaN is an
        /// error.
        ///
        /// ```rhai
        /// assert(spearman([1, 2, 3], [1, 4, 9]) == 1.0);
        /// ```
        fn spearman(a: Vec<f64>, b: Vec<f64>) -> Fallible<f64> {
            pair(&a, &b, "spearman").map(|()| spearman(&a, &b))
        }

        /// A 95 % interval, [low, high], of `kendall`, `spearman` or `pearson` of two lists, by the bootstrap: of as many
        /// pairs as there are, drawn with replacement, `resamples` times, the same draws at each call.
        ///
        /// ```rhai
        /// let ends = bootstrap("spearman", [1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 200);
        /// assert(ends[0] < 0.8 && ends[1] >= 0.8);
        /// ```
        fn bootstrap(statistic: String, a: Vec<f64>, b: Vec<f64>, resamples: usize) -> Fallible<Vec<f64>> {
            pair(&a, &b, "bootstrap")?;
            let known: [(&str, fn(&[f64], &[f64]) -> f64); 3] =
                [("kendall", kendall), ("spearman", spearman), ("pearson", pearson)];
            match known.iter().find(|(name, _)| *name == statistic) {
                Some((_, of)) => Ok(interval(*of, &a, &b, resamples).to_vec()),
                None => Err(Error::unknown_name("statistic", &statistic, known.map(|(name, _)| name)).into()),
            }
        }

        /// Pearson's correlation of two lists; 0 if one list is constant. NaN is an error.
        ///
        /// ```rhai
        /// assert(pearson([1, 2, 3], [2, 4, 6]) == 1.0);
        /// ```
        fn pearson(a: Vec<f64>, b: Vec<f64>) -> Fallible<f64> { pair(&a, &b, "pearson").map(|()| pearson(&a, &b)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_goes_down_and_keeps_equals_in_order() {
        let inf = f64::INFINITY;
        for (values, places) in [
            (vec![], vec![]),
            (vec![1.0, 3.0, 2.0, 3.0], vec![1, 3, 2, 0]),
            (vec![f64::NAN, -inf, inf, -0.0, 0.0], vec![2, 3, 4, 1, 0]),
        ] {
            assert_eq!(ranking(&values), places, "{values:?}");
        }
    }

    /// The numbers are worked out from the definitions, with numpy.
    #[test]
    fn correlations_are_what_their_definitions_say() {
        for (a, b, tau, rho, r) in [
            (vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![2.0, 1.0, 4.0, 3.0, 5.0], 0.6, 0.8, 0.8),
            (vec![1.0, 2.0, 2.0, 3.0], vec![1.0, 3.0, 2.0, 3.0], 0.8, 5.0 / 6.0, 0.852_802_865_422_441_8),
            (vec![0.5, 0.5, 0.5], vec![1.0, 2.0, 3.0], 0.0, 0.0, 0.0),
        ] {
            let got = [kendall(&a, &b), pearson(&ranks(&a), &ranks(&b)), pearson(&a, &b)];
            for (got, want) in got.into_iter().zip([tau, rho, r]) {
                assert!((got - want).abs() < 1e-12, "{a:?} {b:?}: {got}, {want}");
            }
        }
    }
}
