//! The update against its definition and against torch.

use super::*;
use candle_core::Device;

const LR: [f64; 3] = [0.1, 0.07, 0.03];

fn weights() -> Vec<Var> {
    [&[0.5f32, -1.25, 2.0, 0.1, -0.3][..], &[1.5, -0.75]]
        .iter()
        .map(|w| Var::from_tensor(&Tensor::new(*w, &Device::Cpu).unwrap()).unwrap())
        .collect()
}

fn gradients() -> Vec<Vec<Option<Tensor>>> {
    let t = |v: &[f32]| Some(Tensor::new(v, &Device::Cpu).unwrap());
    vec![
        vec![t(&[3.0, -4.0, 1.0, 0.0, 2.5]), t(&[0.5, -1.5])],
        vec![t(&[0.1, 0.2, -0.3, 0.4, -0.5]), None],
        vec![t(&[-2.0, 1.0, 0.5, 9.0, -7.0]), t(&[4.0, 0.25])],
    ]
}

/// After a step: the norm before clipping, and the weights.
type Recorded = [(f64, [f32; 5], [f32; 2]); 3];

/// torch 2.x: `SGD(lr, 0.9, weight_decay=0.05, nesterov=...)` after `clip_grad_norm_(5.0)`, lr as in `LR`; the missing
/// gradient of the second step given as zeros.
const RECORDED: [(bool, Recorded); 2] = [
    (
        true,
        [
            (
                5.8949132,
                [0.0117824003, -0.593501568, 1.81984413, 0.0990500003, -0.700039625],
                [1.40517211, -0.501141191],
            ),
            (
                0.741619885,
                [-0.147290349, -0.420241833, 1.79387987, 0.0449078195, -0.748264611],
                [1.36752903, -0.4235439],
            ),
            (12.3009148, [-0.15917328, -0.370785624, 1.7615248, -0.17369093, -0.616995156], [1.25833309, -0.398875207]),
        ],
    ),
    (
        false,
        [
            (
                5.8949132,
                [0.243043378, -0.904474497, 1.90518117, 0.0995000005, -0.510547221],
                [1.45009053, -0.619021714],
            ),
            (
                0.741619885,
                [0.0733100548, -0.697627783, 1.85977709, 0.0708367527, -0.60640502],
                [1.41357231, -0.534338772],
            ),
            (
                12.3009148,
                [0.0321199521, -0.628991842, 1.83337736, -0.050073266, -0.557109654],
                [1.34858954, -0.503922403],
            ),
        ],
    ),
];

#[test]
fn steps_are_those_recorded_from_torch() {
    for (nesterov, recorded) in RECORDED {
        let weights = weights();
        let mut sgd = Sgd::new(&weights);
        for ((grads, lr), (norm_then, first, second)) in gradients().iter().zip(LR).zip(recorded) {
            let norm = norm(grads.iter().flatten()).unwrap();
            assert!((norm / norm_then - 1.0).abs() < 1e-6, "norm {norm}, torch {norm_then}");
            let step = Step { lr, momentum: 0.9, nesterov, weight_decay: 0.05, scale: clip_scale(norm, 5.0) };
            let pairs: Vec<_> = weights.iter().zip(grads.iter().map(Option::as_ref)).collect();
            sgd.step(&pairs, &step).unwrap();
            for (w, then) in weights.iter().zip([&first[..], &second[..]]) {
                for (w, then) in w.to_vec1::<f32>().unwrap().iter().zip(then) {
                    assert!((w - then).abs() < 2e-6 * then.abs().max(0.1), "nesterov {nesterov}: {w}, torch {then}");
                }
            }
        }
    }
}

#[test]
fn the_kernel_does_what_the_definition_says_whatever_the_layout() {
    let matrix = |seed: f32| {
        let values: Vec<f32> = (0..35).map(|i| ((i as f32 + seed) * 0.7).sin()).collect();
        Tensor::from_vec(values, (5, 7), &Device::Cpu).unwrap()
    };
    for (nesterov, (gradient, name)) in [true, false].into_iter().cycle().zip([
        (Some(matrix(1.0)), "contiguous"),
        (Some(matrix(6.0)), "contiguous, plain momentum"),
        (Some(matrix(2.0).reshape((7, 5)).unwrap().t().unwrap()), "transposed"),
        (Some(Tensor::cat(&[matrix(4.0), matrix(3.0)], 0).unwrap().narrow(0, 5, 5).unwrap()), "a view with an offset"),
        (None, "none"),
    ]) {
        let w = Var::from_tensor(&matrix(0.0)).unwrap();
        let mut sgd = Sgd::new([&w]);
        sgd.set_momentum(0, &w, &matrix(9.0)).unwrap();
        let step = Step { lr: 0.03, momentum: 0.8, nesterov, weight_decay: 0.01, scale: 0.5 };
        let (w_then, m_then) = definition::update(&w, Some(&matrix(9.0)), gradient.as_ref(), &step).unwrap();
        sgd.step(&[(&w, gradient.as_ref())], &step).unwrap();
        let distance =
            |a: &Tensor, b: &Tensor| -> f32 { (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap() };
        assert!(distance(&w, &w_then) < 1e-6, "{name}: weight");
        assert!(distance(&sgd.momentum(0, &w).unwrap(), &m_then) < 1e-6, "{name}: momentum");
    }
}

#[test]
fn clipping_scales_only_what_is_too_long() {
    for (norm, limit, scale) in [(4.0, 5.0, 1.0), (10.0, 5.0, 0.49999995), (10.0, 0.0, 1.0), (0.0, 5.0, 1.0)] {
        assert!((clip_scale(norm, limit) - scale).abs() < 1e-9, "norm {norm}, limit {limit}");
    }
}

#[test]
fn the_norm_sums_in_f64() {
    // In f32 the ones would vanish beside 1e8.
    let big = Tensor::new(&[1e4f32], &Device::Cpu).unwrap();
    let ones = Tensor::ones(1003, candle_core::DType::F32, &Device::Cpu).unwrap();
    assert_eq!(norm([&big, &ones]).unwrap(), (1e8f64 + 1003.0).sqrt());
}
