//! A network under a mask, lowered to a list of nodes: the form that the CPU engine runs. Plain data.
//!
//! A node is an image. It is a sum of terms, or is made of other nodes ([`Origin`]): side by side, or by a pool. Convolutions
//! read it, and their outputs are terms of other nodes. Mixed ops, stem and reduction blocks all come to such nodes. One forward
//! pass over a node computes it and at once, while a block of images is in cache, every convolution that reads it; the
//! backward pass mirrors that. Neighbours in the list that do not read each other are one pass ([`Program::stages`]). Dropped
//! candidates have no term, so they cost nothing.

mod origin;
mod paths;

pub use super::graph::{AffineNorm, Coef};
pub use super::ids::{ConvId, MixId, NodeId, ParamId};
pub use origin::{Origin, Term};

use super::Mode;
use super::graph::PoolKind;
use super::ids::Table;
use crate::error::{Error, Result};
use crate::ops::conv::ConvShape;
use crate::ops::depthwise::SeparableShape;
use crate::ops::pool::Image;
use crate::ops::window::Window;

/// The batch norm behind a convolution or before the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// None.
    None,
    /// Statistics of the batch in every mode, no affine map.
    Batch,
    /// Affine, with running statistics.
    Affine(AffineNorm),
}

/// What a convolution multiplies by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All input channels to all output channels.
    Dense {
        /// Its size.
        shape: ConvShape,
        /// `[c_out, c_in, k, k]`
        weight: ParamId,
    },
    /// 1x1 on [`Origin::Halves`]: the first half of the output channels (rounded down) sees the first pixels, the others see
    /// the second ones.
    Halves {
        /// Its size; `c_in` counts both pixels.
        shape: ConvShape,
        /// `[c_out of the half, c_in / 2, 1, 1]`
        weights: [ParamId; 2],
    },
    /// Depthwise, then 1x1.
    Separable {
        /// Its size.
        shape: SeparableShape,
        /// `[c_in, 1, k, k]`
        depthwise: ParamId,
        /// `[c_out, c_in, 1, 1]`
        pointwise: ParamId,
    },
    /// None: a 3x3 pool, or the image itself, with a norm behind it, which is like a convolution in all but its weights.
    Pool {
        /// Average or maximum; none: the image itself.
        kind: Option<PoolKind>,
        /// Size of the images that it reads.
        size: Image,
        /// Stride.
        stride: usize,
    },
}

impl Filter {
    /// Whether it has the same size.
    pub fn is_like(&self, other: &Filter) -> bool {
        match (self, other) {
            (Filter::Separable { shape: a, .. }, Filter::Separable { shape: b, .. }) => a == b,
            (Filter::Pool { .. }, Filter::Pool { .. }) => self == other,
            (Filter::Separable { .. } | Filter::Pool { .. }, _)
            | (_, Filter::Separable { .. } | Filter::Pool { .. }) => false,
            (
                Filter::Dense { shape: a, .. } | Filter::Halves { shape: a, .. },
                Filter::Dense { shape: b, .. } | Filter::Halves { shape: b, .. },
            ) => a == b,
        }
    }

    /// Whether convolutions of one node are computed together: they share the ReLU and what is made of it.
    fn is_sibling(&self, other: &Filter) -> bool {
        match (self, other) {
            (Filter::Separable { shape: a, .. }, Filter::Separable { shape: b, .. }) => a.stride == b.stride,
            // One a group: each pool has a norm of its own behind it.
            (Filter::Pool { .. }, _) => false,
            _ => self.is_like(other),
        }
    }
}

/// A convolution that reads a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// The node it reads.
    pub src: NodeId,
    /// The node it is a term of.
    pub dst: NodeId,
    /// Whether it reads the ReLU of the node.
    pub relu: bool,
    /// What it multiplies by.
    pub filter: Filter,
    /// The norm behind it.
    pub norm: Norm,
}

/// An image, where it comes from, and what reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Size, with padded channels.
    pub size: Image,
    /// Real channels.
    pub channels: usize,
    /// Where it comes from.
    pub origin: Origin,
    /// Convolutions that read it, group by group of siblings.
    pub convs: Vec<Vec<ConvId>>,
    /// Nodes of which it is a copied term, with weights.
    pub copies: Vec<(NodeId, Coef)>,
    /// Nodes of which its 3x3 average is a term: node, stride, weight.
    pub pools3: Vec<(NodeId, usize, Coef)>,
    /// Nodes that are made of it without being a sum.
    pub derived: Vec<NodeId>,
    /// Mixing weights of the live candidates into it, `none` (which has no term) among them.
    pub mixed: Vec<MixId>,
}

