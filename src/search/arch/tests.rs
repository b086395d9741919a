//! Architecture parameters against torch, and genotypes from importances.

use super::*;

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
    let mut adam = Adam::new(6);
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
        adam.step(&w, &Tensor::new(&g, &Device::Cpu).unwrap(), &ArchConfig::default()).unwrap();
        for (a, b) in w.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip(recorded) {
            assert!((a - b).abs() < 5e-8, "{a}, torch {b}");
        }
    }
}

#[test]
fn initial_values_follow_the_seed_and_spread_as_asked() {
    let space = SearchSpace::darts();
    let config = ArchConfig { arch_init: 2.0, ..Default::default() };
    let values = |seed| -> Vec<f32> {
        let arch = ArchParams::new(&space, config.clone(), seed, &Device::Cpu).unwrap();
        arch.vars.iter().flat_map(|v| v.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    };
    let (a, b) = (values(1), values(2));
    assert_eq!(a, values(1));
    assert_ne!(a, b);
    let n = a.len() as f32;
    let (mean, square) = (a.iter().sum::<f32>() / n, a.iter().map(|v| v * v).sum::<f32>() / n);
    assert!(mean.abs() < 0.5 && (3.0..5.0).contains(&square), "mean {mean}, mean square {square}");
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
    let backward = |loss: &Tensor| Gradients { params: vec![], graph: loss.backward().unwrap() };
    let error = arch.step(&backward(&other.sum_all().unwrap())).unwrap_err().to_string();
    assert!(error.starts_with("architecture step: got a loss that does not depend on them"), "{error}");

    let step = |arch: &mut ArchParams| {
        let loss = arch.softmax(&mask).unwrap()[0].sqr().unwrap().sum_all().unwrap();
        arch.step(&backward(&loss)).unwrap();
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
