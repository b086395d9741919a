//! The kernels against the definition, over shapes, methods and instruction sets.

use super::*;
use crate::ops::simd::Kernel;
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Everything one convolution needs, filled from a seed. Padded channels hold zeros.
struct Case {
    shape: ConvShape,
    n: usize,
    relu: bool,
    x: Vec<f32>,
    w: Vec<Vec<f32>>,
    dy: Vec<Vec<f32>>,
    z: Vec<Vec<f32>>,
    affine: Vec<[Vec<f32>; 3]>,
    /// Factors of the images, for every second convolution.
    r: Vec<f32>,
}

fn noise(rng: &mut ChaCha8Rng, len: usize) -> Vec<f32> {
    (0..len).map(|_| (0..4).map(|_| rng.random_range(-1.0f32..1.0)).sum()).collect()
}

/// `pixels` pixels of `c` channels, stored with zeros in the padded ones.
fn stored(rng: &mut ChaCha8Rng, pixels: usize, c: usize) -> Vec<f32> {
    (0..pixels).flat_map(|_| noise(rng, c).into_iter().chain(vec![0.0; padded(c) - c]).collect::<Vec<_>>()).collect()
}

impl Case {
    fn new(shape: ConvShape, n: usize, relu: bool, convs: usize, seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (ho, wo) = shape.out_hw();
        let rng = &mut rng;
        let many = |rng: &mut ChaCha8Rng| (0..convs).map(|_| stored(rng, n * ho * wo, shape.c_out)).collect::<Vec<_>>();
        Self {
            shape,
            n,
            relu,
            x: stored(rng, n * shape.h * shape.w, shape.c_in),
            w: (0..convs).map(|_| noise(rng, shape.c_out * shape.c_in * shape.k * shape.k)).collect(),
            dy: many(rng),
            z: many(rng),
            affine: (0..convs).map(|_| [(); 3].map(|()| stored(rng, 1, shape.c_out))).collect(),
            r: noise(rng, n),
        }
    }

    /// The gradient that arrives at convolution i, in f64.
    fn dz(&self, i: usize, with_z: bool) -> Vec<f64> {
        let c = self.shape.c_out_p();
        let [a, b, g] = &self.affine[i];
        let dz = |(at, dy): (usize, &f32)| {
            let affine = f64::from(b[at % c]) * f64::from(self.z[i][at]) + f64::from(g[at % c]);
            let r = self.r(i).map_or(1.0, |r| f64::from(r[at / self.shape.out_len()]));
            r * f64::from(a[at % c]) * f64::from(*dy) + if with_z { affine } else { 0.0 }
        };
        self.dy[i].iter().enumerate().map(dz).collect()
    }

    fn r(&self, i: usize) -> Option<&[f32]> {
        (i % 2 == 1).then_some(&self.r[..])
    }

    fn packed(&self, plan: &ConvPlan) -> Vec<PackedFilter> {
        let pack = |w: &Vec<f32>| {
            let mut f = PackedFilter::new(plan);
            f.pack(plan, w);
            f
        };
        self.w.iter().map(pack).collect()
    }

    fn forward(&self, plan: &ConvPlan) -> (Vec<Vec<f32>>, Vec<Vec<f64>>) {
        let filters = self.packed(plan);
        // What is overwritten starts as NaN, so that a place that is missed shows.
        let mut z = vec![vec![f32::NAN; self.n * self.shape.out_len()]; self.w.len()];
        let mut stats = vec![vec![f64::NAN; 2 * self.shape.c_out_p()]; self.w.len()];
        let mut scratch = vec![f32::NAN; plan.scratch_len(self.n, self.w.len())];
        forward(
            plan,
            &filters.iter().collect::<Vec<_>>(),
            self.relu,
            self.n,
            &self.x,
            &mut z.iter_mut().map(|z| &mut z[..]).collect::<Vec<_>>(),
            &mut stats.iter_mut().map(|s| &mut s[..]).collect::<Vec<_>>(),
            &mut scratch,
        );
        (z, stats)
    }

