//! The blocks that evaluation networks are made of, under the names of their PyTorch modules.
//!
//! Names and structure are those of quark0/darts `cnn/operations.py` (the DARTS space) and of AutoDL-Projects
//! `xautodl/models/cell_operations.py` (NAS-Bench-201).

use super::graph::{Graph, Op, Step, Value};
use crate::net::layers::{self, Init, Layer, ParamSpec, PoolKind};
use crate::net::program::AffineNorm;
use crate::ops::window::Window;
use crate::space::Primitive;
use crate::space::primitive::Form;

/// A graph in the making.
pub struct Builder {
    steps: Vec<Step>,
    params: Vec<ParamSpec>,
    drop_paths: usize,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// With the input, value 0.
    pub fn new() -> Self {
        Builder { steps: vec![Step { op: Op::Input, channels: 3 }], params: vec![], drop_paths: 0 }
    }

    /// The graph.
    pub fn finish(self, logits: Value, auxiliary: Option<Value>) -> Graph {
        Graph { steps: self.steps, params: self.params, logits, auxiliary, drop_paths: self.drop_paths }
    }

    fn push(&mut self, op: Op, channels: usize) -> Value {
        self.steps.push(Step { op, channels });
        self.steps.len() - 1
    }

    fn param(&mut self, spec: ParamSpec) -> usize {
        self.params.push(spec);
        self.params.len() - 1
    }

    fn channels(&self, x: Value) -> usize {
        self.steps[x].channels
    }

    /// `max(x, 0)`
    pub fn relu(&mut self, x: Value) -> Value {
        self.push(Op::Relu { x }, self.channels(x))
    }

    /// A convolution to `co` channels, padded so that stride 1 keeps the size.
    pub fn conv(&mut self, name: &str, x: Value, co: usize, kernel: usize, stride: usize) -> Value {
        self.conv_by(name, x, co, Window::same(kernel, stride, 1))
    }

    fn conv_by(&mut self, name: &str, x: Value, co: usize, window: Window) -> Value {
        let weight = self.param(layers::conv(name, co, self.channels(x), window.kernel));
        self.push(Op::Conv { x, weight, window, depthwise: false }, co)
    }

    fn depthwise(&mut self, name: &str, x: Value, window: Window) -> Value {
        let c = self.channels(x);
        let weight = self.param(layers::conv(name, c, 1, window.kernel));
        self.push(Op::Conv { x, weight, window, depthwise: true }, c)
    }

    /// Affine batch norm with running statistics.
    pub fn norm(&mut self, name: &str, x: Value) -> Value {
        let c = self.channels(x);
        let [gamma, beta, mean, var] = layers::batch_norm(name, c).map(|spec| self.param(spec));
        self.push(Op::Norm { x, norm: AffineNorm { gamma, beta, mean, var } }, c)
    }

    fn pool(&mut self, x: Value, kind: PoolKind, window: Window) -> Value {
        self.push(Op::Pool { x, kind, window }, self.channels(x))
    }

    /// The sum of values of one shape.
    pub fn sum(&mut self, xs: Vec<Value>) -> Value {
        let c = self.channels(xs[0]);
        self.push(Op::Sum { xs }, c)
    }

    /// Values one after the other along the channels.
    pub fn concat(&mut self, xs: Vec<Value>) -> Value {
        let c = xs.iter().map(|&x| self.channels(x)).sum();
        self.push(Op::Concat { xs }, c)
    }

    /// `x`, dropped image by image in training.
    pub fn drop_path(&mut self, x: Value) -> Value {
        let index = self.drop_paths;
        self.drop_paths += 1;
        self.push(Op::DropPath { x, index }, self.channels(x))
    }

    /// Mean over the pixels.
    pub fn mean(&mut self, x: Value) -> Value {
        self.push(Op::Mean { x }, self.channels(x))
    }

    /// Affine map to `classes`.
    pub fn linear(&mut self, name: &str, x: Value, classes: usize) -> Value {
        let ci = self.channels(x);
        let uniform =
            |leaf: &str, shape: &[usize]| layers::spec(&format!("{name}.{leaf}"), shape, Init::Uniform { fan_in: ci });
        let weight = self.param(uniform("weight", &[classes, ci]));
        let bias = self.param(uniform("bias", &[classes]));
        self.push(Op::Linear { x, weight, bias }, classes)
    }

    /// `Sequential(Conv2d, BatchNorm2d)` from position `at` on.
    pub fn conv_bn(&mut self, name: &str, at: usize, x: Value, co: usize, stride: usize) -> Value {
        let y = self.conv(&format!("{name}.{at}"), x, co, 3, stride);
        self.norm(&format!("{name}.{}", at + 1), y)
    }

    /// `ReLUConvBN`: op.0 ReLU, op.1 convolution, op.2 batch norm.
    pub fn relu_conv_bn(&mut self, name: &str, x: Value, co: usize, kernel: usize, stride: usize) -> Value {
        let y = self.relu(x);
        let y = self.conv(&format!("{name}.op.1"), y, co, kernel, stride);
        self.norm(&format!("{name}.op.2"), y)
    }

