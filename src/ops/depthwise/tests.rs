//! Kernels against their definition, over random shapes, every instruction set, and both accumulations.

use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn noise(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// Noise in the true channels, stored with zeros in the padded ones.
fn stored(rng: &mut ChaCha8Rng, pixels: usize, c: usize) -> Vec<f32> {
    (0..pixels).flat_map(|_| noise(rng, c).into_iter().chain(vec![0.0; padded(c) - c]).collect::<Vec<_>>()).collect()
}

fn rms(v: impl Iterator<Item = f64> + Clone) -> f64 {
    (v.clone().map(|x| x * x).sum::<f64>() / v.count().max(1) as f64).sqrt()
}

/// The rms of the difference against that of what is expected, or of `one`, the size that the sum has where nothing cancels, if
/// that is greater. The rms of many values keeps to `bound`; a few may be the unlucky ones.
fn close(what: &str, got: &[f32], want: &[f64], one: f64, bound: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let wrong = rms(got.iter().zip(want).map(|(&g, w)| f64::from(g) - w));
    let size = rms(want.iter().copied()).max(one);
    let few = 1.0 + 5.0 / (got.len() as f64).sqrt();
    assert!(wrong <= bound * few * size, "{what}: {wrong} of {size}");
}

/// Two siblings of one image: kernels `ks` with their dilations.
fn check(shape: SeparableShape, ks: &[(usize, usize)], n: usize, relu: bool, with_z: bool, exact: bool, level: Level) {
    let rng = &mut ChaCha8Rng::seed_from_u64(shape.h as u64 * 31 + shape.c_in as u64);
    let plans: Vec<SeparablePlan> = ks
        .iter()
        .map(|&(k, dilation)| SeparablePlan::with(SeparableShape { k, dilation, ..shape }, exact, level))
        .collect();
    let plan_refs: Vec<&SeparablePlan> = plans.iter().collect();
    let (ci, co, s) = (shape.c_in, shape.c_out, &shape);
    let weights: Vec<[Vec<f32>; 2]> = ks.iter().map(|(k, _)| [noise(rng, ci * k * k), noise(rng, co * ci)]).collect();
    let mut filters: Vec<SeparableFilter> = plans.iter().map(SeparableFilter::new).collect();
    for ((filter, plan), [v, w]) in filters.iter_mut().zip(&plans).zip(&weights) {
        filter.pack(plan, v, w);
    }
    let filters: Vec<&SeparableFilter> = filters.iter().collect();
    let x = stored(rng, n * s.h * s.w, ci);
    // What is overwritten starts as NaN, so that a place that is missed shows.
    let mut z = vec![vec![f32::NAN; n * s.out_len()]; ks.len()];
    let mut stats = vec![vec![f64::NAN; 2 * s.c_out_p()]; ks.len()];
    let mut scratch = vec![f32::NAN; scratch_len(&plan_refs, true).max(scratch_len(&plan_refs, false))];
    forward(
        &plan_refs,
        &filters,
        relu,
        n,
        &x,
        &mut z.iter_mut().map(|z| &mut z[..]).collect::<Vec<_>>(),
        &mut stats.iter_mut().map(|s| &mut s[..]).collect::<Vec<_>>(),
        &mut scratch,
    );
    scratch.fill(f32::NAN);
    let dy: Vec<Vec<f32>> = ks.iter().map(|_| stored(rng, n * s.pixels(), co)).collect();
    let affine: Vec<[Vec<f32>; 3]> = ks.iter().map(|_| [(); 3].map(|()| stored(rng, 1, co))).collect();
    // Every second sibling has factors of the images.
    let of_images = noise(rng, n);
    let r = |i: usize| (i % 2 == 1).then_some(&of_images[..]);
    let dz: Vec<Dz<'_>> = (0..ks.len())
        .map(|i| {
            let [a, b, g] = &affine[i];
            Dz { dy: &dy[i], z: with_z.then_some(&z[i][..]), r: r(i), a, b, g }
        })
        .collect();
    let before = stored(rng, n * s.h * s.w, ci);
    let mut dx = before.clone();
    let mut dw: Vec<Vec<f32>> = plans.iter().map(|p| vec![f32::NAN; p.dw_len()]).collect();
    let mut dws: Vec<&mut [f32]> = dw.iter_mut().map(|d| &mut d[..]).collect();
    backward(&plan_refs, &filters, relu, n, &x, &dz, Some(&mut dx), &mut dws, &mut scratch);

    let mut want_dx: Vec<f64> = before.iter().map(|&v| f64::from(v)).collect();
    for (i, [v, w]) in weights.iter().enumerate() {
        let (s, what) = (&plans[i].shape, |part: &str| format!("{part} {:?} n={n} relu={relu}", plans[i]));
        close(&what("z"), &z[i], &definition::forward(s, relu, n, &x, v, w), 0.3, 1e-6);
        for c in 0..s.c_out_p() {
            let channel = || z[i].iter().skip(c).step_by(s.c_out_p()).map(|&v| f64::from(v));
            let (sum, square) = (stats[i][c], stats[i][s.c_out_p() + c]);
            let size: f64 = channel().map(f64::abs).sum();
            assert!((sum - channel().sum::<f64>()).abs() <= 1e-6 * size, "{}", what("sum"));
            let want: f64 = channel().map(|v| v * v).sum();
            assert!((square - want).abs() <= 1e-6 * want, "{}", what("sum of squares"));
        }
        let sibling = i;
        let at = |(i, d): (usize, &f32), z: &[f32], [a, b, g]: &[Vec<f32>; 3]| {
            let c = i % s.c_out_p();
            let rest = f64::from(b[c]) * f64::from(z[i]) + f64::from(g[c]);
            let r = r(sibling).map_or(1.0, |r| f64::from(r[i / s.out_len()]));
            r * f64::from(a[c]) * f64::from(*d) + if with_z { rest } else { 0.0 }
        };
        let dz: Vec<f64> = dy[i].iter().enumerate().map(|d| at(d, &z[i], &affine[i])).collect();
        let [gx, gv, gw] = definition::backward(s, relu, n, &x, v, w, &dz);
        want_dx.iter_mut().zip(&gx).for_each(|(e, g)| *e += g);
        let (mut got_v, mut got_w) = (vec![f32::NAN; v.len()], vec![f32::NAN; w.len()]);
        plans[i].unpack_dw(&dw[i], &mut got_v, &mut got_w);
        // Sums over all pixels, of products of noise: as large as the root of their number.
        let size = |v: &[f32]| rms(v.iter().map(|&v| f64::from(v)));
        let one = rms(dz.iter().copied()) * size(&x) * ((n * s.pixels()) as f64).sqrt();
        close(&what("depthwise weights"), &got_v, &gv, one * size(w) * (co as f64).sqrt(), 2e-6);
        close(&what("1x1 weights"), &got_w, &gw, one * size(v) * s.k as f64, 2e-6);
    }
    close("dx", &dx, &want_dx, 0.3, 2e-6);
    for pixel in dx.chunks(s.c_in_p()) {
        assert!(pixel[ci..].iter().all(|&g| g == 0.0), "padded channels of dx");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_shape_matches_the_definition_forward_and_backward(
        ks in prop::collection::vec((prop::sample::select(vec![1usize, 3, 5, 7]), 1usize..=3), 1..=3),
        stride in 1usize..=3, c_in in 1usize..=40, c_out in 1usize..=40, h in 1usize..=13, w in 1usize..=19,
        n in 1usize..=3, relu: bool, with_z: bool, exact: bool,
    ) {
        let shape = SeparableShape { k: 1, stride, dilation: 1, c_in, c_out, h, w };
        for level in Level::available() {
            check(shape, &ks, n, relu, with_z, exact, level);
        }
    }
}

#[test]
fn the_shapes_of_the_search_space_match_the_definition() {
    let ks = [(3, 1), (5, 1), (3, 2), (5, 2)];
    for (c, size) in [(16, 32), (32, 16), (64, 8)] {
        for (stride, exact) in [(1, false), (2, false), (1, true), (2, true)] {
            let shape = SeparableShape { k: 1, stride, dilation: 1, c_in: c, c_out: c, h: size, w: size };
            check(shape, &ks, 2, true, true, exact, Level::best());
        }
    }
}

#[test]
fn a_nan_in_the_input_reaches_every_output_that_reads_it() {
    for (stride, exact) in [(1, false), (2, false), (1, true)] {
        let shape = SeparableShape { k: 3, stride, dilation: 2, c_in: 8, c_out: 8, h: 9, w: 9 };
        let plan = SeparablePlan::with(shape, exact, Level::best());
        let mut filter = SeparableFilter::new(&plan);
        filter.pack(&plan, &[0.5; 72], &[0.25; 64]);
        let mut x = vec![1.0; shape.in_len()];
        x[(4 * 9 + 4) * 8] = f32::NAN;
        let (mut z, mut stats) = (vec![0.0; shape.out_len()], vec![0.0; 16]);
        let mut scratch = vec![0.0; scratch_len(&[&plan], false)];
        forward(&[&plan], &[&filter], true, 1, &x, &mut [&mut z], &mut [&mut stats], &mut scratch);
        let want = definition::forward(&shape, true, 1, &x, &[0.5; 72], &[0.25; 64]);
        assert!(want.iter().any(|w| w.is_nan()) && want.iter().any(|w| !w.is_nan()));
        assert!(z.iter().zip(&want).all(|(z, w)| z.is_nan() == w.is_nan()), "stride {stride}, exact {exact}");
        assert!(stats[..8].iter().all(|s| s.is_nan()));
    }
}
