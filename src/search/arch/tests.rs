//! Architecture parameters against torch, and genotypes from importances.

use super::optimiser::Moments;
use super::*;
use crate::space::{Primitive, Topology};

fn edge_values() -> (SearchSpace, ArchParams) {
    let space = SearchSpace::nas_bench_201();
    let arch = ArchParams::new(&space, ArchConfig::default(), 7, &Device::Cpu).unwrap();
    (space, arch)
}

/// torch 2.x: softmax over the live entries of two rows, and its gradient under `sum(p * c)`.
#[test]
fn masked_softmax_and_its_gradient_are_those_recorded_from_torch() {
    let values = Var::new(&[[0.3f32, -0.2, 1.1], [0.5, 0.25, -0.75]], &Device::Cpu).unwrap();
    let p = masked_softmax(&values, &[vec![true, false, true], vec![true; 3]]).unwrap();
    let c = Tensor::new(&[[1f32, 2.0, 3.0], [-1.0, 0.5, 2.0]], &Device::Cpu).unwrap();
    let gradients = (&p * c).unwrap().sum_all().unwrap().backward().unwrap();
    let recorded = [0.310025513f32, 0.0, 0.689974487, 0.484189868, 0.377087444, 0.138722718];
    let recorded_gradient = [-0.427819341f32, 0.0, 0.427819461, -0.475377262, 0.195406973, 0.279970288];
    for (got, then) in [(&p, recorded), (gradients.get(&values).unwrap(), recorded_gradient)] {
        for (a, b) in got.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip(then) {
            assert!((a - b).abs() < 1e-6, "{a}, torch {b}");
        }
    }
}

#[test]
fn a_row_with_nothing_alive_is_zero_not_nan() {
    let values = Tensor::new(&[[0.3f32, -0.2]], &Device::Cpu).unwrap();
    let p = masked_softmax(&values, &[vec![false, false]]).unwrap();
    assert_eq!(p.to_vec2::<f32>().unwrap(), [[0.0, 0.0]]);
}

/// torch 2.x: `Adam(lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)`.
#[test]
fn adam_steps_are_those_recorded_from_torch() {
    let w = Var::new(&[[0.001f32, -0.002, 0.0005], [0.1, -0.2, 0.3]], &Device::Cpu).unwrap();
    let mut adam = Moments::new(6);
    for (g, recorded) in [
        (
            [[0.1f32, -0.2, 0.3], [1e-4, 2e-5, -3e-6]],
            [0.000700000091f32, -0.00170000014, 0.000200000039, 0.0997000188, -0.199700013, 0.299700022],
        ),
        (
            [[-0.5, 0.0, 0.02], [0.4, -0.4, 1e-9]],
            [0.000949557114, -0.00155854097, 4.00377176e-05, 0.0994171798, -0.199417174, 0.299399585],
        ),
        (
            [[0.05, 0.06, -0.07], [-2.0, 3.0, 0.5]],
            [0.00105097622, -0.00157276273, 2.56036328e-05, 0.0996790752, -0.199691713, 0.299102664],
        ),
    ] {
        w.set(&adam.step(&w, &Tensor::new(&g, &Device::Cpu).unwrap(), &ArchConfig::default(), 1.0).unwrap()).unwrap();
        for (a, b) in w.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip(recorded) {
            assert!((a - b).abs() < 5e-8, "{a}, torch {b}");
        }
    }
}

/// torch 2.x: `Adam(lr=3e-4, betas=(0, 0.999), eps=1e-3)`, beside which a small gradient moves little.
#[test]
fn an_epsilon_beside_small_gradients_is_that_of_torch() {
    let config = ArchConfig { arch_beta1: 0.0, arch_epsilon: 1e-3, arch_weight_decay: 0.0, ..Default::default() };
    let w = Var::new(&[0.001f32, -0.002, 0.0005, 0.1, -0.2, 0.3], &Device::Cpu).unwrap();
    let mut adam = Moments::new(6);
    for (g, recorded) in [
        (
            [0.1f32, -0.2, 0.3, 1e-4, 2e-5, -3e-6],
            [0.000702970312f32, -0.00170149258, 0.000200996699, 0.0999727324, -0.200005889, 0.300000906],
        ),
        (
            [-0.5, 0.0, 0.02, 0.4, -0.4, 1e-9],
            [0.00111774937, -0.00170149258, 0.000172900269, 0.0995500684, -0.199583218, 0.300000906],
        ),
        (
            [0.05, 0.06, -0.07, -2.0, 3.0, 0.5],
            [0.00106721022, -0.00184963597, 0.000290118885, 0.100058913, -0.200097725, 0.299483329],
        ),
    ] {
        w.set(&adam.step(&w, &Tensor::new(&g, &Device::Cpu).unwrap(), &config, 1.0).unwrap()).unwrap();
        for (a, b) in w.to_vec1::<f32>().unwrap().iter().zip(recorded) {
            assert!((a - b).abs() < 5e-8, "{a}, torch {b}");
        }
    }
}

