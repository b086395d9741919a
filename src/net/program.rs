//! A network under a mask, lowered to a list of nodes: the form that the CPU engine runs. Plain data.
//!
//! A node is a stored image; it is the sum of its terms, and convolutions read it. That is all there is: mixed ops, stem,
//! reduction blocks are nodes. One forward pass over a node computes its sum and at once, while a block of images is in
//! cache, every convolution that reads it; the backward pass mirrors it. Dropped candidates have no term, so cost nothing.

use crate::ops::conv::ConvShape;
use crate::ops::pool::Image;

/// The weight of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coef {
    /// 1
    One,
    /// An entry of the mixing weights, all cell types one after the other: `[cell type][edge][op]`.
    Mix(usize),
}

/// What is added up in a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// A convolution's output behind its norm (index into [`Program::convs`]).
    Conv {
        /// Which.
        conv: usize,
        /// Weight.
        coef: Coef,
    },
    /// Another node as it is.
    Copy {
        /// Which.
        src: usize,
        /// Weight.
        coef: Coef,
    },
    /// 3x3 average pool, stride 1, of another node.
    AvgPool3 {
        /// Which.
        src: usize,
        /// Weight.
        coef: Coef,
    },
    /// 2x2 average pool, stride 2, of another node, with weight 1. Always the only term of its node.
    AvgPool2 {
        /// Which.
        src: usize,
    },
}

/// The batch norm behind a convolution or before the head. Numbers are positions in [`super::Params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// None.
    None,
    /// Statistics of the batch in every mode, no affine map.
    Batch,
    /// Affine, with running statistics.
    Affine(AffineNorm),
}

/// Positions of an affine norm's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AffineNorm {
    /// `weight`
    pub gamma: usize,
    /// `bias`
    pub beta: usize,
    /// `running_mean`
    pub mean: usize,
    /// `running_var`
    pub var: usize,
}

/// A convolution that reads a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conv {
    /// The node it reads.
    pub src: usize,
    /// The node it is a term of.
    pub dst: usize,
    /// Whether it reads the ReLU of the node.
    pub relu: bool,
    /// Its size.
    pub shape: ConvShape,
    /// Position of its weight in [`super::Params`].
    pub weight: usize,
    /// What is behind it.
    pub norm: Norm,
}

/// A stored image and what it is the sum of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Size, with padded channels.
    pub size: Image,
    /// Real channels.
    pub channels: usize,
    /// Its sum; empty for the input, and for a node all of whose candidates are `none` (zero).
    pub terms: Vec<Term>,
    /// Sibling convolutions (same shape, same ReLU) that read it, group by group.
    pub convs: Vec<Vec<usize>>,
    /// Nodes of which it is a copied term, with weights.
    pub copies: Vec<(usize, Coef)>,
    /// Nodes of which its 3x3 average is a term, with weights.
    pub pools3: Vec<(usize, Coef)>,
    /// Nodes of which its 2x2 average is the only term.
    pub pools2: Vec<usize>,
}

/// The end: batch norm, ReLU, mean, linear, on the last node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Norm.
    pub norm: AffineNorm,
    /// Position of the linear map's weight.
    pub weight: usize,
    /// Position of its bias.
    pub bias: usize,
    /// Number of logits.
    pub classes: usize,
}

/// A network under a mask. Nodes are in topological order: node 0 is the image, the last one feeds the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// In topological order.
    pub nodes: Vec<Node>,
    /// All convolutions.
    pub convs: Vec<Conv>,
    /// The end.
    pub head: Head,
    /// Number of mixing weights, all cell types.
    pub n_mix: usize,
}

impl Program {
    /// An empty program whose node 0 is an image of `channels x h x w`.
    pub fn new(channels: usize, h: usize, w: usize, head: Head, n_mix: usize) -> Self {
        let mut program = Program { nodes: Vec::new(), convs: Vec::new(), head, n_mix };
        program.add_node(channels, h, w);
        program
    }

    /// A new node, without terms; its index.
    pub fn add_node(&mut self, channels: usize, h: usize, w: usize) -> usize {
        self.nodes.push(Node {
            size: Image { h, w, c: crate::ops::padded(channels) },
            channels,
            terms: Vec::new(),
            convs: Vec::new(),
            copies: Vec::new(),
            pools3: Vec::new(),
            pools2: Vec::new(),
        });
        self.nodes.len() - 1
    }

    /// Add a convolution as a term of its `dst`.
    pub fn add_conv(&mut self, conv: Conv, coef: Coef) {
        let id = self.convs.len();
        self.convs.push(conv);
        self.nodes[conv.dst].terms.push(Term::Conv { conv: id, coef });
        let siblings = |g: &&mut Vec<usize>| {
            let first = &self.convs[g[0]];
            (first.shape, first.relu) == (conv.shape, conv.relu)
        };
        match self.nodes[conv.src].convs.iter_mut().find(siblings) {
            Some(group) => group.push(id),
            None => self.nodes[conv.src].convs.push(vec![id]),
        }
    }

    /// Add a term that is not a convolution to node `dst`.
    pub fn add_term(&mut self, dst: usize, term: Term) {
        self.nodes[dst].terms.push(term);
        match term {
            Term::Copy { src, coef } => self.nodes[src].copies.push((dst, coef)),
            Term::AvgPool3 { src, coef } => self.nodes[src].pools3.push((dst, coef)),
            Term::AvgPool2 { src } => self.nodes[src].pools2.push(dst),
            Term::Conv { .. } => unreachable!("convolutions are added by add_conv"),
        }
    }

    /// For each node, whether the last node depends on it.
    pub fn useful(&self) -> Vec<bool> {
        let mut useful = vec![false; self.nodes.len()];
        useful[self.nodes.len() - 1] = true;
        for i in (0..self.nodes.len()).rev() {
            let feeds = |node: &Node| {
                node.convs.iter().flatten().any(|&c| useful[self.convs[c].dst])
                    || node.copies.iter().chain(&node.pools3).any(|&(d, _)| useful[d])
                    || node.pools2.iter().any(|&d| useful[d])
            };
            useful[i] = useful[i] || feeds(&self.nodes[i]);
        }
        useful
    }
}