    /// Depthwise, pointwise, batch norm at positions `at`, `at + 1`, `at + 2`, behind a ReLU.
    fn separable(&mut self, name: &str, at: usize, x: Value, window: Window) -> Value {
        let y = self.relu(x);
        let y = self.depthwise(&format!("{name}.op.{at}"), y, window);
        let y = self.conv(&format!("{name}.op.{}", at + 1), y, self.channels(x), 1, 1);
        self.norm(&format!("{name}.op.{}", at + 2), y)
    }

    /// ReLU, convolutions of these kernels one behind the other, batch norm: `conv_7x1_1x7` of quark0/darts, a `Sequential`
    /// without a name of its own.
    fn long_convs(&mut self, name: &str, kernels: &[(usize, usize)], x: Value, stride: usize) -> Value {
        let c = self.channels(x);
        let mut y = self.relu(x);
        let windows = Layer::windows(kernels, stride);
        for (i, (&(h, w), [down, across])) in kernels.iter().zip(windows).enumerate() {
            let fan_in = c * h * w;
            let spec = layers::spec(&format!("{name}.{}.weight", i + 1), &[c, c, h, w], Init::Uniform { fan_in });
            let weight = self.param(spec);
            y = self.push(Op::LongConv { x: y, weight, down, across }, c);
        }
        self.norm(&format!("{name}.{}", kernels.len() + 1), y)
    }

    /// `FactorizedReduce`: ReLU, two 1x1 convolutions of stride 2, the second one pixel off, side by side; batch norm.
    pub fn factorized_reduce(&mut self, name: &str, x: Value, co: usize) -> Value {
        let y = self.relu(x);
        let off = self.push(Op::Offset { x: y }, self.channels(y));
        let halves = vec![
            self.conv(&format!("{name}.conv_1"), y, co / 2, 1, 2),
            self.conv(&format!("{name}.conv_2"), off, co - co / 2, 1, 2),
        ];
        let y = self.concat(halves);
        self.norm(&format!("{name}.bn"), y)
    }

    /// `ResNetBasicblock` of stride 2: conv_a, conv_b, downsample.
    pub fn residual_block(&mut self, name: &str, x: Value, co: usize) -> Value {
        let y = self.relu_conv_bn(&format!("{name}.conv_a"), x, co, 3, 2);
        let y = self.relu_conv_bn(&format!("{name}.conv_b"), y, co, 3, 1);
        let half = Window { kernel: 2, stride: 2, padding: 0, dilation: 1 };
        let pooled = self.pool(x, PoolKind::Average, half);
        let shortcut = self.conv(&format!("{name}.downsample.1"), pooled, co, 1, 1);
        self.sum(vec![shortcut, y])
    }

    /// A primitive on `x`, which keeps its channels.
    pub fn primitive(&mut self, name: &str, primitive: Primitive, x: Value, stride: usize) -> Value {
        let c = self.channels(x);
        let sep = |b: &mut Self, kernel| {
            let y = b.separable(name, 1, x, Window::same(kernel, stride, 1));
            b.separable(name, 5, y, Window::same(kernel, 1, 1))
        };
        match primitive.form() {
            Form::Zero => self.push(Op::Zero { x, stride }, c),
            Form::Identity if stride == 1 => x,
            Form::Identity => self.factorized_reduce(name, x, c),
            Form::Convs(&[(kernel, width)]) if kernel == width => self.relu_conv_bn(name, x, c, kernel, stride),
            Form::Convs(kernels) => self.long_convs(name, kernels, x, stride),
            Form::AveragePool => self.pool(x, PoolKind::Average, Window::same(3, stride, 1)),
            Form::MaximumPool => self.pool(x, PoolKind::Maximum, Window::same(3, stride, 1)),
            Form::SeparableTwice { kernel } => sep(self, kernel),
            Form::Separable { kernel, dilation } => self.separable(name, 1, x, Window::same(kernel, stride, dilation)),
            Form::Noise => unreachable!("SubnetConfig::check refuses it"),
        }
    }

    /// Whether [`Builder::primitive`] has a graph of it.
    pub fn knows(primitive: Primitive) -> bool {
        primitive.form() != Form::Noise
    }

    /// `AuxiliaryHeadCIFAR` (`stride` 3) and `AuxiliaryHeadImageNet` (`stride` 2, and no batch norm behind its second
    /// convolution): a pool that leaves 2x2 pixels, two convolutions, a classifier.
    pub fn auxiliary_head(&mut self, x: Value, stride: usize, second_norm: bool, classes: usize) -> Value {
        let name = |leaf: usize| format!("auxiliary_head.features.{leaf}");
        let plain = |kernel, stride| Window { kernel, stride, padding: 0, dilation: 1 };
        let y = self.relu(x);
        let y = self.pool(y, PoolKind::Average, plain(5, stride));
        let y = self.conv_by(&name(2), y, 128, plain(1, 1));
        let y = self.norm(&name(3), y);
        let y = self.relu(y);
        let mut y = self.conv_by(&name(5), y, 768, plain(2, 1));
        if second_norm {
            y = self.norm(&name(6), y);
        }
        let y = self.relu(y);
        let y = self.push(Op::Flatten { x: y }, 768);
        self.linear("auxiliary_head.classifier", y, classes)
    }
}
