//! Options of supernets (batch norm behind pools, none before the head, partial channels, auxiliary skips), what
//! training leaves out, and mixing weights of each cell: the CPU engine against the readable definition in both
//! spaces, under masks, and what the options do to the parameters.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{Device, Tensor, Var};
use isdarts_host::net::{DropPath, Dropout, Drops, Gradients, Mode, Supernet, SupernetConfig};
use isdarts_host::space::{Mask, SearchSpace};
use rand::{Rng, SeedableRng};

struct Case {
    space: &'static str,
    channels: usize,
    batch: usize,
    size: usize,
    /// Share of candidates alive.
    alive: f64,
    pool_norm: bool,
    node_norm: bool,
    head_norm: bool,
    partial: usize,
    auxiliary_skip: bool,
    /// Whether each cell has mixing weights of its own.
    by_cell: bool,
}

const NAS: Case = Case {
    space: "nas-bench-201",
    channels: 5,
    batch: 6,
    size: 8,
    alive: 1.0,
    pool_norm: true,
    node_norm: false,
    head_norm: false,
    partial: 1,
    auxiliary_skip: false,
    by_cell: false,
};
const DARTS: Case = Case { space: "darts", channels: 6, batch: 8, size: 11, ..NAS };

const CASES: [Case; 20] = [
    NAS,
    Case { alive: 0.6, head_norm: true, channels: 8, ..NAS },
    Case { alive: 0.8, pool_norm: false, batch: 3, ..NAS },
    Case { alive: 0.4, size: 12, batch: 17, ..NAS },
    DARTS,
    Case { alive: 0.7, head_norm: true, ..DARTS },
    Case { alive: 0.5, pool_norm: false, ..DARTS },
    Case { alive: 0.3, channels: 8, size: 12, batch: 5, ..DARTS },
    Case { partial: 5, alive: 0.6, ..NAS },
    Case { partial: 4, channels: 12, pool_norm: false, auxiliary_skip: true, ..NAS },
    Case { auxiliary_skip: true, alive: 0.5, ..NAS },
    Case { partial: 2, size: 12, ..DARTS },
    Case { partial: 4, channels: 12, size: 8, alive: 0.2, pool_norm: false, auxiliary_skip: true, ..DARTS },
    Case { auxiliary_skip: true, alive: 0.2, ..DARTS },
    Case { by_cell: true, partial: 5, ..NAS },
    Case { node_norm: true, ..NAS },
    Case { node_norm: true, alive: 0.5, pool_norm: false, partial: 5, ..NAS },
    Case { node_norm: true, alive: 0.7, size: 12, ..DARTS },
    Case { node_norm: true, partial: 2, auxiliary_skip: true, pool_norm: false, size: 12, ..DARTS },
    Case { by_cell: true, alive: 0.5, auxiliary_skip: true, ..DARTS },
];

fn normal(len: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..len).map(|_| (0..6).map(|_| rng.random_range(-1f32..1.0)).sum::<f32>() / 1.4).collect()
}

/// Both networks with the same weights (away from their initial values) and mask, a batch, and free mixing weights.
fn setup(case: &Case, seed: u64) -> (Supernet, Supernet, Tensor, Vec<Var>) {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let (space, device) = (SearchSpace::by_name(case.space).unwrap(), Device::Cpu);
    let Case { channels, pool_norm, node_norm, head_norm, partial, auxiliary_skip, .. } = *case;
    let config = SupernetConfig {
        channels,
        cells: 1,
        classes: 7,
        seed,
        pool_norm,
        node_norm,
        head_norm,
        partial,
        auxiliary_skip,
        ..SupernetConfig::default()
    };
    let mut fast = Supernet::new(space.clone(), config, &device).unwrap();
    let mut slow = Supernet::new_reference(space.clone(), config, &device).unwrap();
    for p in fast.params().iter() {
        let shaken: Vec<f32> = normal(p.var.elem_count(), &mut rng).iter().map(|v| 0.1 * v.abs()).collect();
        let shaken = Tensor::from_vec(shaken, p.var.shape(), &device).unwrap();
        p.var.set(&(p.var.as_tensor() + shaken).unwrap()).unwrap();
    }
    slow.params().assign(&fast.params().tensors().unwrap()).unwrap();
    let mut table = fast.mask().table().clone();
    table.0.iter_mut().flatten().flatten().for_each(|alive| *alive = rng.random_bool(case.alive));
    fast.set_mask(Mask::from_table(table.clone())).unwrap();
    slow.set_mask(Mask::from_table(table)).unwrap();
    let shape = (case.batch, 3, case.size, case.size);
    let x = Tensor::from_vec(normal(case.batch * 3 * case.size * case.size, &mut rng), shape, &device).unwrap();
    let (edges, ops) = (space.n_edges(), space.ops().len() + config.edge_weights());
    let mut mix =
        |_: &_| Var::from_vec((0..edges * ops).map(|_| rng.random_range(0.1f32..1.0)).collect(), (edges, ops), &device);
    let cells = fast.cells();
    let tables = if case.by_cell { cells.len() } else { space.cell_types().len() };
    let mixing = (0..tables).map(|t| mix(&t).unwrap()).collect();
    (fast, slow, x, mixing)
}

