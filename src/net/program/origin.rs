//! Where a node comes from: the terms of a sum, or the nodes that it is made of.

use super::{Coef, ConvId, NodeId};
use crate::net::graph::Dropped;

/// What is added up in a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// A convolution's output behind its norm (index into [`super::Program::convs`]).
    Conv {
        /// Which.
        conv: ConvId,
        /// Weight.
        coef: Coef,
    },
    /// Another node as it is.
    Copy {
        /// Which.
        src: NodeId,
        /// Weight.
        coef: Coef,
    },
    /// 3x3 average pool of another node. It is linear, so the pools into a node are one pool of a sum.
    AvgPool3 {
        /// Which.
        src: NodeId,
        /// Stride.
        stride: usize,
        /// Weight.
        coef: Coef,
    },
}

impl Term {
    /// Its weight.
    pub fn coef(self) -> Coef {
        match self {
            Term::Conv { coef, .. } | Term::Copy { coef, .. } | Term::AvgPool3 { coef, .. } => coef,
        }
    }
}

/// Where a node comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The input of the network.
    Input,
    /// The sum of terms; none (all candidates are `none`) is zero.
    Sum(Vec<Term>),
    /// 2x2 average pool, stride 2, of a node.
    AvgPool2(NodeId),
    /// 2x2 maximum pool, stride 2, of a node.
    MaxPool2(NodeId),
    /// 3x3 maximum pool of a node; computed once for all that it is a term of.
    MaxPool3 {
        /// Which.
        src: NodeId,
        /// Stride.
        stride: usize,
    },
    /// The pixels (2y, 2x) and (2y + 1, 2x + 1) of a node side by side along the channels: what a factorised reduction reads.
    Halves(NodeId),
    /// Nodes side by side along the channels.
    Concat(Vec<NodeId>),
    /// A node of which values are left out.
    Dropout {
        /// Which.
        src: NodeId,
        /// Where the draws are of.
        place: usize,
        /// What it stands behind.
        behind: Dropped,
    },
    /// The first channels of a node.
    First {
        /// Which.
        src: NodeId,
        /// How many.
        channels: usize,
    },
    /// A node, behind it the channels of `rest` from there on, shuffled in `groups` ([`crate::net::graph::Op::Shuffle`]).
    Shuffle {
        /// The first run of channels.
        first: NodeId,
        /// The node whose other channels these are.
        rest: NodeId,
        /// Runs.
        groups: usize,
    },
}

impl Origin {
    /// The terms of a sum; none for the others.
    pub fn terms(&self) -> &[Term] {
        if let Origin::Sum(terms) = self { terms } else { &[] }
    }
}
