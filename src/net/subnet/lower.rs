//! Lowering: the steps of an evaluation network, for one size of images, become a [`Program`] for the CPU engine.

use super::graph::{Graph, Op, Value};
use crate::error::{Error, Result};
use crate::net::layers::PoolKind;
use crate::net::program::{AffineNorm, Coef, Conv, Filter, Head, Norm, Origin, Program, Tap, Term};
use crate::ops::conv::ConvShape;
use crate::ops::depthwise::SeparableShape;
use crate::ops::window::Window;
use std::collections::HashMap;

/// A value of the graph on its way into the program.
#[derive(Clone, Copy)]
enum Made {
    Node(usize),
    /// ReLU of a node.
    Relu(usize),
    /// A convolution of a node, and the norm behind it.
    Conv {
        src: usize,
        relu: bool,
        filter: Filter,
        norm: Norm,
    },
    /// The first half of a separable convolution.
    Depthwise {
        src: usize,
        relu: bool,
        weight: usize,
        window: Window,
    },
    /// ReLU of a node, one pixel off.
    Offset(usize),
    /// Half of a factorised reduction: a 1x1 convolution of stride 2 of the ReLU of a node.
    Half {
        src: usize,
        weight: usize,
    },
    /// 3x3 average pool of a node.
    Average {
        src: usize,
        stride: usize,
    },
    Zero,
    /// Norm of a node, and its ReLU: what goes before the head.
    Last {
        src: usize,
        norm: AffineNorm,
    },
    /// Mean over the pixels of a node.
    Mean {
        src: usize,
        norm: Option<AffineNorm>,
    },
}

/// The program of `graph` for images of `h x w`; with `auxiliary`, it has a tap where the auxiliary head reads.
pub fn lower(graph: &Graph, (h, w): (usize, usize), auxiliary: bool) -> Result<Program> {
    let Op::Linear { x: pooled, weight, bias } = graph.steps[graph.logits].op else {
        return Err(unknown(graph, graph.logits));
    };
    let head = Head { norm: None, weight, bias, classes: graph.steps[graph.logits].channels };
    let mut lowering = Lowering {
        graph,
        program: Program::new(3, h, w, head, 0),
        made: vec![None; graph.steps.len()],
        derived: HashMap::new(),
        sizes: graph.sizes(h, w),
    };
    let tap = graph.auxiliary.filter(|_| auxiliary).map(|value| tap_of(graph, value)).transpose()?;
    // The auxiliary head itself is no part of the program.
    let wanted = graph.wanted(false);
    for value in order(graph).into_iter().filter(|v| wanted[*v] && *v != graph.logits) {
        let made = lowering.step(value)?;
        lowering.made[value] = Some(made);
    }
    if let Some((read, window)) = tap {
        let node = lowering.node(read)?;
        lowering.program.tap = Some(Tap { node, window });
    }
    let Made::Mean { src, norm } = lowering.get(pooled)? else { return Err(unknown(graph, pooled)) };
    lowering.program.head.norm = norm;
    match src + 1 == lowering.program.nodes.len() {
        true => Ok(lowering.program),
        false => {
            Err(Error::invalid("lowering of an evaluation network", format!("the head at node {src}"), "the last"))
        }
    }
}

/// What the auxiliary head reads, and the window of its pool: it begins with a ReLU and an average.
pub(super) fn tap_of(graph: &Graph, logits: Value) -> Result<(Value, Window)> {
    let mut at = logits;
    loop {
        match graph.steps[at].op {
            Op::Pool { x, kind: PoolKind::Average, window } => match graph.steps[x].op {
                Op::Relu { x } => return Ok((x, window)),
                _ => return Err(unknown(graph, x)),
            },
            ref op if op.inputs().len() == 1 => at = op.inputs()[0],
            _ => return Err(unknown(graph, at)),
        }
    }
}

