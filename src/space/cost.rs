//! Parameters and multiply-adds of the network that a genotype stands for.

use super::primitive::{Form, strides};
use super::{Family, Genotype, NetworkShape, Plan, Primitive, Topology};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a network costs. Numbers beyond 64 bits saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Weights and biases, those of batch norms (2 a channel) among them.
    pub parameters: u64,
    /// Multiply-adds of the convolutions and the classifier for one image; the classifier's biases count one each, as in
    /// the table of NAS-Bench-201. Batch norms, pools, ReLUs and sums count nothing.
    pub multiply_adds: u64,
}

impl Genotype {
    /// See [`Plan::cost`].
    pub fn cost(&self, shape: NetworkShape) -> Result<Cost> {
        Plan::from(self).cost(shape)
    }
}

impl Plan {
    /// The cost of the network of these cells.
    ///
    /// NAS-Bench-201 (Dong & Yang): stem, three stages of N cells at C, 2C, 4C with a residual block between, head; it
    /// agrees with all rows of the benchmark. DARTS (`NetworkCIFAR` of quark0/darts): stem of 3C, cells with two inputs
    /// that are brought to the width of the cell, head; `NetworkImageNet`: a stem of three convolutions of stride 2. The
    /// auxiliary head is counted if the shape says so, as it is in training.
    ///
    /// # Errors
    /// A size that is 0, cells that the skeleton does not take, images that the auxiliary head does not take.
    pub fn cost(&self, shape: NetworkShape) -> Result<Cost> {
        let NetworkShape { family, channels, cells, classes, size, auxiliary } = shape;
        for (what, value) in [("channels", channels), ("cells", cells), ("classes", classes), ("size", size)] {
            if value == 0 {
                return Err(Error::invalid(format!("{what} of a network"), 0, "at least 1"));
            }
        }
        family.check(self.topology, auxiliary)?;
        self.check()?;
        let mut cost = Cost::default();
        let width = match self.topology {
            Topology::NasBench201 => self.add_nas_bench_201(&mut cost, shape),
            Topology::Darts => self.add_darts(&mut cost, shape)?,
        };
        cost.linear(width, classes);
        Ok(cost)
    }

    /// Adds all but the classifier; returns the width of its input.
    fn add_nas_bench_201(&self, cost: &mut Cost, NetworkShape { channels, cells, size, .. }: NetworkShape) -> u64 {
        let (mut width, mut pixels) = (channels, size);
        cost.conv(3, width, 3, pixels);
        let ops = self.cells[0].concat();
        for stage in 0..3 {
            if stage > 0 {
                let (input, output) = (width, width.saturating_mul(2));
                (width, pixels) = (output, pixels.div_ceil(2));
                cost.conv(input, output, 3, pixels);
                cost.conv(output, output, 3, pixels);
                cost.bare_conv(input, output, 1, (pixels, pixels));
            }
            for (op, _) in &ops {
                cost.op(*op, width, pixels, 1, cells);
            }
        }
        cost.norm(width);
        width
    }

    /// Adds all but the classifier; returns the width of its input.
    fn add_darts(&self, cost: &mut Cost, shape: NetworkShape) -> Result<u64> {
        let NetworkShape { family, channels, cells, size, .. } = shape;
        let (mut width, mut pixels) = (channels, size);
        let stem: &[(u64, u64)] = match family {
            Family::ImageNet => &[(3, channels / 2), (channels / 2, channels), (channels, channels)],
            _ => &[(3, channels.saturating_mul(3))],
        };
        for &(input, output) in stem {
            if family == Family::ImageNet {
                pixels = pixels.div_ceil(2);
            }
            cost.conv(input, output, 3, pixels);
        }
        let stem = stem[stem.len() - 1].1;
        let (mut before_last, mut last) = (stem, stem);
        let outputs = [0, 1].map(|t| self.outputs_of(t).len() as u64);
        for cell in 0..cells {
            let second = cell == cells.saturating_mul(2) / 3;
            let reduces = cell == cells / 3 || second;
            if reduces {
                width = width.saturating_mul(2);
            }
            // Both inputs are brought to the width and to the pixels of the nearer one.
            cost.conv(before_last, width, 1, pixels);
            cost.conv(last, width, 1, pixels);
            let output = if reduces { pixels.div_ceil(2) } else { pixels };
            for (op, from) in self.cells[usize::from(reduces)].iter().flatten() {
                let stride = if reduces && *from < self.inputs() { 2 } else { 1 };
                // From the second node on, an op reads what was reduced already.
                let input = if stride == 2 { pixels } else { output };
                cost.op(*op, width, input, stride, 1);
            }
            (before_last, last, pixels) = (last, outputs[usize::from(reduces)].saturating_mul(width), output);
            if second && shape.auxiliary {
                cost.auxiliary_head(last, pixels, shape)?;
            }
        }
        Ok(last)
    }
}

impl Cost {
    fn add(&mut self, parameters: u64, multiply_adds: u64) {
        self.parameters = self.parameters.saturating_add(parameters);
        self.multiply_adds = self.multiply_adds.saturating_add(multiply_adds);
    }

    /// An affine batch norm.
    fn norm(&mut self, channels: u64) {
        self.add(channels.saturating_mul(2), 0);
    }

    /// A convolution of `taps` taps without bias, whose output has so many pixels.
    fn bare_conv(&mut self, input: u64, output: u64, taps: u64, (h, w): (u64, u64)) {
        let weights = input.saturating_mul(output).saturating_mul(taps);
        self.add(weights, weights.saturating_mul(h).saturating_mul(w));
    }

