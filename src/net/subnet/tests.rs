//! Sizes and refusals of evaluation networks; their values are held to PyTorch's by `tests/golden_eval.rs`.

use super::*;
use crate::net::Cost;
use crate::space::{NetworkShape, Primitive, Topology};
use candle_core::DType;

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
const V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                  ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
                  normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
                  ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), \
                  ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";

/// Of the normal cell, what input 0 is brought to is read by skips alone.
const SKIPS: &str = "Genotype(normal=[('skip_connect', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 2), ('skip_connect', 0), \
                     ('skip_connect', 3), ('skip_connect', 0)], normal_concat=[3, 4], reduce=[('skip_connect', 0), \
                     ('avg_pool_3x3', 1), ('skip_connect', 2), ('none', 1), ('skip_connect', 3), ('skip_connect', 3)], \
                     reduce_concat=[2, 3, 4])";

fn subnet(text: &str, config: SubnetConfig) -> Result<Subnet> {
    Subnet::new(Plan::parse(text)?, config, &Device::Cpu)
}

#[test]
fn parameters_agree_with_the_literature_and_with_the_count_of_the_space() {
    // DARTS V2: 3.3 M on CIFAR, 4.7 M on ImageNet (Liu et al., 2019: the logs of quark0/darts); NAS-Bench-201's table.
    for (text, family, classes, expected) in [
        (V2, Family::Cifar, 10, 3_349_342),
        (V2, Family::ImageNet, 1000, 4_718_752),
        (CELL, Family::NasBench201, 10, 1_288_506),
    ] {
        let net = subnet(text, SubnetConfig::usual(family, classes, 0)).unwrap();
        assert_eq!(net.n_weights(), expected, "{family:?}");
        let cost = Cost::of_plan(&Plan::parse(text).unwrap(), NetworkShape::usual(family)).unwrap();
        assert_eq!(cost.parameters, expected as u64);
    }
}

#[test]
fn what_a_network_cannot_take_is_refused_in_words() {
    let small =
        |family, auxiliary| SubnetConfig { channels: 4, cells: 3, auxiliary, ..SubnetConfig::usual(family, 10, 0) };
    let run = |text: &str, config: SubnetConfig, side: usize| {
        let x = Tensor::zeros((2, 3, side, side), DType::F32, &Device::Cpu).unwrap();
        subnet(text, config)
            .and_then(|net| net.forward(&x, Mode::Train, None))
            .err()
            .map_or(String::new(), |e| e.to_string())
    };
    for (text, config, side, message) in [
        (CELL, small(Family::Cifar, false), 8, "got cells of NasBench201, expected cells of Darts"),
        (V2, SubnetConfig { channels: 0, ..small(Family::Cifar, false) }, 8, "channels: got 0, expected at least 1"),
        (V2, small(Family::Cifar, true), 16, "got images of 16x16, expected larger ones, or no auxiliary head"),
        (V2, small(Family::Cifar, true), 48, "got images of 48x48, expected 32x32, which its auxiliary head"),
        (
            V2,
            SubnetConfig { cells: 1, ..small(Family::Cifar, true) },
            32,
            "expected 2 cells or more before an auxiliary",
        ),
        (CELL, small(Family::NasBench201, false), 6, "got images of 6x6, expected a height and a width divisible by 4"),
        (CELL, small(Family::NasBench201, true), 8, "got an auxiliary head, expected none"),
        (
            &V2.replacen("sep_conv_3x3", "max_pool_2x2", 1),
            small(Family::Cifar, false),
            8,
            "of node 0 into node 2: got max_pool_2x2, expected it on edges that halve",
        ),
    ] {
        let got = run(text, config, side);
        assert!(got.contains(message), "{message}: {got}");
    }
    assert_eq!(run(V2, small(Family::Cifar, false), 8), "");
}

#[test]
fn a_network_of_any_published_cell_has_the_parameters_of_its_cost() {
    for name in ["FairDARTS_a", "FairDARTS_g", "NASNet_A", "AmoebaNet_A", "AmoebaNet_B", "AmoebaNet_C", "ENAS", "PNAS"]
    {
        for family in [Family::Cifar, Family::ImageNet] {
            let plan = Plan::read(name).unwrap();
            let config = SubnetConfig { channels: 8, cells: 6, auxiliary: false, ..SubnetConfig::usual(family, 7, 0) };
            let shape = NetworkShape { channels: 8, cells: 6, classes: 7, ..NetworkShape::usual(family) };
            let expected = Cost::of_plan(&plan, shape).unwrap().parameters;
            let net = Subnet::new(plan, config, &Device::Cpu).unwrap();
            assert_eq!(net.n_weights() as u64, expected, "{name} {family:?}");
            let graph = net.graph();
            assert_eq!(net.network.is_fast(), graph.is_on_engine(), "{name}: the engine runs what it has kernels for");
        }
    }
}