    /// dx, on top of `dx`, and the weight gradients in OIHW.
    fn backward(&self, plan: &ConvPlan, with_z: bool, dx: Option<&mut [f32]>) -> Vec<Vec<f32>> {
        let filters = self.packed(plan);
        let dz: Vec<Dz<'_>> = (0..self.w.len())
            .map(|i| {
                let [a, b, g] = &self.affine[i];
                Dz { dy: &self.dy[i], z: with_z.then_some(&self.z[i][..]), r: self.r(i), a, b, g }
            })
            .collect();
        let mut dw = vec![vec![f32::NAN; plan.dw_len()]; self.w.len()];
        let mut scratch = vec![f32::NAN; plan.scratch_len(self.n, self.w.len())];
        backward(
            plan,
            &filters.iter().collect::<Vec<_>>(),
            self.relu,
            self.n,
            &self.x,
            &dz,
            dx,
            &mut dw.iter_mut().map(|d| &mut d[..]).collect::<Vec<_>>(),
            &mut scratch,
        );
        let unpack = |dw: &Vec<f32>| {
            let mut out = vec![f32::NAN; self.w[0].len()];
            unpack_dw(plan, dw, &mut out);
            out
        };
        dw.iter().map(unpack).collect()
    }
}

fn rms<'a, T: Copy + 'a>(values: &'a [T]) -> f64
where
    f64: From<T>,
{
    (values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// The rms of the difference over the rms of the expected, or over `one_tap` where that is greater: the rms of what a
/// single tap contributes, so that a result of a few pixels that happen to cancel is not asked for more than f32 has.
fn error(got: &[f32], expected: &[f64], one_tap: f64) -> f64 {
    assert_eq!(got.len(), expected.len());
    let wrong: Vec<f64> = got.iter().zip(expected).map(|(g, e)| f64::from(*g) - e).collect();
    if wrong.iter().all(|&w| w == 0.0) { 0.0 } else { rms(&wrong) / rms(expected).max(one_tap) }
}

/// The largest error, as an rms, that `values` results may have which each sum `products`. Results that are rounded once are off
/// by half of an f32's last place at most. Sums in f32 are off by 1e-6 (Winograd's by 2e-6) up to a thousand terms; beyond, the
/// error grows with the root of their number. Few results may all be unlucky, so their bound is wider.
fn bound(method: &ConvMethod, exact: bool, products: usize, values: usize) -> f64 {
    if exact {
        return 6e-8;
    }
    let short = if matches!(method, ConvMethod::Winograd(_)) { 2e-6 } else { 1e-6 };
    short * (products as f64 / 1000.0).sqrt().max(1.0) * (1.0 + 5.0 / (values as f64).sqrt())
}

fn check(case: &Case, plan: &ConvPlan, with_z: bool) {
    let (s, n, what) = (&case.shape, case.n, format!("{:?} n={} relu={}", plan, case.n, case.relu));
    let (taps, pixels) = (s.k * s.k, s.out_hw().0 * s.out_hw().1);
    let (z, stats) = case.forward(plan);
    let mut dx = stored(&mut ChaCha8Rng::seed_from_u64(7), n * s.h * s.w, s.c_in);
    let (mut expected_dx, mut dx_tap): (Vec<f64>, _) = (dx.iter().map(|&v| f64::from(v)).collect(), 0.0);
    let dw = case.backward(plan, with_z, Some(&mut dx));
    assert_eq!(dw, case.backward(plan, with_z, None), "dw without dx, {what}");
    for (i, w) in case.w.iter().enumerate() {
        let expected = definition::forward(s, case.relu, n, &case.x, w);
        let wrong = error(&z[i], &expected, rms(&case.x) * rms(w) * (s.c_in as f64).sqrt());
        assert!(wrong < bound(&plan.forward, plan.exact, taps * s.c_in, n * s.c_out * pixels), "z {wrong}, {what}");
        for (c, (sum, sum2)) in stats[i][..s.c_out_p()].iter().zip(&stats[i][s.c_out_p()..]).enumerate() {
            let channel = || z[i].iter().skip(c).step_by(s.c_out_p()).map(|&v| f64::from(v));
            let size: f64 = channel().map(f64::abs).sum();
            assert!((sum - channel().sum::<f64>()).abs() <= 1e-6 * size, "sum, {what}");
            let square: f64 = channel().map(|v| v * v).sum();
            assert!((sum2 - square).abs() <= 1e-6 * square, "sum of squares, {what}");
            assert!(c < s.c_out || (channel().all(|v| v == 0.0) && *sum == 0.0 && *sum2 == 0.0), "padding, {what}");
        }
        let dz = case.dz(i, with_z);
        let (gx, gw) = definition::backward(s, case.relu, n, &case.x, w, &dz);
        expected_dx.iter_mut().zip(&gx).for_each(|(e, g)| *e += g);
        dx_tap += rms(&dz) * rms(w) * (s.c_out as f64).sqrt();
        let wrong = error(&dw[i], &gw, rms(&dz) * rms(&case.x) * ((n * pixels) as f64).sqrt());
        assert!(wrong < bound(&plan.backward, false, n * pixels, w.len()), "dw {wrong}, {what}");
    }
    let wrong = error(&dx, &expected_dx, dx_tap);
    assert!(
        wrong < bound(&plan.backward, false, taps * s.c_out * case.w.len(), n * s.h * s.w * s.c_in),
        "dx {wrong}, {what}"
    );
    for pixel in dx.chunks(s.c_in_p()) {
        assert!(pixel[s.c_in..].iter().all(|&g| g == 0.0), "padded channels of dx, {what}");
    }
}

fn shapes() -> impl Strategy<Value = ConvShape> {
    let sizes = (prop::sample::select(vec![1usize, 3, 5, 7]), 1usize..=3, 0usize..=4, 1usize..=2);
    (sizes, 1usize..=35, 1usize..=35, 1usize..=13, 1usize..=13)
        .prop_map(|((k, stride, pad, dilation), c_in, c_out, h, w)| ConvShape {
            k,
            stride,
            pad,
            dilation,
            c_in,
            c_out,
            h,
            w,
        })
        .prop_filter("the kernel fits", |s| s.h.min(s.w) + 2 * s.pad > s.dilation * (s.k - 1))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn direct_convolutions_of_any_shape_match_the_definition(
        shape in shapes(), n in 1usize..=3, relu: bool, convs in 1usize..=3, with_z: bool, seed: u64,
    ) {
        let case = Case::new(shape, n, relu, convs, seed);
        for level in Level::available() {
            for exact in [false, true] {
                check(&case, &ConvPlan::with(shape, exact, true, level), with_z);
            }
        }
    }

    #[test]
    fn groups_of_small_images_match_the_definition(
        shape in shapes(), (h, w) in (1usize..=8, 1usize..=8), n in GROUP..=2 * GROUP + 1, relu: bool, convs in 1usize..=2,
        with_z: bool, seed: u64,
    ) {
        let shape = ConvShape { h, w, ..shape };
        prop_assume!(h.min(w) + 2 * shape.pad > shape.dilation * (shape.k - 1) && shape.c_in * shape.c_out <= 400);
        let case = Case::new(shape, n, relu, convs, seed);
        for level in Level::available() {
            for exact in [false, true] {
                check(&case, &ConvPlan::with(shape, exact, true, level), with_z);
            }
        }
    }

    #[test]
    fn winograd_convolutions_of_any_size_match_the_definition(
        c_in in 1usize..=50, c_out in 1usize..=50, h in 1usize..=19, w in 1usize..=19,
        n in 1usize..=3, relu: bool, convs in 1usize..=3, with_z: bool, seed: u64,
    ) {
        let shape = ConvShape { k: 3, stride: 1, pad: 1, dilation: 1, c_in, c_out, h, w };
        let case = Case::new(shape, n, relu, convs, seed);
        for level in Level::available() {
            for exact in [false, true] {
                check(&case, &ConvPlan::with(shape, exact, false, level), with_z);
            }
        }
    }
}

/// The shapes of the search spaces: k, stride, pad, dilation, c_in, c_out, size.
const USUAL: [[usize; 7]; 11] = [
    [3, 1, 1, 1, 3, 16, 32],
    [3, 1, 1, 1, 3, 48, 32],
    [3, 1, 1, 1, 16, 16, 32],
    [3, 1, 1, 1, 32, 32, 16],
    [3, 1, 1, 1, 64, 64, 8],
    [3, 2, 1, 1, 16, 32, 32],
    [1, 2, 0, 1, 32, 64, 16],
    [1, 1, 0, 1, 16, 16, 32],
    [1, 1, 0, 1, 64, 64, 8],
    [1, 1, 0, 1, 256, 64, 8],
    [7, 1, 3, 1, 16, 16, 16],
];

fn usual([k, stride, pad, dilation, c_in, c_out, size]: [usize; 7]) -> ConvShape {
    ConvShape { k, stride, pad, dilation, c_in, c_out, h: size, w: size }
}

#[test]
fn the_shapes_of_the_search_spaces_match_the_definition() {
    for shape in USUAL.map(usual) {
        for strict in [false, true] {
            check(&Case::new(shape, 3, true, 2, 1), &ConvPlan::new(shape, 64, strict), true);
        }
    }
}

#[test]
fn a_nan_in_the_input_reaches_every_output_that_reads_it() {
    for shape in USUAL.map(usual) {
        for (strict, relu) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut case = Case::new(shape, 1, relu, 1, 1);
            case.x[(shape.w * 4 + 4) * shape.c_in_p()] = f32::NAN;
            let plan = ConvPlan::new(shape, 64, strict);
            let expected = definition::forward(&shape, relu, 1, &case.x, &case.w[0]);
            assert!(expected.iter().any(|e| e.is_nan()));
            let (z, stats) = case.forward(&plan);
            assert!(z[0].iter().zip(&expected).all(|(z, e)| z.is_nan() || !e.is_nan()), "{plan:?}");
            assert!(stats[0][..shape.c_out].iter().all(|s| s.is_nan()), "{plan:?}");
            assert!(case.backward(&plan, true, None)[0].iter().any(|g| g.is_nan()), "{plan:?}");
        }
    }
}

#[test]
fn packing_again_forgets_the_old_weights() {
    let shape = usual(USUAL[3]);
    let plan = ConvPlan::new(shape, 64, false);
    let (old, new) = (Case::new(shape, 1, true, 1, 1), Case::new(shape, 1, true, 1, 2));
    let mut filter = old.packed(&plan).remove(0);
    filter.pack(&plan, &new.w[0]);
    assert_eq!(filter.forward(), new.packed(&plan)[0].forward());
    assert_eq!(filter.transposed(), new.packed(&plan)[0].transposed());
}

/// a b by [`gemm::nn`], and a^T of that by [`gemm::tn`]; both on top of `before`.
struct BothProducts<'a> {
    product: gemm::Product<'a>,
    a: &'a [f32],
    b: &'a [f32],
    before: f32,
}

impl Kernel for BothProducts<'_> {
    type Output = (Vec<f32>, Vec<f64>, Vec<f32>);
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Self::Output {
        let g = self.product;
        let (mut out, mut stats) = (vec![self.before; g.rows * g.cols], vec![1.0; 2 * g.cols]);
        let mut back = vec![self.before; g.b_rows * g.cols];
        let (a, b) = (self.a.as_ptr(), self.b.as_ptr());
        // SAFETY: a, out, b and back hold rows x b_rows, rows x cols and, twice, b_rows x cols.
        unsafe {
            let (row, out_row) = (|r| r * g.b_rows, |r| r * g.cols);
            gemm::nn(s, g, (a, row), b, (out.as_mut_ptr(), out_row), Some(&mut stats));
            gemm::tn(s, g, (a, row), (out.as_ptr(), out_row), back.as_mut_ptr());
        }
        (out, stats, back)
    }
}

