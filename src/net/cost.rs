//! Parameters and multiply-adds of a network, read off its graph.

use super::graph::{Graph, Op, Role, subnet};
use super::ids::ParamId;
use super::{Subnet, SubnetConfig};
use crate::error::{Error, Result};
use crate::space::{NetworkShape, Plan};
use serde::{Deserialize, Serialize};

/// Sizes up to which a network is counted: its graph is made for that.
const MOST: u64 = 1 << 20;
const MOST_CELLS: u64 = 1 << 13;

/// What a network costs. Numbers beyond 64 bits saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Weights and biases, those of batch norms (2 a channel) among them; biases that a norm cancels count nothing.
    pub parameters: u64,
    /// Multiply-adds of the convolutions and the classifier for one image; the classifier's biases count one each, as in
    /// the table of NAS-Bench-201. Batch norms, pools, ReLUs and sums count nothing.
    pub multiply_adds: u64,
}

impl Cost {
    /// The cost of a network for images of `h x w`; with `auxiliary`, that of the auxiliary head is counted, as it is in training.
    pub fn of(graph: &Graph, (h, w): (usize, usize), auxiliary: bool) -> Self {
        let (sizes, needed) = (graph.sizes(h, w), graph.needed(auxiliary, |_| true));
        let numbers = |id: ParamId| graph.params[id].shape.iter().map(|&n| n as u128).product::<u128>();
        let counts = |i: &ParamId| {
            let spec = &graph.params[*i];
            spec.role == Role::Weight && !spec.cancelled && (auxiliary || !spec.name.starts_with("auxiliary_head."))
        };
        let parameters: u128 = graph.params.ids().filter(counts).map(numbers).sum();
        let steps = graph.steps.iter().enumerate().filter(|(i, _)| needed[*i]);
        let multiply_adds: u128 = steps
            .map(|(i, step)| match step.op {
                Op::Conv { weight, .. } => numbers(weight) * (sizes[i].0 * sizes[i].1) as u128,
                Op::Linear { weight, bias, .. } => numbers(weight) + numbers(bias),
                _ => 0,
            })
            .sum();
        let saturated = |n: u128| u64::try_from(n).unwrap_or(u64::MAX);
        Cost { parameters: saturated(parameters), multiply_adds: saturated(multiply_adds) }
    }

    /// The cost of the network of these cells.
    ///
    /// NAS-Bench-201 (Dong & Yang): stem, three stages of N cells at C, 2C, 4C with a residual block between, head; it
    /// agrees with all rows of the benchmark. DARTS: `NetworkCIFAR` and `NetworkImageNet` of quark0/darts. The auxiliary head is
    /// counted if the shape says so.
    ///
    /// # Errors
    /// A size that is 0 or beyond what is counted, cells that the skeleton does not take, images that the auxiliary head does
    /// not take.
    pub fn of_plan(plan: &Plan, shape: NetworkShape) -> Result<Self> {
        let NetworkShape { family, channels, cells, classes, size, auxiliary } = shape;
        for (what, value, most) in [
            ("channels", channels, MOST),
            ("cells", cells, MOST_CELLS),
            ("classes", classes, MOST),
            ("size", size, MOST),
        ] {
            if value == 0 || value > most {
                return Err(Error::invalid(format!("{what} of a network"), value, format!("1 to {most}")));
            }
        }
        let [channels, cells, classes, size] = [channels, cells, classes, size].map(|n| n as usize);
        let config = SubnetConfig { channels, cells, auxiliary, ..SubnetConfig::usual(family, classes, 0) };
        Subnet::check_cells(plan, &config)?;
        let graph = subnet::graph(plan, &config);
        subnet::check_size(&graph, family, (size, size), auxiliary)?;
        Ok(Cost::of(&graph, (size, size), auxiliary))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Family, Genotype, Topology};

    fn cost(genotype: &Genotype, shape: NetworkShape) -> Result<Cost> {
        Cost::of_plan(&Plan::from(genotype), shape)
    }

    fn cifar10(genotype: &str) -> Cost {
        let genotype = Genotype::parse(genotype).unwrap();
        cost(&genotype, NetworkShape::cifar10(genotype.space.topology())).unwrap()
    }