/// torch 2.x, after `clip_grad_norm_(0.5)`: `Adam` as above, `SGD(lr=0.1, momentum=0.8, weight_decay=0.01)`.
#[test]
fn clipped_steps_are_those_recorded_from_torch() {
    let clip = ArchConfig { arch_clip: 0.5, ..Default::default() };
    let sgd = ArchConfig {
        arch_optimiser: ArchOptimiser::Sgd,
        arch_lr: 0.1,
        arch_momentum: 0.8,
        arch_weight_decay: 0.01,
        ..clip.clone()
    };
    let gradients = [
        [0.1f32, -0.2, 0.3, 1e-4, 2e-5, -3e-6],
        [-0.5, 0.0, 0.02, 0.4, -0.4, 1e-9],
        [0.05, 0.06, -0.07, -2.0, 3.0, 0.5],
    ];
    let adam_recorded = [
        [0.000700000091f32, -0.00170000014, 0.000200000039, 0.0997000188, -0.199700013, 0.299700022],
        [0.000929810863, -0.00155854097, 4.62064927e-05, 0.0994171426, -0.199417144, 0.299399585],
        [0.00104454788, -0.00149655866, -2.49938821e-05, 0.0995276347, -0.199586377, 0.299101859],
    ];
    let sgd_recorded = [
        [-0.00900099985f32, 0.0180019997, -0.0295005031, 0.0998900011, -0.199801996, 0.29970032],
        [0.0161088482, 0.0339855962, -0.0547954738, 0.0732207894, -0.172962472, 0.299160868],
        [0.0354941003, 0.0459146686, -0.074015528, 0.079272911, -0.192508966, 0.291564971],
    ];
    for (config, recorded) in [(clip, adam_recorded), (sgd, sgd_recorded)] {
        let space =
            SearchSpace::custom("own", Topology::NasBench201, 2, &[Primitive::NorConv3x3, Primitive::AvgPool3x3])
                .unwrap();
        let mut arch = ArchParams::new(&space, config, 1, &Device::Cpu).unwrap();
        let start = [0.001f32, -0.002, 0.0005, 0.1, -0.2, 0.3];
        arch.set(&[Tensor::from_vec(start.to_vec(), (3, 2), &Device::Cpu).unwrap()]).unwrap();
        for (g, recorded) in gradients.iter().zip(recorded) {
            let g = Tensor::from_vec(g.to_vec(), (3, 2), &Device::Cpu).unwrap();
            let loss = (arch.vars[0].as_tensor() * g).unwrap().sum_all().unwrap();
            arch.step(&Gradients { graph: loss.backward().unwrap(), ..Default::default() }, String::new).unwrap();
            for (a, b) in arch.vars[0].flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip(recorded) {
                assert!((a - b).abs() < 5e-8, "{a}, torch {b}");
            }
        }
    }
}