/// Each edge of each block left out for about a third of the images.
fn dropped(net: &Supernet, batch: usize, seed: u64) -> DropPath {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(100 + seed);
    let mut mask = || (0..batch).map(|_| f32::from(u8::from(rng.random_bool(0.7)))).collect();
    DropPath { keep: 0.7, masks: (0..net.drop_paths()).map(|_| mask()).collect() }
}

fn wide(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

/// Norm of the difference over the norm of `want` (or over `floor`, if that is larger).
fn distance(got: &[f64], want: &[f64], floor: f64) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    assert_eq!(got.len(), want.len());
    norm(&mut got.iter().zip(want).map(|(a, b)| a - b)) / norm(&mut want.iter().copied()).max(floor)
}

fn compare(case: &Case, seed: u64, mode: Mode, drop: bool) {
    let (fast, slow, x, mix) = setup(case, seed);
    let tensors: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
    let at = format!("{}, C={}, {}x{}, {mode:?}", case.space, case.channels, case.batch, case.size);
    let weights: Vec<f32> = (0..case.batch * 7).map(|i| ((i * 37 % 11) as f32 - 5.0) / 5.0).collect();
    let weights = Tensor::from_vec(weights, (case.batch, 7), &Device::Cpu).unwrap();
    let drop = drop.then(|| dropped(&fast, case.batch, seed));
    let values = drop.as_ref().map(|_| Dropout { skip: 0.3, pool: 0.2 * (seed % 2) as f64, seed });
    let drops = Drops { paths: drop.as_ref(), values };
    let run = |net: &Supernet| {
        let logits = net.forward_dropped(&x, &tensors, mode, drops).unwrap();
        let loss =
            (logits.mul(&weights).unwrap().sum_all().unwrap() + logits.sqr().unwrap().mean_all().unwrap()).unwrap();
        let gradients = net.backward(&loss).unwrap();
        (logits, gradients)
    };
    let ((got, got_gradients), (want, want_gradients)) = (run(&fast), run(&slow));
    let close = |what: &str, got: &Tensor, want: &Tensor, floor: f64| {
        let d = distance(&wide(got), &wide(want), floor);
        assert!(d < 5e-4, "{what}: {d} ({at})");
    };
    close("logits", &got, &want, 0.0);
    let squares = |t: &Tensor| wide(t).iter().map(|v| v * v).sum::<f64>();
    let scale = want_gradients.params.iter().flatten().map(squares).sum::<f64>().sqrt();
    for i in fast.params().ids() {
        let p = fast.params().at(i);
        // A gradient that is nothing but rounding (of what batch norm cancels) has no direction.
        let of = |g: &Gradients| g.params[i].clone().unwrap_or(p.var.zeros_like().unwrap());
        close(&format!("gradient of {}", p.name), &of(&got_gradients), &of(&want_gradients), 1e-3 * scale);
        close(&p.name, p.var.as_tensor(), slow.params().at(i).var.as_tensor(), 1e-6);
    }
    for m in &mix {
        let of = |g: &Gradients| g.graph.get(m).cloned().unwrap_or(m.zeros_like().unwrap());
        close("gradient of the mixing weights", &of(&got_gradients), &of(&want_gradients), 1e-3 * scale);
    }
    let tensors = if case.by_cell { fast.mask_mixing().unwrap() } else { tensors };
    let (got, want) = (fast.score(&x, &tensors).unwrap(), slow.score(&x, &tensors).unwrap());
    for ((c, got), (_, want)) in got.sum.iter().zip(want.sum.iter()) {
        // Above, the mean hangs on pixels whose channels differ by rounding alone.
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan() || got.min(*want) > 1e15;
        assert!(same || (got / want - 1.0).abs() < 1e-2, "score of {c:?}: {got}, by definition {want} ({at})");
    }
}

#[test]
fn with_options_the_engine_equals_the_definition_in_train_mode() {
    CASES.iter().zip(1..).for_each(|(case, seed)| compare(case, seed, Mode::Train, false));
}

#[test]
fn with_options_the_engine_equals_the_definition_in_eval_mode() {
    CASES.iter().zip(21..).for_each(|(case, seed)| compare(case, seed, Mode::Eval, false));
}

