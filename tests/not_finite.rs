//! Not finite is an error: a NaN anywhere gives NaN logits, in every network, by every kernel; and what is made of them stops
//! with words, and leaves the last good state.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use candle_core::{Device, Tensor};
use isdarts_host::net::subnet::{Family, Plan};
use isdarts_host::net::{DropPath, Mode, Params, Role, Subnet, SubnetConfig, Supernet, SupernetConfig};
use isdarts_host::ops::simd::Level;
use isdarts_host::space::{Primitive, SearchSpace, Topology};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A network of either kind, and the size of its images.
enum Net {
    Super(Supernet),
    Sub(Subnet),
}

impl Net {
    fn params(&self) -> &Params {
        match self {
            Net::Super(net) => net.params(),
            Net::Sub(net) => net.params(),
        }
    }

    /// Logits of every image, and those of the auxiliary head. In train mode every other path is left out for the first of the
    /// two images, and the rest for the second, if `dropped`.
    fn logits(&self, x: &Tensor, mode: Mode, dropped: bool) -> Vec<Vec<f32>> {
        let paths = match self {
            Net::Super(net) => net.drop_paths(),
            Net::Sub(net) => net.drop_paths(),
        };
        let masks = (0..paths).map(|path| if path % 2 == 0 { vec![0.0, 1.0] } else { vec![1.0, 0.0] }).collect();
        let drop = (dropped && mode == Mode::Train).then_some(DropPath { keep: 0.5, masks });
        let (logits, auxiliary) = match self {
            Net::Super(net) => {
                (net.forward_dropped(x, &net.mask_mixing().unwrap(), mode, drop.as_ref()).unwrap(), None)
            }
            Net::Sub(net) => {
                let out = net.forward(x, mode, drop.as_ref()).unwrap();
                (out.logits, out.auxiliary)
            }
        };
        let rows = |t: Tensor| t.to_vec2::<f32>().unwrap();
        let auxiliary = auxiliary.map_or(vec![vec![]; logits.dim(0).unwrap()], rows);
        rows(logits).into_iter().zip(auxiliary).map(|(a, b)| [a, b].concat()).collect()
    }
}

/// Every op in every skeleton; channels that are no multiple of any vector, and enough for wide ones.
fn nets(channels: usize, reference: bool) -> Vec<(String, Net, usize)> {
    let own = |name, topology, leave: &[Primitive]| {
        let stays = |op: &Primitive| !leave.contains(op) && !op.only_halves();
        let ops: Vec<Primitive> = Primitive::ALL.into_iter().filter(stays).collect();
        SearchSpace::custom(name, topology, 2, &ops).unwrap()
    };
    let by_definition = [Primitive::Noise, Primitive::Conv7x1And1x7];
    let mut spaces = vec![
        (SearchSpace::nas_bench_201(), false),
        (SearchSpace::darts(), false),
        (SearchSpace::darts(), true),
        (own("all-cell", Topology::NasBench201, &by_definition), false),
        (own("all-cell", Topology::NasBench201, &by_definition), true),
        (own("all-darts", Topology::Darts, &by_definition), false),
    ];
    if !reference {
        spaces.push((own("by-definition", Topology::NasBench201, &[]), false));
    }
    let mut nets = vec![];
    for (space, as_quark0) in spaces {
        let name = format!("supernet {}{}", space.name(), if as_quark0 { " with pool_norm" } else { "" });
        let (pool_norm, head_norm) = (as_quark0, !as_quark0);
        let config =
            SupernetConfig { channels, cells: 1, classes: 3, seed: 4, pool_norm, head_norm, ..Default::default() };
        let make = if reference { Supernet::new_reference } else { Supernet::new };
        nets.push((name, Net::Super(make(space, config, &Device::Cpu).unwrap()), 8));
    }
    let stays = |op: &Primitive| !by_definition.contains(op) && !op.only_halves();
    let ops: Vec<Primitive> = Primitive::ALL.into_iter().filter(stays).collect();
    let mut of = ops.iter().copied().cycle();
    let mut node = |inputs: &[usize]| inputs.iter().map(|&from| (of.next().unwrap(), from)).collect::<Vec<_>>();
    let cell = |node: &mut dyn FnMut(&[usize]) -> Vec<(Primitive, usize)>| {
        vec![node(&[0, 1]), node(&[0, 1]), node(&[2, 3]), node(&[1, 4])]
    };
    let darts = Plan { topology: Topology::Darts, cells: vec![cell(&mut node), cell(&mut node)], outputs: vec![] };
    let nas = Plan {
        topology: Topology::NasBench201,
        cells: vec![vec![node(&[0, 0]), node(&[0, 1, 1]), node(&[0, 1, 2, 2, 2])]],
        outputs: vec![],
    };
    // Its reduction cell has the op that only halves.
    let amoeba = Plan::read("AmoebaNet_B").unwrap();
    for (family, plan, side, auxiliary) in [
        (Family::Cifar, &amoeba, 12, false),
        (Family::Cifar, &darts, 32, true),
        (Family::Cifar, &darts, 9, false),
        (Family::ImageNet, &darts, 33, false),
        (Family::NasBench201, &nas, 8, false),
    ] {
        let cells = if family == Family::NasBench201 { 1 } else { 3 };
        let config = SubnetConfig {
            family,
            channels,
            cells,
            classes: 3,
            auxiliary,
            seed: 4,
            ..SubnetConfig::usual(family, 10, 0)
        };
        let make = if reference { Subnet::new_reference } else { Subnet::new };
        let name = format!("network {} of {side} pixels", family.name());
        nets.push((name, Net::Sub(make(plan.clone(), config, &Device::Cpu).unwrap()), side));
    }
    nets
}