#[test]
fn products_of_any_number_of_rows_and_vectors_match_their_definition() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    for level in Level::available() {
        for vectors in 1..=10 {
            for (rows, k, accumulate) in
                [(1, 1, false), (7, 13, true), (64, 8, false), (200, 36, true), (201, 90, false)]
            {
                let (cols, b_rows) = (vectors * level.lanes(), padded(k));
                let mut random = |len| (0..len).map(|_| rng.random_range(-1f32..1.0)).collect::<Vec<f32>>();
                let (a, matrix) = (random(rows * b_rows), random(k * cols));
                let at = |k: usize, col: usize| panel_index(b_rows, cols, level.lanes(), k, col);
                let mut b = vec![0.0; b_rows * cols];
                (0..k * cols).for_each(|i| b[at(i / cols, i % cols)] = matrix[i]);
                let before = if accumulate { 0.5 } else { f32::NAN };
                let taps = &[gemm::GemmTap { a: 0, b: 0 }];
                let product = gemm::Product { taps, k, b_rows, cols, rows, accumulate };
                let (out, stats, back) = level.run(BothProducts { product, a: &a, b: &b, before });
                let start = if accumulate { 0.5 } else { 0.0 };
                let what = format!("{level:?}, {vectors} vectors, {rows} rows, k = {k}");
                for col in 0..cols {
                    let mut sums = [1.0; 2];
                    for r in 0..rows {
                        let terms = (0..k).map(|k| f64::from(a[r * b_rows + k]) * f64::from(matrix[k * cols + col]));
                        let got = f64::from(out[r * cols + col]);
                        assert!((got - terms.sum::<f64>() - start).abs() < 1e-4, "{what}: row {r}, column {col}");
                        sums = [sums[0] + got, sums[1] + got * got];
                    }
                    assert!((stats[col] - sums[0]).abs() < 1e-2, "{what}: sum of column {col}");
                    assert!((stats[cols + col] - sums[1]).abs() < 1e-5 * sums[1], "{what}: squares of column {col}");
                    for k in 0..b_rows {
                        let terms = (0..rows).map(|r| f64::from(a[r * b_rows + k]) * f64::from(out[r * cols + col]));
                        let want = terms.sum::<f64>() + start;
                        assert!((f64::from(back[at(k, col)]) - want).abs() < 1e-2, "{what}: tn at {k}, {col}");
                    }
                }
            }
        }
    }
}
