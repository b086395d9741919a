//! The engine against the readable definition: values, gradients, running statistics and scores, over sizes and masks.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{Device, Tensor, Var};
use isdarts_host::Result;
use isdarts_host::net::{Gradients, Mode, Role, Supernet, SupernetConfig};
use isdarts_host::ops::simd::Level;
use isdarts_host::space::{Mask, SearchSpace};
use rand::{Rng, SeedableRng};
use std::io::Write;

pub(crate) struct Case {
    pub(crate) channels: usize,
    pub(crate) cells: usize,
    pub(crate) batch: usize,
    pub(crate) size: usize,
    /// Share of candidates alive.
    pub(crate) alive: f64,
    pub(crate) strict: bool,
}

const CASES: [Case; 7] = [
    Case { channels: 8, cells: 1, batch: 4, size: 8, alive: 1.0, strict: false },
    Case { channels: 8, cells: 1, batch: 4, size: 8, alive: 1.0, strict: true },
    Case { channels: 16, cells: 1, batch: 3, size: 16, alive: 0.6, strict: false },
    Case { channels: 5, cells: 2, batch: 2, size: 12, alive: 0.7, strict: false },
    Case { channels: 3, cells: 1, batch: 7, size: 4, alive: 0.5, strict: false },
    Case { channels: 1, cells: 1, batch: 3, size: 8, alive: 1.0, strict: false },
    Case { channels: 24, cells: 1, batch: 19, size: 8, alive: 0.3, strict: true },
];

fn normal(len: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..len).map(|_| (0..6).map(|_| rng.random_range(-1f32..1.0)).sum::<f32>() / 1.4).collect()
}

/// Both networks with the same weights (away from their initial values) and mask, a batch, and free mixing weights.
fn setup(case: &Case, seed: u64) -> Result<(Supernet, Supernet, Tensor, Var)> {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let space = SearchSpace::nas_bench_201();
    let (device, strict) = (Device::Cpu, case.strict);
    let config =
        SupernetConfig { channels: case.channels, cells: case.cells, classes: 7, seed, strict, ..Default::default() };
    let mut fast = Supernet::new(space.clone(), config, &device)?;
    let mut slow = Supernet::new_reference(space.clone(), config, &device)?;
    for p in fast.params().iter() {
        let shaken: Vec<f32> = normal(p.var.elem_count(), &mut rng).iter().map(|v| 0.1 * v.abs()).collect();
        p.var.set(&(p.var.as_tensor() + Tensor::from_vec(shaken, p.var.shape(), &device)?)?)?;
    }
    slow.params().assign(&fast.params().tensors()?)?;
    let mut table = fast.mask().table().clone();
    table.0.iter_mut().flatten().flatten().for_each(|alive| *alive = rng.random_bool(case.alive));
    fast.set_mask(Mask::from_table(table.clone()))?;
    slow.set_mask(Mask::from_table(table))?;
    let shape = (case.batch, 3, case.size, case.size);
    let x = Tensor::from_vec(normal(case.batch * 3 * case.size * case.size, &mut rng), shape, &device)?;
    let mix = Var::from_vec((0..30).map(|_| rng.random_range(0.1f32..1.0)).collect(), (6, 5), &device)?;
    Ok((fast, slow, x, mix))
}

fn wide(t: &Tensor) -> Result<Vec<f64>> {
    Ok(t.flatten_all()?.to_vec1::<f32>()?.into_iter().map(f64::from).collect())
}

/// Norm of the difference over the norm of `want` (or over `floor`, if that is larger).
fn distance(got: &[f64], want: &[f64], floor: f64) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut got.iter().zip(want).map(|(a, b)| a - b)) / norm(&mut want.iter().copied()).max(floor)
}

pub(crate) fn compare(case: &Case, seed: u64, mode: Mode) -> Result<()> {
    let (fast, slow, x, mix) = setup(case, seed)?;
    let weight = Tensor::from_vec(
        (0..case.batch * 7).map(|i| ((i * 37 % 11) as f32 - 5.0) / 5.0).collect(),
        (case.batch, 7),
        &Device::Cpu,
    )?;
    let run = |net: &Supernet| -> Result<_> {
        let logits = net.forward(&x, &[mix.as_tensor().clone()], mode)?;
        let loss = (logits.mul(&weight)?.sum_all()? + logits.sqr()?.mean_all()?)?;
        Ok((logits, net.backward(&loss)?))
    };
    let ((got, got_gradients), (want, want_gradients)) = (run(&fast)?, run(&slow)?);
    let close = |what: &str, got: &Tensor, want: &Tensor, floor: f64| -> Result<()> {
        let d = distance(&wide(got)?, &wide(want)?, floor);
        assert!(d < 2e-4, "{what}: {d} (channels {}, size {}, {mode:?})", case.channels, case.size);
        Ok(())
    };
    close("logits", &got, &want, 0.0)?;
    let squares = |t: &Tensor| -> Result<f64> { Ok(wide(t)?.iter().map(|v| v * v).sum()) };
    let scale = want_gradients.params.iter().flatten().map(squares).sum::<Result<f64>>()?.sqrt();
    for i in fast.params().ids() {
        let p = fast.params().at(i);
        // Zero and absent mean the same. A gradient that is nothing but rounding (of what batch norm cancels) has no direction.
        let of = |g: &Option<Tensor>| g.clone().map_or_else(|| p.var.zeros_like(), Ok);
        close(
            &format!("gradient of {}", p.name),
            &of(&got_gradients.params[i])?,
            &of(&want_gradients.params[i])?,
            1e-3 * scale,
        )?;
        close(&p.name, p.var.as_tensor(), slow.params().at(i).var.as_tensor(), 1e-6)?;
    }
    let of_mix = |g: &Gradients| g.graph.get(&mix).cloned().map_or_else(|| mix.zeros_like(), Ok);
    close("gradient of the mixing weights", &of_mix(&got_gradients)?, &of_mix(&want_gradients)?, 1e-3 * scale)?;
    let (got, want) = (fast.score(&x, &[mix.as_tensor().clone()])?, slow.score(&x, &[mix.as_tensor().clone()])?);
    for (got, want) in got.sum.0.iter().flatten().flatten().zip(want.sum.0.iter().flatten().flatten()) {
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        assert!(
            same || (got / want - 1.0).abs() < 5e-3,
            "score {got}, by definition {want} (channels {})",
            case.channels
        );
    }
    Ok(())
}

