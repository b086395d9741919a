//! The blocks and ops that networks are made of, under the names of their PyTorch modules. What an op of the table is made of
//! ([`Form`]) is said here and nowhere else.
//!
//! Names and structure are those of quark0/darts `cnn/operations.py` (the DARTS space), of AutoDL-Projects
//! `xautodl/models/cell_operations.py` (NAS-Bench-201), and, for supernets, of the IS-DARTS authors' code.

use super::{AffineNorm, Coef, Dropped, Graph, Op, Order, ParamSpec, PoolKind, Step, Term, Value};
use crate::net::ids::{ParamId, Table};
use crate::ops::window::Window;
use crate::space::Primitive;
use crate::space::primitive::{Form, strides};
use std::collections::HashMap;

/// How the ops of cells are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpStyle {
    /// Ops are candidates: their norms have neither affine part nor running statistics, and cancel the biases of the convolutions in
    /// front of them.
    Search {
        /// Whether there is a norm behind pools, too.
        pool_norm: bool,
    },
    /// Ops are parts of a network that is trained: affine norms with running statistics, no biases.
    Train,
}

/// A graph in the making.
pub struct Builder {
    style: OpStyle,
    steps: Vec<Step>,
    params: Table<ParamId, ParamSpec>,
    /// The parameters by name.
    index: HashMap<String, ParamId>,
    drop_paths: usize,
    /// Pools with a norm behind them: computed once for all that read them.
    pools: HashMap<(Value, PoolKind, usize), Value>,
}

impl Builder {
    /// The images.
    pub const INPUT: Value = Value(0);

    /// A graph of the input alone.
    pub fn new(style: OpStyle) -> Self {
        Self::of_input(style, 3)
    }

    /// A graph of an input of `channels` alone.
    pub fn of_input(style: OpStyle, channels: usize) -> Self {
        let steps = vec![Step { op: Op::Input, channels }];
        Builder { style, steps, params: Table::default(), index: HashMap::new(), drop_paths: 0, pools: HashMap::new() }
    }

    /// The graph of an evaluation network.
    pub fn finish(self, logits: Value, auxiliary: Option<Value>) -> Graph {
        let Builder { steps, params, drop_paths, .. } = self;
        Graph { steps, params, logits, auxiliary, n_mix: 0, n_candidates: 0, drop_paths, order: Order::ByLevel }
    }

    /// Registers the parameters of what `f` adds, and takes back its steps: for what the mask leaves out, and for parameters
    /// whose order is not that of the steps.
    pub fn declare<T>(&mut self, f: impl FnOnce(&mut Self) -> T) {
        let n = self.steps.len();
        f(self);
        self.steps.truncate(n);
        self.pools.retain(|_, value| value.0 < n);
    }

    fn push(&mut self, op: Op, channels: usize) -> Value {
        self.steps.push(Step { op, channels });
        Value(self.steps.len() - 1)
    }

    /// A parameter, which is registered unless it is already.
    fn param(&mut self, spec: ParamSpec) -> ParamId {
        if let Some(&id) = self.index.get(&spec.name) {
            return id;
        }
        let name = spec.name.clone();
        let id = self.params.push(spec);
        self.index.insert(name, id);
        id
    }

    fn channels(&self, x: Value) -> usize {
        self.steps[x.0].channels
    }

    /// `max(x, 0)`
    pub fn relu(&mut self, x: Value) -> Value {
        self.push(Op::Relu { x }, self.channels(x))
    }

    /// A convolution to `co` channels, padded so that stride 1 keeps the size.
    pub fn conv(&mut self, name: &str, x: Value, co: usize, kernel: usize, stride: usize) -> Value {
        let window = Window::same(kernel, stride, 1);
        self.conv_by(name, x, co, [window, window])
    }

    fn conv_by(&mut self, name: &str, x: Value, co: usize, [down, across]: [Window; 2]) -> Value {
        let (ci, kh, kw) = (self.channels(x), down.kernel, across.kernel);
        let spec = ParamSpec::uniform(format!("{name}.weight"), &[co, ci, kh, kw], ci * kh * kw);
        let weight = self.param(spec);
        self.push(Op::Conv { x, weight, cancelled: None, down, across, depthwise: false }, co)
    }

    fn depthwise(&mut self, name: &str, x: Value, window: Window) -> Value {
        let (c, k) = (self.channels(x), window.kernel);
        let weight = self.param(ParamSpec::uniform(format!("{name}.weight"), &[c, 1, k, k], k * k));
        self.push(Op::Conv { x, weight, cancelled: None, down: window, across: window, depthwise: true }, c)
    }