    /// A convolution and its batch norm. Two half convolutions side by side (factorised reduction) cost the same.
    fn conv(&mut self, input: u64, output: u64, kernel: u64, pixels: u64) {
        self.bare_conv(input, output, kernel * kernel, (pixels, pixels));
        self.norm(output);
    }

    /// With its biases.
    fn linear(&mut self, input: u64, classes: u64) {
        let weights = input.saturating_add(1).saturating_mul(classes);
        self.add(weights, weights);
    }

    /// `AuxiliaryHeadCIFAR` and `AuxiliaryHeadImageNet` of quark0/darts: a 5x5 pool (stride 3 or 2) that leaves 2x2 pixels,
    /// convolutions of 1x1 to 128 and of 2x2 to 768 channels, batch norms (one on ImageNet), a classifier.
    fn auxiliary_head(&mut self, input: u64, pixels: u64, shape: NetworkShape) -> Result<()> {
        let imagenet = shape.family == Family::ImageNet;
        let stride = if imagenet { 2 } else { 3 };
        if pixels.checked_sub(5).is_none_or(|p| p / stride + 1 != 2) {
            let got = format!("images of {0}x{0}", shape.size);
            let expected = format!(
                "a size whose cells behind the second reduction have {} to {} pixels",
                5 + stride,
                4 + 2 * stride
            );
            return Err(Error::invalid("network with an auxiliary head", got, expected));
        }
        self.conv(input, 128, 1, 2);
        self.bare_conv(128, 768, 4, (1, 1));
        if !imagenet {
            self.norm(768);
        }
        self.linear(768, shape.classes);
        Ok(())
    }

    /// Depthwise, then pointwise with a batch norm.
    fn separable(&mut self, kernel: usize, c: u64, pixels: u64) {
        self.bare_conv(1, c, (kernel * kernel) as u64, (pixels, pixels));
        self.conv(c, c, 1, pixels);
    }

    /// An op, `times` over, whose input has `c` channels and `pixels x pixels`.
    fn op(&mut self, op: Primitive, c: u64, pixels: u64, stride: u64, times: u64) {
        let mut one = Cost::default();
        let reduced = pixels.div_ceil(stride);
        match op.form() {
            Form::Zero | Form::Noise | Form::AveragePool | Form::MaximumPool => {}
            Form::Identity if stride == 1 => {}
            Form::Identity => one.conv(c, c, 1, reduced),
            Form::Convs(kernels) => {
                let (mut h, mut w) = (pixels, pixels);
                for ((kh, kw), (sh, sw)) in kernels.iter().zip(strides(kernels, stride as usize)) {
                    (h, w) = (h.div_ceil(sh as u64), w.div_ceil(sw as u64));
                    one.bare_conv(c, c, (kh * kw) as u64, (h, w));
                }
                one.norm(c);
            }
            Form::Separable { kernel, .. } => one.separable(kernel, c, reduced),
            Form::SeparableTwice { kernel } => (0..2).for_each(|_| one.separable(kernel, c, reduced)),
        }
        self.add(one.parameters.saturating_mul(times), one.multiply_adds.saturating_mul(times));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cifar10(genotype: &str) -> Cost {
        let genotype = Genotype::parse(genotype).unwrap();
        genotype.cost(NetworkShape::cifar10(genotype.space.topology())).unwrap()
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
    /// `Conv2d` (weights times the pixels of its output) and `Linear` (weights and biases). CIFAR-10: C=36, 20 cells, 10 classes, 32x32; ImageNet: C=48, 14 cells,
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
            ENAS 4020166 622142506 4515024 622912052 5908768 630337384 7194120 631991120
            PNAS 4481110 706026538 4975968 706796084 6394912 696739048 7680264 698392784
        ";
        let shapes =
            [(Family::Cifar, false), (Family::Cifar, true), (Family::ImageNet, false), (Family::ImageNet, true)];
        for line in table.trim().lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let genotype = Genotype::by_name(words[0]).unwrap();
            for ((family, auxiliary), counts) in shapes.into_iter().zip(words[1..].chunks(2)) {
                let cost = genotype.cost(NetworkShape { auxiliary, ..NetworkShape::usual(family) }).unwrap();
                assert_eq!([cost.parameters, cost.multiply_adds].map(|n| n.to_string()), counts, "{line} {family:?}");
            }
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
                "got images of 128x128, expected a size whose cells",
            ),
        ] {
            let message = genotype.cost(shape).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }

    #[test]
    fn a_cell_of_zeros_costs_what_the_network_around_it_costs() {
        let cost = cifar10("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|");
        assert_eq!(cost, Cost { parameters: 73_306, multiply_adds: 7_783_050 });
    }

    #[test]
    fn a_size_of_zero_is_refused_and_an_absurd_one_saturates() {
        let genotype = Genotype::parse("|none~0|+|none~0|none~1|+|none~0|none~1|nor_conv_3x3~2|").unwrap();
        let shape = NetworkShape::cifar10(Topology::NasBench201);
        let message = genotype.cost(NetworkShape { cells: 0, ..shape }).unwrap_err().to_string();
        assert_eq!(message, "cells of a network: got 0, expected at least 1");
        let absurd = NetworkShape { channels: u64::MAX, cells: u64::MAX, ..shape };
        assert_eq!(genotype.cost(absurd).unwrap(), Cost { parameters: u64::MAX, multiply_adds: u64::MAX });
    }
}
