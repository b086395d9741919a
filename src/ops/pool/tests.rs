//! Pools against their definitions, pixel by pixel and in tensor algebra.

use super::*;
use candle_core::{Device, Tensor, Var};
use proptest::prelude::*;

fn numbers(len: usize, seed: u64) -> Vec<f32> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    // Few values, so that the maximum is often tied.
    (0..len).map(|_| rng.random_range(-4i32..4) as f32 / 4.0).collect()
}

/// `[n, h, w, c]` as `[n, c, h, w]`.
fn nchw(x: &[f32], n: usize, s: Image) -> Tensor {
    let t = Tensor::from_slice(x, (n, s.h, s.w, s.c), &Device::Cpu).unwrap();
    t.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap()
}

fn nhwc(t: &Tensor) -> Vec<f32> {
    t.permute((0, 2, 3, 1)).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn close(got: &[f32], want: &[f32]) -> bool {
    got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-5 || g.is_nan() && w.is_nan())
}

/// A pool, its backward, and its definition.
type PoolCase = (
    fn(&[f32], &mut [f32], Image, usize),
    fn(&[f32], &[f32], &mut [f32], Image, usize),
    fn(&Tensor, usize) -> candle_core::Result<Tensor>,
);

const POOLS: [PoolCase; 2] = [
    (avg3_add, |_, dy, dx, size, stride| avg3_backward_add(dy, dx, size, stride), tensor::avg_pool3),
    (max3, max3_backward_add, tensor::max_pool3),
];

/// The same of the 2x2 average, whose stride is 2.
const AVERAGE_2X2: PoolCase = (
    |x, y, size, _| avg2(x, y, size),
    |_, dy, dx, size, _| avg2_backward_add(dy, dx, size),
    |x, _| tensor::avg_pool2(x),
);

/// And of the 2x2 maximum.
const MAXIMUM_2X2: PoolCase = (
    |x, y, size, _| max2(x, y, size),
    |x, dy, dx, size, _| max2_backward_add(x, dy, dx, size),
    |x, _| tensor::max_pool(x, crate::ops::window::Window { kernel: 2, stride: 2, padding: 0, dilation: 1 }),
);

/// `out`: the size of the output.
fn equals_its_definition(
    (forward, backward, definition): PoolCase,
    n: usize,
    s: Image,
    stride: usize,
    out: Image,
    seed: u64,
) {
    let (x, dy) = (numbers(n * s.len(), seed), numbers(n * out.len(), seed ^ 1));
    let mut y = vec![0.0; n * out.len()];
    forward(&x, &mut y, s, stride);
    let input = Var::from_tensor(&nchw(&x, n, s)).unwrap();
    let want = definition(&input, stride).unwrap();
    assert!(close(&y, &nhwc(&want)), "output");
    let graph = (want * nchw(&dy, n, out)).unwrap().backward().unwrap();
    let mut dx = vec![0.5; x.len()];
    backward(&x, &dy, &mut dx, s, stride);
    let want: Vec<f32> = nhwc(graph.get(&input).unwrap()).iter().map(|g| g + 0.5).collect();
    assert!(close(&dx, &want), "gradient");
}

proptest! {
    #[test]
    fn pools_and_their_gradients_equal_their_definitions(
        n in 1usize..3, h in 1usize..9, w in 1usize..9, c4 in 1usize..7, stride in 1usize..5, seed: u64,
    ) {
        let s = Image { h, w, c: 4 * c4 };
        for pool in POOLS {
            equals_its_definition(pool, n, s, stride, s.strided(stride), seed);
        }
    }

    #[test]
    fn the_2x2_pools_and_their_gradients_equal_their_definitions(
        n in 1usize..3, h in 2usize..9, w in 2usize..9, c4 in 1usize..5, seed: u64,
    ) {
        let s = Image { h, w, c: 4 * c4 };
        for pool in [AVERAGE_2X2, MAXIMUM_2X2] {
            equals_its_definition(pool, n, s, 2, Image { h: h / 2, w: w / 2, ..s }, seed);
        }
    }
}

#[test]
fn a_nan_is_the_maximum_of_every_window_that_sees_it() {
    for stride in [1, 2] {
        let s = Image { h: 5, w: 6, c: 8 };
        let mut x = numbers(s.len(), 7);
        x[(2 * 6 + 3) * 8 + 1] = f32::NAN;
        let mut y = vec![0.0; s.strided(stride).len()];
        max3(&x, &mut y, s, stride);
        let want = nhwc(&tensor::max_pool3(&nchw(&x, 1, s), stride).unwrap());
        assert!(close(&y, &want), "stride {stride}");
        assert!(y.iter().any(|v| v.is_nan()) && y.iter().any(|v| !v.is_nan()));
    }
}
