//! Parameters and multiply-adds of the network that a genotype stands for.

use super::primitive::{Form, strides};
use super::{CellType, Genotype, Primitive, Topology};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Size of a network of found cells, for images of 3 channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkShape {
    /// Channels of the first stage, C.
    pub channels: u64,
    /// NAS-Bench-201: cells a stage, N (three stages). DARTS: cells in all, of which those at 1/3 and 2/3 reduce.
    pub cells: u64,
    /// Classes.
    pub classes: u64,
    /// Height and width of an image, in pixels.
    pub size: u64,
}

impl NetworkShape {
    /// What the spaces are judged by on CIFAR-10: C=16, N=5 (NAS-Bench-201); C=36, 20 cells (DARTS, without its auxiliary
    /// head).
    pub fn cifar10(topology: Topology) -> Self {
        let (channels, cells) = match topology {
            Topology::NasBench201 => (16, 5),
            Topology::Darts => (36, 20),
        };
        NetworkShape { channels, cells, classes: 10, size: 32 }
    }
}

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
    /// The cost of the network of these cells; an error if a size is 0.
    ///
    /// NAS-Bench-201 (Dong & Yang): stem, three stages of N cells at C, 2C, 4C with a residual block between, head; it
    /// agrees with all rows of the benchmark. DARTS (`NetworkCIFAR` of quark0/darts): stem of 3C, cells with two inputs
    /// that are brought to the width of the cell, head.
    pub fn cost(&self, shape: NetworkShape) -> Result<Cost> {
        let NetworkShape { channels, cells, classes, size } = shape;
        for (what, value) in [("channels", channels), ("cells", cells), ("classes", classes), ("size", size)] {
            if value == 0 {
                return Err(Error::invalid(format!("{what} of a network"), 0, "at least 1"));
            }
        }
        let mut cost = Cost::default();
        let width = match self.space.topology() {
            Topology::NasBench201 => self.add_nas_bench_201(&mut cost, shape),
            Topology::Darts => self.add_darts(&mut cost, shape),
        };
        let classifier = width.saturating_add(1).saturating_mul(classes);
        cost.add(classifier, classifier);
        Ok(cost)
    }

    /// Adds all but the classifier; returns the width of its input.
    fn add_nas_bench_201(&self, cost: &mut Cost, NetworkShape { channels, cells, size, .. }: NetworkShape) -> u64 {
        let (mut width, mut pixels) = (channels, size);
        cost.conv(3, width, 3, pixels);
        let ops = self.inputs_of_nodes(0).concat();
        for stage in 0..3 {
            if stage > 0 {
                let (input, output) = (width, width.saturating_mul(2));
                (width, pixels) = (output, pixels.div_ceil(2));
                cost.conv(input, output, 3, pixels);
                cost.conv(output, output, 3, pixels);
                cost.bare_conv(input, output, 1, (pixels, pixels));
            }
            for (_, op) in &ops {
                cost.op(*op, width, pixels, 1, cells);
            }
        }
        cost.norm(width);
        width
    }

    /// Adds all but the classifier; returns the width of its input.
    fn add_darts(&self, cost: &mut Cost, NetworkShape { channels, cells, size, .. }: NetworkShape) -> u64 {
        let (mut width, mut pixels) = (channels, size);
        let stem = channels.saturating_mul(3);
        cost.conv(3, stem, 3, pixels);
        let nodes = self.space.nodes() as u64;
        let (mut before_last, mut last) = (stem, stem);
        for cell in 0..cells {
            let reduces = cell == cells / 3 || cell == cells.saturating_mul(2) / 3;
            let kind = if reduces { CellType::Reduction } else { CellType::Normal };
            if reduces {
                width = width.saturating_mul(2);
            }
            // Both inputs are brought to the width and to the pixels of the nearer one.
            cost.conv(before_last, width, 1, pixels);
            cost.conv(last, width, 1, pixels);
            let output = if reduces { pixels.div_ceil(2) } else { pixels };
            let index = self.space.cell_types().iter().position(|t| *t == kind).unwrap_or_default();
            for (from, op) in self.inputs_of_nodes(index).concat() {
                let stride = if reduces && from < self.space.inputs() { 2 } else { 1 };
                // From the second node on, an op reads what was reduced already.
                let input = if stride == 2 { pixels } else { output };
                cost.op(op, width, input, stride, 1);
            }
            (before_last, last, pixels) = (last, nodes.saturating_mul(width), output);
        }
        last
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