fn images(side: usize, rng: &mut impl Rng) -> Vec<f32> {
    (0..2 * 3 * side * side).map(|_| rng.random_range(-1f32..1.0)).collect()
}

fn tensor(x: Vec<f32>, side: usize) -> Tensor {
    Tensor::from_vec(x, (2, 3, side, side), &Device::Cpu).unwrap()
}

/// Sets one number of some parameters to NaN, one after the other, and one pixel.
fn nan_anywhere(name: &str, net: &Net, side: usize, some: Option<usize>, rng: &mut ChaCha8Rng) {
    let x = images(side, rng);
    for (mode, dropped) in [(Mode::Train, false), (Mode::Train, true), (Mode::Eval, false)] {
        let logits = |x: &[f32]| net.logits(&tensor(x.to_vec(), side), mode, dropped);
        let name = format!("{name}, {mode:?}{}", if dropped { " with drop path" } else { "" });
        assert!(logits(&x).iter().flatten().all(|v| v.is_finite()), "{name}");
        let all: Vec<_> = net.params().iter().collect();
        let some = if dropped { some.or(Some(4)).map(|n| n / 2) } else { some };
        let chosen: Vec<_> = match some {
            Some(n) => all.choose_multiple(rng, n).copied().collect(),
            None => all,
        };
        for param in chosen.into_iter().filter(|p| mode == Mode::Eval || p.role == Role::Weight) {
            if mode == Mode::Eval && param.name.starts_with("auxiliary_head") {
                continue;
            }
            let before = param.var.as_tensor().copy().unwrap();
            let mut values = before.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let at = rng.random_range(0..values.len());
            values[at] = f32::NAN;
            param.var.set(&Tensor::from_vec(values, before.shape(), &Device::Cpu).unwrap()).unwrap();
            let logits = logits(&x);
            let own = |row: &Vec<f32>| match param.name.starts_with("auxiliary_head") {
                true => row[3..].iter().any(|v| v.is_nan()),
                // A bias of the last layer is that of one class.
                false => {
                    row[..3].iter().filter(|v| v.is_nan()).count()
                        >= if param.name.starts_with("classifier") { 1 } else { 3 }
                }
            };
            assert!(logits.iter().all(own), "{name}: NaN at {at} of {}: {logits:?}", param.name);
            param.var.set(&before).unwrap();
        }
        // The running statistics are still the good ones.
        assert!(logits(&x).iter().flatten().all(|v| v.is_finite()), "{name}");
        for _ in 0..some.unwrap_or(20) / 2 {
            let mut x = x.clone();
            let at = rng.random_range(0..x.len());
            x[at] = f32::NAN;
            let row = &logits(&x)[at / (3 * side * side)];
            assert!(row.iter().all(|v| v.is_nan()), "{name}: NaN in pixel {at}: {row:?}");
        }
    }
}

