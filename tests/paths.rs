//! Active paths: candidates whose mixing weight is 0 are not computed. Engine and definition, values and gradients.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{Device, Tensor, Var};
use isdarts_host::net::graph::supernet;
use isdarts_host::net::{Gradients, Mode, Pass, Paths, Role, Supernet, SupernetConfig};
use isdarts_host::space::{Candidate, Mask, Primitive, SearchSpace};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

struct Case {
    space: SearchSpace,
    channels: usize,
    size: usize,
    /// Share of candidates alive.
    alive: f64,
    /// Share of edges with a path.
    edges: f64,
    strict: bool,
}

fn cases() -> Vec<Case> {
    let (nas, darts) = (SearchSpace::nas_bench_201, SearchSpace::darts);
    vec![
        Case { space: nas(), channels: 5, size: 8, alive: 1.0, edges: 1.0, strict: false },
        Case { space: nas(), channels: 16, size: 16, alive: 0.7, edges: 1.0, strict: true },
        Case { space: nas(), channels: 3, size: 8, alive: 1.0, edges: 0.4, strict: false },
        Case { space: darts(), channels: 4, size: 8, alive: 1.0, edges: 1.0, strict: false },
        Case { space: darts(), channels: 3, size: 8, alive: 0.5, edges: 0.7, strict: true },
    ]
}

/// One of the live candidates of most edges, with a weight near 1; the others' weight is 0.
fn draw(case: &Case, mask: &Mask, rng: &mut impl Rng) -> Vec<Var> {
    let (edges, ops) = (case.space.n_edges(), case.space.ops().len());
    let mut weights = vec![vec![0f32; edges * ops]; case.space.cell_types().len()];
    for edge in mask.alive().chunk_by(|a, b| (a.cell_type, a.edge) == (b.cell_type, b.edge)) {
        let c = edge.choose(rng).unwrap();
        if rng.random_bool(case.edges) {
            weights[c.cell_type][c.edge * ops + c.op] = rng.random_range(0.8..1.2);
        }
    }
    weights.into_iter().map(|w| Var::from_vec(w, (edges, ops), &Device::Cpu).unwrap()).collect()
}

/// Engine and definition with the same weights, away from their initial values, and the same mask; a batch.
fn setup(case: &Case, seed: u64) -> (Supernet, Supernet, Tensor, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let config = SupernetConfig {
        channels: case.channels,
        cells: 1,
        classes: 4,
        seed,
        strict: case.strict,
        ..Default::default()
    };
    let mut fast = Supernet::new(case.space.clone(), config, &Device::Cpu).unwrap();
    let mut slow = Supernet::new_reference(case.space.clone(), config, &Device::Cpu).unwrap();
    let mut table = fast.mask().table().clone();
    table.0.iter_mut().flatten().flatten().for_each(|alive| *alive = rng.random_bool(case.alive));
    fast.set_mask(Mask::from_table(table.clone())).unwrap();
    slow.set_mask(Mask::from_table(table)).unwrap();
    let mut uniform = |len: usize, low: f32| (0..len).map(|_| rng.random_range(low..1.0)).collect::<Vec<f32>>();
    for p in fast.params().iter() {
        let shaken = Tensor::from_vec(uniform(p.var.elem_count(), 0.0), p.var.shape(), &Device::Cpu).unwrap();
        p.var.set(&(p.var.as_tensor() + (shaken * 0.2).unwrap()).unwrap()).unwrap();
    }
    slow.params().assign(&fast.params().tensors().unwrap()).unwrap();
    let (b, size) = (5, case.size);
    let x = Tensor::from_vec(uniform(b * 3 * size * size, -1.0), (b, 3, size, size), &Device::Cpu).unwrap();
    (fast, slow, x, rng)
}

/// Logits, gradients, and the running statistics behind the pass; those before it are put back.
fn run(net: &Supernet, x: &Tensor, mix: &[Var], pass: Pass) -> (Vec<f64>, Gradients, Vec<f64>) {
    let before = net.params().tensors().unwrap();
    let mixing: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
    let logits = net.forward(x, &mixing, pass).unwrap();
    let gradients = net.backward(&loss(&logits)).unwrap();
    let running =
        net.params().iter().filter(|p| p.role == Role::Buffer).flat_map(|p| wide(p.var.as_tensor())).collect();
    net.params().assign(&before).unwrap();
    (wide(&logits), gradients, running)
}

fn loss(logits: &Tensor) -> Tensor {
    let (b, classes) = logits.dims2().unwrap();
    let weights = (0..b * classes).map(|i| ((i * 37 % 11) as f32 - 5.0) / 5.0).collect();
    let weights = Tensor::from_vec(weights, (b, classes), &Device::Cpu).unwrap();
    (logits.mul(&weights).unwrap().sum_all().unwrap() + logits.sqr().unwrap().mean_all().unwrap()).unwrap()
}