    /// A convolution in front of the norm of a cell's op: of a candidate, with the bias that this cancels.
    fn cell_conv(&mut self, name: &str, x: Value, co: usize, kernel: usize, stride: usize) -> Value {
        let y = self.conv(name, x, co, kernel, stride);
        if let OpStyle::Search { .. } = self.style {
            let fan_in = self.channels(x) * kernel * kernel;
            let bias = ParamSpec::uniform(format!("{name}.bias"), &[co], fan_in);
            let bias = self.param(ParamSpec { cancelled: true, ..bias });
            if let Op::Conv { cancelled, .. } = &mut self.steps[y.0].op {
                *cancelled = Some(bias);
            }
        }
        y
    }

    /// The norm of a cell's op.
    fn cell_norm(&mut self, name: &str, x: Value) -> Value {
        match self.style {
            OpStyle::Search { .. } => self.push(Op::Norm { x, affine: None }, self.channels(x)),
            OpStyle::Train => self.norm(name, x),
        }
    }

    /// Affine batch norm with running statistics.
    pub fn norm(&mut self, name: &str, x: Value) -> Value {
        let c = self.channels(x);
        let [gamma, beta, mean, var] = ParamSpec::batch_norm(name, c).map(|spec| self.param(spec));
        self.push(Op::Norm { x, affine: Some(AffineNorm { gamma, beta, mean, var }) }, c)
    }

    fn pool(&mut self, x: Value, kind: PoolKind, window: Window) -> Value {
        self.push(Op::Pool { x, kind, window }, self.channels(x))
    }

    /// A 3x3 pool as the op of a cell.
    fn cell_pool(&mut self, x: Value, kind: PoolKind, stride: usize) -> Value {
        let window = Window::same(3, stride, 1);
        if self.style != (OpStyle::Search { pool_norm: true }) {
            return self.pool(x, kind, window);
        }
        if let Some(&value) = self.pools.get(&(x, kind, stride)) {
            return value;
        }
        let y = self.pool(x, kind, window);
        let y = self.normed(y);
        self.pools.insert((x, kind, stride), y);
        y
    }

    /// The sum of terms of one shape, at least one.
    pub fn sum(&mut self, terms: Vec<Term>) -> Value {
        let c = self.channels(terms[0].x);
        self.push(Op::Sum { terms }, c)
    }

    /// `x` itself, as an image of its own that any number of ops read.
    pub fn node(&mut self, x: Value) -> Value {
        self.sum(vec![Term { x, coef: Coef::One }])
    }

    /// `x` behind a norm without affine part and running statistics, as an image of its own.
    pub fn normed(&mut self, x: Value) -> Value {
        let y = self.push(Op::Norm { x, affine: None }, self.channels(x));
        self.node(y)
    }

    /// Values one after the other along the channels.
    pub fn concat(&mut self, xs: Vec<Value>) -> Value {
        let c = xs.iter().map(|&x| self.channels(x)).sum();
        self.push(Op::Concat { xs }, c)
    }

    /// The first `channels` of an image.
    pub fn first(&mut self, x: Value, channels: usize) -> Value {
        self.push(Op::First { x, channels }, channels)
    }

    /// What became of the first channels beside the others of `rest`, shuffled in `groups`.
    pub fn shuffle(&mut self, first: Value, rest: Value, groups: usize) -> Value {
        self.push(Op::Shuffle { first, rest, groups }, self.channels(rest))
    }

    /// `x`, of which training may leave out single values.
    pub fn dropout(&mut self, x: Value, place: usize, behind: Dropped) -> Value {
        self.push(Op::Dropout { x, place, behind }, self.channels(x))
    }

    /// 2x2 maximum, stride 2: what stands for an image beside candidates that halve it.
    pub fn halved(&mut self, x: Value) -> Value {
        self.pool(x, PoolKind::Maximum, Window { kernel: 2, stride: 2, padding: 0, dilation: 1 })
    }

    /// A term that is dropped image by image in training.
    pub fn drop_path(&mut self, x: Value) -> Term {
        self.drop_paths += 1;
        Term { x, coef: Coef::Image(self.drop_paths - 1) }
    }

    /// Zeros of the size of `x` over `stride`.
    pub fn zero(&mut self, x: Value, stride: usize) -> Value {
        self.push(Op::Zero { x, stride }, self.channels(x))
    }