/// An infinity in some parameters, one after the other, and in some pixels: where the definition's logits, by arithmetic, are not
/// finite, the kernels' are not either. They may be so where the definition's are: a Winograd transform adds up a tile.
fn infinities_stay(name: &str, net: &Net, definition: &Net, side: usize, rng: &mut ChaCha8Rng) {
    let x = images(side, rng);
    let mut kept = 0;
    let mut compare = |x: &[f32], mode, dropped, what: &str| {
        let both = [definition, net].map(|net| net.logits(&tensor(x.to_vec(), side), mode, dropped));
        for (exact, got) in both[0].iter().flatten().zip(both[1].iter().flatten()) {
            assert!(exact.is_finite() || !got.is_finite(), "{name}, {mode:?}, {what}: {exact} became {got}");
            kept += usize::from(!got.is_finite());
        }
    };
    // One of them for each network and each kind of vectors: the definition is slow.
    let &(mode, dropped) = [(Mode::Train, false), (Mode::Train, true), (Mode::Eval, false)].choose(rng).unwrap();
    let pairs: Vec<_> = net.params().iter().zip(definition.params().iter()).collect();
    for (ours, exact) in pairs.choose_multiple(rng, 2) {
        assert_eq!(ours.name, exact.name);
        let set = |value: &Tensor| [ours, exact].iter().for_each(|param| param.var.set(value).unwrap());
        let before = ours.var.as_tensor().copy().unwrap();
        let mut values = before.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let at = rng.random_range(0..values.len());
        values[at] = if rng.random() { f32::INFINITY } else { f32::NEG_INFINITY };
        let changed = Tensor::from_vec(values, before.shape(), &Device::Cpu).unwrap();
        set(&changed);
        compare(&x, mode, dropped, &ours.name);
        set(&before);
    }
    let mut x = x.clone();
    let at = rng.random_range(0..x.len());
    x[at] = f32::INFINITY;
    compare(&x, mode, dropped, "a pixel");
    assert!(kept > 0, "{name}: no infinity came through");
}