#[test]
fn values_out_of_range_are_named() {
    let usual = ArchConfig::default;
    for (config, message) in [
        (ArchConfig { arch_lr: -0.1, ..usual() }, "setting `arch_lr`: got -0.1, expected a finite number, 0 or more"),
        (ArchConfig { arch_beta1: 1.0, ..usual() }, "setting `arch_beta1`: got 1, expected 0 or more, and less than 1"),
        (ArchConfig { arch_beta2: -0.1, ..usual() }, "setting `arch_beta2`: got -0.1"),
        (ArchConfig { arch_epsilon: -1.0, ..usual() }, "setting `arch_epsilon`: got -1"),
        (ArchConfig { arch_momentum: 1.5, ..usual() }, "setting `arch_momentum`: got 1.5"),
        (ArchConfig { arch_weight_decay: f64::NAN, ..usual() }, "setting `arch_weight_decay`: got NaN"),
        (ArchConfig { arch_clip: -1.0, ..usual() }, "setting `arch_clip`: got -1"),
        (ArchConfig { arch_mean: f64::INFINITY, ..usual() }, "setting `arch_mean`: got inf, expected a finite number"),
        (ArchConfig { arch_init: -1.0, ..usual() }, "setting `arch_init`: got -1"),
    ] {
        let error = ArchParams::new(&SearchSpace::darts(), config, 1, &Device::Cpu).err().unwrap().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[test]
fn values_that_are_set_are_copies_of_their_own_shape_and_finite() {
    let (_, arch) = edge_values();
    let values = |a: &ArchParams| a.vars[0].to_vec2::<f32>().unwrap();
    let before = values(&arch);
    let other = Tensor::ones((6, 5), DType::F32, &Device::Cpu).unwrap();
    for (wrong, part) in [
        (vec![], "got [], expected [[6, 5]]"),
        (vec![other.clone(), other.clone()], "got [[6, 5], [6, 5]]"),
        (vec![other.t().unwrap()], "got [[5, 6]]"),
        (vec![(&other / 0.0).unwrap()], "expected finite numbers"),
    ] {
        let error = arch.set(&wrong).unwrap_err().to_string();
        assert!(error.starts_with("architecture parameters, values: ") && error.contains(part), "{error}");
        assert_eq!(values(&arch), before);
    }
    let own = arch.vars[0].as_tensor().clone();
    arch.set(&[own]).unwrap();
    assert_eq!(values(&arch), before);
    arch.set(std::slice::from_ref(&other)).unwrap();
    assert_eq!(values(&arch), vec![vec![1.0; 5]; 6]);
    arch.vars[0].set(&(&other * 3.0).unwrap()).unwrap();
    assert_eq!(other.to_vec2::<f32>().unwrap(), vec![vec![1.0; 5]; 6], "a copy");
}

#[test]
fn initial_values_follow_the_seed_and_spread_as_asked() {
    let space = SearchSpace::darts();
    let config = ArchConfig { arch_init: 2.0, arch_mean: 5.0, ..Default::default() };
    let values = |seed| -> Vec<f32> {
        let arch = ArchParams::new(&space, config.clone(), seed, &Device::Cpu).unwrap();
        arch.vars.iter().flat_map(|v| v.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    };
    let (a, b) = (values(1), values(2));
    assert_eq!(a, values(1));
    assert_ne!(a, b);
    let n = a.len() as f32;
    let (mean, square) = (a.iter().sum::<f32>() / n, a.iter().map(|v| v * v).sum::<f32>() / n);
    let square = square - mean * mean;
    assert!((mean - 5.0).abs() < 0.5 && (3.0..5.0).contains(&square), "mean {mean}, variance {square}");
}

#[test]
fn importance_is_the_softmax_and_nan_where_dead() {
    let (space, arch) = edge_values();
    let mut mask = space.full_mask();
    mask.drop(Candidate { cell_type: 0, edge: 2, op: 3 }).unwrap();
    let importance = arch.importance(&mask).unwrap();
    assert!(importance.get(Candidate { cell_type: 0, edge: 2, op: 3 }).is_nan());
    let live: f64 = importance.0[0][2].iter().filter(|v| !v.is_nan()).sum();
    assert!((live - 1.0).abs() < 1e-6);
}

#[test]
fn a_loss_without_them_is_an_error_and_state_comes_back_to_the_bit() {
    let (space, mut arch) = edge_values();
    let mask = space.full_mask();
    let other = Var::new(&[1f32], &Device::Cpu).unwrap();
    let backward = |loss: &Tensor| Gradients { graph: loss.backward().unwrap(), ..Default::default() };
    let error = arch.step(&backward(&other.sum_all().unwrap()), String::new).unwrap_err().to_string();
    assert!(error.starts_with("step of architecture parameters: got a loss that does not depend on them"), "{error}");

    let step = |arch: &mut ArchParams| {
        let loss = arch.softmax(&mask).unwrap()[0].sqr().unwrap().sum_all().unwrap();
        arch.step(&backward(&loss), String::new).unwrap();
    };
    step(&mut arch);
    let saved = arch.state().unwrap();
    step(&mut arch);
    let mut again = ArchParams::new(&space, ArchConfig::default(), 99, &Device::Cpu).unwrap();
    again.restore(saved).unwrap();
    step(&mut again);
    let bits = |a: &ArchParams| a.vars[0].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(bits(&arch), bits(&again));
    assert!(again.restore(State::default()).is_err());
}