#[test]
fn the_engine_equals_the_definition_in_train_mode() {
    for (i, case) in CASES.iter().enumerate() {
        compare(case, 10 + i as u64, Mode::Train).unwrap();
    }
}

#[test]
fn the_engine_equals_the_definition_in_eval_mode() {
    for (i, case) in CASES.iter().enumerate() {
        compare(case, 30 + i as u64, Mode::Eval).unwrap();
    }
}

#[test]
fn the_engine_equals_the_definition_on_batch_statistics() {
    for (i, case) in CASES.iter().enumerate() {
        compare(case, 50 + i as u64, Mode::Batch).unwrap();
    }
}

#[test]
fn batch_statistics_without_moving_ones_give_the_logits_of_train_mode_and_change_nothing() {
    let (fast, slow, x, mix) = setup(&CASES[2], 4).unwrap();
    for net in [fast, slow] {
        let values = || net.params().iter().map(|p| wide(p.var.as_tensor()).unwrap()).collect::<Vec<_>>();
        let logits = |mode| wide(&net.forward(&x, &[mix.as_tensor().clone()], mode).unwrap()).unwrap();
        let (before, still) = (values(), logits(Mode::Batch));
        assert!(values() == before);
        assert_eq!(logits(Mode::Train), still);
        assert!(values() != before);
        assert_ne!(logits(Mode::Eval), still);
    }
}

#[test]
fn the_bits_do_not_depend_on_the_number_of_threads() {
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (net, _, x, mix) = setup(&CASES[6], 5).unwrap();
            let logits = net.forward(&x, &[mix.as_tensor().clone()], Mode::Train).unwrap();
            let gradients = net.backward(&logits.sqr().unwrap().sum_all().unwrap()).unwrap();
            let mut all = vec![wide(&logits).unwrap(), wide(gradients.graph.get(&mix).unwrap()).unwrap()];
            all.extend(gradients.params.iter().flatten().map(|g| wide(g).unwrap()));
            all.concat().into_iter().map(f64::to_bits).collect::<Vec<_>>()
        })
    };
    assert_eq!(bits(1), bits(2));
    assert_eq!(bits(1), bits(3));
}

#[test]
fn two_forward_passes_before_a_backward_give_the_sum_of_their_gradients() {
    let (net, _, x, mix) = setup(&CASES[0], 3).unwrap();
    let mixing = [mix.as_tensor().clone()];
    let loss = |x: &Tensor| net.forward(x, &mixing, Mode::Eval).unwrap().sqr().unwrap().sum_all().unwrap();
    let other = (&x * 0.5).unwrap();
    let together = net.backward(&(loss(&x) + loss(&other)).unwrap()).unwrap();
    let (a, b) = (net.backward(&loss(&x)).unwrap(), net.backward(&loss(&other)).unwrap());
    let mut compared = 0;
    for i in net.params().ids() {
        let p = net.params().at(i);
        match (&together.params[i], &a.params[i], &b.params[i]) {
            (Some(t), Some(a), Some(b)) => {
                let d = distance(&wide(t).unwrap(), &wide(&(a + b).unwrap()).unwrap(), 1e-9);
                assert!(d < 1e-5, "{}: {d}", p.name);
                compared += 1;
            }
            (None, None, None) => assert!(p.role == Role::Buffer || p.name.ends_with("bias"), "{}", p.name),
            _ => panic!("{}: a gradient of some passes only", p.name),
        }
    }
    assert!(compared > 50, "{compared} gradients");
    let of_mix = |g: &Gradients| wide(g.graph.get(&mix).unwrap()).unwrap();
    let sum: Vec<f64> = of_mix(&a).iter().zip(of_mix(&b)).map(|(a, b)| a + b).collect();
    assert!(distance(&of_mix(&together), &sum, 1e-9) < 1e-5, "mixing weights");
}

/// What the tests of kernels leave out here; written past the capture of the tests' output, so that it is seen of a test that
/// passes.
#[test]
fn instruction_sets_that_this_machine_cannot_test_are_named() {
    let known = ["Portable", "Avx2", "Avx512Half", "Avx512"];
    let here: Vec<String> = Level::available().iter().map(|level| format!("{level:?}")).collect();
    assert!(here.iter().all(|level| known.contains(&level.as_str())), "{here:?}");
    let absent: Vec<&str> = known.into_iter().filter(|level| here.iter().all(|h| h != level)).collect();
    writeln!(std::io::stderr(), "not tested on this machine: the instruction sets {}", absent.join(", ")).ok();
}