/// Which vectors are in use is a setting of the whole process, so this is one test.
#[test]
fn a_nan_in_any_weight_or_pixel_gives_nan_logits_by_every_kernel_and_no_infinity_becomes_a_number() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for level in Level::available() {
        Level::limit(level);
        assert_eq!(Level::best(), level);
        for channels in [2, 16] {
            for (name, net, side) in nets(channels, false) {
                let all = level == Level::PORTABLE && channels == 2 && name.starts_with("supernet nas-bench-201");
                let some = if name.contains("by-definition") { 2 } else { 4 };
                nan_anywhere(&format!("{name}, {level:?}"), &net, side, (!all).then_some(some), &mut rng);
            }
            let fast = nets(channels, false).into_iter().filter(|(name, ..)| !name.contains("by-definition"));
            for ((name, net, side), (same, definition, _)) in fast.zip(nets(channels, true)) {
                assert_eq!(name, same);
                infinities_stay(&format!("{name}, {level:?}"), &net, &definition, side, &mut rng);
            }
        }
    }
    for (name, net, side) in nets(2, true) {
        nan_anywhere(&format!("{name}, definition"), &net, side, Some(3), &mut rng);
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_isdarts-host");
const SMALL: [&str; 7] = ["--quiet", "--set", "epochs=3", "--set", "channels=2", "--set", "limit=4"];

fn run(dir: &std::path::Path, args: &[&str]) -> (bool, String) {
    let out = std::process::Command::new(PROGRAM).current_dir(dir).args(args).output().unwrap();
    let text = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn script(name: &str) -> String {
    format!("{}/scripts/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// (script, settings, words of the error)
#[test]
fn a_network_that_leaves_the_range_of_numbers_fails_with_place_and_cause() {
    let dir = tempfile::tempdir().unwrap();
    for (i, (name, settings, words)) in [
        ("train_genotype.rhai", "lr=1e30", ["in epoch ", "smaller learning rate"]),
        ("train_genotype.rhai", "lr=1e3", ["in epoch ", "smaller learning rate"]),
        ("train_genotype.rhai", "weight_decay=1e30", ["in epoch ", "step "]),
        ("is_darts.rhai", "lr=1e30 shrink_steps=1 shrink_every=1 iim_samples=8", ["in epoch ", "step "]),
        ("darts.rhai", "lr=1e38", ["in epoch ", "step "]),
        ("darts.rhai", "arch_lr=1e38", ["in epoch ", "architecture parameters"]),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = format!("run-{i}");
        let path = script(name);
        let settings: Vec<&str> = settings.split(' ').flat_map(|set| ["--set", set]).collect();
        let args = [&[&path[..]], &SMALL[..], &["--out", &folder], &settings[..]].concat();
        let (good, text) = run(dir.path(), &args);
        assert!(!good, "{name} {settings:?}: {text}");
        assert!(words.iter().all(|w| text.contains(w)), "{name} {settings:?}: {text}");
        let weights = dir.path().join(&folder).join("train-000/last.safetensors");
        if weights.exists() {
            let (good, text) = run(dir.path(), &["export", "--weights", weights.to_str().unwrap(), "--onnx", "x.onnx"]);
            assert!(good, "the last good weights stay: {text}");
        }
    }
}

/// An entropy term with a log of 0 in it: a loss of NaN for the architecture.
#[test]
fn a_loss_of_nan_moves_no_architecture_parameter() {
    let text = r#"
        let net = supernet("nas-bench-201", #{ channels: 2, cells: 1 });
        let d = data().train.take(8);
        let alpha = architecture_parameters(net, #{ arch_lr: 0.1 });
        for c in net.space.candidates { if c.op == "none" { net.drop(c); } }
        let before = alpha.values[0].to_array();
        for batch in net.batches(d, #{ batch_size: 8 }) {
            let a = alpha.softmax()[0];
            let message = "";
            try { alpha.step(net.loss(batch, alpha.softmax()) + (a * a.log()).sum() * -0.01); } catch (e) { message = `${e}`; }
            assert(message.contains("the loss became NaN in epoch 1, an architecture step"));
            try {
                let gradients = net.backward(net.loss(batch, alpha.softmax()) + (a * a.log()).sum() * -0.01);
                alpha.step(gradients);
            } catch (e) { message = `${e}`; }
            assert(message.contains("became NaN in epoch 1, an architecture step"));
        }
        assert(alpha.values[0].to_array() == before);
        let own = importance(net.space, net.mask_tensors[0] * (0.0 / 0.0));
        let message = "";
        try { net.comparison_subsets()[0].least_important(own, 2); } catch (e) { message = `${e}`; }
        assert(message.contains("got NaN, expected a number"));
        try { tensor([0.0 / 0.0, 1.0]).one_hot(); } catch (e) { message = `${e}`; }
        assert(message.contains("one_hot: got NaN"));
        assert(tensor([[1.0, 0.0 / 0.0], [2.0, 3.0]]).max(1).to_array()[1] == [3.0]);
        let x = tensor([1.0, 0.0 / 0.0]).max().to_float();
        assert(`${x}` == "NaN");
    "#;
    let dir = tempfile::tempdir().unwrap();
    let (good, text) = run(dir.path(), &["--quiet", "-e", text]);
    assert!(good, "{text}");
}

/// What a script may do with weights that are not finite: nothing that keeps them, or that reads a result off them.
#[test]
fn weights_that_are_not_finite_are_neither_saved_nor_loaded_nor_measured() {
    let dir = tempfile::tempdir().unwrap();
    let (space, device) = (SearchSpace::nas_bench_201(), Device::Cpu);
    let config = SupernetConfig { channels: 2, cells: 1, classes: 10, seed: 4, ..Default::default() };
    let net = Supernet::new(space, config, &device).unwrap();
    let good = dir.path().join("good.safetensors");
    net.params().save(&good).unwrap();
    let bias = &net.params().get("classifier.bias").unwrap().var;
    bias.set(&Tensor::full(f32::INFINITY, bias.dims(), &device).unwrap()).unwrap();
    let message = net.params().save(&dir.path().join("bad.safetensors")).unwrap_err().to_string();
    assert_eq!(message, "parameter `classifier.bias`: got inf, expected finite numbers");
    assert!(!dir.path().join("bad.safetensors").exists());
    let tensors = net.params().tensors().unwrap();
    candle_core::safetensors::save(&tensors, dir.path().join("bad.safetensors")).unwrap();
    let message = net.params().load(&dir.path().join("bad.safetensors")).unwrap_err().to_string();
    assert!(message.ends_with("got parameter `classifier.bias`: inf, expected finite numbers"), "{message}");
    net.params().load(&good).unwrap();
}