fn wide(t: &Tensor) -> Vec<f64> {
    t.flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f64::from).collect()
}

fn of_mix(gradients: &Gradients, mix: &[Var]) -> Vec<f64> {
    let of = |m: &Var| gradients.graph.get(m).map_or_else(|| vec![0.0; m.elem_count()], wide);
    mix.iter().flat_map(of).collect()
}

fn of_weights(net: &Supernet, gradients: &Gradients) -> Vec<f64> {
    let weights = net.params().iter().zip(&gradients.params);
    weights.flat_map(|(p, g)| g.as_ref().map_or_else(|| vec![0.0; p.var.elem_count()], wide)).collect()
}

/// Norm of the difference over the norm of `want`.
fn distance(got: &[f64], want: &[f64]) -> f64 {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    assert_eq!(got.len(), want.len());
    norm(&mut got.iter().zip(want).map(|(a, b)| a - b)) / norm(&mut want.iter().copied()).max(1e-6)
}

fn close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    let d = distance(got, want);
    assert!(d < tolerance, "{what}: {d}");
}

#[test]
fn a_drawn_path_is_the_full_mix_with_one_hot_weights() {
    for (case, seed) in cases().iter().zip(1..) {
        let (fast, slow, x, mut rng) = setup(case, seed);
        for mode in [Mode::Train, Mode::Eval, Mode::Train] {
            let mix = draw(case, fast.mask(), &mut rng);
            let (want, want_gradients, want_running) = run(&slow, &x, &mix, mode.into());
            for net in [&fast, &slow] {
                let (got, gradients, running) = run(net, &x, &mix, Pass { mode, paths: Paths::Drawn });
                close("logits", &got, &want, 1e-4);
                close("running statistics", &running, &want_running, 1e-5);
                close(
                    "gradients of the weights",
                    &of_weights(net, &gradients),
                    &of_weights(&slow, &want_gradients),
                    1e-3,
                );
                // That of a weight of 0 is not computed.
                let drawn: Vec<f64> = mix.iter().flat_map(|m| wide(m)).collect();
                let full = of_mix(&want_gradients, &mix).into_iter().zip(&drawn);
                let wanted: Vec<f64> = full.map(|(g, &w)| if w == 0.0 { 0.0 } else { g }).collect();
                close("gradients of the mixing weights", &of_mix(&gradients, &mix), &wanted, 1e-3);
            }
        }
    }
}

#[test]
fn a_ghost_has_the_gradient_of_a_bare_number_in_the_sum() {
    for (case, seed) in cases().iter().zip(11..) {
        let (fast, slow, x, mut rng) = setup(case, seed);
        for mode in [Mode::Train, Mode::Eval] {
            let mix = draw(case, fast.mask(), &mut rng);
            let pass = |paths| Pass { mode, paths };
            let (want, want_gradients, _) = run(&slow, &x, &mix, pass(Paths::DrawnWithGhosts));
            let (got, gradients, _) = run(&fast, &x, &mix, pass(Paths::DrawnWithGhosts));
            let (bare, bare_gradients, _) = run(&fast, &x, &mix, pass(Paths::Drawn));
            assert_eq!(got, bare);
            assert_eq!(of_weights(&fast, &gradients), of_weights(&fast, &bare_gradients));
            close("logits", &got, &want, 1e-4);
            let (got, want) = (of_mix(&gradients, &mix), of_mix(&want_gradients, &mix));
            close("gradients of the mixing weights", &got, &want, 1e-3);
            // The ghosts into a node share their gradient; dead candidates are none.
            let at = |c: Candidate| (c.cell_type * case.space.n_edges() + c.edge) * case.space.ops().len() + c.op;
            let drawn: Vec<f64> = mix.iter().flat_map(|m| wide(m)).collect();
            for c in case.space.candidates() {
                let ghost = fast.mask().is_alive(c) && drawn[at(c)] == 0.0;
                let to = |c: Candidate| (c.cell_type, case.space.edges()[c.edge].to);
                let other = case
                    .space
                    .candidates()
                    .into_iter()
                    .find(|&o| to(o) == to(c) && fast.mask().is_alive(o) && drawn[at(o)] == 0.0);
                match other {
                    Some(other) if ghost => assert_eq!(got[at(c)], got[at(other)]),
                    _ => assert!(fast.mask().is_alive(c) || got[at(c)] == 0.0),
                }
            }
            assert!(distance(&got, &of_mix(&bare_gradients, &mix)) > 1e-2);
        }
    }
}

