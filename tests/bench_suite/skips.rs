//! Evaluation networks with skips beside their ops: what the engine computes, beside the definition.

use isdarts_host::{Device, DropPath, Family, Mode, Plan, Subnet, SubnetConfig, Tensor};

/// The engine against the definition in f64: skips beside every op (an identity beside an identity among them), norms behind pools, and an
/// output of some of the nodes.
#[test]
fn networks_with_skips_and_norms_compute_what_their_definition_computes() {
    let text = "Genotype(normal=[('skip_connect', 0), ('max_pool_3x3', 1), ('sep_conv_3x3', 2), ('skip_connect', 0)], \
                normal_concat=[3], reduce=[('skip_connect', 0), ('avg_pool_3x3', 1), ('skip_connect', 2), ('avg_pool_3x3', 1)], \
                reduce_concat=[2, 3])";
    for (auxiliary_skip, pool_norm) in [(true, true), (true, false), (false, true)] {
        let usual = SubnetConfig::usual(Family::Cifar, 5, 3);
        let size = SubnetConfig { channels: 4, cells: 3, auxiliary: false, auxiliary_skip, pool_norm, ..usual };
        let plan = Plan::parse(text).unwrap();
        let fast = Subnet::new(plan.clone(), size, &Device::Cpu).unwrap();
        let slow = Subnet::new_reference(plan, size, &Device::Cpu).unwrap();
        let numbers = (0..4 * 3 * 144).map(|i| ((i * 7919 % 1009) as f32 / 504.5) - 1.0).collect();
        let x = Tensor::from_vec(numbers, (4, 3, 12, 12), &Device::Cpu).unwrap();
        let masks = (0..fast.drop_paths()).map(|i| (0..4).map(|b| f32::from(u8::from((i * 5 + b) % 3 > 0))).collect());
        let drop = DropPath { keep: 0.6, masks: masks.collect() };
        let passes = [&fast, &slow].map(|net| {
            let logits = net.forward(&x, Mode::Train, Some(&drop)).unwrap().logits;
            let loss = (logits.sqr().unwrap() * 0.1).unwrap().sum_all().unwrap();
            (logits, net.backward(&loss).unwrap())
        });
        let apart = |a: &Tensor, b: &Tensor| {
            let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            difference / (1e-3 + b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap())
        };
        assert!(apart(&passes[0].0, &passes[1].0) < 1e-4, "{auxiliary_skip} {pool_norm}");
        for ((a, b), param) in passes[0].1.params.iter().zip(&passes[1].1.params).zip(fast.params().iter()) {
            match (a, b) {
                (Some(a), Some(b)) => assert!(apart(a, b) < 1e-3, "{}: {}", param.name, apart(a, b)),
                (a, b) => assert_eq!(a.is_some(), b.is_some(), "{}", param.name),
            }
        }
        let names: Vec<&str> = fast.params().iter().map(|p| p.name.as_str()).collect();
        let pool = if auxiliary_skip { "cells.0._ops.1.operation.op.1.weight" } else { "cells.0._ops.1.op.1.weight" };
        assert_eq!(names.contains(&pool), pool_norm, "{names:?}");
        assert_eq!(names.contains(&"cells.1._ops.0.aux_skip.conv_1.weight"), auxiliary_skip);
    }
}