    #[test]
    fn the_published_darts_cells_have_the_parameters_that_their_code_prints() {
        // `param size = ...MB` of the training logs of quark0/darts and yuhuixu1993/PC-DARTS, C=36, 20 cells.
        for (parameters, genotype) in [
            (
                3_349_342,
                "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), \
                 ('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], \
                 normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), \
                 ('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), \
                 ('max_pool_3x3', 1)], reduce_concat=[2, 3, 4, 5])",
            ),
            (
                3_634_678,
                "Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ('sep_conv_3x3', 0), ('dil_conv_3x3', 1), \
                 ('sep_conv_5x5', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 0), ('dil_conv_3x3', 1)], \
                 normal_concat=range(2, 6), reduce=[('sep_conv_5x5', 1), ('max_pool_3x3', 0), ('sep_conv_5x5', 1), \
                 ('sep_conv_5x5', 2), ('sep_conv_3x3', 0), ('sep_conv_3x3', 3), ('sep_conv_3x3', 1), \
                 ('sep_conv_3x3', 2)], reduce_concat=range(2, 6))",
            ),
        ] {
            assert_eq!(cifar10(genotype).parameters, parameters, "{genotype}");
        }
    }

    /// Parameters and multiply-adds, counted in PyTorch 2.15: the cells and networks of quark0/darts `cnn/model.py` (of
    /// FairDARTS's cells: `DCOCell` of xiaomi-automl/FairDARTS, whose output has the nodes that have inputs), with hooks on
    /// `Conv2d` (weights times the pixels of its output) and `Linear` (weights and biases). AmoebaNet-B and -C: the cells of
    /// tensorflow/tpu's model_specs.py in the same networks. CIFAR-10: C=36, 20 cells, 10 classes, 32x32; ImageNet: C=48, 14 cells,
    /// 1000 classes, 224x224; both without and with the auxiliary head. By hand, DARTS_V2 on ImageNet: its three stem
    /// convolutions have 648 + 10368 + 20736 weights over 112^2, 56^2, 28^2 pixels, 56.9 million multiply-adds.
    #[test]
    fn published_cells_cost_what_their_authors_networks_cost() {
        let table = "
            FairDARTS_a 2360782 371455210 2837208 372151028 3472000 394743976 4732776 396299408
            FairDARTS_b 3407878 536487562 3884304 537183380 4865248 541202152 6126024 542757584
            FairDARTS_c 2598814 399987946 3075240 400683764 3859264 428085928 5120040 429641360
            FairDARTS_d 3365542 532506250 3841968 533202068 4785760 535331560 6046536 536886992
            FairDARTS_e 2643742 414696682 3120168 415392500 3773824 431397544 5034600 432952976
            FairDARTS_f 3151054 497614474 3627480 498310292 4542112 505715176 5802888 507270608
            FairDARTS_g 2899054 453376234 3375480 454072052 4094944 466686952 5355720 468242384
            DARTS_V2 3349342 528359050 3825768 529054868 4718752 529912552 5979528 531467984
            PDARTS 3433798 532174474 3910224 532870292 4944352 542820328 6205128 544375760
            PC_DARTS_cifar 3634678 556670602 4111104 557366420 5270560 571138408 6531336 572693840
            PC_DARTS_image 3721510 570466954 4197936 571162772 5342464 581628328 6603240 583183760
            NASNet_A 3830950 603452458 4288944 604074548 5564320 604032616 6800520 605489744
            AmoebaNet_A 3145078 488931562 3603072 489553652 4627360 526747624 5863560 528204752
            AmoebaNet_B 2826082 441654922 3265644 442203284 4163776 460368616 5375400 461727440
            AmoebaNet_C 3972646 603065386 4485936 603908660 5899936 620195560 7209864 621947600
            ENAS 4020166 622142506 4515024 622912052 5908768 630337384 7194120 631991120
            PNAS 4481110 706026538 4975968 706796084 6394912 696739048 7680264 698392784
        ";
        let shapes =
            [(Family::Cifar, false), (Family::Cifar, true), (Family::ImageNet, false), (Family::ImageNet, true)];
        for line in table.trim().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let genotype = Genotype::by_name(words[0]).unwrap();
            for ((family, auxiliary), counts) in shapes.into_iter().zip(words[1..].chunks(2)) {
                let found = cost(&genotype, NetworkShape { auxiliary, ..NetworkShape::usual(family) }).unwrap();
                assert_eq!([found.parameters, found.multiply_adds].map(|n| n.to_string()), counts, "{line} {family:?}");
            }
        }
    }

    /// Millions at C=36, 20 cells: parameters as papers and repositories give them (SGAS's in its `genotypes.py`), and
    /// multiply-adds as FairDARTS's `fairdarts/genotypes.py` notes them of others' cells (its
    /// counter adds average pools, so only of cells without).
    #[test]
    fn published_cells_cost_what_their_papers_say() {
        for (name, parameters, multiply_adds) in [
            ("DARTS_V2", "3.3", Some(528)),
            ("PC_DARTS_cifar", "3.63", None),
            ("PDARTS", "3.43", None),
            ("GDAS_V1", "3.4", None),
            ("SNAS_mild", "2.66", Some(422)),
            ("SNAS_moderate", "2.8", None),
            ("SNAS_aggressive", "2.3", None),
            ("SGAS_Cri1_CIFAR_1", "3.75", None),
            ("SGAS_Cri1_CIFAR_2", "3.73", None),
            ("SGAS_Cri1_CIFAR_3", "3.80", None),
            ("SGAS_Cri2_CIFAR_3", "4.09", None),
            ("SGAS_Cri2_CIFAR_4", "3.91", None),
            ("SGAS_Cri2_CIFAR_5", "3.69", None),
            ("DARTS_minus_0", "3.5", None),
        ] {
            let genotype = Genotype::by_name(name).unwrap();
            let found = cost(&genotype, NetworkShape::cifar10(genotype.space.topology())).unwrap();
            let digits = parameters.len() - 2;
            assert_eq!(format!("{:.digits$}", found.parameters as f64 / 1e6), parameters, "{name}: {found:?}");
            let millions = found.multiply_adds / 1_000_000;
            assert!(multiply_adds.is_none_or(|m| m == millions), "{name}: {found:?}");
        }
    }

    #[test]
    fn a_network_that_there_is_not_costs_nothing_but_an_error() {
        let genotype = Genotype::by_name("DARTS_V2").unwrap();
        let usual = NetworkShape::usual(Family::ImageNet);
        for (shape, says) in [
            (
                NetworkShape { family: Family::NasBench201, ..usual },
                "got cells of Darts, expected cells of NasBench201",
            ),
            (
                NetworkShape { size: 128, auxiliary: true, ..usual },
                "got images of 128x128, expected larger ones, or no auxiliary head",
            ),
        ] {
            let message = cost(&genotype, shape).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_cell_of_zeros_costs_what_the_network_around_it_costs() {
        let cost = cifar10("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|");
        assert_eq!(cost, Cost { parameters: 73_306, multiply_adds: 7_783_050 });
    }

    #[test]
    fn a_size_of_zero_is_refused_and_so_is_an_absurd_one() {
        let genotype = Genotype::parse("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|").unwrap();
        let shape = NetworkShape::cifar10(Topology::NasBench201);
        for (shape, message) in [
            (NetworkShape { cells: 0, ..shape }, "cells of a network: got 0, expected 1 to 8192"),
            (NetworkShape { cells: 8193, ..shape }, "cells of a network: got 8193, expected 1 to 8192"),
            (
                NetworkShape { channels: u64::MAX, ..shape },
                "channels of a network: got 18446744073709551615, expected 1",
            ),
            (NetworkShape { size: 30, ..shape }, "got images of 30x30, expected a height and a width divisible by 4"),
        ] {
            let got = cost(&genotype, shape).unwrap_err().to_string();
            assert!(got.contains(message), "{got}");
        }
        let large = NetworkShape { channels: MOST, size: MOST, cells: 3, ..shape };
        assert_eq!(cost(&genotype, large).unwrap().multiply_adds, u64::MAX);
    }
}