    /// Mean over the pixels.
    pub fn mean(&mut self, x: Value) -> Value {
        self.push(Op::Mean { x }, self.channels(x))
    }

    /// Affine map to `classes`.
    pub fn linear(&mut self, name: &str, x: Value, classes: usize) -> Value {
        let ci = self.channels(x);
        let weight = self.param(ParamSpec::uniform(format!("{name}.weight"), &[classes, ci], ci));
        let bias = self.param(ParamSpec::uniform(format!("{name}.bias"), &[classes], ci));
        self.push(Op::Linear { x, weight, bias }, classes)
    }

    /// `Sequential(Conv2d, BatchNorm2d)` from position `at` on.
    pub fn conv_bn(&mut self, name: &str, at: usize, x: Value, co: usize, stride: usize) -> Value {
        let y = self.conv(&format!("{name}.{at}"), x, co, 3, stride);
        self.norm(&format!("{name}.{}", at + 1), y)
    }

    /// `ReLUConvBN` of a cell: op.0 ReLU, op.1 convolution, op.2 batch norm.
    pub fn relu_conv_bn(&mut self, name: &str, x: Value, co: usize, kernel: usize, stride: usize) -> Value {
        let y = self.relu(x);
        let y = self.cell_conv(&format!("{name}.op.1"), y, co, kernel, stride);
        self.cell_norm(&format!("{name}.op.2"), y)
    }

    /// ReLU at position `at - 1`, depthwise, pointwise, batch norm behind it.
    fn separable(&mut self, name: &str, at: usize, x: Value, window: Window) -> Value {
        let y = self.relu(x);
        let y = self.depthwise(&format!("{name}.op.{at}"), y, window);
        let y = self.cell_conv(&format!("{name}.op.{}", at + 1), y, self.channels(x), 1, 1);
        self.cell_norm(&format!("{name}.op.{}", at + 2), y)
    }

    /// Two of them: one `Sequential` in networks that are trained, `op_a` and `op_b` in supernets.
    fn separable_twice(&mut self, name: &str, x: Value, kernel: usize, stride: usize) -> Value {
        let (first, second) = match self.style {
            OpStyle::Train => ((name.to_string(), 1), (name.to_string(), 5)),
            OpStyle::Search { .. } => ((format!("{name}.op_a"), 1), (format!("{name}.op_b"), 1)),
        };
        let y = self.separable(&first.0, first.1, x, Window::same(kernel, stride, 1));
        self.separable(&second.0, second.1, y, Window::same(kernel, 1, 1))
    }

    /// ReLU, convolutions of these kernels one behind the other, batch norm: `conv_7x1_1x7` of quark0/darts, a `Sequential`
    /// without a name of its own.
    fn long_convs(&mut self, name: &str, kernels: &[(usize, usize)], x: Value, stride: usize) -> Value {
        let name = match self.style {
            OpStyle::Train => name.to_string(),
            OpStyle::Search { .. } => format!("{name}.op"),
        };
        let c = self.channels(x);
        let mut y = self.relu(x);
        for (i, (&(h, w), (down, across))) in kernels.iter().zip(strides(kernels, stride)).enumerate() {
            let windows = [Window::same(h, down, 1), Window::same(w, across, 1)];
            y = self.conv_by(&format!("{name}.{}", i + 1), y, c, windows);
        }
        self.cell_norm(&format!("{name}.{}", kernels.len() + 1), y)
    }

    /// 1x1, `kernel` x `kernel` and 1x1, each with a ReLU before it and a norm behind: op_a, op_b, op_c.
    fn bottleneck(&mut self, name: &str, x: Value, kernel: usize, stride: usize) -> Value {
        let c = self.channels(x);
        let few = (c / 4).max(1);
        let layers = [("op_a", few, 1, 1), ("op_b", few, kernel, stride), ("op_c", c, 1, 1)];
        layers.into_iter().fold(x, |y, (part, co, kernel, stride)| {
            self.relu_conv_bn(&format!("{name}.{part}"), y, co, kernel, stride)
        })
    }

