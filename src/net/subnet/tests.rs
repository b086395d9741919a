//! Sizes and refusals of evaluation networks; their values are held to PyTorch's by `tests/golden_eval.rs`.

use super::*;
use crate::space::{Genotype, NetworkShape};

const CELL: &str = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|";
const V2: &str = "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                  ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
                  normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
                  ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), \
                  ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])";

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
        if family != Family::ImageNet {
            let cost = Genotype::parse(text).unwrap().cost(NetworkShape::cifar10(family.topology())).unwrap();
            assert_eq!(cost.parameters, expected as u64);
        }
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
        (CELL, small(Family::NasBench201, false), 6, "got images of 6x6, expected a height and a width divisible by 4"),
        (CELL, small(Family::NasBench201, true), 8, "got an auxiliary head, expected none"),
    ] {
        let got = run(text, config, side);
        assert!(got.contains(message), "{message}: {got}");
    }
    assert_eq!(run(V2, small(Family::Cifar, false), 8), "");
}