#[test]
fn with_drop_path_and_dropout_the_engine_equals_the_definition() {
    let plain = [
        Case { pool_norm: false, head_norm: true, ..NAS },
        Case { pool_norm: false, head_norm: true, alive: 0.6, ..DARTS },
        Case { pool_norm: false, head_norm: true, size: 12, ..DARTS },
    ];
    CASES.iter().chain(&plain).zip(41..).for_each(|(case, seed)| compare(case, seed, Mode::Train, true));
}

/// Logits of the engine and of the definition, with every path kept or dropped, and all mixing weights times `factor`.
fn uniform(case: &Case, keep: Option<(f64, f32)>, factor: f64) -> [Vec<f64>; 2] {
    let (fast, slow, x, mix) = setup(case, 3);
    let tensors: Vec<Tensor> = mix.iter().map(|m| (m.as_tensor() * factor).unwrap()).collect();
    let drop = keep.map(|(keep, mask)| DropPath { keep, masks: vec![vec![mask; case.batch]; fast.drop_paths()] });
    [fast, slow].map(|net| wide(&net.forward_dropped(&x, &tensors, Mode::Batch, drop.as_ref()).unwrap()))
}

#[test]
fn paths_kept_with_probability_a_half_count_twice_and_dropped_ones_nothing() {
    for case in [NAS, DARTS] {
        let pairs = [(Some((0.5, 1.0)), 2.0), (Some((0.5, 0.0)), 0.0), (Some((1.0, 1.0)), 1.0)];
        for (keep, factor) in pairs {
            let (got, want) = (uniform(&case, keep, 1.0), uniform(&case, None, factor));
            for (got, want) in got.iter().zip(&want) {
                assert!(distance(got, want, 1e-3) < 1e-5, "{}, {keep:?}", case.space);
            }
        }
    }
}

#[test]
fn each_image_has_scales_of_its_own() {
    let case = Case { pool_norm: false, alive: 1.0, ..NAS };
    let (fast, _, x, _) = setup(&case, 5);
    let skips: Vec<f32> = (0..30).map(|i| f32::from(u8::from(i % 5 == 1))).collect();
    let mix = [Tensor::from_vec(skips, (6, 5), &Device::Cpu).unwrap()];
    let logits = |masks: &dyn Fn(usize) -> f32| {
        let mask: Vec<f32> = (0..case.batch).map(masks).collect();
        let drop = DropPath { keep: 1.0, masks: vec![mask; fast.drop_paths()] };
        let out = fast.forward_dropped(&x, &mix, Mode::Eval, Some(&drop)).unwrap();
        out.to_vec2::<f32>().unwrap()
    };
    // In eval mode with skips alone no batch norm looks at the batch: an image does not feel what is dropped of others.
    let (all, one, none) = (logits(&|_| 1.0), logits(&|i| f32::from(u8::from(i == 2))), logits(&|_| 0.0));
    assert_eq!((&one[2], &one[1]), (&all[2], &none[1]));
    assert_ne!(all[1], none[1]);
}

#[test]
fn with_drop_path_the_bits_do_not_depend_on_the_number_of_threads() {
    for case in [NAS, DARTS] {
        let bits = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (net, _, x, mix) = setup(&case, 5);
                let tensors: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
                let drop = dropped(&net, case.batch, 5);
                let logits = net.forward_dropped(&x, &tensors, Mode::Train, Some(&drop)).unwrap();
                let gradients = net.backward(&logits.sqr().unwrap().sum_all().unwrap()).unwrap();
                let mut all = vec![wide(&logits)];
                all.extend(mix.iter().map(|m| wide(gradients.graph.get(m).unwrap())));
                all.extend(gradients.params.iter().flatten().map(wide));
                all.concat().into_iter().map(f64::to_bits).collect::<Vec<_>>()
            })
        };
        assert!(bits(1) == bits(3), "{}", case.space);
    }
}

/// Tables of cells that are all the same are a table of their type, and their gradients add up to its.
#[test]
fn equal_tables_of_all_cells_are_one_of_their_type() {
    for case in [NAS, DARTS] {
        let (net, _, x, mix) = setup(&Case { pool_norm: false, partial: 1, ..case }, 9);
        let of_cells: Vec<Var> =
            net.cells().iter().map(|&t| Var::from_tensor(&mix[t].as_detached_tensor()).unwrap()).collect();
        let run = |mix: &[Var]| {
            let tensors: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
            let logits = net.forward(&x, &tensors, Mode::Batch).unwrap();
            (wide(&logits), net.backward(&logits.sqr().unwrap().sum_all().unwrap()).unwrap())
        };
        let ((got, own), (want, shared)) = (run(&of_cells), run(&mix));
        assert_eq!(got, want);
        for (t, shared_mix) in mix.iter().enumerate() {
            let cells = net.cells();
            let of_type = of_cells.iter().zip(&cells).filter(|(_, c)| **c == t).map(|(m, _)| own.graph.get(m).unwrap());
            let sum = of_type.cloned().reduce(|a, b| (a + b).unwrap()).unwrap();
            assert!(distance(&wide(&sum), &wide(shared.graph.get(shared_mix).unwrap()), 0.0) < 1e-5);
        }
        let [first, second] = [0, 1].map(|cell| wide(own.graph.get(&of_cells[cell]).unwrap()));
        assert!(first != second);
    }
}

