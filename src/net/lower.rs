//! Lowering: the steps of a network, for one size of images, become a [`Program`] for the CPU engine.

use super::graph::{AffineNorm, Coef, Dropped, Graph, Op, Order, PoolKind, Term as Added, Value};
use super::program::{AuxiliaryTap, Conv, Filter, Head, NodeId, Norm, Origin, ParamId, Program, Term};
use crate::error::{Error, Result};
use crate::ops::conv::ConvShape;
use crate::ops::depthwise::SeparableShape;
use crate::ops::window::Window;
use std::collections::HashMap;

/// A value of the graph on its way into the program.
#[derive(Clone, Copy)]
enum Made {
    Node(NodeId),
    /// ReLU of a node.
    Relu(NodeId),
    /// A convolution of a node (or a pool, on its way to a norm), and the norm behind it.
    Conv {
        src: NodeId,
        relu: bool,
        filter: Filter,
        norm: Norm,
        cancelled: [Option<ParamId>; 2],
    },
    /// The first half of a separable convolution.
    Depthwise {
        src: NodeId,
        relu: bool,
        weight: ParamId,
        window: Window,
    },
    /// ReLU of a node, one pixel off.
    Offset(NodeId),
    /// Half of a factorised reduction: a 1x1 convolution of stride 2 of the ReLU of a node.
    Half {
        src: NodeId,
        weight: ParamId,
        cancelled: Option<ParamId>,
    },
    /// 3x3 average pool of a node.
    Average {
        src: NodeId,
        stride: usize,
    },
    Zero,
    /// The norm of a node and its ReLU, which stand before the head.
    Last {
        src: NodeId,
        norm: AffineNorm,
    },
    /// Mean over the pixels of a node.
    Mean {
        src: NodeId,
        norm: Option<AffineNorm>,
    },
}

/// What a program is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether it has a tap where the auxiliary head reads.
    pub auxiliary: bool,
    /// Whether paths are dropped.
    pub scaled: bool,
    /// Whether single values are left out, behind skips and behind pools.
    pub dropout: [bool; 2],
}

/// The program of `graph` for images of `h x w`.
pub fn lower(graph: &Graph, (h, w): (usize, usize), wanted: Wanted) -> Result<Program> {
    let &Op::Linear { x: pooled, weight, bias } = graph.op(graph.logits) else {
        return Err(unknown(graph, graph.logits));
    };
    let head = Head { norm: None, weight, bias, classes: graph.steps[graph.logits.0].channels };
    // The auxiliary head itself is no part of the program.
    let needed = graph.needed(false, |_| true);
    let mut lowering = Lowering {
        graph,
        wanted,
        program: Program::new(3, h, w, head, (graph.n_mix, graph.n_candidates)),
        made: vec![None; graph.steps.len()],
        normed: vec![false; graph.steps.len()],
        readers: vec![0; graph.steps.len()],
        derived: HashMap::new(),
        sizes: graph.sizes(h, w),
    };
    for (step, _) in graph.steps.iter().zip(&needed).filter(|(_, needed)| **needed) {
        if let Op::Norm { x, .. } = step.op {
            lowering.normed[x.0] = true;
        }
        step.op.inputs().iter().for_each(|x| lowering.readers[x.0] += 1);
    }
    let tap = graph.auxiliary.filter(|_| wanted.auxiliary).map(|value| tap_of(graph, value)).transpose()?;
    for value in order(graph).into_iter().filter(|v| needed[v.0] && *v != graph.logits) {
        let made = lowering.step(value)?;
        lowering.made[value.0] = Some(made);
    }
    if let Some((read, window)) = tap {
        let node = lowering.node(read)?;
        lowering.program.tap = Some(AuxiliaryTap { node, window });
    }
    let Made::Mean { src, norm } = lowering.get(pooled)? else { return Err(unknown(graph, pooled)) };
    lowering.program.head.norm = norm;
    match src == lowering.program.nodes.last() {
        true => Ok(lowering.program),
        false => Err(Error::invalid("lowering of a network", format!("the head at {src:?}"), "the last")),
    }
}

/// What the auxiliary head reads, and the window of its pool: it begins with a ReLU and an average.
pub(super) fn tap_of(graph: &Graph, logits: Value) -> Result<(Value, Window)> {
    let mut at = logits;
    loop {
        match graph.op(at) {
            &Op::Pool { x, kind: PoolKind::Average, window } => match *graph.op(x) {
                Op::Relu { x } => return Ok((x, window)),
                _ => return Err(unknown(graph, x)),
            },
            op => match op.inputs()[..] {
                [x] => at = x,
                _ => return Err(unknown(graph, at)),
            },
        }
    }
}

/// The steps in the order that the graph asks for.
fn order(graph: &Graph) -> Vec<Value> {
    let mut order: Vec<Value> = (0..graph.steps.len()).map(Value).collect();
    if graph.order == Order::ByLevel {
        let mut levels: Vec<usize> = Vec::with_capacity(graph.steps.len());
        for step in &graph.steps {
            let below = step.op.inputs().iter().map(|x| levels[x.0]).max().unwrap_or(0);
            let own = matches!(
                step.op,
                Op::Norm { .. } | Op::Sum { .. } | Op::Concat { .. } | Op::Pool { .. } | Op::Mean { .. }
            );
            levels.push(below + usize::from(own));
        }
        order.sort_by_key(|v| levels[v.0]);
    }
    order
}