/// The end: batch norm and ReLU (or neither), mean, linear, on the last node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Norm; without one there is no ReLU.
    pub norm: Option<AffineNorm>,
    /// The linear map's weight.
    pub weight: ParamId,
    /// Its bias.
    pub bias: ParamId,
    /// Number of logits.
    pub classes: usize,
}

/// A node whose ReLU goes out through an average pool, to what is computed elsewhere (an auxiliary head).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuxiliaryTap {
    /// Which.
    pub node: NodeId,
    /// The window of the pool, which has no padding.
    pub window: Window,
}

/// A network under a mask. Nodes are in topological order: node 0 is the image, the last one feeds the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// In topological order.
    pub nodes: Table<NodeId, Node>,
    /// All convolutions.
    pub convs: Table<ConvId, Conv>,
    /// For each convolution, the biases that its norm cancels: they are read only for whether they are finite.
    pub cancelled: Table<ConvId, Vec<ParamId>>,
    /// The end.
    pub head: Head,
    /// The node that the auxiliary head reads, in training.
    pub tap: Option<AuxiliaryTap>,
    /// Number of mixing weights, all cell types.
    pub n_mix: usize,
    /// How many of them, from the first on, are candidates'.
    pub n_candidates: usize,
}

impl Program {
    /// An empty program whose node 0 is an image of `channels x h x w`, with so many mixing weights, and so many of candidates.
    pub fn new(channels: usize, h: usize, w: usize, head: Head, (n_mix, n_candidates): (usize, usize)) -> Self {
        let (nodes, convs, cancelled) = Default::default();
        let mut program = Program { nodes, convs, cancelled, head, tap: None, n_mix, n_candidates };
        program.add_node(channels, (h, w), Origin::Input);
        program
    }

    /// A node without terms, to be added to; its index.
    pub fn add_sum(&mut self, channels: usize, hw: (usize, usize)) -> NodeId {
        self.add_node(channels, hw, Origin::Sum(Vec::new()))
    }

    /// A node made of others; its index.
    pub fn add_derived(&mut self, origin: Origin) -> NodeId {
        let node = |i: NodeId| (self.nodes[i].channels, (self.nodes[i].size.h, self.nodes[i].size.w));
        let halved = |n: usize| n.div_ceil(2);
        let (channels, hw, sources) = match &origin {
            Origin::Input | Origin::Sum(_) => unreachable!("not made of nodes"),
            &(Origin::AvgPool2(src) | Origin::MaxPool2(src)) => {
                let (c, (h, w)) = node(src);
                (c, (h / 2, w / 2), vec![src])
            }
            &Origin::MaxPool3 { src, stride } => {
                let (c, (h, w)) = node(src);
                (c, (h.div_ceil(stride), w.div_ceil(stride)), vec![src])
            }
            &Origin::Halves(src) => {
                let (c, (h, w)) = node(src);
                (2 * c, (halved(h), halved(w)), vec![src])
            }
            Origin::Concat(parts) => (parts.iter().map(|&p| node(p).0).sum(), node(parts[0]).1, parts.clone()),
            &Origin::First { src, channels } => (channels, node(src).1, vec![src]),
            &Origin::Dropout { src, .. } => (node(src).0, node(src).1, vec![src]),
            &Origin::Shuffle { first, rest, .. } => (node(rest).0, node(rest).1, vec![first, rest]),
        };
        let index = self.add_node(channels, hw, origin);
        for src in sources {
            self.nodes[src].derived.push(index);
        }
        index
    }

    fn add_node(&mut self, channels: usize, (h, w): (usize, usize), origin: Origin) -> NodeId {
        self.nodes.push(Node {
            size: Image { h, w, c: crate::ops::padded(channels) },
            channels,
            origin,
            convs: Vec::new(),
            copies: Vec::new(),
            pools3: Vec::new(),
            derived: Vec::new(),
            mixed: Vec::new(),
        })
    }

    /// Add a convolution as a term of its `dst`; `cancelled`: the biases that its norm cancels.
    pub fn add_conv(&mut self, conv: Conv, coef: Coef, cancelled: Vec<ParamId>) {
        let id = self.convs.push(conv);
        self.cancelled.push(cancelled);
        self.push_term(conv.dst, Term::Conv { conv: id, coef });
        let siblings = |g: &&mut Vec<ConvId>| {
            let first = &self.convs[g[0]];
            first.relu == conv.relu && first.filter.is_sibling(&conv.filter)
        };
        match self.nodes[conv.src].convs.iter_mut().find(siblings) {
            Some(group) => group.push(id),
            None => self.nodes[conv.src].convs.push(vec![id]),
        }
    }