    /// `FactorizedReduce`: ReLU, two 1x1 convolutions of stride 2, the second one pixel off, side by side; batch norm.
    pub fn factorized_reduce(&mut self, name: &str, x: Value, co: usize) -> Value {
        let halves = match self.style {
            OpStyle::Train => ["conv_1", "conv_2"],
            OpStyle::Search { .. } => ["convs.0", "convs.1"],
        };
        let [first, second] = halves.map(|half| format!("{name}.{half}"));
        let y = self.relu(x);
        let off = self.push(Op::Offset { x: y }, self.channels(y));
        let halves = vec![self.cell_conv(&first, y, co / 2, 1, 2), self.cell_conv(&second, off, co - co / 2, 1, 2)];
        let y = self.concat(halves);
        self.cell_norm(&format!("{name}.bn"), y)
    }

    /// `ResNetBasicblock` of stride 2, `conv1x1(avg_pool2x2(x)) + bn(conv3x3(relu(bn(conv3x3 stride 2(relu(x))))))`: conv_a,
    /// conv_b, downsample.
    pub fn residual_block(&mut self, name: &str, x: Value, co: usize) -> Value {
        let half = Window { kernel: 2, stride: 2, padding: 0, dilation: 1 };
        let main = |b: &mut Self| {
            [("conv_a", 2), ("conv_b", 1)].into_iter().fold(x, |y, (part, stride)| {
                let y = b.relu(y);
                let y = b.conv(&format!("{name}.{part}.op.1"), y, co, 3, stride);
                b.norm(&format!("{name}.{part}.op.2"), y)
            })
        };
        // Which term comes first decides the last bit of the sum, which recorded runs and files hold fast.
        let (pooled, y) = match self.style {
            OpStyle::Search { .. } => {
                let pooled = self.pool(x, PoolKind::Average, half);
                (pooled, main(self))
            }
            OpStyle::Train => {
                let y = main(self);
                (self.pool(x, PoolKind::Average, half), y)
            }
        };
        let shortcut = self.conv(&format!("{name}.downsample.1"), pooled, co, 1, 1);
        let terms = if self.style == OpStyle::Train { [shortcut, y] } else { [y, shortcut] };
        self.sum(terms.map(|x| Term { x, coef: Coef::One }).to_vec())
    }

    /// A primitive on `x`, which keeps its channels.
    pub fn primitive(&mut self, name: &str, primitive: Primitive, x: Value, stride: usize) -> Value {
        self.form(name, primitive.form(), x, stride)
    }

    /// What an op is made of, on `x`.
    pub fn form(&mut self, name: &str, form: Form, x: Value, stride: usize) -> Value {
        let c = self.channels(x);
        match form {
            Form::Zero => self.zero(x, stride),
            Form::Identity if stride == 1 => x,
            Form::Identity => self.factorized_reduce(name, x, c),
            Form::Noise => self.push(Op::Noise { x, stride, place: name.to_string() }, c),
            Form::Convs(&[(kernel, width)]) if kernel == width => self.relu_conv_bn(name, x, c, kernel, stride),
            Form::Convs(kernels) => self.long_convs(name, kernels, x, stride),
            Form::AveragePool => self.cell_pool(x, PoolKind::Average, stride),
            Form::MaximumPool => self.cell_pool(x, PoolKind::Maximum, stride),
            Form::MaximumPool2 => self.halved(x),
            Form::Bottleneck { kernel } => self.bottleneck(name, x, kernel, stride),
            Form::Separable { kernel, dilation } => self.separable(name, 1, x, Window::same(kernel, stride, dilation)),
            Form::SeparableTwice { kernel } => self.separable_twice(name, x, kernel, stride),
        }
    }

    /// `AuxiliaryHeadCIFAR` (`stride` 3) and `AuxiliaryHeadImageNet` (`stride` 2, and no batch norm behind its second
    /// convolution): a pool that leaves 2x2 pixels, two convolutions, a classifier.
    pub fn auxiliary_head(&mut self, x: Value, stride: usize, second_norm: bool, classes: usize) -> Value {
        let name = |leaf: usize| format!("auxiliary_head.features.{leaf}");
        let plain = |kernel, stride| Window { kernel, stride, padding: 0, dilation: 1 };
        let y = self.relu(x);
        let y = self.pool(y, PoolKind::Average, plain(5, stride));
        let y = self.conv_by(&name(2), y, 128, [plain(1, 1); 2]);
        let y = self.norm(&name(3), y);
        let y = self.relu(y);
        let mut y = self.conv_by(&name(5), y, 768, [plain(2, 1); 2]);
        if second_norm {
            y = self.norm(&name(6), y);
        }
        let y = self.relu(y);
        let y = self.push(Op::Flatten { x: y }, 768);
        self.linear("auxiliary_head.classifier", y, classes)
    }
}