/// Compares values and gradients of the CPU engine with those of the definition in f64, for every op that an evaluation network
/// may have, in training (with drop path and auxiliary head) and in eval mode.
#[test]
fn the_engine_keeps_to_the_definition_in_every_op() {
    let cells = |ops: [&str; 4]| {
        let node = |(i, op): (usize, &str)| {
            vec![(Primitive::parse(op).unwrap(), i % 2), (Primitive::SkipConnect, (i + 1) % 2)]
        };
        let nodes: Vec<_> = ops.into_iter().enumerate().map(node).collect();
        Plan { topology: Topology::Darts, cells: vec![nodes.clone(), nodes], outputs: vec![] }
    };
    let stacks = [
        (Family::Cifar, cells(["sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5"]), 32, true),
        (Family::Cifar, cells(["avg_pool_3x3", "max_pool_3x3", "none", "sep_conv_3x3"]), 9, false),
        (Family::ImageNet, cells(["sep_conv_7x7", "nor_conv_7x7", "nor_conv_3x3", "nor_conv_1x1"]), 40, false),
        (Family::NasBench201, Plan::parse(CELL).unwrap(), 12, false),
        (Family::Cifar, Plan::read("NASNet_A").unwrap(), 9, false),
        (Family::Cifar, Plan::read("FairDARTS_g").unwrap(), 9, false),
        (Family::Cifar, Plan::read("PNAS").unwrap(), 9, false),
        (Family::Cifar, Plan::read("AmoebaNet_B").unwrap(), 12, false),
        (Family::Cifar, Plan::read("AmoebaNet_C").unwrap(), 9, false),
        (Family::Cifar, Plan::parse(SKIPS).unwrap(), 9, false),
    ];
    for (family, plan, side, auxiliary) in stacks {
        let config = SubnetConfig { channels: 4, cells: 3, auxiliary, ..SubnetConfig::usual(family, 5, 3) };
        let (fast, slow) =
            (Subnet::new(plan.clone(), config, &Device::Cpu), Subnet::new_reference(plan, config, &Device::Cpu));
        let (fast, slow) = (fast.unwrap(), slow.unwrap());
        assert!(fast.network.is_fast() && !slow.network.is_fast());
        let numbers = (0..3 * 3 * side * side).map(|i| ((i * 7919 % 1009) as f32 / 504.5) - 1.0).collect();
        let x = Tensor::from_vec(numbers, (3, 3, side, side), &Device::Cpu).unwrap();
        let masks = (0..fast.drop_paths()).map(|i| (0..3).map(|b| f32::from(u8::from((i * 5 + b) % 3 > 0))).collect());
        let drop = DropPath { keep: 0.6, masks: masks.collect() };
        let close = |what: &str, a: &Tensor, b: &Tensor, bound: f64| {
            let norm = |t: Tensor| f64::from(t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap()).sqrt();
            let (error, size) = (norm((a - b).unwrap()), norm(b.clone()));
            assert!(error <= bound * size + 1e-7, "{family:?} {side} {what}: {error} of {size}");
        };
        let passes = [&fast, &slow].map(|net| {
            let out = net.forward(&x, Mode::Train, Some(&drop)).unwrap();
            let mut loss = out.logits.sqr().unwrap().sum_all().unwrap();
            if let Some(auxiliary) = &out.auxiliary {
                loss = (loss + auxiliary.sqr().unwrap().sum_all().unwrap()).unwrap();
            }
            let gradients = net.backward(&loss).unwrap();
            (out, gradients.params, net.forward(&x, Mode::Eval, None).unwrap().logits)
        });
        let [(out, gradients, eval), (out_b, gradients_b, eval_b)] = passes;
        close("logits", &out.logits, &out_b.logits, 1e-5);
        assert_eq!(out.auxiliary.is_some(), auxiliary);
        if let (Some(a), Some(b)) = (&out.auxiliary, &out_b.auxiliary) {
            close("auxiliary", a, b, 1e-5);
        }
        close("eval", &eval, &eval_b, 1e-5);
        for ((param, a), b) in fast.params().iter().zip(&gradients).zip(&gradients_b) {
            let zeros = param.var.zeros_like().unwrap();
            close(&param.name, a.as_ref().unwrap_or(&zeros), b.as_ref().unwrap_or(&zeros), 1e-4);
        }
        for (a, b) in fast.params().iter().zip(slow.params().iter()).filter(|(p, _)| p.role == Role::Buffer) {
            close(&a.name, &a.var, &b.var, 1e-5);
        }
    }
}