    /// Add a term that is not a convolution to node `dst`.
    pub fn add_term(&mut self, dst: NodeId, term: Term) {
        self.push_term(dst, term);
        match term {
            Term::Copy { src, coef } => self.nodes[src].copies.push((dst, coef)),
            Term::AvgPool3 { src, stride, coef } => self.nodes[src].pools3.push((dst, stride, coef)),
            Term::Conv { .. } => unreachable!("convolutions are added by add_conv"),
        }
    }

    fn push_term(&mut self, dst: NodeId, term: Term) {
        match &mut self.nodes[dst].origin {
            Origin::Sum(terms) => terms.push(term),
            other => unreachable!("a term of {other:?}"),
        }
    }

    /// The nodes that node `i` is computed from.
    pub fn sources(&self, i: NodeId) -> Vec<NodeId> {
        match &self.nodes[i].origin {
            Origin::Input => vec![],
            Origin::Sum(terms) => terms
                .iter()
                .map(|t| match *t {
                    Term::Conv { conv, .. } => self.convs[conv].src,
                    Term::Copy { src, .. } | Term::AvgPool3 { src, .. } => src,
                })
                .collect(),
            &(Origin::AvgPool2(src)
            | Origin::MaxPool2(src)
            | Origin::MaxPool3 { src, .. }
            | Origin::Halves(src)
            | Origin::First { src, .. }
            | Origin::Dropout { src, .. }) => vec![src],
            Origin::Concat(parts) => parts.clone(),
            &Origin::Shuffle { first, rest, .. } => vec![first, rest],
        }
    }

    /// The nodes in passes: neighbours that do not read each other.
    pub fn stages(&self) -> Vec<Vec<NodeId>> {
        let mut stages: Vec<Vec<NodeId>> = Vec::new();
        for i in self.nodes.ids() {
            match stages.last_mut() {
                Some(stage) if self.sources(i).iter().all(|s| !stage.contains(s)) => stage.push(i),
                _ => stages.push(vec![i]),
            }
        }
        stages
    }

    /// Whether a node is kept in memory from the forward to the backward pass. One that only convolutions read, and that is
    /// quickly made again (one convolution behind its norm; nodes side by side), is not.
    pub fn is_kept(&self, i: NodeId) -> bool {
        let node = &self.nodes[i];
        let quick = match &node.origin {
            Origin::Sum(terms) => matches!(terms[..], [Term::Conv { .. }]),
            Origin::Concat(_)
            | Origin::Halves(_)
            | Origin::First { .. }
            | Origin::Shuffle { .. }
            | Origin::Dropout { .. } => true,
            Origin::Input | Origin::AvgPool2(_) | Origin::MaxPool2(_) | Origin::MaxPool3 { .. } => false,
        };
        let others = self.tap.is_some_and(|t| t.node == i)
            || !node.copies.is_empty()
            || !node.pools3.is_empty()
            || !node.derived.is_empty();
        !quick || others || i == self.nodes.last()
    }

    /// Whether scales that differ from image to image stand before the terms of node `i`, or before what reads it.
    pub fn is_by_image(&self, i: NodeId) -> bool {
        let node = &self.nodes[i];
        let scaled = |coef: &Coef| coef.image().is_some();
        let feeds = |&c: &ConvId| {
            let terms = self.nodes[self.convs[c].dst].origin.terms();
            terms.iter().any(|t| matches!(t, Term::Conv { conv, coef } if *conv == c && scaled(coef)))
        };
        node.origin.terms().iter().any(|t| scaled(&t.coef()))
            || node.convs.iter().flatten().any(feeds)
            || node.copies.iter().any(|(_, coef)| scaled(coef))
            || node.pools3.iter().any(|(.., coef)| scaled(coef))
    }

    /// An error if a batch norm would have one value a channel to take statistics of: their variance does not exist.
    pub fn check_statistics(&self, batch: usize, mode: Mode) -> Result<()> {
        let head = (self.head.norm.map_or(Norm::None, Norm::Affine), self.nodes.last());
        for (norm, node) in self.convs.iter().map(|c| (c.norm, c.dst)).chain([head]) {
            let size = self.nodes[node].size;
            let of_batch = match norm {
                Norm::None => false,
                Norm::Batch => true,
                Norm::Affine(_) => mode != Mode::Eval,
            };
            if of_batch && batch * size.h * size.w < 2 {
                let got = format!("{batch} x {} x {} values a channel", size.h, size.w);
                return Err(Error::invalid("batch norm on the statistics of the batch", got, "at least 2"));
            }
        }
        Ok(())
    }
}