/// What is left out differs from seed to seed, and nothing is in evaluation nor at probability 0.
#[test]
fn values_are_left_out_by_the_seed() {
    for case in [NAS, DARTS] {
        let (net, _, x, mix) = setup(&case, 4);
        let tensors: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
        let logits = |skip: f64, pool: f64, seed: u64| {
            let drops = Drops { paths: None, values: Some(Dropout { skip, pool, seed }) };
            wide(&net.forward_dropped(&x, &tensors, Mode::Batch, drops).unwrap())
        };
        let none = wide(&net.forward(&x, &tensors, Mode::Batch).unwrap());
        // A GPU takes the definition for a pass with dropout.
        assert!(distance(&logits(0.0, 0.0, 1), &none, 0.0) < 1e-4, "{}", case.space);
        let some = [logits(0.5, 0.0, 1), logits(0.5, 0.0, 2), logits(0.0, 0.5, 1), none];
        assert_eq!(some[0], logits(0.5, 0.0, 1));
        for (i, a) in some.iter().enumerate() {
            assert!(some[..i].iter().all(|b| distance(a, b, 0.0) > 1e-3), "{}, {i}", case.space);
        }
    }
}

#[test]
fn a_drop_path_of_another_network_is_refused() {
    let (net, _, x, mix) = setup(&NAS, 1);
    let tensors: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
    for (keep, paths, images) in [(1.0, net.drop_paths(), 5), (1.0, 6, NAS.batch), (0.0, net.drop_paths(), NAS.batch)] {
        let drop = DropPath { keep, masks: vec![vec![1.0; images]; paths] };
        let error = net.forward_dropped(&x, &tensors, Mode::Train, Some(&drop)).unwrap_err().to_string();
        assert!(error.starts_with("drop path, "), "{error}");
    }
}

/// The logits of one network with and without an option differ, or the option would do nothing.
#[test]
fn every_option_changes_what_the_network_computes() {
    for case in [NAS, DARTS] {
        let without = Case { pool_norm: false, head_norm: true, ..case };
        let logits = |case: &Case| {
            let (fast, _, x, mix) = setup(case, 7);
            let tensors: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
            let base = setup(&without, 7).0;
            let common = base.params().tensors().unwrap();
            for p in fast.params().iter() {
                p.var.set(&common[&p.name]).unwrap();
            }
            wide(&fast.forward(&x, &tensors, Mode::Batch).unwrap())
        };
        let plain = logits(&without);
        let options = [
            Case { pool_norm: true, ..without },
            Case { node_norm: true, ..without },
            Case { head_norm: false, ..without },
        ];
        for option in options {
            assert!(distance(&logits(&option), &plain, 0.0) > 1e-2, "{}", option.space);
        }
    }
}

#[test]
fn without_a_head_norm_its_parameters_are_not_there_and_all_others_keep_their_names() {
    for case in [NAS, DARTS] {
        let names = |case: &Case| -> Vec<String> {
            setup(case, 1).0.params().iter().map(|p| format!("{} {:?}", p.name, p.var.dims())).collect()
        };
        let usual = names(&Case { pool_norm: false, head_norm: true, ..case });
        let head: Vec<&String> = usual.iter().filter(|n| n.starts_with("lastact.0.")).collect();
        assert_eq!(head.len(), 4);
        assert_eq!(names(&Case { pool_norm: true, head_norm: true, ..case }), usual);
        assert_eq!(names(&Case { node_norm: true, pool_norm: false, head_norm: true, ..case }), usual);
        let rest: Vec<String> = usual.iter().filter(|n| !head.contains(n)).cloned().collect();
        assert_eq!(names(&Case { pool_norm: false, head_norm: false, ..case }), rest);
    }
}

#[test]
fn the_options_of_a_network_that_was_saved_before_there_were_any_are_the_usual_ones() {
    let saved = r#"{"channels":4,"cells":1,"classes":10,"seed":3,"strict":false}"#;
    let config: SupernetConfig = serde_json::from_str(saved).unwrap();
    let expected = SupernetConfig { channels: 4, cells: 1, classes: 10, seed: 3, ..SupernetConfig::default() };
    assert_eq!(config, expected);
    assert!(!config.pool_norm && !config.node_norm && config.head_norm);
}