fn unknown(graph: &Graph, value: Value) -> Error {
    let got = format!("{:?}", graph.op(value));
    Error::invalid("network on the CPU engine", got, "a step that it has a kernel for, where it stands")
}

struct Lowering<'a> {
    graph: &'a Graph,
    wanted: Wanted,
    program: Program,
    made: Vec<Option<Made>>,
    /// Whether a norm reads the value.
    normed: Vec<bool>,
    /// How many steps read the value.
    readers: Vec<usize>,
    /// Nodes made of a node, which all readers share.
    derived: HashMap<(NodeId, &'static str, usize), NodeId>,
    sizes: Vec<(usize, usize)>,
}

impl Lowering<'_> {
    fn get(&self, value: Value) -> Result<Made> {
        self.made[value.0].ok_or_else(|| unknown(self.graph, value))
    }

    /// Height, width and channels of a node.
    fn size(&self, node: NodeId) -> (usize, usize, usize) {
        let node = &self.program.nodes[node];
        (node.size.h, node.size.w, node.channels)
    }

    fn derive(&mut self, key: (NodeId, &'static str, usize), origin: Origin) -> NodeId {
        if let Some(&node) = self.derived.get(&key) {
            return node;
        }
        let node = self.program.add_derived(origin);
        self.derived.insert(key, node);
        node
    }

    /// The node that holds a value.
    fn node(&mut self, value: Value) -> Result<NodeId> {
        let made = self.get(value)?;
        if let Made::Node(node) = made {
            return Ok(node);
        }
        let node = self.program.add_sum(self.graph.steps[value.0].channels, self.sizes[value.0]);
        self.add(node, value, made, Coef::One)?;
        self.made[value.0] = Some(Made::Node(node));
        Ok(node)
    }

    /// Add a value to a sum.
    fn add(&mut self, dst: NodeId, value: Value, made: Made, coef: Coef) -> Result<()> {
        match made {
            Made::Node(src) => self.program.add_term(dst, Term::Copy { src, coef }),
            Made::Conv { src, relu, filter, norm, cancelled } => {
                let cancelled = cancelled.into_iter().flatten().collect();
                self.program.add_conv(Conv { src, dst, relu, filter, norm }, coef, cancelled);
            }
            Made::Average { src, stride } => self.program.add_term(dst, Term::AvgPool3 { src, stride, coef }),
            Made::Zero => {}
            _ => return Err(unknown(self.graph, value)),
        }
        Ok(())
    }

    fn step(&mut self, value: Value) -> Result<Made> {
        let graph = self.graph;
        let co = graph.steps[value.0].channels;
        Ok(match *graph.op(value) {
            Op::Input => Made::Node(NodeId(0)),
            Op::Relu { x } => match self.get(x)? {
                Made::Last { src, norm } => Made::Last { src, norm },
                _ => Made::Relu(self.node(x)?),
            },
            Op::Offset { x } => match self.get(x)? {
                Made::Relu(src) => Made::Offset(src),
                _ => return Err(unknown(graph, value)),
            },
            Op::Conv { .. } => self.conv(value)?,
            Op::Norm { x, affine } => match (self.get(x)?, affine) {
                (Made::Conv { src, relu, filter, norm: Norm::None, cancelled }, _) => {
                    Made::Conv { src, relu, filter, norm: norm_of(affine), cancelled }
                }
                // On its own, and not half of a factorised reduction.
                (Made::Half { src, weight, cancelled }, _) => {
                    let (h, w, c_in) = self.size(src);
                    let shape = ConvShape { k: 1, stride: 2, pad: 0, dilation: 1, c_in, c_out: co, h, w };
                    let filter = Filter::Dense { shape, weight };
                    Made::Conv { src, relu: true, filter, norm: norm_of(affine), cancelled: [cancelled, None] }
                }
                (Made::Node(src), Some(norm)) => Made::Last { src, norm },
                (Made::Node(src), None) => {
                    let filter = Filter::Pool { kind: None, size: self.program.nodes[src].size, stride: 1 };
                    Made::Conv { src, relu: false, filter, norm: Norm::Batch, cancelled: [None; 2] }
                }
                _ => return Err(unknown(graph, value)),
            },
            Op::Pool { x, kind, window } => {
                let src = self.node(x)?;
                match (kind, window.kernel, window.stride, window.padding) {
                    (_, 3, stride, 1) if self.normed[value.0] => {
                        let filter = Filter::Pool { kind: Some(kind), size: self.program.nodes[src].size, stride };
                        Made::Conv { src, relu: false, filter, norm: Norm::None, cancelled: [None; 2] }
                    }
                    (PoolKind::Average, 3, stride, 1) => Made::Average { src, stride },
                    (PoolKind::Maximum, 3, stride, 1) => {
                        Made::Node(self.derive((src, "max", stride), Origin::MaxPool3 { src, stride }))
                    }
                    (PoolKind::Maximum, 2, 2, 0) => Made::Node(self.derive((src, "max2", 2), Origin::MaxPool2(src))),
                    (PoolKind::Average, 2, 2, 0) => Made::Node(self.derive((src, "half", 2), Origin::AvgPool2(src))),
                    _ => return Err(unknown(graph, value)),
                }
            }
            Op::Zero { .. } => Made::Zero,
            Op::Dropout { x, place, behind } => {
                let [skip, pool] = self.wanted.dropout;
                match if behind == Dropped::Skip { skip } else { pool } {
                    true => {
                        let src = self.node(x)?;
                        Made::Node(self.program.add_derived(Origin::Dropout { src, place, behind }))
                    }
                    false => self.get(x)?,
                }
            }
            Op::First { x, channels } => {
                let src = self.node(x)?;
                Made::Node(self.derive((src, "first", channels), Origin::First { src, channels }))
            }
            Op::Shuffle { first, rest, groups } => {
                let (first, rest) = (self.node(first)?, self.node(rest)?);
                Made::Node(self.program.add_derived(Origin::Shuffle { first, rest, groups }))
            }
            Op::Concat { ref xs } => match xs.iter().map(|&x| self.get(x)).collect::<Result<Vec<_>>>()?[..] {
                [Made::Half { src, weight: first, cancelled }, Made::Half { weight: second, cancelled: other, .. }] => {
                    let halves = self.derive((src, "halves", 2), Origin::Halves(src));
                    let (h, w, c_in) = self.size(halves);
                    let shape = ConvShape { k: 1, stride: 1, pad: 0, dilation: 1, c_in, c_out: co, h, w };
                    let filter = Filter::Halves { shape, weights: [first, second] };
                    Made::Conv { src: halves, relu: true, filter, norm: Norm::None, cancelled: [cancelled, other] }
                }
                _ => {
                    let nodes = xs.iter().map(|&x| self.node(x)).collect::<Result<Vec<_>>>()?;
                    Made::Node(self.program.add_derived(Origin::Concat(nodes)))
                }
            },
            Op::Sum { ref terms } => {
                // What several read is computed once: a convolution that stands twice would lose one of its gradients.
                for &Added { x, .. } in terms {
                    if self.readers[x.0] > 1 && matches!(self.get(x)?, Made::Conv { .. }) {
                        self.node(x)?;
                    }
                }
                let node = self.program.add_sum(co, self.sizes[value.0]);
                self.program.nodes[node].mixed =
                    terms.iter().filter_map(|t| t.coef.candidate(graph.n_candidates)).collect();
                for &Added { x, coef } in terms {
                    let coef = if self.wanted.scaled { coef } else { coef.unscaled() };
                    self.add(node, x, self.get(x)?, coef)?;
                }
                Made::Node(node)
            }
            Op::Mean { x } => match self.get(x)? {
                Made::Last { src, norm } => Made::Mean { src, norm: Some(norm) },
                Made::Node(src) => Made::Mean { src, norm: None },
                _ => return Err(unknown(graph, value)),
            },
            Op::Noise { .. } | Op::Flatten { .. } | Op::Linear { .. } => return Err(unknown(graph, value)),
        })
    }

    fn conv(&mut self, value: Value) -> Result<Made> {
        let graph = self.graph;
        let &Op::Conv { x, weight, cancelled, down: window, across, depthwise } = graph.op(value) else {
            return Err(unknown(graph, value));
        };
        if window != across {
            return Err(unknown(graph, value));
        }
        let c_out = graph.steps[value.0].channels;
        let Window { kernel: k, stride, padding: pad, dilation } = window;
        let conv = |src, relu, filter| Made::Conv { src, relu, filter, norm: Norm::None, cancelled: [cancelled, None] };
        let (src, relu) = match self.get(x)? {
            Made::Relu(src) if !depthwise && (k, stride) == (1, 2) => return Ok(Made::Half { src, weight, cancelled }),
            Made::Offset(src) if (k, stride) == (1, 2) => return Ok(Made::Half { src, weight, cancelled }),
            Made::Depthwise { src, relu, weight: depthwise, window } if (k, stride) == (1, 1) => {
                let ((h, w, c_in), Window { kernel: k, stride, dilation, .. }) = (self.size(src), window);
                let shape = SeparableShape { k, stride, dilation, c_in, c_out, h, w };
                return Ok(conv(src, relu, Filter::Separable { shape, depthwise, pointwise: weight }));
            }
            Made::Relu(src) => (src, true),
            _ => (self.node(x)?, false),
        };
        if depthwise {
            return Ok(Made::Depthwise { src, relu, weight, window });
        }
        let (h, w, c_in) = self.size(src);
        let shape = ConvShape { k, stride, pad, dilation, c_in, c_out, h, w };
        Ok(conv(src, relu, Filter::Dense { shape, weight }))
    }
}

fn norm_of(affine: Option<AffineNorm>) -> Norm {
    affine.map_or(Norm::Batch, Norm::Affine)
}