/// The steps level by level, so that those that can be computed together stand together.
fn order(graph: &Graph) -> Vec<Value> {
    let mut levels: Vec<usize> = Vec::with_capacity(graph.steps.len());
    for step in &graph.steps {
        let below = step.op.inputs().iter().map(|&x| levels[x]).max().unwrap_or(0);
        let own =
            matches!(step.op, Op::Norm { .. } | Op::Sum { .. } | Op::Concat { .. } | Op::Pool { .. } | Op::Mean { .. });
        levels.push(below + usize::from(own));
    }
    let mut order: Vec<Value> = (0..levels.len()).collect();
    order.sort_by_key(|&v| levels[v]);
    order
}

fn unknown(graph: &Graph, value: Value) -> Error {
    let got = format!("{:?}", graph.steps[value].op);
    Error::invalid("evaluation network on the CPU engine", got, "a step that it has a kernel for, where it stands")
}

struct Lowering<'a> {
    graph: &'a Graph,
    program: Program,
    made: Vec<Option<Made>>,
    /// Nodes made of a node, which all readers share.
    derived: HashMap<(usize, &'static str, usize), usize>,
    sizes: Vec<(usize, usize)>,
}

impl Lowering<'_> {
    fn get(&self, value: Value) -> Result<Made> {
        self.made[value].ok_or_else(|| unknown(self.graph, value))
    }

    fn hw(&self, node: usize) -> (usize, usize) {
        let size = self.program.nodes[node].size;
        (size.h, size.w)
    }

    fn derive(&mut self, key: (usize, &'static str, usize), origin: Origin) -> usize {
        if let Some(&node) = self.derived.get(&key) {
            return node;
        }
        let node = self.program.add_derived(origin);
        self.derived.insert(key, node);
        node
    }

    /// The node that holds a value.
    fn node(&mut self, value: Value) -> Result<usize> {
        let made = self.get(value)?;
        if let Made::Node(node) = made {
            return Ok(node);
        }
        let node = self.program.add_sum(self.graph.steps[value].channels, self.sizes[value]);
        self.add(node, value, made, Coef::One)?;
        self.made[value] = Some(Made::Node(node));
        Ok(node)
    }

    /// Add a value to a sum.
    fn add(&mut self, dst: usize, value: Value, made: Made, coef: Coef) -> Result<()> {
        match made {
            Made::Node(src) => self.program.add_term(dst, Term::Copy { src, coef }),
            Made::Conv { src, relu, filter, norm } => {
                self.program.add_conv(Conv { src, dst, relu, filter, norm }, coef);
            }
            Made::Average { src, stride } => self.program.add_term(dst, Term::AvgPool3 { src, stride, coef }),
            Made::Zero => {}
            _ => return Err(unknown(self.graph, value)),
        }
        Ok(())
    }

    fn step(&mut self, value: Value) -> Result<Made> {
        let graph = self.graph;
        let co = graph.steps[value].channels;
        Ok(match graph.steps[value].op {
            Op::Input => Made::Node(0),
            Op::Relu { x } => match self.get(x)? {
                Made::Last { src, norm } => Made::Last { src, norm },
                _ => Made::Relu(self.node(x)?),
            },
            Op::Offset { x } => match self.get(x)? {
                Made::Relu(src) => Made::Offset(src),
                _ => return Err(unknown(graph, value)),
            },
            Op::Conv { x, weight, window, depthwise } => self.conv(value, x, weight, window, depthwise)?,
            Op::Norm { x, norm } => match self.get(x)? {
                Made::Conv { src, relu, filter, norm: Norm::None } => {
                    Made::Conv { src, relu, filter, norm: Norm::Affine(norm) }
                }
                // On its own, and not half of a factorised reduction.
                Made::Half { src, weight } => {
                    let ((h, w), c_in) = (self.hw(src), self.program.nodes[src].channels);
                    let shape = ConvShape { k: 1, stride: 2, pad: 0, dilation: 1, c_in, c_out: co, h, w };
                    Made::Conv { src, relu: true, filter: Filter::Dense { shape, weight }, norm: Norm::Affine(norm) }
                }
                Made::Node(src) => Made::Last { src, norm },
                _ => return Err(unknown(graph, value)),
            },
            Op::Pool { x, kind, window } => {
                let src = self.node(x)?;
                match (kind, window.kernel, window.stride, window.padding) {
                    (PoolKind::Average, 3, stride, 1) => Made::Average { src, stride },
                    (PoolKind::Maximum, 3, stride, 1) => {
                        Made::Node(self.derive((src, "max", stride), Origin::MaxPool3 { src, stride }))
                    }
                    (PoolKind::Average, 2, 2, 0) => Made::Node(self.derive((src, "half", 2), Origin::AvgPool2(src))),
                    _ => return Err(unknown(graph, value)),
                }
            }
            Op::Zero { .. } => Made::Zero,
            Op::Concat { ref xs } => match xs.iter().map(|&x| self.get(x)).collect::<Result<Vec<_>>>()?[..] {
                [Made::Half { src, weight: first }, Made::Half { weight: second, .. }] => {
                    let halves = self.derive((src, "halves", 2), Origin::Halves(src));
                    let ((h, w), ci) = (self.hw(halves), self.program.nodes[src].channels);
                    let shape = ConvShape { k: 1, stride: 1, pad: 0, dilation: 1, c_in: 2 * ci, c_out: co, h, w };
                    let filter = Filter::Halves { shape, weights: [first, second] };
                    Made::Conv { src: halves, relu: true, filter, norm: Norm::None }
                }
                _ => {
                    let nodes = xs.iter().map(|&x| self.node(x)).collect::<Result<Vec<_>>>()?;
                    Made::Node(self.program.add_derived(Origin::Concat(nodes)))
                }
            },
            Op::Sum { ref xs } => {
                let node = self.program.add_sum(co, self.sizes[value]);
                for &x in xs {
                    let (x, coef) = match graph.steps[x].op {
                        Op::DropPath { x, index } => (x, Coef::Image(index)),
                        _ => (x, Coef::One),
                    };
                    self.add(node, x, self.get(x)?, coef)?;
                }
                Made::Node(node)
            }
            // A sum looks through it.
            Op::DropPath { x, .. } => self.get(x)?,
            Op::Mean { x } => match self.get(x)? {
                Made::Last { src, norm } => Made::Mean { src, norm: Some(norm) },
                Made::Node(src) => Made::Mean { src, norm: None },
                _ => return Err(unknown(graph, value)),
            },
            Op::LongConv { .. } | Op::Flatten { .. } | Op::Linear { .. } => return Err(unknown(graph, value)),
        })
    }

    fn conv(&mut self, value: Value, x: Value, weight: usize, window: Window, depthwise: bool) -> Result<Made> {
        let co = self.graph.steps[value].channels;
        let Window { kernel: k, stride, padding: pad, dilation } = window;
        let (src, relu) = match self.get(x)? {
            Made::Relu(src) if !depthwise && (k, stride) == (1, 2) => return Ok(Made::Half { src, weight }),
            Made::Offset(src) if (k, stride) == (1, 2) => return Ok(Made::Half { src, weight }),
            Made::Depthwise { src, relu, weight: first, window } if (k, stride) == (1, 1) => {
                let ((h, w), c_in) = (self.hw(src), self.program.nodes[src].channels);
                let shape = SeparableShape {
                    k: window.kernel,
                    stride: window.stride,
                    dilation: window.dilation,
                    c_in,
                    c_out: co,
                    h,
                    w,
                };
                let filter = Filter::Separable { shape, depthwise: first, pointwise: weight };
                return Ok(Made::Conv { src, relu, filter, norm: Norm::None });
            }
            Made::Relu(src) => (src, true),
            _ => (self.node(x)?, false),
        };
        if depthwise {
            return Ok(Made::Depthwise { src, relu, weight, window });
        }
        let ((h, w), c_in) = (self.hw(src), self.program.nodes[src].channels);
        let shape = ConvShape { k, stride, pad, dilation, c_in, c_out: co, h, w };
        Ok(Made::Conv { src, relu, filter: Filter::Dense { shape, weight }, norm: Norm::None })
    }
}