#[test]
fn what_is_not_drawn_is_not_computed_and_no_constant_mix_asks_for_it() {
    for (case, seed) in cases().iter().zip(21..) {
        let (fast, slow, x, mut rng) = setup(case, seed);
        let mix = draw(case, fast.mask(), &mut rng);
        let weights: Vec<Vec<Vec<f32>>> = mix.iter().map(|m| m.to_vec2().unwrap()).collect();
        for net in [fast, slow] {
            let mut poisoned = vec![];
            for k in 0..supernet::blocks(net.config()) {
                let of_block = |c: &Candidate| supernet::cell_type(&case.space, net.config(), k) == Some(c.cell_type);
                for c in case
                    .space
                    .candidates()
                    .into_iter()
                    .filter(of_block)
                    .filter(|c| weights[c.cell_type][c.edge][c.op] == 0.0)
                {
                    poisoned.push(supernet::name_of(&case.space, k, case.space.edges()[c.edge], c.op) + ".");
                }
            }
            let is_poisoned = |name: &str| poisoned.iter().any(|p| name.starts_with(p));
            for p in net.params().iter().filter(|p| is_poisoned(&p.name)) {
                p.var.set(&Tensor::full(f32::NAN, p.var.shape(), &Device::Cpu).unwrap()).unwrap();
            }
            let drawn = Pass { mode: Mode::Train, paths: Paths::DrawnWithGhosts };
            let variable: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
            let constant: Vec<Tensor> = mix.iter().map(|m| m.as_detached_tensor()).collect();
            let out = [net.forward(&x, &variable, drawn).unwrap(), net.forward(&x, &constant, Mode::Train).unwrap()];
            for logits in out {
                assert!(wide(&logits).iter().all(|v| v.is_finite()));
                let gradients = net.backward(&loss(&logits)).unwrap();
                for (p, g) in net.params().iter().zip(&gradients.params) {
                    assert!(g.is_none() || !is_poisoned(&p.name), "{}", p.name);
                }
            }
        }
    }
}

#[test]
fn the_bits_do_not_depend_on_threads_nor_on_what_was_drawn_before() {
    for (case, seed) in cases().iter().zip(31..) {
        let bits = |threads: usize, before: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (net, _, x, mut rng) = setup(case, seed);
                let pass = Pass { mode: Mode::Train, paths: Paths::DrawnWithGhosts };
                let mix = draw(case, net.mask(), &mut rng);
                for _ in 0..before {
                    run(&net, &x, &draw(case, net.mask(), &mut rng), pass);
                    run(&net, &x, &mix, Mode::Train.into());
                }
                let (logits, gradients, running) = run(&net, &x, &mix, pass);
                let all = [logits, of_weights(&net, &gradients), of_mix(&gradients, &mix), running].concat();
                all.into_iter().map(f64::to_bits).collect::<Vec<_>>()
            })
        };
        let first = bits(1, 0);
        assert!(first == bits(2, 0) && first == bits(2, 3));
    }
}

#[test]
fn two_draws_before_a_backward_give_the_sum_of_their_gradients() {
    for (case, seed) in cases().iter().zip(41..) {
        let (net, _, x, mut rng) = setup(case, seed);
        let mixes = [draw(case, net.mask(), &mut rng), draw(case, net.mask(), &mut rng)];
        let one = |mix: &[Var]| {
            let mixing: Vec<Tensor> = mix.iter().map(|m| m.as_tensor().clone()).collect();
            loss(&net.forward(&x, &mixing, Pass { mode: Mode::Eval, paths: Paths::DrawnWithGhosts }).unwrap())
        };
        let together = net.backward(&(one(&mixes[0]) + one(&mixes[1])).unwrap()).unwrap();
        let each = mixes.each_ref().map(|mix| net.backward(&one(mix)).unwrap());
        let sum: Vec<f64> =
            of_weights(&net, &each[0]).iter().zip(of_weights(&net, &each[1])).map(|(a, b)| a + b).collect();
        close("gradients of the weights", &of_weights(&net, &together), &sum, 1e-5);
        for (mix, each) in mixes.iter().zip(&each) {
            close("gradients of the mixing weights", &of_mix(&together, mix), &of_mix(each, mix), 1e-5);
        }
    }
}

#[test]
fn running_statistics_move_where_no_path_joins_the_image_to_the_head() {
    for case in cases() {
        let (fast, slow, x, _) = setup(&case, 51);
        let none = case.space.ops().iter().position(|&p| p == Primitive::None).unwrap();
        let (edges, ops) = (case.space.n_edges(), case.space.ops().len());
        let table: Vec<f32> = (0..edges * ops).map(|i| f32::from(u8::from(i % ops == none))).collect();
        let mix = Var::from_vec(table, (edges, ops), &Device::Cpu).unwrap();
        let mix = vec![mix; case.space.cell_types().len()];
        let pass = Pass { mode: Mode::Train, paths: Paths::DrawnWithGhosts };
        let (got, got_gradients, running) = run(&fast, &x, &mix, pass);
        let (want, want_gradients, want_running) = run(&slow, &x, &mix, pass);
        close("logits", &got, &want, 1e-5);
        close("running statistics", &running, &want_running, 1e-5);
        close("gradients", &of_weights(&fast, &got_gradients), &of_weights(&slow, &want_gradients), 1e-4);
    }
}
